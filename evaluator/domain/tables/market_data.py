"""Tables of market data: price series, order books, comments. In the lake, one partition a day."""

from evaluator.domain.schema import (
    FLOAT,
    FLOATS,
    ID,
    INSTANT,
    TEXT,
    Column,
    Partitioning,
    Table,
)

BOOK_LEVELS = 50
"""Most levels of a side that are kept."""

PRICES = Table(
    name="prices",
    group="market_data",
    grain="One row per token and instant of the venue's price series.",
    key=("token_id", "priced_at"),
    partitioned_by=Partitioning.DAY,
    is_append_only=True,
    columns=(
        Column("token_id", ID, "Outcome token."),
        Column("priced_at", INSTANT, "Instant of the price; its day is the partition."),
        Column("price", FLOAT, "Price of a share.", unit="USDC per share"),
        Column("source", TEXT, "Endpoint that gave it."),
    ),
)

BOOKS = Table(
    name="books",
    group="market_data",
    grain="One row per token and instant at which its order book was read.",
    key=("token_id", "observed_at"),
    partitioned_by=Partitioning.DAY,
    is_append_only=True,
    columns=(
        Column("token_id", ID, "Outcome token."),
        Column("observed_at", INSTANT, "The venue's time of the book; its day is the partition."),
        Column("bid_prices", FLOATS, "Prices bid, best first.", unit="USDC per share"),
        Column("bid_sizes", FLOATS, "Shares bid, in the order of `bid_prices`.", unit="shares"),
        Column("ask_prices", FLOATS, "Prices asked, best first.", unit="USDC per share"),
        Column("ask_sizes", FLOATS, "Shares asked, in the order of `ask_prices`.", unit="shares"),
        Column("read_at", INSTANT, "When we read it.", is_volatile=True),
    ),
)

COMMENTS = Table(
    name="comments",
    group="market_data",
    grain="One row per comment.",
    key=("comment_id",),
    partitioned_by=Partitioning.DAY,
    is_append_only=True,
    columns=(
        Column("comment_id", TEXT, "The venue's id of the comment."),
        Column("condition_id", ID, "Market commented on.", null="the comment is on the event"),
        Column("event_slug", ID, "Event commented on.", null="the comment is on one market"),
        Column("author", ID, "Wallet of the author.", null="the venue does not say"),
        Column("text", TEXT, "What it says."),
        Column("posted_at", INSTANT, "When it was posted; its day is the partition."),
        Column("seen_at", INSTANT, "When we first read it.", is_volatile=True),
    ),
)
