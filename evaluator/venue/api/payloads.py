"""The shapes of answers: envelopes, and those payloads that are read one by one.

Numbers may come as texts and keys in either spelling; keys that nobody needs are left alone.
Long listings (trades, activity, positions, markets) are read as frames instead, in `reading`.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
)

from evaluator.venue.api.endpoints import Endpoint
from evaluator.venue.api.errors import MalformedAnswerError

Shape = TypeVar("Shape")


def _blank_is_null(value: object) -> object:
    return None if value == "" else value


def _as_text(value: object) -> object:
    """Ids as texts, also where a host writes them as numbers."""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if is_number else value


def _unpacked(value: object) -> object:
    """A list that comes as JSON inside a text."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def _named(*names: str) -> AliasChoices:
    return AliasChoices(*names)


def _in_utc(at: datetime) -> datetime:
    """An instant of the years 2000 to 2099 in UTC; without a zone it is taken for UTC."""
    if not 2000 <= at.year < 2100:  # noqa: PLR2004 - the years are the rule
        problem = "not of the years 2000 to 2099"
        raise ValueError(problem)
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)


Whole = Annotated[int, Field(ge=-(2**62), le=2**62)]
Instant = Annotated[datetime, AfterValidator(_in_utc)]
Number = Annotated[float, Field(allow_inf_nan=False)]
MaybeNumber = Annotated[
    Annotated[float, Field(allow_inf_nan=False)] | None, BeforeValidator(_blank_is_null)
]
Id = Annotated[str, BeforeValidator(_as_text)]
MaybeId = Annotated[str | None, BeforeValidator(_as_text), BeforeValidator(_blank_is_null)]
Ids = Annotated[list[Id], BeforeValidator(_unpacked)]


class Payload(BaseModel):
    """Any object of an answer."""

    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True)


class Pagination(Payload):
    """Where a listing of version 2 goes on: nowhere, only where the cursor is null."""

    next_cursor: str | None = Field(validation_alias=_named("next_cursor", "nextCursor"))
    has_more: bool | None = Field(default=None, validation_alias=_named("has_more", "hasMore"))


class Envelope(Payload):
    """A page of version 2; `data: null` is an empty page."""

    data: list[Any] | None
    pagination: Pagination

    @property
    def rows(self) -> list[Any]:
        """The rows of the page."""
        return self.data or []

    @property
    def cursor(self) -> str | None:
        """Cursor of the next page, None after the last."""
        return self.pagination.next_cursor or None


class Unpaged(Payload):
    """An answer of version 2 that may come without pagination."""

    data: list[Any] | None
    pagination: Pagination | None = None


class Keyset(Payload):
    """A page of Gamma's listing by key."""

    markets: list[Any]
    next_cursor: str | None = Field(default=None, validation_alias=_named("next_cursor"))


class Holder(Payload):
    """One holder of a token."""

    proxy_wallet: str = Field(validation_alias=_named("proxy_wallet", "proxyWallet"))
    amount: Number


class HolderGroup(Payload):
    """The largest holders of one token."""

    token_id: Id = Field(validation_alias=_named("token_id", "token", "tokenId", "asset"))
    holders: list[Any]


class Ranked(Payload):
    """One row of the leaderboard; the rank may be a text."""

    proxy_wallet: str = Field(
        validation_alias=_named("user_id", "proxy_wallet", "proxyWallet", "userId")
    )
    rank: Whole
    pnl: MaybeNumber = None
    volume: MaybeNumber = Field(default=None, validation_alias=_named("volume", "vol"))


class Level(Payload):
    """One level of an order book."""

    price: Number
    size: Number


class Book(Payload):
    """The order book of a token; the instant is in milliseconds, as a text."""

    token_id: Id = Field(validation_alias=_named("asset_id", "token_id"))
    timestamp: Whole
    bids: list[Level]
    asks: list[Level]


class Point(Payload):
    """One point of a price series."""

    t: Whole
    p: Number


class PricesHistory(Payload):
    """A price series."""

    history: list[Any]


class Profile(Payload):
    """Who wrote a comment."""

    proxy_wallet: MaybeId = Field(
        default=None, validation_alias=_named("proxyWallet", "proxy_wallet")
    )


class Comment(Payload):
    """One comment on an event or a market."""

    id: Id
    body: str
    parent_type: str | None = Field(
        default=None, validation_alias=_named("parentEntityType", "parent_entity_type")
    )
    parent_id: MaybeId = Field(
        default=None,
        validation_alias=_named("parentEntityID", "parentEntityId", "parent_entity_id"),
    )
    user_address: MaybeId = Field(
        default=None, validation_alias=_named("userAddress", "user_address")
    )
    posted_at: Instant = Field(validation_alias=_named("createdAt", "created_at"))
    profile: Profile | None = None


class EventMarket(Payload):
    """A market as its event lists it."""

    id: MaybeId = None
    condition_id: MaybeId = Field(
        default=None, validation_alias=_named("conditionId", "condition_id")
    )


class Event(Payload):
    """An event, for its comments."""

    id: Id
    slug: str
    markets: list[EventMarket] | None = None


def reader(shape: type[Shape]) -> Callable[[Endpoint, Any], Shape]:
    """What reads an answer as that shape; raises MalformedAnswerError for any other."""
    adapter = TypeAdapter(shape)

    def read(endpoint: Endpoint, answer: Any) -> Shape:
        try:
            return adapter.validate_python(answer)
        except ValidationError as error:
            raise MalformedAnswerError(endpoint.name, _why(error)) from error

    return read


def _why(error: ValidationError) -> str:
    """The first of what is wrong, without the value: it may hold a wallet."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "the answer"
    return f"another shape than documented: {where}: {first['msg']}"


def page(endpoint: Endpoint, answer: Any) -> Envelope:
    """A page of version 2; raises where it says that there is more, and not where."""
    envelope = _ENVELOPE(endpoint, answer)
    if envelope.pagination.has_more and envelope.cursor is None:
        raise MalformedAnswerError(endpoint.name, "has_more without a cursor")
    return envelope


_ENVELOPE = reader(Envelope)
LIST: Callable[[Endpoint, Any], list[Any]] = reader(list[Any])
