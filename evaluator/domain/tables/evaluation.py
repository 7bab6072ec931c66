"""Tables of the evaluation: features, scores, personas.

Their columns follow the definitions in `features`, `scores` and `personas`.
"""

from evaluator.domain.features.catalogue import FEATURES
from evaluator.domain.schema import (
    BOOL,
    DATE,
    FLOAT,
    ID,
    INSTANT,
    INT,
    LABELLED,
    SMALL,
    TEXT,
    Column,
    Partitioning,
    Table,
)

_HASH = Column("config_hash", TEXT, "Digest of the thresholds and weights used.")
_COMPUTED = Column("computed_at", INSTANT, "When the row was computed.", is_volatile=True)
_FINAL = Column("is_final", BOOL, "The day had ended when the row was computed.")

_FEATURE_COLUMNS = (
    Column("proxy_wallet", ID, "Wallet."),
    Column("feature_date", DATE, "Day whose end is as_of."),
    Column("window_days", SMALL, "Length of the window before as_of.", unit="days"),
    *(feature.column for feature in FEATURES),
    Column("source", TEXT, "`batch` or `on_demand`."),
    _FINAL,
    _HASH,
    Column("code_version", TEXT, "Version of the package.", is_volatile=True),
    _COMPUTED,
)

WALLET_FEATURES = Table(
    name="wallet_features",
    group="features",
    grain="One row per wallet, day and window, from what was known when the day ended.",
    key=("proxy_wallet", "feature_date", "window_days"),
    partitioned_by=Partitioning.DAY_WINDOW,
    upsert_scope=("proxy_wallet",),
    columns=_FEATURE_COLUMNS,
)

WALLET_FEATURES_ON_DEMAND = Table(
    name="wallet_features_on_demand",
    group="features",
    grain="One row per new wallet and day, over 30 days, before the batch has come to it.",
    key=("proxy_wallet", "feature_date", "window_days"),
    partitioned_by=Partitioning.DAY,
    upsert_scope=("proxy_wallet",),
    columns=_FEATURE_COLUMNS,
)

COMPONENT_NULL = "its inputs are null; its weight goes to the others"

WALLET_SCORES = Table(
    name="wallet_scores",
    group="scores",
    grain="One row per row of wallet_features and score version.",
    key=("proxy_wallet", "score_date", "window_days", "score_version"),
    partitioned_by=Partitioning.DAY_WINDOW,
    upsert_scope=("proxy_wallet",),
    columns=(
        Column("proxy_wallet", ID, "Wallet."),
        Column("score_date", DATE, "Day whose end is as_of."),
        Column("window_days", SMALL, "Length of the window before as_of.", unit="days"),
        Column("score_version", TEXT, "Name of the formula."),
        Column("wscore", FLOAT, "Score in [0, 1].", null="`score_reason` says why"),
        Column("score_reason", TEXT, "TOO_FEW_FILLS or NO_CLOSES.", null="there is a score"),
        Column("edge", FLOAT, "Component of ROI.", null=COMPONENT_NULL),
        Column("consistency", FLOAT, "Component of daily returns.", null=COMPONENT_NULL),
        Column("market_skill", FLOAT, "Share of events won.", null=COMPONENT_NULL),
        Column("timing", FLOAT, "Component of the drift after entry.", null=COMPONENT_NULL),
        Column("behavior", FLOAT, "1 − mean of noise measures.", null=COMPONENT_NULL),
        Column("components_used", TEXT, "Names of the components not null, in order."),
        Column("win_rate_multiplier", FLOAT, "0.5, 0.8 or 1 by win rate."),
        Column("trust_multiplier", FLOAT, "0.8 for young wallets, else 1."),
        Column("obscurity_multiplier", FLOAT, "1.2 outside the leaderboard, else 1."),
        Column("raw_score", FLOAT, "Product before clamping; ranks.", null="no score"),
        Column("interval_low", FLOAT, "Lower bound of the score.", null="always in v1"),
        Column("interval_high", FLOAT, "Upper bound of the score.", null="always in v1"),
        Column("support_events", INT, "Events closed in the window."),
        Column("support_fills", INT, "Fills in the window."),
        Column("rank", INT, "Rank among the rankable, 1 the best.", null="not rankable"),
        Column("percentile", FLOAT, "(n − rank + 1) ÷ n.", null="not rankable"),
        Column("is_rankable", BOOL, "The wallet takes part in the ranking."),
        Column("rank_reason", TEXT, "Why it does not.", null="it is rankable"),
        _FINAL,
        _HASH,
        _COMPUTED,
    ),
)

_WALLET_DAY = (
    Column("proxy_wallet", ID, "Wallet."),
    Column("persona_date", DATE, "Day whose end is as_of."),
)

WALLET_PERSONAS = Table(
    name="wallet_personas",
    group="personas",
    grain="One row, the verdict, per wallet and day.",
    key=("proxy_wallet", "persona_date"),
    partitioned_by=Partitioning.DAY,
    upsert_scope=("proxy_wallet",),
    columns=(
        *_WALLET_DAY,
        Column("persona", TEXT, "Label of whatever stage."),
        Column("stage", TEXT, "Stage that decided: 1, 1.5 or 2."),
        Column(
            "reason_code",
            TEXT,
            "Gate that failed or detector that fired; the label where none did.",
        ),
        Column("confidence", FLOAT, "In [0, 1].", null="the label has no confidence"),
        Column("is_exclusion", BOOL, "The label excludes the wallet."),
        Column("is_followable", BOOL, "The label has a follow mode."),
        Column("follow_mode", TEXT, "How to follow it.", null="not followable"),
        Column(
            "margins",
            LABELLED,
            "Margin of each detector: distance to its threshold ÷ |threshold|, of its weakest "
            "condition; positive where satisfied; a null value where one of its inputs is null.",
            null="stage 2 was not reached",
        ),
        Column("nearest_persona", TEXT, "Label of the largest margin.", null="a label fired"),
        Column("nearest_margin", FLOAT, "That margin.", null="a label fired"),
        Column("settled_count", INT, "Round trips settled in the window."),
        _FINAL,
        _HASH,
        _COMPUTED,
    ),
)

WALLET_EXCLUSIONS = Table(
    name="wallet_exclusions",
    group="personas",
    grain="One row per wallet, day and exclusion that holds.",
    key=("proxy_wallet", "persona_date", "reason"),
    partitioned_by=Partitioning.DAY,
    upsert_scope=("proxy_wallet",),
    columns=(
        *_WALLET_DAY,
        Column("reason", TEXT, "Label of the gate or detector."),
        Column("stage", TEXT, "Its stage."),
        Column("metric", TEXT, "What it looks at."),
        Column("value", FLOAT, "What the wallet has.", null="a list or several metrics decide"),
        Column("threshold", FLOAT, "The bound.", null="a list or several metrics decide"),
        Column("is_deciding", BOOL, "It is the wallet's verdict."),
    ),
)

WALLET_TRAITS = Table(
    name="wallet_traits",
    group="personas",
    grain="One row per wallet, day and trait.",
    key=("proxy_wallet", "persona_date", "trait"),
    partitioned_by=Partitioning.DAY,
    upsert_scope=("proxy_wallet",),
    columns=(
        *_WALLET_DAY,
        Column("trait", TEXT, "TOPIC_LANE, BONDER or WHALE."),
        Column("detail", TEXT, "The domain of a TOPIC_LANE.", null="the trait has no detail"),
        Column("value", FLOAT, "Metric behind the trait."),
    ),
)

PERSONA_VALIDATION = Table(
    name="persona_validation",
    group="validation",
    grain="One row per day, planted label and verdict; of a simulated venue only.",
    key=("persona_date", "expected_label", "persona"),
    upsert_scope=("persona_date",),
    columns=(
        Column("persona_date", DATE, "Day of the verdicts."),
        Column("expected_label", TEXT, "Label that the planted style should get."),
        Column("persona", TEXT, "Label that the wallet got."),
        Column("wallet_count", INT, "Discovered wallets with both."),
        _HASH,
        _COMPUTED,
    ),
)
