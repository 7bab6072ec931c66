"""Tables of the ledger: lots and their comparison with the venue's own numbers."""

from evaluator.domain.schema import (
    BOOL,
    FLOAT,
    ID,
    INSTANT,
    INT,
    MONEY,
    REF,
    SMALL,
    Column,
    Partitioning,
    Table,
    one_of,
)
from evaluator.domain.tables.history import ROLE

CLOSE_KIND = one_of("SELL", "MERGE", "RESOLVE", "REDEEM", "CONVERSION")
MISS = one_of(
    "matched",
    "official_missing",
    "oversold",
    "split_or_conversion_unseen",
    "bought_differs",
    "price_rounding",
    "fee_unseen",
    "divided_differently",
    "disposal_unseen",
    "other",
)

_PLACE = (
    "Place of the {} in the wallet's total order of events: even for fills and activity, "
    "odd for a resolution, which follows the event before it."
)

CLOSED_LOTS = Table(
    name="closed_lots",
    group="ledger",
    grain="One row per matched piece of a lot: what one disposal took of one acquisition.",
    key=("proxy_wallet", "token_id", "open_fill_id", "close_id"),
    sorted_by=("proxy_wallet", "token_id", "close_order", "open_order"),
    partitioned_by=Partitioning.BUCKET,
    upsert_scope=("proxy_wallet",),
    columns=(
        Column("proxy_wallet", ID, "Wallet that held the lot."),
        Column("condition_id", ID, "Market."),
        Column("token_id", ID, "Outcome token."),
        Column("event_slug", ID, "Event of the market; the market itself where it has none."),
        Column("domain", ID, "Category of the market.", null="unknown"),
        Column("open_fill_id", REF, "Fill or activity that opened the lot."),
        Column("close_id", REF, "Fill, activity or resolution that closed it."),
        Column("opened_at", INSTANT, "Instant of the opening."),
        Column("closed_at", INSTANT, "Instant of the close."),
        Column("close_kind", CLOSE_KIND, "What closed it."),
        Column("size_shares", MONEY, "Shares of the piece.", unit="shares"),
        Column("open_price", FLOAT, "Price paid, without fees.", unit="USDC per share"),
        Column("close_price", FLOAT, "Price received, without fees.", unit="USDC per share"),
        Column("cost_usdc", MONEY, "Cost of the piece, opening fee included.", unit="USDC"),
        Column("proceeds_usdc", MONEY, "What the close brought, less its fee.", unit="USDC"),
        Column("fees_usdc", MONEY, "Fees contained in cost and proceeds.", unit="USDC"),
        Column("realised_pnl_usdc", MONEY, "Proceeds − cost.", unit="USDC"),
        Column("opened_as", ROLE, "Role of the opening fill."),
        Column("open_order", SMALL, _PLACE.format("opening")),
        Column("close_order", SMALL, _PLACE.format("close")),
        Column("is_trip_end", BOOL, "The close ends a round trip: less than 0.01 share is left."),
    ),
)

OPEN_LOTS = Table(
    name="open_lots",
    group="ledger",
    grain="One row per lot of which shares are left after everything known.",
    key=("proxy_wallet", "token_id", "open_fill_id"),
    sorted_by=("proxy_wallet", "token_id", "open_order"),
    partitioned_by=Partitioning.BUCKET,
    upsert_scope=("proxy_wallet",),
    columns=(
        Column("proxy_wallet", ID, "Wallet that holds the lot."),
        Column("condition_id", ID, "Market."),
        Column("token_id", ID, "Outcome token."),
        Column("event_slug", ID, "Event of the market; the market itself where it has none."),
        Column("domain", ID, "Category of the market.", null="unknown"),
        Column("open_fill_id", REF, "Fill or activity that opened the lot."),
        Column("opened_at", INSTANT, "Instant of the opening."),
        Column("size_shares", MONEY, "Shares left.", unit="shares"),
        Column("open_price", FLOAT, "Price paid, without fees.", unit="USDC per share"),
        Column("cost_usdc", MONEY, "Cost of what is left, fee included.", unit="USDC"),
        Column("fees_usdc", MONEY, "Fees contained in the cost.", unit="USDC"),
        Column("opened_as", ROLE, "Role of the opening fill."),
        Column("open_order", SMALL, _PLACE.format("opening")),
    ),
)

_RECONCILED = (
    Column("official_pnl_usdc", FLOAT, "The venue's PnL of it.", unit="USDC"),
    Column("pnl_usdc", FLOAT, "Ours: realised and valued at the venue's price.", unit="USDC"),
    Column("error_usdc", FLOAT, "Ours − the venue's.", unit="USDC"),
    Column("is_match", BOOL, "The error is within 0.01 USDC + 0.1 %."),
    Column("is_clean", BOOL, "Bought amounts match and no sale was oversold."),
    Column("reason", MISS, "Why they differ, derived from the inputs."),
)

RECONCILIATION = Table(
    name="reconciliation",
    group="ledger",
    grain="One row per wallet and resolved token, in events with official numbers and fills.",
    key=("proxy_wallet", "token_id"),
    columns=(
        Column("proxy_wallet", ID, "Wallet."),
        Column("token_id", ID, "Outcome token."),
        Column("event_slug", ID, "Event of the token."),
        Column("official_bought_shares", MONEY, "The venue's total bought.", unit="shares"),
        Column(
            "bought_shares",
            MONEY,
            "Ours: of all lots opened, by purchase, split or conversion.",
            unit="shares",
        ),
        Column("unexplained_shares", MONEY, "Shares sold that no lot explains.", unit="shares"),
        Column("fill_count", INT, "Fills of the wallet in the token."),
        *_RECONCILED,
    ),
)

RECONCILIATION_EVENTS = Table(
    name="reconciliation_events",
    group="ledger",
    grain="One row per wallet and resolved event with official numbers and fills.",
    key=("proxy_wallet", "event_slug"),
    columns=(
        Column("proxy_wallet", ID, "Wallet."),
        Column("event_slug", ID, "Event."),
        *_RECONCILED,
    ),
)
