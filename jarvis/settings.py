"""Settings: three YAML files and the environment, checked as a whole, every problem reported at once.

`database.yaml`, `workers.yaml` and `scheduler.yaml` lie in one folder; each may be missing, and so may every key. An environment
variable overrides its key: `JARVIS_DATABASE__PATH`, `JARVIS_WORKER__BATCH__LINGER_MS`.
"""

from __future__ import annotations

import difflib
import os
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from jarvis.errors import SettingsError
from persistence.copies.command import refuse_command
from persistence.domain.conventions import USD_LIKE, Conventions
from persistence.domain.symbols import QUOTE_CURRENCIES, is_pair
from scheduler.rollup.options import RollupOptions, RollupPlan
from scheduler.timetable import TIMETABLE, Cron

FILES = ("database.yaml", "workers.yaml", "scheduler.yaml")
ENVIRONMENT_PREFIX = "JARVIS_"
#: What a systemd unit calls the secret (`LoadCredential=broker-url:…`).
CREDENTIAL = "broker-url"
#: Names of our environment that are no settings.
_OTHER_NAMES = {"JARVIS_CONFIG", "JARVIS_SUPERVISOR", "JARVIS_STATUS_FD"}


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SecondSettings(_Section):
    """A second place for backups; `persistence/copies/second_place.py` says what each key means."""

    path: Path | None = None
    recipient: str | None = None
    retention_days: int = Field(30, ge=1)
    command: str | None = None

    @field_validator("recipient")
    @classmethod
    def _public_key(cls, text: str | None) -> str | None:
        if text is not None and not text.startswith("age1"):
            raise ValueError("must be an age public key, age1…; never the secret one")
        return text

    @field_validator("command")
    @classmethod
    def _names_the_copy(cls, text: str | None) -> str | None:
        if text:
            refuse_command(text)
        return text or None


class BackupSettings(_Section):
    enabled: bool = True
    path: Path = Path("data/backups/")
    daily_backup: bool = True
    retention_days: int = Field(30, ge=1)
    #: Beyond the retention, the first of each of so many weeks and months.
    keep_weekly: int = Field(0, ge=0, le=520)
    keep_monthly: int = Field(0, ge=0, le=120)
    compress: bool = True
    second: SecondSettings = SecondSettings()


class PerformanceSettings(_Section):
    wal_mode: bool = True
    max_connections: int = Field(5, ge=1, le=64)
    #: Who moves the WAL into the file. Pages carry checksums only where it is us.
    checkpoints: Literal["jarvis", "litestream"] = "jarvis"


class DatabaseSettings(_Section):
    path: Path = Path("data/jarvis_trading.db")
    backup: BackupSettings = BackupSettings()
    performance: PerformanceSettings = PerformanceSettings()


class BrokerSettings(_Section):
    #: Empty: an embedded Valkey under the data folder. It may hold a password, so it is never shown as it is.
    url: SecretStr | None = None
    #: A file that holds the URL alone, such as a secret that is mounted. A systemd credential named broker-url is found without it.
    url_file: Path | None = None
    namespace: str = Field("dramatiq", min_length=1, max_length=64)

    @field_validator("url")
    @classmethod
    def _known_scheme(cls, url: SecretStr | None) -> SecretStr | None:
        if url is None or not url.get_secret_value():
            return None
        if not url.get_secret_value().startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("must start with redis://, rediss:// or unix://, such as redis://127.0.0.1:6379/0")
        return url


class BatchSettings(_Section):
    max_records: int = Field(1_000, ge=1, le=10_000)
    linger_ms: float = Field(20.0, ge=0, le=1_000)


class WorkerSettings(_Section):
    name: str = Field("worker", pattern=r"^[A-Za-z0-9_.-]{1,64}$")
    threads: int = Field(1, ge=1, le=64)
    processes: int = Field(1, ge=1, le=16)
    max_in_flight: int = Field(4_000, ge=1, le=100_000)
    batch: BatchSettings = BatchSettings()


class SymbolSettings(_Section):
    quote_currencies: tuple[str, ...] = QUOTE_CURRENCIES
    pairs: dict[str, str] = Field(default_factory=dict)
    usd_like: tuple[str, ...] = USD_LIKE

    @field_validator("pairs")
    @classmethod
    def _name_instruments(cls, pairs: dict[str, str]) -> dict[str, str]:
        for notation, instrument in pairs.items():
            if not is_pair(instrument):
                raise ValueError(f"{notation}: {instrument!r} names no instrument; write BASE/QUOTE, or BASE/QUOTE:SETTLE for a contract")
        return pairs


class LoggingSettings(_Section):
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "console", "json"] = "auto"


class JobSettings(_Section):
    cron: str
    enabled: bool = True

    @field_validator("cron")
    @classmethod
    def _readable(cls, text: str) -> str:
        Cron(text, "UTC")
        return text


class SchedulerSettings(_Section):
    time_zone: str = "UTC"
    #: A run that is asked for starts within this.
    tick_seconds: float = Field(2.0, gt=0, le=3600)
    catchup_days: int = Field(30, ge=0, le=400)
    jobs: dict[str, JobSettings] = Field(default_factory=dict)

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        return known_zone(name)

    @field_validator("jobs")
    @classmethod
    def _known_jobs(cls, jobs: dict[str, JobSettings]) -> dict[str, JobSettings]:
        for name in jobs:
            if name not in TIMETABLE:
                raise ValueError(f"unknown job {name!r}{did_you_mean(name, list(TIMETABLE))}; there are {', '.join(TIMETABLE)}")
        return jobs


class RollupChoices(_Section):
    """The options of the daily rollup; `scheduler/rollup/options.py` says what each means."""

    timezone: str = "UTC"
    annualization: float = Field(365, gt=0, le=100_000)
    risk_free_rate: float = Field(0.0, gt=-1, le=10)
    observation_days: Literal["all", "weekdays"] = "all"
    window_days: int | None = Field(None, ge=2, le=36_500)
    flow_timing: Literal["in_start_out_end", "subperiod", "end", "mid"] = "in_start_out_end"
    cost_basis: Literal["wac", "fifo"] = "wac"
    trade_grouping: Literal["flat_to_flat", "per_close"] = "flat_to_flat"
    min_base_usd: Decimal = Field(Decimal(1), gt=0)
    dust_notional_usd: Decimal = Field(Decimal(0), ge=0)
    min_observations: int = Field(2, ge=2)
    valuation: Literal["auto", "snapshots", "books"] = "auto"
    opening_value: Decimal | None = None

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        return known_zone(name)


class RollupSettings(RollupChoices):
    grace_minutes: float = Field(5, ge=0, le=1440)
    #: Options of single accounts; what is not named is as above.
    accounts: dict[str, RollupChoices] = Field(default_factory=dict)


def known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"unknown time zone {name!r}; use an IANA name such as UTC or Europe/London") from None
    return name


class Settings(BaseSettings):
    """What an operator decides. `folder` is where the files lie."""

    model_config = SettingsConfigDict(env_prefix=ENVIRONMENT_PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True)

    database: DatabaseSettings = DatabaseSettings()
    broker: BrokerSettings = BrokerSettings()
    worker: WorkerSettings = WorkerSettings()
    symbols: SymbolSettings = SymbolSettings()
    scheduler: SchedulerSettings = SchedulerSettings()
    rollup: RollupSettings = RollupSettings()
    logging: LoggingSettings = LoggingSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        # The files come in as init values; the environment goes before them.
        return env_settings, init_settings

    @property
    def data_folder(self) -> Path:
        """Where the database lies, and beside it the embedded broker, the locks and the file that names the running broker."""
        return self.database.path.absolute().parent

    @property
    def conventions(self) -> Conventions:
        zones = {name: choices.timezone for name, choices in self.rollup.accounts.items() if "timezone" in choices.model_fields_set}
        return Conventions(self.symbols.quote_currencies, frozenset(self.symbols.usd_like), self.rollup.timezone, zones, self.symbols.pairs)

    @property
    def rollup_plan(self) -> RollupPlan:
        usd_like = frozenset(self.symbols.usd_like)
        common = {name: getattr(self.rollup, name) for name in RollupChoices.model_fields}
        accounts = {
            account_id: RollupOptions(**{**common, **{name: getattr(choices, name) for name in choices.model_fields_set}}, usd_like=usd_like)
            for account_id, choices in self.rollup.accounts.items()
        }
        return RollupPlan(RollupOptions(**common, usd_like=usd_like), accounts, int(self.rollup.grace_minutes * 60_000_000))


def load_settings(folder: Path) -> Settings:
    """Read the files of a folder and the environment. Raises `SettingsError` with every problem there is."""
    values, problems = _read_files(folder)
    problems += _unknown_environment()
    problems += _read_secret(values)
    try:
        settings = Settings(**values)
    except ValidationError as error:
        problems += [_problem(dict(e)) for e in error.errors(include_url=False)]
    if problems:
        raise SettingsError(problems)
    return settings


def _read_files(folder: Path) -> tuple[dict[str, Any], list[str]]:
    values: dict[str, Any] = {}
    problems: list[str] = []
    for name in FILES:
        path = folder / name
        if not path.exists():
            continue
        try:
            content = yaml.safe_load(path.read_text("utf-8"))
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            line = f" line {mark.line + 1}" if mark else ""
            problems.append(f"{path}{line}: not YAML: {getattr(error, 'problem', error)}")
            continue
        except (OSError, UnicodeDecodeError) as error:
            problems.append(f"{path}: cannot be read: {error}")
            continue
        if content is None:
            continue
        if not isinstance(content, dict):
            problems.append(f"{path}: must hold keys such as {', '.join(Settings.model_fields)}, not a {type(content).__name__}")
            continue
        for key, section in content.items():
            if key in values:
                problems.append(f"{path}: {key} stands in another file too; keep one of them")
            # A key without a value (`worker:`) means its defaults.
            values[str(key)] = {} if section is None else section
    return values, problems


def _read_secret(values: dict[str, Any]) -> list[str]:
    """The broker's URL from its file, or from systemd's credentials, where it is not set outright."""
    broker = values.setdefault("broker", {})
    if not isinstance(broker, dict) or os.environ.get("JARVIS_BROKER__URL") or broker.get("url"):
        return []
    named = os.environ.get("JARVIS_BROKER__URL_FILE") or broker.get("url_file")
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    path = Path(str(named)) if named else Path(credentials) / CREDENTIAL if credentials else None
    if path is None or not (named or path.exists()):
        return []
    try:
        broker["url"] = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        return [f"broker.url_file: {path} cannot be read: {error}"]
    return []


def exposed_secrets(folder: Path, settings: Settings) -> list[str]:
    """Files with a password that others than their owner may read, each with the remedy."""
    url = settings.broker.url.get_secret_value() if settings.broker.url else ""
    password = urlsplit(url).password
    if not password:
        return []
    paths = [folder / name for name in FILES]
    if settings.broker.url_file is not None:
        paths.append(settings.broker.url_file)
    found = []
    for path in paths:
        with suppress(OSError, UnicodeDecodeError):
            if path.stat().st_mode & 0o077 and password in path.read_text("utf-8"):
                found.append(f"{path} holds a password and can be read by others: chmod 600 {path}")
    return found


def _unknown_environment() -> list[str]:
    known = set(_names(Settings, ENVIRONMENT_PREFIX))
    found = [n for n in sorted(os.environ) if n.upper().startswith(ENVIRONMENT_PREFIX) and n.upper() not in known | _OTHER_NAMES]
    # Below these the names are the operator's own.
    open_ended = (f"{ENVIRONMENT_PREFIX}SCHEDULER__JOBS__", f"{ENVIRONMENT_PREFIX}ROLLUP__ACCOUNTS__")
    return [f"environment variable {n}: no such setting{did_you_mean(n.upper(), sorted(known))}" for n in found if not n.upper().startswith(open_ended)]


def _names(model: type[BaseModel], prefix: str) -> list[str]:
    names = []
    for name, field in model.model_fields.items():
        full = f"{prefix}{name.upper()}"
        names.append(full)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            names += _names(field.annotation, f"{full}__")
    return names


def _problem(error: dict[str, Any]) -> str:
    path = ".".join(str(p) for p in error["loc"])
    if error["type"] == "extra_forbidden":
        return f"{path}: no such setting{did_you_mean(str(error['loc'][-1]), _siblings(error['loc']))}"
    shown = "" if isinstance(error.get("input"), dict | SecretStr) or "url" in path else f" (it is {error.get('input')!r:.60})"
    return f"{path}: {error['msg'].removeprefix('Value error, ')}{shown}"


def _siblings(location: tuple[Any, ...]) -> list[str]:
    model: Any = Settings
    for name in location[:-1]:
        field = getattr(model, "model_fields", {}).get(name)
        model = field.annotation if field else None
    return list(getattr(model, "model_fields", {}))


def did_you_mean(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else f"; there are {', '.join(known)}" if 0 < len(known) <= 12 else ""


__all__ = ["Settings", "SettingsError", "exposed_secrets", "load_settings"]
