"""Tables of what happened at the venue, and of the state and rejects of ingestion.

Fills, activity, resolutions, official positions; what was asked of the venue and what refused.
"""

from evaluator.domain.schema import (
    BOOL,
    DATE,
    FLOAT,
    ID,
    INSTANT,
    INT,
    MONEY,
    REF,
    SMALL,
    TEXT,
    Column,
    Partitioning,
    Table,
    one_of,
)

SIDE = one_of("BUY", "SELL")
ROLE = one_of("maker", "taker", "unknown")
ACTIVITY_KIND = one_of(
    "SPLIT", "MERGE", "REDEEM", "CONVERSION", "REWARD", "MAKER_REBATE", "TAKER_REBATE", "YIELD"
)

FILLS = Table(
    name="fills",
    group="ledger",
    grain="One row per executed trade of one wallet.",
    key=("fill_id",),
    sorted_by=("proxy_wallet", "token_id", "filled_at"),
    partitioned_by=Partitioning.BUCKET,
    is_append_only=True,
    columns=(
        Column("fill_id", REF, "Identity of the fill; see `fills.fill_ids`."),
        Column("proxy_wallet", ID, "Wallet that traded: its proxy or Safe address."),
        Column("condition_id", ID, "Market."),
        Column("token_id", ID, "Outcome token; a 256-bit integer kept as text."),
        Column("outcome_index", SMALL, "Position of the token in its market.", null="unknown"),
        Column("side", SIDE, "Whether the wallet bought or sold the token."),
        Column("size_shares", MONEY, "Shares exchanged.", unit="shares"),
        Column("price", FLOAT, "Notional ÷ size, in [0, 1].", unit="USDC per share"),
        Column("notional_usdc", MONEY, "USDC that changed hands.", unit="USDC"),
        Column("fee_usdc", MONEY, "Fee of this fill.", unit="USDC", null="the fee is unknown"),
        Column("is_fee_included", BOOL, "The source's amounts already contain the fee."),
        Column("role", ROLE, "Maker rested in the book, taker crossed it."),
        Column("filled_at", INSTANT, "Block time of the trade."),
        Column(
            "source_sequence",
            INT,
            "Order of fills of one instant as the source gives it.",
            null="the source has no sequence",
        ),
        Column(
            "transaction_key",
            INT,
            "First 15 hex digits of the transaction hash as an integer, in the same order; "
            "16¹⁵ − 1, which comes last, where the source names no transaction.",
        ),
        Column(
            "transaction_hash", TEXT, "Transaction.", null="the source kept only a part of the hash"
        ),
        Column("ordinal", SMALL, "Number among rows that agree in all else, from 0."),
    ),
)

ACTIVITY = Table(
    name="activity",
    group="ledger",
    grain="One row per inventory or cash movement of a wallet that is not a trade.",
    key=("activity_id",),
    sorted_by=("proxy_wallet", "happened_at"),
    partitioned_by=Partitioning.BUCKET,
    is_append_only=True,
    columns=(
        Column("activity_id", REF, "Identity of the movement."),
        Column("proxy_wallet", ID, "Wallet."),
        Column("kind", ACTIVITY_KIND, "What happened."),
        Column("condition_id", ID, "Market.", null="the movement concerns no market"),
        Column("token_id", ID, "Token.", null="the movement concerns all tokens of the market"),
        Column("size_shares", MONEY, "Shares moved.", unit="shares"),
        Column("amount_usdc", MONEY, "USDC moved.", unit="USDC"),
        Column("happened_at", INSTANT, "Block time."),
        Column("transaction_key", INT, "As in `fills`."),
        Column("transaction_hash", TEXT, "Transaction.", null="unknown"),
        Column("ordinal", SMALL, "Number among rows that agree in all else, from 0."),
    ),
)

POSITIONS = Table(
    name="positions",
    group="ledger",
    grain="One row per wallet, token and day: the venue's own numbers, for reconciliation.",
    key=("snapshot_date", "proxy_wallet", "token_id"),
    sorted_by=("proxy_wallet", "token_id"),
    partitioned_by=Partitioning.BUCKET,
    upsert_scope=("proxy_wallet",),
    columns=(
        Column("snapshot_date", DATE, "Day of the reading."),
        Column("proxy_wallet", ID, "Wallet."),
        Column("token_id", ID, "Outcome token."),
        Column("condition_id", ID, "Market."),
        Column("event_slug", ID, "Event of the market.", null="the market is its own event"),
        Column("size_shares", MONEY, "Shares held.", unit="shares"),
        Column("bought_shares", MONEY, "Shares ever acquired.", unit="shares", null="not given"),
        Column("average_price", FLOAT, "Average cost of a share held.", unit="USDC per share"),
        Column("current_price", FLOAT, "Price or payout when saved.", unit="USDC per share"),
        Column("realised_pnl_usdc", MONEY, "Realised PnL.", unit="USDC"),
        Column("unrealised_pnl_usdc", FLOAT, "Size × (current − average price).", unit="USDC"),
    ),
)

RESOLUTIONS = Table(
    name="resolutions",
    group="ledger",
    grain="One row per outcome token whose payout is known.",
    key=("token_id",),
    upsert_scope=("token_id",),
    columns=(
        Column("token_id", ID, "Outcome token."),
        Column("condition_id", ID, "Market."),
        Column("payout", FLOAT, "Payout of a share, in [0, 1].", unit="USDC per share"),
        Column("resolved_at", INSTANT, "Instant from which the payout is known."),
    ),
)

INGEST_STATE = Table(
    name="ingest_state",
    group="ledger",
    grain="One row per wallet whose fills have been read.",
    key=("proxy_wallet",),
    upsert_scope=("proxy_wallet",),
    columns=(
        Column("proxy_wallet", ID, "Wallet."),
        Column("oldest_at", INSTANT, "Oldest instant covered."),
        Column("newest_at", INSTANT, "Newest instant covered."),
        Column("cursor", TEXT, "Where an unfinished backfill goes on.", null="nothing is left"),
        Column("history_complete", BOOL, "The first fill of the wallet has been reached."),
        Column("ingested_at", INSTANT, "When its fills last changed.", is_volatile=True),
    ),
)

QUARANTINE = Table(
    name="quarantine",
    group="ledger",
    grain="One row per rejected source row and rule.",
    key=("source", "row_key", "rule"),
    is_append_only=True,
    columns=(
        Column("source", TEXT, "File or endpoint."),
        Column("row_key", TEXT, "Digest of the raw payload and its number among equal ones."),
        Column("rule", TEXT, "Rule that refused the row, or the named part of it."),
        Column("payload", TEXT, "The raw row as JSON."),
        Column("seen_at", INSTANT, "When it was refused first.", is_volatile=True),
    ),
)

VENUE_REQUESTS = Table(
    name="venue_requests",
    group="ledger",
    grain="One row per pass over the venue, endpoint and status: what was asked, what came back.",
    key=("pass_id", "endpoint", "status"),
    is_append_only=True,
    columns=(
        Column("pass_id", TEXT, "One open client, from its first request to its last."),
        Column("endpoint", TEXT, "Host and path, e.g. `data /v2/trades`."),
        Column("status", TEXT, "HTTP status, else the kind of transport error."),
        Column("request_count", INT, "Requests sent, retries included."),
        Column("retry_count", INT, "Those of them that repeated a failed one."),
        Column("seconds", FLOAT, "Time waited for answers.", unit="s", is_volatile=True),
        Column("slowest_s", FLOAT, "Longest wait.", unit="s", is_volatile=True),
        Column("began_at", INSTANT, "First request.", is_volatile=True),
        Column("ended_at", INSTANT, "Last answer.", is_volatile=True),
    ),
)

OUTCOME = one_of("computed", "insufficient_trades", "not_found", "failed")

ON_DEMAND_OUTCOMES = Table(
    name="on_demand_outcomes",
    group="features",
    grain="One row per new wallet and attempt to compute its features at once.",
    key=("proxy_wallet", "attempt"),
    upsert_scope=("proxy_wallet", "attempt"),
    columns=(
        Column("proxy_wallet", ID, "Wallet."),
        Column("attempt", SMALL, "Number of the attempt, from 1."),
        Column("outcome", OUTCOME, "What came of it."),
        Column("settled_count", INT, "Settled trades of the wallet.", null="not computed"),
        Column("error", TEXT, "What went wrong.", null="the outcome is not `failed`"),
        Column("run_id", TEXT, "Run of the attempt.", is_volatile=True),
        Column(
            "discovered_at",
            INSTANT,
            "When the wallet was discovered.",
            null="its partition was added by hand",
        ),
        Column("started_at", INSTANT, "When the attempt began.", is_volatile=True),
        Column(
            "ended_at", INSTANT, "When the row, or its absence, was committed.", is_volatile=True
        ),
        Column("fetch_s", FLOAT, "Time spent reading its fills.", unit="s", is_volatile=True),
    ),
)

DEAD_LETTERS = Table(
    name="dead_letters",
    group="events",
    grain="One row per event and subscriber that could not handle it.",
    key=("event_id", "subscriber"),
    upsert_scope=("event_id", "subscriber"),
    columns=(
        Column("event_id", TEXT, "STORAGE_ID.NUMBER of the event in the instance's log."),
        Column("subscriber", TEXT, "Sensor whose handler failed."),
        Column("event_type", TEXT, "Type of the event.", null="the event cannot be parsed"),
        Column("payload", TEXT, "The event as JSON, as it was found."),
        Column("error", TEXT, "What went wrong the last time."),
        Column("attempts", SMALL, "Times the handler was tried."),
        Column("status", one_of("dead", "replayed"), "Whether it has been handled since."),
        Column("failed_at", INSTANT, "When it failed last.", is_volatile=True),
    ),
)

EVENTS = Table(
    name="events",
    group="events",
    grain="One row per typed event in the log of the Dagster instance, malformed ones included.",
    key=("event_id",),
    columns=(
        Column("event_id", TEXT, "STORAGE_ID.NUMBER of the event in the instance's log."),
        Column("event_type", TEXT, "Type of the event.", null="the event cannot be parsed"),
        Column("asset", TEXT, "Asset that told it."),
        Column("run_id", TEXT, "Run that logged it; empty where it was logged outside of runs."),
        Column("logged_at", INSTANT, "When it was logged."),
        Column("payload", TEXT, "The event as JSON; a malformed one as it was found."),
        Column("replay_of", TEXT, "Event that it repeats.", null="it is no replay"),
    ),
)
