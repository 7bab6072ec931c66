"""Which columns a column comes from, where that is plain: a copy, or one formula of a few."""

import dagster as dg

_SOURCES: dict[str, dict[str, tuple[str, ...]]] = {
    "resolutions": {
        "condition_id": ("markets.condition_id",),
        "token_id": ("markets.token_ids",),
        "payout": ("markets.payouts",),
        "resolved_at": ("markets.resolved_at",),
    },
    "closed_lots": {
        "proxy_wallet": ("fills.proxy_wallet",),
        "token_id": ("fills.token_id",),
        "event_slug": ("markets.event_slug",),
        "domain": ("markets.domain",),
        "open_fill_id": ("fills.fill_id",),
        "opened_at": ("fills.filled_at",),
        "closed_at": ("fills.filled_at", "resolutions.resolved_at"),
        "open_price": ("fills.price",),
        "close_price": ("fills.price", "resolutions.payout"),
        "cost_usdc": ("fills.notional_usdc", "fills.fee_usdc"),
        "proceeds_usdc": ("fills.notional_usdc", "fills.fee_usdc", "resolutions.payout"),
        "opened_as": ("fills.role",),
    },
    "open_lots": {
        "proxy_wallet": ("fills.proxy_wallet",),
        "token_id": ("fills.token_id",),
        "event_slug": ("markets.event_slug",),
        "open_fill_id": ("fills.fill_id",),
        "opened_at": ("fills.filled_at",),
        "open_price": ("fills.price",),
        "cost_usdc": ("fills.notional_usdc", "fills.fee_usdc"),
        "opened_as": ("fills.role",),
    },
    "reconciliation": {
        "official_pnl_usdc": (
            "positions.realised_pnl_usdc",
            "positions.size_shares",
            "positions.average_price",
            "positions.current_price",
        ),
        "official_bought_shares": ("positions.bought_shares",),
        "pnl_usdc": ("closed_lots.realised_pnl_usdc", "open_lots.cost_usdc"),
    },
    "wallet_scores": {
        "proxy_wallet": ("wallet_features.proxy_wallet",),
        "edge": ("wallet_features.roi",),
        "consistency": ("wallet_features.return_stdev",),
        "market_skill": ("wallet_features.event_win_rate",),
        "timing": ("wallet_features.timing_1h_cents",),
        "behavior": (
            "wallet_features.extreme_price_ratio",
            "wallet_features.burstiness_top_1h",
        ),
        "win_rate_multiplier": ("wallet_features.win_rate",),
    },
    "wallet_personas": {"settled_count": ("wallet_features.settled_count",)},
}


def column_lineage(table: str) -> dg.TableColumnLineage | None:
    """Where the columns of a table come from; None where nothing is declared."""
    if table not in _SOURCES:
        return None
    return dg.TableColumnLineage(
        {
            column: [dg.TableColumnDep(*source.split(".")) for source in sources]
            for column, sources in _SOURCES[table].items()
        }
    )
