"""All wallet features, in the order of the table `wallet_features`."""

import polars as pl

from evaluator.domain.exact import ratio
from evaluator.domain.features.feature import Feature, Source
from evaluator.domain.features.flow import BREADTH, FLOW
from evaluator.domain.features.outcome import MARK, OUTCOME
from evaluator.domain.features.risk import EDGE, RISK, STYLE
from evaluator.domain.schema import BOOL, INSTANT

QUALITY = (
    Feature(
        "coverage",
        Source.ROW,
        ratio(pl.col("explained_shares"), pl.col("disposed_shares")),
        "Explained ÷ all shares ever disposed of by sale, merge, redemption or conversion.",
        unit="ratio",
        null="nothing was disposed of before as_of",
    ),
    Feature(
        "history_complete",
        Source.ROW,
        pl.col("history_complete").fill_null(value=False),
        "The wallet's own history has been read, to its first fill.",
        dtype=BOOL,
    ),
    Feature(
        "inputs_watermark",
        Source.ROW,
        pl.col("career_last_fill_at"),
        "Newest fill used.",
        null="no fill before as_of",
        dtype=INSTANT,
    ),
)

FEATURES: tuple[Feature, ...] = (*FLOW, *BREADTH, *OUTCOME, *MARK, *RISK, *EDGE, *STYLE, *QUALITY)

BY_SOURCE = {
    source: tuple(feature for feature in FEATURES if feature.source is source) for source in Source
}
