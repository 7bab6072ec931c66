"""All tables by name."""

from evaluator.domain.tables import discovery, evaluation, history, ledger, market_data

TABLES = (
    discovery.MARKETS,
    discovery.MARKET_SCORES,
    discovery.HOLDERS,
    discovery.LEADERBOARD,
    discovery.WALLETS,
    discovery.WALLET_SOURCES,
    history.FILLS,
    history.ACTIVITY,
    history.POSITIONS,
    history.RESOLUTIONS,
    market_data.PRICES,
    market_data.BOOKS,
    market_data.COMMENTS,
    history.INGEST_STATE,
    history.QUARANTINE,
    history.VENUE_REQUESTS,
    history.ON_DEMAND_OUTCOMES,
    history.DEAD_LETTERS,
    ledger.CLOSED_LOTS,
    ledger.OPEN_LOTS,
    ledger.RECONCILIATION,
    ledger.RECONCILIATION_EVENTS,
    evaluation.WALLET_FEATURES,
    evaluation.WALLET_FEATURES_ON_DEMAND,
    evaluation.WALLET_SCORES,
    evaluation.WALLET_PERSONAS,
    evaluation.WALLET_EXCLUSIONS,
    evaluation.WALLET_TRAITS,
    evaluation.PERSONA_VALIDATION,
)

OUTSIDE = (history.EVENTS,)
"""Tables whose rows are not the lake's: shown beside its own, from where they are."""

BY_NAME = {table.name: table for table in TABLES}
