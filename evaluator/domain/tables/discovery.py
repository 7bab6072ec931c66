"""Tables of the discovery group: markets, their scores, holders, leaderboard, wallets."""

from evaluator.domain.schema import (
    BOOL,
    DATE,
    FLOAT,
    FLOATS,
    ID,
    INSTANT,
    INT,
    MONEY,
    SMALL,
    TEXT,
    TEXTS,
    Column,
    Partitioning,
    Table,
    one_of,
)

DISCOVERED_FROM = one_of("HOLDER", "TRADER_RECENT", "LEADERBOARD")

_UNKNOWN = "the source does not say"

MARKETS = Table(
    name="markets",
    group="discovery",
    grain="One row per market and day on which it was seen.",
    key=("snapshot_date", "condition_id"),
    partitioned_by=Partitioning.DAY,
    upsert_scope=("condition_id",),
    columns=(
        Column("snapshot_date", DATE, "Day whose latest state the row holds."),
        Column("condition_id", ID, "Market."),
        Column("question", TEXT, "What the market asks.", null=_UNKNOWN),
        Column("slug", TEXT, "The venue's name of the market in addresses.", null=_UNKNOWN),
        Column("event_slug", ID, "Event of the market.", null="the market is its own event"),
        Column("domain", TEXT, "Gamma category, else the event's first tag.", null=_UNKNOWN),
        Column("end_at", INSTANT, "Announced end of the question.", null=_UNKNOWN),
        Column("liquidity_usdc", FLOAT, "Resting liquidity.", unit="USDC", null=_UNKNOWN),
        Column("volume_24h_usdc", FLOAT, "Volume of 24 hours.", unit="USDC", null=_UNKNOWN),
        Column(
            "volume_usdc",
            FLOAT,
            "Lifetime volume as the venue counts it, which is shares.",
            unit="shares",
            null=_UNKNOWN,
        ),
        Column("outcomes", TEXTS, "Outcome names in token order."),
        Column("token_ids", TEXTS, "Outcome tokens, in the order of `outcomes`."),
        Column("closed", BOOL, "The venue has closed the market."),
        Column(
            "resolved_at",
            INSTANT,
            "Instant from which the payouts are known.",
            null="not closed, or the payouts are unknown",
        ),
        Column(
            "payouts",
            FLOATS,
            "Payout per share of each token, summing to 1.",
            unit="USDC per share",
            null="not closed, or closing prices that are no payouts",
        ),
        Column("fee_rate", FLOAT, "Taker fee rate of the market's schedule.", null=_UNKNOWN),
        Column("fee_exponent", FLOAT, "Exponent of the fee schedule.", null=_UNKNOWN),
        Column("tick", FLOAT, "Smallest price step.", unit="USDC per share", null=_UNKNOWN),
        Column("neg_risk", BOOL, "Its event is a negative-risk event.", null=_UNKNOWN),
        Column("first_seen_at", INSTANT, "When we first read the market.", is_volatile=True),
    ),
)

MARKET_SCORES = Table(
    name="market_scores",
    group="discovery",
    grain="One row per candidate market and day.",
    key=("score_date", "condition_id"),
    partitioned_by=Partitioning.DAY,
    columns=(
        Column("score_date", DATE, "Day of the score."),
        Column("condition_id", ID, "Market."),
        Column("event_slug", ID, "Event of the market.", null="the market is its own event"),
        Column("mscore", FLOAT, "Market score in [0, 1]."),
        Column("liquidity_score", FLOAT, "Component of liquidity."),
        Column("volume_score", FLOAT, "Component of volume."),
        Column("density_score", FLOAT, "Component of trades in 24 hours; 0.5 where unknown."),
        Column("whale_score", FLOAT, "1 less the top holder's share; 0.5 where unknown."),
        Column("time_score", FLOAT, "Component of the time to the end."),
        Column("liquidity_usdc", FLOAT, "Resting liquidity.", unit="USDC"),
        Column("volume_24h_usdc", FLOAT, "Volume of 24 hours that was scored.", unit="USDC"),
        Column("is_volume_lifetime", BOOL, "The 24-hour volume was missing; lifetime counts."),
        Column(
            "trades_24h_count",
            INT,
            "Trades in the market's own feed in the last 24 hours, at most 500 counted.",
            null="the feed could not be read",
        ),
        Column(
            "top_holder_ratio",
            FLOAT,
            "Largest share of one holder among the listed holders of a token of the market.",
            null="the holders could not be read",
        ),
        Column("days_to_end", FLOAT, "Time to the announced end.", unit="days"),
        Column("raw_score", FLOAT, "Weighted sum of the five components."),
        Column("gate", FLOAT, "Mean of the first three components."),
        Column("escore", FLOAT, "Largest mscore of the event."),
        Column("event_rank", SMALL, "Rank of the event by escore, 1 the best."),
        Column("is_selected", BOOL, "The event is among those searched for wallets."),
        Column("config_hash", TEXT, "Digest of the thresholds and weights used."),
        Column("computed_at", INSTANT, "When the row was computed.", is_volatile=True),
    ),
)

HOLDERS = Table(
    name="holders",
    group="discovery",
    grain="One row per token, holder and day.",
    key=("snapshot_date", "token_id", "proxy_wallet"),
    partitioned_by=Partitioning.DAY,
    upsert_scope=("token_id",),
    columns=(
        Column("snapshot_date", DATE, "Day of the reading."),
        Column("token_id", ID, "Outcome token held."),
        Column("proxy_wallet", ID, "Holder."),
        Column("amount_shares", MONEY, "Shares held.", unit="shares"),
    ),
)

LEADERBOARD = Table(
    name="leaderboard",
    group="discovery",
    grain="One row per ranked wallet, category, period and day.",
    key=("snapshot_date", "category", "period", "proxy_wallet"),
    partitioned_by=Partitioning.DAY,
    columns=(
        Column("snapshot_date", DATE, "Day of the reading."),
        Column("category", TEXT, "The venue's category, e.g. OVERALL."),
        Column("period", TEXT, "The venue's period, e.g. WEEK."),
        Column("proxy_wallet", ID, "Ranked wallet."),
        Column("rank", INT, "The venue's rank, 1 the best."),
        Column("pnl_usdc", FLOAT, "The venue's PnL.", unit="USDC", null=_UNKNOWN),
        Column("volume_usdc", FLOAT, "The venue's volume.", unit="USDC", null=_UNKNOWN),
    ),
)

WALLETS = Table(
    name="wallets",
    group="discovery",
    grain="One row per discovered wallet, in the partition of its day of discovery.",
    key=("proxy_wallet",),
    partitioned_by=Partitioning.DAY,
    is_append_only=True,
    columns=(
        Column("proxy_wallet", ID, "Wallet."),
        Column("discovered_from", DISCOVERED_FROM, "First source that named it."),
        Column("discovered_at", INSTANT, "When that was."),
        Column("discovered_in_market", ID, "Market it was found in.", null="the leaderboard"),
    ),
)

WALLET_SOURCES = Table(
    name="wallet_sources",
    group="discovery",
    grain="One row per wallet and source that named it.",
    key=("proxy_wallet", "source"),
    is_append_only=True,
    columns=(
        Column("proxy_wallet", ID, "Wallet."),
        Column("source", DISCOVERED_FROM, "Source."),
        Column("seen_at", INSTANT, "When the source first named it."),
    ),
)
