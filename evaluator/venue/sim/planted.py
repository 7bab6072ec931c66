"""What was planted: the style and skill of each wallet, and the label that the definitions expect.

Gates of age, number of fills and idleness come before style, as the definitions order them; a
sniper past the age of snipers has no label to expect.
"""

from datetime import datetime, timedelta

import numpy as np
import polars as pl

from evaluator.venue.sim.agents import Agents
from evaluator.venue.sim.frames import instant
from evaluator.venue.sim.rules import History, WorldRules
from evaluator.venue.sim.styles import CODES, STYLES

_YOUNG_DAYS, _FEWEST_FILLS, _IDLE_DAYS = 30, 10, 45
_SNIPED = 5


def truth(
    rules: WorldRules, agents: Agents, addresses: pl.Series, history: History, until: datetime
) -> pl.DataFrame:
    """One row per wallet: proxy_wallet, style, expected_label, skill, born_at."""
    sniper = CODES["SNIPER_INSIDER"]
    label = (
        pl.when((pl.col("code") == sniper) & _is_young(until) & (pl.col("settled") >= _SNIPED))
        .then(pl.lit("SNIPER_INSIDER"))
        .when(_is_young(until))
        .then(pl.lit("TOO_YOUNG"))
        .when(pl.col("fills").fill_null(0) < _FEWEST_FILLS)
        .then(pl.lit("TOO_FEW_TRADES"))
        .when(pl.col("last") < until - timedelta(days=_IDLE_DAYS))
        .then(pl.lit("INACTIVE"))
        .when(pl.col("code") != sniper)
        .then(pl.col("label"))
    )
    codes = agents.style
    planted = pl.DataFrame(
        {
            "proxy_wallet": addresses,
            "code": codes,
            "style": np.array([style.name for style in STYLES])[codes],
            "label": pl.Series([style.label for style in STYLES], dtype=pl.String).gather(codes),
            "skill": pl.Series([style.skill for style in STYLES], dtype=pl.Float64).gather(codes),
            "second": agents.born,
        }
    )
    rows = planted.join(_careers(history), on="proxy_wallet", how="left", maintain_order="left")
    born_at = instant(rules.start, pl.col("second")).alias("born_at")
    return rows.select("proxy_wallet", "style", label.alias("expected_label"), "skill", born_at)


def _is_young(until: datetime) -> pl.Expr:
    return pl.col("first") > until - timedelta(days=_YOUNG_DAYS)


def _careers(history: History) -> pl.DataFrame:
    """First and last fill, number of fills, tokens bought that have resolved."""
    closed = history.markets.filter(pl.col("closed_at").is_not_null()).select("condition_id")
    resolved = history.fills.join(closed, on="condition_id", how="semi")
    settled = resolved.group_by("proxy_wallet").agg(pl.col("token_id").n_unique().alias("settled"))
    return (
        history.fills.group_by("proxy_wallet")
        .agg(
            pl.col("filled_at").min().alias("first"),
            pl.col("filled_at").max().alias("last"),
            pl.len().alias("fills"),
        )
        .join(settled, on="proxy_wallet", how="left")
    )
