"""Small declared tables for the tests of the store, one per way of partitioning and writing."""

from evaluator.domain.schema import (
    BOOL,
    DATE,
    FLOAT,
    FLOATS,
    ID,
    INSTANT,
    INT,
    LABELLED,
    MONEY,
    REF,
    SMALL,
    TEXT,
    TEXTS,
    Column,
    Partitioning,
    Table,
    one_of,
)

OPTIONAL = "it is left out"
SIDE = one_of("BUY", "SELL")

KINDS = {
    "an_id": ID,
    "a_ref": REF,
    "money_usdc": MONEY,
    "seen_at": INSTANT,
    "on_date": DATE,
    "words": TEXT,
    "word_list": TEXTS,
    "numbers": FLOATS,
    "ratio": FLOAT,
    "whole": INT,
    "small": SMALL,
    "is_so": BOOL,
    "side": SIDE,
    "margins": LABELLED,
}

EVERY_TYPE = Table(
    name="every_type",
    grain="One row per number.",
    key=("number",),
    columns=(
        Column("number", INT, "Key."),
        *(Column(name, kind, "A value.", null=OPTIONAL) for name, kind in KINDS.items()),
        Column("computed_at", INSTANT, "A clock.", null=OPTIONAL, is_volatile=True),
    ),
)

NOTES = Table(
    name="notes",
    grain="One row per note.",
    key=("number",),
    is_append_only=True,
    columns=(Column("number", INT, "Key."), Column("writer", INT, "Who wrote it first.")),
)

HOLDINGS = Table(
    name="holdings",
    grain="One row per owner and item.",
    key=("owner", "item"),
    sorted_by=("item",),
    is_append_only=True,
    upsert_scope=("owner",),
    columns=(
        Column("owner", INT, "Owner."),
        Column("item", INT, "Item."),
        Column("amount", INT, "How many."),
    ),
)

DAILY = Table(
    name="daily",
    grain="One row per day and number.",
    key=("on_date", "number"),
    partitioned_by=Partitioning.DAY,
    columns=(
        Column("on_date", DATE, "Day."),
        Column("number", INT, "Number."),
        Column("generation", INT, "Commit that wrote it."),
    ),
)

WALLET_ROWS = Table(
    name="wallet_rows",
    grain="One row per wallet and number.",
    key=("proxy_wallet", "number"),
    partitioned_by=Partitioning.BUCKET,
    upsert_scope=("proxy_wallet",),
    columns=(
        Column("proxy_wallet", ID, "Wallet."),
        Column("number", INT, "Number."),
        Column("ratio", FLOAT, "A value.", null=OPTIONAL),
    ),
)

WALLET_LOG = Table(
    name="wallet_log",
    grain="One row per number.",
    key=("number",),
    sorted_by=("proxy_wallet",),
    partitioned_by=Partitioning.BUCKET,
    is_append_only=True,
    columns=(
        Column("number", INT, "Key."),
        Column("proxy_wallet", ID, "Wallet."),
        Column("writer", INT, "Who wrote it first."),
    ),
)

DIARY = Table(
    name="diary",
    grain="One row per entry, whose day is in no column.",
    key=("number",),
    sorted_by=("author",),
    partitioned_by=Partitioning.DAY,
    is_append_only=True,
    upsert_scope=("number",),
    columns=(
        Column("number", INT, "Key."),
        Column("author", INT, "Who wrote it."),
    ),
)

CELLS = Table(
    name="cells",
    grain="One row per wallet, day and window.",
    key=("proxy_wallet", "on_date", "window_days"),
    partitioned_by=Partitioning.DAY_WINDOW,
    upsert_scope=("proxy_wallet",),
    columns=(
        Column("proxy_wallet", ID, "Wallet."),
        Column("on_date", DATE, "Day."),
        Column("window_days", SMALL, "Window."),
        Column("ratio", FLOAT, "A value.", null=OPTIONAL),
    ),
)

TABLES = (EVERY_TYPE, NOTES, HOLDINGS, DAILY, WALLET_ROWS, WALLET_LOG, DIARY, CELLS)
