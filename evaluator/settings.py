"""The settings: every key with its default and meaning, where values come from, their bounds.

`evaluator.toml` in the working directory, overridden by `EVALUATOR_*`, overridden by arguments.
Read only where a process starts; nothing else looks at the environment.
"""

import hashlib
import json
import os
import re
import tomllib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, is_dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import polars as pl
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from evaluator import bounds
from evaluator import home as homes
from evaluator.domain import market_scores
from evaluator.domain.errors import ConfigurationError
from evaluator.domain.market_scores import DiscoveryRules
from evaluator.domain.personas.rules import PersonaRules
from evaluator.domain.scores import ScoreRules
from evaluator.sources import (
    FROZEN,
    AbsolutePath,
    ArchiveSettings,
    SimSettings,
    VenueSettings,
    absolute,
)
from evaluator.stages.ingestion_rules import IngestionRules
from evaluator.stages.on_demand_rules import OnDemandRules
from evaluator.stages.retention import RetentionRules
from evaluator.stages.source import ArchiveSource, Source
from evaluator.stages.stamp import Stamp
from evaluator.stages.venue_source import VenueSource
from evaluator.store.lake import Lake
from evaluator.venue import opening
from evaluator.venue.api.client import VenueClient
from evaluator.venue.archive import Archive

FILE = "evaluator.toml"
PREFIX = "EVALUATOR_"
NOT_SETTINGS = frozenset({"EVALUATOR_REQUIRE_ARCHIVE"})
"""Variables of the tests that share the prefix."""

INSTANCE_LOCK = "instance.lock"
"""Lock file in the folder of the Dagster instance, held while its databases are made."""

SHARE_OF_BATCH = 0.6
"""Part of the venue's rate limits for hourly work; the fast lane and on demand have the rest."""

_HOW_NOT_WHAT = ("parallel_enabled", "parallel_tasks", "forced_tasks")
"""Keys of `personas` that change how long a run takes, and no number."""
_AMOUNT = re.compile(r"\d+(\.\d+)? ?[KMGT]i?B")


def _memory(amount: str) -> str:
    if not _AMOUNT.fullmatch(amount):
        problem = "should be a number and a unit, e.g. 2GiB"
        raise ValueError(problem)
    return amount


class LakeSettings(BaseModel):
    """What each process of the lake may use."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    threads: int = Field(
        default=0, ge=0, description="DuckDB threads per process; 0 is one per core."
    )
    memory_limit: Annotated[str, AfterValidator(_memory)] | None = Field(
        default=None, description="DuckDB memory per process, e.g. 2GiB; unset: 80 %."
    )


class LogSettings(BaseModel):
    """What is logged, and how."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="WARNING", description="Least severe message that is shown."
    )
    format: Literal["text", "json"] = Field(
        default="text", description="Lines for people, or JSON."
    )


class Settings(BaseSettings):
    """All settings of a process. Read them by `load_settings`."""

    model_config = SettingsConfigDict(toml_file=FILE, extra="forbid", frozen=True)

    home: AbsolutePath = Field(
        default=Path("data"), validate_default=True, description="Folder of all that runs write."
    )
    source: Literal["sim", "live", "archive", "demo"] = Field(
        default="sim",
        description="sim: a simulated venue that moves with the clock; live: the real hosts; "
        "archive: the folder of real history named by archive.folder; "
        "demo: a small history of our own that has ended. "
        "Unset: what the tables under `home` come from, else sim.",
    )
    windows: tuple[int, ...] = Field(
        default=(7, 30, 90), description="Windows of features and scores, in days."
    )
    archive: ArchiveSettings = ArchiveSettings()
    venue: VenueSettings = VenueSettings()
    sim: SimSettings = SimSettings()
    discovery: DiscoveryRules = DiscoveryRules()
    ingestion: IngestionRules = IngestionRules()
    on_demand: OnDemandRules = OnDemandRules()
    retention: RetentionRules = RetentionRules()
    scoring: ScoreRules = ScoreRules()
    personas: PersonaRules = PersonaRules()
    lake: LakeSettings = LakeSettings()
    log: LogSettings = LogSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the signature is given
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, the environment, the file, the note in the home; the first wins."""
        file = TomlConfigSettingsSource(settings_cls)
        return init_settings, _Environment(settings_cls), file, _Noted(settings_cls)

    @model_validator(mode="after")
    def _within_bounds(self) -> Self:
        bounds.check_windows(self.windows)
        market_scores.check(self.discovery)
        bounds.check_limits("ingestion", self.ingestion)
        bounds.check_limits("on_demand", self.on_demand)
        bounds.check_limits("retention", self.retention)
        bounds.check_scoring(self.scoring)
        bounds.check_personas(self.personas)
        return self

    @property
    def lake_root(self) -> Path:
        """Folder of the lake."""
        return self.home / homes.LAKE

    @property
    def history_folder(self) -> Path:
        """Folder of the history that the source `demo` writes and reads."""
        return self.home / "history"

    @property
    def sql_catalog(self) -> Path:
        """The database of views that any DuckDB client opens."""
        return self.home / "evaluator.duckdb"

    def claim_home(self) -> Path | None:
        """Note the source in the home before writing; see `home.claim`."""
        note: dict[str, object] = {"source": self.source}
        if self.source == "archive":
            note["archive"] = self.archive.model_dump(mode="json", exclude_none=True)
        if self.source == "sim":
            note["sim"] = self.sim.world()
        return homes.claim(self.home, note)

    @property
    def is_frozen(self) -> bool:
        """Whether the source has ended, so that its last day is final: files do not grow."""
        return self.source in FROZEN

    def now(self) -> datetime:
        """The present of the source: the clock, or the instant that a simulated world shows."""
        fixed = self.sim.now if self.source == "sim" else None
        return fixed.astimezone(UTC) if fixed else datetime.now(UTC)

    def open_lake(self) -> Lake:
        """The lake under `home`; makes the folder where it is missing."""
        return Lake(self.lake_root, threads=self.lake.threads, memory_limit=self.lake.memory_limit)

    def open_source(self) -> Source:
        """What fills the tables: the files of a folder, or a venue."""
        if self.is_frozen:
            return ArchiveSource(self.open_archive())
        return VenueSource(
            partial(self.open_venue, share=SHARE_OF_BATCH),
            self.discovery,
            self.ingestion,
            self.stamp(),
        )

    def open_venue(self, *, share: float) -> VenueClient:
        """A client of the source's venue, for a part of its rate limits.

        Raises ConfigurationError where the source is none.
        """
        options = self.venue.options(share)
        if self.source == "live":
            return opening.live(self.venue.hosts(), options)
        if self.source == "sim":
            cache = self.home / "world"
            return opening.simulated(self.sim.rules(), self.sim.now, options, cache)
        raise ConfigurationError("source", f"{self.source} is a folder of files, and no venue")

    def planted_truth(self) -> pl.DataFrame:
        """What a simulated world planted in each wallet, for validation alone.

        Raises ConfigurationError for any other source.
        """
        if self.source != "sim":
            raise ConfigurationError("source", f"{self.source} has no planted truth; sim has")
        return opening.world(self.sim.rules(), self.home / "world").truth(self.now())

    def stamp(self) -> Stamp:
        """What every derived row carries of this run."""
        return Stamp(
            now=self.now(),
            config_hash=config_hash(self),
            code_version=_code_version(),
            is_frozen=self.is_frozen,
        )

    def open_archive(self) -> Archive:
        """The files that the source reads; the demo's history is written on first use.

        Raises ConfigurationError where the source needs a folder and has none.
        """
        if self.source == "demo":
            homes.ensure_history(self.history_folder)
            return Archive(self.history_folder)
        if self.archive.folder is None:
            raise ConfigurationError("archive.folder", "the source archive needs a folder")
        known = {"auto": None, "true": True, "false": False}
        return Archive(
            self.archive.folder,
            trades=self.archive.trades,
            markets=self.archive.markets,
            positions=self.archive.positions,
            history_complete=known[self.archive.history_complete],
        )


def load_settings(**overrides: Any) -> Settings:
    """Read file and environment; `overrides`, nested by key, win over both.

    Raises ConfigurationError, which names the key, for an unknown key or a bad value.
    """
    try:
        return Settings(**overrides)
    except ValidationError as error:
        raise _explained(error.errors()[0]) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise ConfigurationError(FILE, f"cannot be read: {error}") from error


def _code_version() -> str:
    try:
        return version("evaluator")
    except PackageNotFoundError:
        return "unknown"


def dagster_home() -> Path | None:
    """The folder of the Dagster instance: DAGSTER_HOME, else that of the working directory."""
    if named := os.environ.get("DAGSTER_HOME"):
        return Path(named)
    here = Path("dagster_home").absolute()
    return here if (here / "dagster.yaml").is_file() else None


def config_hash(settings: Settings) -> str:
    """Digest of all thresholds and weights: equal digests, equal numbers from equal inputs."""
    scoring, personas = asdict(settings.scoring), asdict(settings.personas)
    discovery = asdict(settings.discovery)
    for name in _HOW_NOT_WHAT:
        del personas[name]
    personas["known_bots"] = sorted(set(settings.personas.known_bots))
    exact = {
        group: {name: float(v) if isinstance(v, int | float) else v for name, v in values.items()}
        for group, values in (
            ("discovery", discovery),
            ("personas", personas),
            ("scoring", scoring),
        )
    }
    text = json.dumps(exact, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


@dataclass(frozen=True, slots=True)
class Key:
    """One key of the settings, for whoever lists them."""

    name: str
    default: object
    doc: str

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return PREFIX + self.name.upper().replace(".", "__")


def keys() -> Iterator[Key]:
    """Every key in the order of declaration."""
    for name, info in Settings.model_fields.items():
        if isinstance(info.default, BaseModel):
            for inner, field in type(info.default).model_fields.items():
                yield Key(f"{name}.{inner}", field.default, field.description or "")
        elif is_dataclass(info.default):
            for each in fields(info.default):
                doc = str(each.metadata.get("doc", ""))
                yield Key(f"{name}.{each.name}", each.default, doc)
        else:
            yield Key(name, info.default, info.description or "")


class _Environment(PydanticBaseSettingsSource):
    """`EVALUATOR_*`: two underscores go into a table, commas separate the parts of a list."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Unused: all variables are read at once, so that unknown ones are seen."""
        raise NotImplementedError(field_name, field)

    def __call__(self) -> dict[str, Any]:
        lists = {key.name for key in keys() if isinstance(key.default, tuple)}
        found: dict[str, Any] = {}
        for variable, text in sorted(os.environ.items()):
            if not variable.startswith(PREFIX) or variable in NOT_SETTINGS or not text:
                continue
            *tables, last = variable.removeprefix(PREFIX).lower().split("__")
            into = found
            for table in tables:
                into = into.setdefault(table, {})
                if not isinstance(into, dict):
                    raise ConfigurationError(table, _TABLE_PROBLEM)
            name = ".".join([*tables, last])
            is_list = name in lists
            into[last] = [part.strip() for part in text.split(",")] if is_list else text
        return found


class _Noted(PydanticBaseSettingsSource):
    """The source that the tables of the home come from, unless another one is asked for."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Unused, as in `_Environment`."""
        raise NotImplementedError(field_name, field)

    def __call__(self) -> dict[str, Any]:
        given = self.current_state
        home = given.get("home", self.settings_cls.model_fields["home"].default)
        note = homes.noted(absolute(Path(home))) if isinstance(home, str | Path) else {}
        return note if given.get("source", note.get("source")) == note.get("source") else {}


_TABLE_PROBLEM = "is a table of keys and has no value of its own"


def _explained(error: ErrorDetails) -> ConfigurationError:
    """The error of one key, in words."""
    name = ".".join(part for part in error["loc"] if isinstance(part, str))
    variable = PREFIX + name.upper().replace(".", "__")
    place = f" ({variable})" if variable in os.environ else ""
    if error["type"] in {"extra_forbidden", "unexpected_keyword_argument"}:
        close = get_close_matches(name, [key.name for key in keys()], 1)
        guess = f"; did you mean {close[0]}?" if close else ""
        return ConfigurationError(name, f"unknown key{guess}{place}")
    if error["type"] in {"model_type", "dataclass_type", "model_attributes_type"}:
        return ConfigurationError(name, _TABLE_PROBLEM + place)
    message = error["msg"].removeprefix("Input ").removeprefix("Value error, ").split(", unable")[0]
    return ConfigurationError(name, f"{message}, not {error['input']!r}{place}")
