"""Where history comes from: the settings of each source.

How a source is read is in `evaluator.venue`; which one is used says the setting `source`.
"""

from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from evaluator.venue.api.endpoints import Hosts
from evaluator.venue.api.options import Options
from evaluator.venue.api.transport import Policy
from evaluator.venue.archive import DEFAULT_MARKETS, DEFAULT_POSITIONS, DEFAULT_TRADES
from evaluator.venue.sim.rules import WorldRules

FROZEN = frozenset({"archive", "demo"})
"""Sources that have ended: their files do not grow, and their last day is final."""


def absolute(path: Path) -> Path:
    """The path from the root, with ~ replaced."""
    return path.expanduser().absolute()


def _word(value: object) -> object:
    """A boolean of TOML as the word for it."""
    return str(value).lower() if isinstance(value, bool) else value


def _base_url(url: str) -> str:
    if not url.startswith(("http://", "https://")):
        problem = "should be an address that begins with https:// or http://"
        raise ValueError(problem)
    return url.rstrip("/")


AbsolutePath = Annotated[Path, AfterValidator(absolute)]
BaseUrl = Annotated[str, AfterValidator(_base_url)]


class ArchiveSettings(BaseModel):
    """Which files of a folder of real history are read."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    folder: AbsolutePath | None = Field(default=None, description="Folder of the Parquet files.")
    trades: str = Field(
        default=DEFAULT_TRADES, description="Fills: file name or glob in the folder."
    )
    markets: str = Field(default=DEFAULT_MARKETS, description="Markets and their resolutions.")
    positions: str = Field(
        default=DEFAULT_POSITIONS, description="Official positions; the file may be missing."
    )
    history_complete: Annotated[Literal["auto", "true", "false"], BeforeValidator(_word)] = Field(
        default="auto",
        description="Whether every wallet's first fill is in the files; "
        "auto: yes where fills have order keys.",
    )


class VenueSettings(BaseModel):
    """How the hosts of the source `live` are asked; the simulated venue is asked the same way."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    api: Literal["v2", "v1"] = Field(default="v2", description="Version of the Data API.")
    data_url: BaseUrl = Field(
        default="https://data-api.polymarket.com", description="Base address of the Data API."
    )
    gamma_url: BaseUrl = Field(
        default="https://gamma-api.polymarket.com", description="Base address of Gamma."
    )
    clob_url: BaseUrl = Field(
        default="https://clob.polymarket.com", description="Base address of the CLOB."
    )
    rate_factor: float = Field(
        default=1.0, gt=0, le=1, description="Part of the published limits that is used."
    )
    timeout_s: float = Field(default=15.0, gt=0, description="Longest wait for one answer.")
    deadline_s: float = Field(
        default=120.0, gt=0, description="Longest wait for an answer, retries included."
    )
    max_attempts: int = Field(default=6, ge=1, le=20, description="Tries of one request.")
    roles: bool = Field(
        default=True,
        description="Trades are read a second time, takers only, to tell makers from takers.",
    )

    def hosts(self) -> Hosts:
        """The base addresses."""
        return Hosts(self.data_url, self.gamma_url, self.clob_url)

    def options(self, share: float) -> Options:
        """How a client asks that has this part of the limits."""
        policy = Policy(
            max_attempts=self.max_attempts, timeout_s=self.timeout_s, deadline_s=self.deadline_s
        )
        return Options(
            dialect=self.api,
            share=share,
            limit_factor=self.rate_factor,
            policy=policy,
            has_roles=self.roles,
        )


class SimSettings(BaseModel):
    """The simulated world of the source `sim`. The same settings give the same world."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int = Field(default=7, ge=0, description="Seed of the world.")
    start: date | None = Field(
        default=None,
        description="First day of the world; unset: `history_days` before its first use.",
    )
    history_days: int = Field(
        default=120, ge=1, le=2000, description="Age of a world whose start is unset."
    )
    wallets: int = Field(default=200, ge=30, le=50_000, description="Wallets at the start.")
    new_wallets_per_day: float = Field(
        default=2.0, ge=0, le=10_000, description="Wallets that come later."
    )
    events_per_day: float = Field(default=1.5, gt=0, le=100, description="Events that open.")
    now: AwareDatetime | None = Field(
        default=None, description="Instant that the world shows; unset: it moves with the clock."
    )

    def first_instant(self) -> datetime:
        """The world's first instant: midnight, UTC."""
        first = self.start or datetime.now(UTC).date() - timedelta(days=self.history_days)
        return datetime.combine(first, time(), UTC)

    def rules(self) -> WorldRules:
        """What the world follows from."""
        return WorldRules(
            seed=self.seed,
            start=self.first_instant(),
            wallets=self.wallets,
            new_wallets_per_day=self.new_wallets_per_day,
            events_per_day=self.events_per_day,
        )

    def world(self) -> dict[str, object]:
        """What makes the world the one it is; kept beside its tables."""
        started = self.model_copy(update={"start": self.first_instant().date(), "now": None})
        return started.model_dump(mode="json", exclude={"now", "history_days"})
