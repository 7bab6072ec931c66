"""Plots as images for the metadata of a materialisation: Altair, rendered without a browser."""

import base64
from io import BytesIO
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl

if TYPE_CHECKING:
    import altair as alt

WIDTH_PX, HEIGHT_PX = 640, 260
POINTS_PER_INCH = 96
LEAST = 0.7
"""Where bars of counts begin on a logarithmic axis."""


def equity_curves(rows: pl.DataFrame) -> dg.MetadataValue:
    """Equity of the best wallets less that at the start of the window, a line each."""
    chart = _chart(rows, "Equity of the best ranked wallets since the start: realised and marked")
    return _image(
        chart.mark_line().encode(
            x=_axis("day", "temporal", "day"),
            y=_axis("pnl_usdc", "quantitative", "USDC", scale={"type": "symlog", "constant": 10}),
            color=_color("wallet", "rank, wallet"),
        )
    )


def score_histogram(rows: pl.DataFrame) -> dg.MetadataValue:
    """Rankable wallets by score."""
    shown = rows.with_columns((pl.col("score") + 0.05).alias("end"))
    chart = _chart(shown, "WScore of the rankable wallets")
    return _image(
        chart.mark_bar().encode(
            x=_axis("score", "quantitative", "score", bin="binned"),
            x2="end",
            y=_axis("wallet_count", "quantitative", "wallets"),
        )
    )


def persona_counts(rows: pl.DataFrame) -> dg.MetadataValue:
    """Wallets by persona, on a logarithmic scale: most are gated."""
    scale = {"type": "log", "domain": [LEAST, 4 * max(rows["wallet_count"], default=1)]}
    ticks = {"values": [10**power for power in range(7)], "format": ",d"}
    chart = _chart(rows, "Verdicts").encode(
        x=_axis("wallet_count", "quantitative", "wallets", scale=scale, axis=ticks),
        y=_axis("persona", "nominal", "", sort="-x"),
    )
    bars = chart.mark_bar().encode(x2={"datum": LEAST}, color=_color("stage", "stage"))
    counts = chart.mark_text(align="left", dx=4).encode(
        text={"field": "wallet_count", "type": "quantitative", "format": ",d"}
    )
    return _image(bars + counts)


def reconciliation_scatter(rows: pl.DataFrame) -> dg.MetadataValue:
    """Our PnL against the venue's, a point per wallet and event; on the diagonal they agree."""
    chart = _chart(rows, "PnL per wallet and event: ours against the venue's, USDC")
    tens = [10**power for power in range(1, 7)]
    options = {
        "scale": {"type": "symlog", "constant": 1},
        "axis": {"values": [*(-ten for ten in tens), 0, *tens], "format": ",d"},
    }
    return _image(
        chart.mark_circle(size=14, opacity=0.6).encode(
            x=_axis("official_pnl_usdc", "quantitative", "the venue's", **options),
            y=_axis("pnl_usdc", "quantitative", "ours", **options),
            color=_color("reason", "reason"),
        )
    )


def _chart(rows: pl.DataFrame, title: str) -> "alt.Chart":
    import altair as alt  # noqa: PLC0415 - a second that only plots should pay

    return alt.Chart(rows).properties(title=title, width=WIDTH_PX, height=HEIGHT_PX)


def _axis(field: str, kind: str, title: str, **more: Any) -> dict[str, Any]:
    return {"field": field, "type": kind, "title": title, **more}


def _color(field: str, title: str) -> dict[str, Any]:
    return {"field": field, "type": "nominal", "title": title}


def _image(chart: "alt.Chart | alt.LayerChart") -> dg.MetadataValue:
    """The chart as a PNG inside Markdown."""
    png = BytesIO()
    chart.save(png, format="png", ppi=POINTS_PER_INCH)
    text = base64.b64encode(png.getvalue()).decode()
    return dg.MetadataValue.md(f"![plot](data:image/png;base64,{text})")
