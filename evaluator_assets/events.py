"""Typed events: what a materialisation tells subscribers, as structured metadata of it.

Hence durable, ordered by storage id, and visible in the UI. Subscribers are in `subscribers`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any, ClassVar, Literal, Self

import dagster as dg
from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)

KEY = "evaluator/events"
"""Metadata key under which a materialisation carries its events, a JSON list."""

REPLAY = "evaluator/replay"
"""Metadata key of events logged again: of which one, and for which subscriber alone."""

MAX_WALLETS = 2_000
"""Addresses in one event, 92 kB of them; `of` splits what concerns more over several."""

Address = Annotated[str, StringConstraints(pattern=r"^0x[0-9a-f]{40}$")]
Addresses = Annotated[tuple[Address, ...], Field(max_length=MAX_WALLETS)]
Count = Annotated[int, Field(ge=0)]
Outcome = Literal["computed", "insufficient_trades", "not_found", "failed"]
Metadata = dict[str, Any]


class Event(BaseModel):
    """What has happened to rows, once. `emitted_by`: assets whose materialisations tell of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    emitted_by: ClassVar[tuple[str, ...]]

    @property
    def has_changes(self) -> bool:
        """Whether any row has changed; an event without is not logged."""
        raise NotImplementedError


class MarketsScored(Event):
    """Markets of a day have been scored."""

    emitted_by: ClassVar = ("market_scores",)

    type: Literal["MarketsScored"] = "MarketsScored"
    version: Literal[1] = 1
    day: date
    market_count: Count
    selected_count: Count

    @property
    def has_changes(self) -> bool:
        """A market has a score."""
        return self.market_count > 0


class WalletsDiscovered(Event):
    """Wallets that were not known before."""

    emitted_by: ClassVar = ("wallets",)

    type: Literal["WalletsDiscovered"] = "WalletsDiscovered"
    version: Literal[1] = 1
    day: date
    wallets: Addresses

    @property
    def has_changes(self) -> bool:
        """It names a wallet."""
        return bool(self.wallets)

    @classmethod
    def of(cls, wallets: Iterable[str], *, day: date) -> tuple[Self, ...]:
        """Any number of wallets, each once, in events within the bound."""
        return tuple(cls(wallets=part, day=day) for part in _parts(wallets))


class TradesIngested(Event):
    """Fills that were not there before: whose, how many, and up to which instant."""

    emitted_by: ClassVar = ("fills", "wallets", "market_scores", "wallet_features_on_demand")

    type: Literal["TradesIngested"] = "TradesIngested"
    version: Literal[1] = 1
    wallets: Addresses
    count: Count
    watermark: AwareDatetime | None = None

    @property
    def has_changes(self) -> bool:
        """It names a wallet."""
        return bool(self.wallets)

    @classmethod
    def of(
        cls, wallets: Iterable[str], *, count: int, watermark: datetime | None
    ) -> tuple[Self, ...]:
        """Any number of wallets, each once, in events within the bound; the first has the count."""
        return tuple(
            cls(wallets=part, count=0 if number else count, watermark=watermark)
            for number, part in enumerate(_parts(wallets))
        )


class OnDemandEvaluated(Event):
    """What came of computing the features of new wallets at once; `day` is that of the rows."""

    emitted_by: ClassVar = ("wallet_features_on_demand",)

    type: Literal["OnDemandEvaluated"] = "OnDemandEvaluated"
    version: Literal[1] = 1
    day: date
    attempt: Annotated[int, Field(ge=1)]
    outcomes: Annotated[dict[Address, Outcome], Field(max_length=MAX_WALLETS)]

    @property
    def has_changes(self) -> bool:
        """It names a wallet."""
        return bool(self.outcomes)

    @property
    def computed(self) -> tuple[str, ...]:
        """Wallets that have a row."""
        return tuple(sorted(each for each, what in self.outcomes.items() if what == "computed"))


class WalletsClassified(Event):
    """Verdicts of a day have been published, of all wallets or of some."""

    emitted_by: ClassVar = ("wallet_personas",)

    type: Literal["WalletsClassified"] = "WalletsClassified"
    version: Literal[1] = 1
    day: date
    count: Count
    is_whole: bool

    @property
    def has_changes(self) -> bool:
        """A wallet has a verdict."""
        return self.count > 0


AnyEvent = (
    MarketsScored | WalletsDiscovered | TradesIngested | OnDemandEvaluated | WalletsClassified
)
KINDS: Mapping[str, type[AnyEvent]] = {
    kind.__name__: kind
    for kind in (
        MarketsScored,
        WalletsDiscovered,
        TradesIngested,
        OnDemandEvaluated,
        WalletsClassified,
    )
}
_PARSED: TypeAdapter[AnyEvent] = TypeAdapter(Annotated[AnyEvent, Field(discriminator="type")])


@dataclass(frozen=True, slots=True)
class Malformed:
    """An event that cannot be parsed: as it was found, and why."""

    raw: str
    error: str


def emitted(*events: AnyEvent) -> Metadata:
    """Metadata that carries those events of which any row has changed; empty where none has."""
    changed = [event.model_dump(mode="json") for event in events if event.has_changes]
    return {KEY: dg.MetadataValue.json(changed)} if changed else {}


def emit(context: dg.AssetExecutionContext, asset: str, *events: AnyEvent) -> None:
    """Log events once with a materialisation of this run, whatever partitions the run has.

    A run over a range makes one materialisation per partition: the last of them tells.
    """
    if metadata := emitted(*events):
        partition = context.partition_keys[-1] if context.has_partition_key_range else None
        context.add_asset_metadata(metadata, dg.AssetKey(asset), partition)


def assets_of(kinds: Iterable[type[AnyEvent]]) -> tuple[str, ...]:
    """The assets that emit events of these types, each once."""
    return tuple(dict.fromkeys(asset for kind in kinds for asset in kind.emitted_by))


def parsed(raw: str) -> AnyEvent | Malformed:
    """The event behind a JSON text."""
    try:
        return _PARSED.validate_json(raw)
    except ValidationError as error:
        problems = [
            f"{'.'.join(map(str, each['loc']))}: {each['msg']}" if each["loc"] else each["msg"]
            for each in error.errors()[:_PROBLEMS_SHOWN]
        ]
        return Malformed(raw, "; ".join(problems))


_PROBLEMS_SHOWN = 3


def _parts(wallets: Iterable[str]) -> Iterator[tuple[str, ...]]:
    names = sorted(set(wallets))
    for start in range(0, len(names), MAX_WALLETS):
        yield tuple(names[start : start + MAX_WALLETS])
