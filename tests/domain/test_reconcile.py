"""Our numbers beside the venue's own: what is held without any fill counts, and why they differ."""

from datetime import date

import polars as pl

from evaluator.domain import ids
from evaluator.domain.ledger import reconcile
from evaluator.domain.schema import MICRO
from tests.domain.ledgers import Story
from tests.domain.worlds import Run
from tests.oracle.stories import ANN

OLD, NEW = date(2026, 1, 1), date(2026, 1, 2)

SPLIT_AND_SOLD = """
    others 10 0.20
    and others 10 0.80 of no
    splits 100
    sells 100 0.25
    resolves 0
"""
"""Ann pays 100 for a pair: 20 for YES, sold for 25, and 80 for NO, worth 100 in the end."""


def told(run: Run, official: dict[str, tuple[float, float]], day: date = NEW) -> pl.DataFrame:
    """The venue's positions of Ann: (PnL realised, shares bought) by token."""
    return pl.DataFrame(
        [
            {
                "snapshot_date": day,
                "proxy_wallet": ids.surrogate(ANN),
                "token_id": ids.surrogate(token),
                "size_shares": 0,
                "average_price": 0.0,
                "current_price": 0.0,
                "realised_pnl_usdc": round(pnl * MICRO),
                "bought_shares": round(bought * MICRO),
            }
            for token, (pnl, bought) in official.items()
        ]
    )


def compared(text: str, *positions: dict[str, tuple[float, float]]) -> tuple[list, list]:
    """Rows by token and by event; the positions are those of one day after the other."""
    run = Run(Story().read(text).world())
    days = (OLD, NEW)[-len(positions) :]
    listed = [told(run, each, day) for each, day in zip(positions, days, strict=True)]
    by_token = reconcile.by_token(
        pl.concat(listed), run.fills.select(reconcile.FILL_COLUMNS), run.ledger, run.tokens
    )
    mine = run.named(by_token)
    return sorted(mine, key=lambda row: row["token_id"]), reconcile.by_event(by_token).to_dicts()


def test_a_token_held_from_a_split_alone_counts_and_the_event_matches():
    """The venue books both tokens at one half: 25 − 50 and 100 − 50."""
    tokens, events = compared(SPLIT_AND_SOLD, {"yes": (-25.0, 100.0), "no": (50.0, 100.0)})
    assert {row["token_id"]: row["pnl_usdc"] for row in tokens} == {"yes": 5.0, "no": 20.0}
    assert [row["bought_shares"] for row in tokens] == [100 * MICRO] * 2
    assert {row["reason"] for row in tokens} == {"divided_differently"}
    (event,) = events
    assert event["pnl_usdc"] == event["official_pnl_usdc"] == 25.0
    assert (event["is_match"], event["is_clean"], event["reason"]) == (True, True, "matched")


def test_of_several_days_the_newest_counts():
    right, wrong = {"yes": (-25.0, 100.0), "no": (50.0, 100.0)}, {"yes": (7.0, 1.0)}
    (event,) = compared(SPLIT_AND_SOLD, wrong, right)[1]
    assert event["is_match"]


def test_shares_that_only_the_venue_has_seen_are_named():
    text = "buys 10 0.40\n resolves 1"
    ((row,), (event,)) = compared(text, {"yes": (6.0, 10.0)})
    assert (row["reason"], event["is_clean"]) == ("matched", True)
    ((row,), (event,)) = compared(text, {"yes": (11.0, 20.0)})
    assert (row["reason"], event["is_clean"]) == ("split_or_conversion_unseen", False)
    ((row,), _) = compared(text, {"yes": (3.0, 5.0)})
    assert row["reason"] == "bought_differs"


def test_a_sale_of_more_than_was_bought_is_named_before_anything_else():
    ((row,), _) = compared("buys 10 0.40\n sells 15 0.50\n resolves 1", {"yes": (3.0, 15.0)})
    assert (row["reason"], row["unexplained_shares"]) == ("oversold", 5 * MICRO)


def test_the_first_reason_that_applies_names_the_row():
    names = [reason.name for reason in reconcile.REASONS]
    assert names[0] == "matched"
    assert names[-1] == "other"
    assert len(set(names)) == len(names)


def test_what_a_sale_after_the_resolution_takes_back_is_no_purchase():
    text = "buys 10 0.40\n resolves 1\n sells 4 1.00\n buys 2 1.00"
    ((row,), _) = compared(text, {"yes": (6.0, 12.0)})
    assert (row["bought_shares"], row["reason"]) == (12 * MICRO, "matched")
