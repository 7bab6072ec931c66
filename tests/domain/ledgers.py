"""Ledgers written as text, and the laws that any ledger keeps.

`check` reads one wallet's events and what should come of them, a line each:

    had / buys  shares price      sells  shares price     others  price  (someone else trades)
    splits / merges  shares       redeems  shares price   resolves  payout of YES
    closes  shares open-price PnL     keeps  shares open-price     trip  PnL
    lacks   shares proceeds       coverage  ratio

Lines are a minute apart; `and` before a line puts it in the instant of the last. Options follow
in pairs: `of no`, `fee 0.10`, `inside 0.10` (a fee the amounts contain), `seq 2`, `tx 0x1`.
What `closes`, `keeps` and `lacks` do not mention may not be there.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import polars as pl

from evaluator.domain.features.history import Cell, prepare
from evaluator.domain.schema import MICRO
from tests.domain.worlds import Run
from tests.oracle.ledger import ledger
from tests.oracle.stories import ANN, BOB, at, market
from tests.oracle.world import Activity, Fill, World, WorldIndex, micro

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.domain.worlds import Row
    from tests.oracle.ledger import Ledger

LATER = at(24 * 365)
SAME_NAMES = (
    "condition_id", "event_slug", "domain", "opened_at", "closed_at", "close_kind", "size_shares",
    "open_price", "close_price", "cost_usdc", "proceeds_usdc", "fees_usdc", "realised_pnl_usdc",
    "opened_as",
)  # fmt: skip
LOT_NAMES = ("condition_id", "opened_at", "size_shares", "cost_usdc", "open_price", "opened_as")
VERBS = {"had": "BUY", "buys": "BUY", "sells": "SELL", "others": "BUY"}
KINDS = {"splits": "SPLIT", "merges": "MERGE", "redeems": "REDEEM", "converts": "CONVERSION"}


@dataclass
class Story:
    """A text, read: the events it tells and what it expects."""

    fills: list[Fill] = field(default_factory=list)
    activity: list[Activity] = field(default_factory=list)
    ends: dict[str, Any] = field(default_factory=dict)
    expected: dict[str, list[tuple[object, ...]]] = field(default_factory=lambda: defaultdict(list))
    minute: int = 0

    def read(self, text: str) -> Story:
        """Add the lines of a text."""
        for line in filter(None, map(str.strip, text.splitlines())):
            words = line.split()
            if words[0] == "and":
                words = words[1:]
            else:
                self.minute += 1
            self._add(words[0], words[1:])
        return self

    def _add(self, verb: str, words: list[str]) -> None:
        place = next((i for i, word in enumerate(words) if word.isalpha()), len(words))
        numbers = [float(word) for word in words[:place]]
        options = dict(zip(words[place::2], words[place + 1 :: 2], strict=True))
        if verb in VERBS:
            self.fills.append(self._fill(verb, numbers, options))
        elif verb in KINDS:
            self.activity.append(self._event(verb, numbers, options))
        elif verb == "resolves":
            self.ends = {"payouts": (numbers[0], 1 - numbers[0]), "resolved_at": self._now()}
        else:
            token = (options.get("of", "yes"),) if verb in {"closes", "keeps", "lacks"} else ()
            self.expected[verb].append((*numbers, *token))

    def _now(self) -> Any:
        return at(self.minute / 60)

    def _fill(self, verb: str, numbers: list[float], options: dict[str, str]) -> Fill:
        shares, price = numbers if len(numbers) > 1 else (1.0, numbers[0])
        fee = options.get("inside") or options.get("fee", "0")
        return Fill(
            fill_id=f"{verb} {len(self.fills)}",
            proxy_wallet=BOB if verb == "others" else ANN,
            condition_id="market",
            token_id=options.get("of", "yes"),
            side="SELL" if VERBS[verb] == "SELL" else "BUY",
            size=micro(shares),
            notional=round(micro(shares) * micro(price) / MICRO),
            fee=micro(float(fee)),
            is_fee_included="inside" in options,
            role="taker",
            at=self._now(),
            seq=int(options["seq"]) if "seq" in options else None,
            transaction_hash=options.get("tx", f"0x{len(self.fills):02x}"),
        )

    def _event(self, verb: str, numbers: list[float], options: dict[str, str]) -> Activity:
        price = numbers[1] if len(numbers) > 1 else 0.0
        return Activity(
            activity_id=f"{verb} {len(self.activity)}",
            proxy_wallet=ANN,
            condition_id="market",
            kind=KINDS[verb],  # type: ignore[arg-type]
            token_id=options.get("of"),
            size=micro(numbers[0]),
            usdc=round(micro(numbers[0]) * micro(price) / MICRO),
            at=self._now(),
            transaction_hash="0xff",
        )

    def world(self) -> World:
        """The events, with one market."""
        return World(tuple(self.fills), tuple(self.activity), (market(**self.ends),))


def check(text: str) -> None:
    """Hold a ledger against its text, against the oracle, and against the laws."""
    story = Story().read(text)
    run = Run(story.world())
    expected = story.expected
    found = found_in(run)
    for name in ("closes", "keeps", "lacks"):
        assert found[name] == expected[name], name
    for name in expected.keys() - {"closes", "keeps", "lacks"}:
        assert found[name] == expected[name], name
    assert_equals_oracle(run)
    assert_laws(run)


def found_in(run: Run) -> dict[str, Any]:
    """Ann's books in the words of `check`, rounded to the micro-unit."""
    books = run.ledger
    closed = [
        (row["size_shares"] / MICRO, round(row["open_price"], 6),
         row["realised_pnl_usdc"] / MICRO, row["token_id"])
        for row in in_order(run, books.closed_lots, "close_order", "closed_at", "token_id",
                            "open_order")
    ]  # fmt: skip
    kept = [
        (row["size_shares"] / MICRO, round(row["open_price"], 6), row["token_id"])
        for row in in_order(run, books.open_lots, "open_order", "token_id")
    ]
    lacking = [
        (row["quantity"] / MICRO, row["proceeds"] / MICRO, row["token_id"])
        for row in in_order(run, books.unexplained, "at", "token_id")
    ]
    trips = [(pnl / MICRO,) for _, pnl in sorted(trips_of(run)[ANN])]
    disposed, explained = shares_of(run)[ANN]
    coverage = [(explained / disposed if disposed else None,)]
    return {
        "closes": closed, "keeps": kept, "lacks": lacking, "trip": trips, "coverage": coverage
    }  # fmt: skip


def in_order(run: Run, frame: pl.DataFrame, *by: str) -> list[Row]:
    """Ann's rows, sorted by columns whose ids are texts."""
    own = [row for row in run.named(frame) if row["proxy_wallet"] == ANN]
    return sorted(own, key=lambda row: tuple(row[name] for name in by))


def trips_of(run: Run) -> dict[str, list[tuple[Any, int]]]:
    """Round trips of each wallet: (instant at which it was flat, PnL in micro-USDC)."""
    prepared = prepare(run.bucket, run.market([Cell(LATER.date(), 1)]))
    found: dict[str, list[tuple[Any, int]]] = defaultdict(list)
    for row in run.named(prepared.trips):
        found[row["proxy_wallet"]].append((row["closed_at"], row["pnl_usdc"]))
    return found


def shares_of(run: Run) -> dict[str, tuple[int, int]]:
    """Shares that each wallet disposed of, and how many of them lots explain."""
    disposed: Counter[str] = Counter()
    for row in run.named(run.fills.filter(pl.col("side") == "SELL")):
        disposed[row["proxy_wallet"]] += row["size_shares"]
    for row in run.named(run.bucket.disposed):
        disposed[row["proxy_wallet"]] += row["quantity"]
    explained: Counter[str] = Counter()
    for row in run.named(run.ledger.closed_lots):
        if row["close_kind"] != "RESOLVE":
            explained[row["proxy_wallet"]] += row["size_shares"]
    wallets = {ANN, *WorldIndex(run.world).wallets()}
    return {wallet: (disposed[wallet], explained[wallet]) for wallet in wallets}


# ── the oracle ──────────────────────────────────────────────────────────────────────────


def assert_equals_oracle(run: Run) -> None:
    """Every row, trip and total of every wallet is the oracle's."""
    index = WorldIndex(run.world)
    books = [ledger(index, wallet, LATER) for wallet in index.wallets()]
    assert closed_rows(run) == dict(row for one in books for row in oracle_closed(one))
    assert open_rows(run) == dict(row for one in books for row in oracle_open(one))
    assert lacking(run) == Counter(row for one in books for row in oracle_lacking(one))
    trips, shares = trips_of(run), shares_of(run)
    for one in books:
        expected = sorted((trip.flat_at, trip.pnl) for trip in one.trips)
        assert sorted(trips[one.wallet]) == expected, one.wallet
        assert shares[one.wallet] == (one.disposed, one.explained), one.wallet


Keyed = dict[tuple[object, ...], tuple[object, ...]]


def closed_rows(run: Run) -> Keyed:
    """Closed lots by key."""
    rows = run.named(run.ledger.closed_lots)
    key = ("proxy_wallet", "token_id", "open_fill_id", "close_id")
    return {tuple(row[n] for n in key): tuple(row[n] for n in SAME_NAMES) for row in rows}


def open_rows(run: Run) -> Keyed:
    """Open lots by key."""
    rows = run.named(run.ledger.open_lots)
    key = ("proxy_wallet", "token_id", "open_fill_id")
    return {tuple(row[n] for n in key): tuple(row[n] for n in LOT_NAMES) for row in rows}


def lacking(run: Run) -> Counter[tuple[object, ...]]:
    """Unexplained disposals of known tokens."""
    names = ("proxy_wallet", "token_id", "ref", "at", "quantity", "proceeds")
    return Counter(tuple(row[n] for n in names) for row in run.named(run.ledger.unexplained))


def oracle_closed(books: Ledger) -> Iterator[tuple[tuple[object, ...], tuple[object, ...]]]:
    for row in books.closed:
        key = (row.proxy_wallet, row.token_id, row.open_fill_id, row.close_id)
        yield key, tuple(getattr(row, name) for name in SAME_NAMES)


def oracle_open(books: Ledger) -> Iterator[tuple[tuple[object, ...], tuple[object, ...]]]:
    for lot in books.open_lots():
        key = (lot.proxy_wallet, lot.token_id, lot.open_fill_id)
        yield key, tuple(getattr(lot, name) for name in LOT_NAMES)


def oracle_lacking(books: Ledger) -> Iterator[tuple[object, ...]]:
    for one in books.unexplained:
        if one.token_id is not None and one.kind != "CONVERSION":
            yield books.wallet, one.token_id, one.close_id, one.at, one.size, one.proceeds


# ── the laws ────────────────────────────────────────────────────────────────────────────


def assert_laws(run: Run) -> None:
    """Shares are conserved and the cash law holds to the micro-dollar, per wallet and token."""
    kept: Counter[tuple[int, int, str]] = Counter()
    for leg in run.legs.to_dicts():
        pair = (leg["proxy_wallet"], leg["token_id"])
        sign = -1 if leg["is_open"] else 1
        kept[*pair, "in" if leg["is_open"] else "out"] += leg["quantity"]
        kept[*pair, "cash"] += sign * leg["cash"]
    _subtract_books(kept, run)
    assert not {key: left for key, left in kept.items() if left}


def _subtract_books(kept: Counter[tuple[int, int, str]], run: Run) -> None:
    refs = set(run.tokens["resolution_ref"])
    for row in run.ledger.closed_lots.to_dicts():
        pair = (row["proxy_wallet"], row["token_id"])
        is_back, is_paid = row["open_fill_id"] in refs, row["close_id"] in refs
        kept[*pair, "in"] -= 0 if is_back else row["size_shares"]
        kept[*pair, "out"] -= 0 if is_paid else row["size_shares"]
        kept[*pair, "cash"] += row["proceeds_usdc"] if is_paid else 0
        kept[*pair, "cash"] -= row["cost_usdc"] if is_back else 0
        kept[*pair, "cash"] -= row["realised_pnl_usdc"]
    for row in run.ledger.open_lots.to_dicts():
        pair = (row["proxy_wallet"], row["token_id"])
        kept[*pair, "in"] -= row["size_shares"]
        kept[*pair, "cash"] += row["cost_usdc"]
    for row in run.ledger.unexplained.to_dicts():
        pair = (row["proxy_wallet"], row["token_id"])
        kept[*pair, "out"] -= row["quantity"]
        kept[*pair, "cash"] -= row["proceeds"]
