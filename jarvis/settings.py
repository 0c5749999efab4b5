"""Settings: four YAML files and the environment, checked as a whole, every problem reported at once.

`database.yaml`, `workers.yaml`, `scheduler.yaml` and `monitoring.yaml` lie in one folder; each may be missing, and so may every key. An environment
variable overrides its key: `JARVIS_DATABASE__PATH`, `JARVIS_WORKER__BATCH__LINGER_MS`.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, StringConstraints, ValidationError, field_validator, model_validator

from jarvis.errors import SettingsError
from jarvis.importing.profile import Profile
from jarvis.settings_monitoring import AlertsSettings, MonitoringSettings, WebSettings
from jarvis.settings_sources import FILES, Places, as_path, did_you_mean, path_rule, place_of, read_environment, read_files, read_secrets
from jarvis.sockets import LONGEST_SOCKET_PATH, SOCKET_NAME
from jarvis_client.contract.address import MOST_REPLICAS, WORKERS_CONNECTIONS, read_address, refuse_namespace
from jarvis_client.contract.conventions import USD_LIKE, Conventions
from jarvis_client.contract.errors import Invalid
from jarvis_client.contract.symbols import QUOTE_CURRENCIES, is_pair
from persistence.columns import COMPUTED, OF_NO_ACCOUNT, READ
from persistence.copies.command import refuse_command
from persistence.domain.address import is_server, password_of, shown
from scheduler.rollup.options import RollupOptions, RollupPlan
from scheduler.timetable import TIMETABLE, Cron


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


#: A path as settings name it: `~` is expanded, what no path can be is refused.
Where = Annotated[Path, BeforeValidator(as_path)]


class SecondSettings(_Section):
    """A second place for backups; `persistence/copies/second_place.py` says what each key means."""

    path: Where | None = None
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
    path: Where = Path("data/backups/")
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
    #: The file of the books. Where a server keeps them, what else lies on this machine (locks, scratch copies) lies in its folder.
    path: Where = Path("data/jarvis_trading.db")
    #: A PostgreSQL server that keeps the books instead. It may hold a password, so it is never shown as it is.
    url: SecretStr | None = None
    #: A file that holds the URL alone. A systemd credential named database-url is found without it.
    url_file: Where | None = None
    backup: BackupSettings = BackupSettings()
    performance: PerformanceSettings = PerformanceSettings()

    @field_validator("url")
    @classmethod
    def _usable(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and not is_server(url.get_secret_value()):
            raise ValueError("names no server; write postgresql://user@host:5432/name, or leave the key without a value for the file at database.path")
        return url

    @property
    def place(self) -> str | Path:
        """What opens the books: the server's URL, else the path of the file."""
        return self.path if self.url is None else self.url.get_secret_value()

    @property
    def said(self) -> str:
        """The same for people: without a password."""
        return str(self.path) if self.url is None else shown(self.url.get_secret_value())


class BrokerSettings(_Section):
    #: None: an embedded Valkey under the data folder. It may hold a password, so it is never shown as it is.
    url: SecretStr | None = None
    #: A file that holds the URL alone, such as a secret that is mounted. A systemd credential named broker-url is found without it.
    url_file: Where | None = None
    namespace: str = Field("dramatiq", min_length=1, max_length=64)
    #: Where the embedded broker's socket lies, for the folder's group to open. None: below the data folder, for this user alone.
    socket_folder: Where | None = None

    @field_validator("socket_folder")
    @classmethod
    def _short_enough(cls, folder: Path | None) -> Path | None:
        if folder is not None and (length := len(os.fsencode(folder.absolute() / SOCKET_NAME))) > LONGEST_SOCKET_PATH:
            raise ValueError(f"is too long: the path of the socket in it would have {length} bytes, the system takes {LONGEST_SOCKET_PATH}")
        return folder

    @field_validator("url")
    @classmethod
    def _usable(cls, url: SecretStr | None) -> SecretStr | None:
        if url is None:
            return None
        if not url.get_secret_value().strip():
            raise ValueError("is empty; name a broker, or leave the key without a value (unset the variable) for the embedded one")
        read_address(url.get_secret_value(), connections=WORKERS_CONNECTIONS)
        return url

    @model_validator(mode="after")
    def _kept_together(self) -> BrokerSettings:
        if self.url is not None:
            try:
                refuse_namespace(read_address(self.url.get_secret_value()), self.namespace)
            except Invalid as error:
                raise ValueError(f"namespace {error}") from None
        return self


class PublisherSettings(_Section):
    """Of what the commands publish; an engine gives its own publisher the same."""

    #: Replicas that must have a record before the broker's answer counts.
    wait_replicas: int = Field(0, ge=0, le=MOST_REPLICAS)


class BatchSettings(_Section):
    max_records: int = Field(1_000, ge=1, le=10_000)
    linger_ms: float = Field(20.0, ge=0, le=1_000)


class WorkerSettings(_Section):
    name: str = Field("worker", pattern=r"^[A-Za-z0-9_.-]{1,64}$")
    threads: int = Field(1, ge=1, le=64)
    processes: int = Field(1, ge=1, le=16)
    second_reader: bool = True
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


class ImportSettings(_Section):
    #: What the columns of files mean, by the name that `jarvis import --profile` takes; one with the name of a shipped profile replaces it.
    profiles: dict[str, Profile] = Field(default_factory=dict)


class ExportSettings(_Section):
    """An export that the timetable makes; `scheduler/exporting.py` says what each key means."""

    table: str
    #: None: all accounts.
    accounts: tuple[str, ...] | None = Field(None, min_length=1)
    form: Literal["csv", "json", "ndjson", "parquet"] = "csv"
    folder: Where = Path("data/exports/")
    days: int | None = Field(None, ge=1, le=36_500)

    @field_validator("table")
    @classmethod
    def _known_table(cls, name: str) -> str:
        if name not in (names := [*READ, *COMPUTED]):
            raise ValueError(f"{name!r} cannot be exported{did_you_mean(name, names)}; there are {', '.join(names)}")
        return name

    @field_validator("form")
    @classmethod
    def _possible(cls, form: str) -> str:
        if form == "parquet" and find_spec("pyarrow") is None:
            raise ValueError("needs pyarrow: pip install 'jarvis-trading[parquet]', or take csv")
        return form

    @model_validator(mode="after")
    def _of_accounts(self) -> ExportSettings:
        if self.accounts is not None and self.table in OF_NO_ACCOUNT:
            raise ValueError(f"{self.table} are of no account; leave accounts out")
        return self


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
    day_ends: str = "00:00"
    annualization: float = Field(365, gt=0, le=100_000)
    risk_free_rate: float = Field(0.0, gt=-1, le=10)
    observation_days: Literal["all", "weekdays"] = "all"
    window_days: int | None = Field(None, ge=2, le=36_500)
    flow_timing: Literal["in_start_out_end", "subperiod", "end", "mid"] = "in_start_out_end"
    cost_basis: Literal["wac", "fifo"] = "wac"
    trade_grouping: Literal["flat_to_flat", "per_close"] = "flat_to_flat"
    min_base_usd: Decimal = Field(Decimal(1), gt=0)
    dust_notional_usd: Decimal = Field(Decimal(1), ge=0)
    dust_share: Decimal = Field(Decimal("0.01"), ge=0, le=1)
    min_observations: int = Field(2, ge=2)
    valuation: Literal["auto", "snapshots", "books"] = "auto"
    opening_value: Decimal | None = None

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        return known_zone(name)

    @field_validator("day_ends", mode="before")
    @classmethod
    def _time_of_the_clock(cls, ends: object) -> object:
        # YAML reads 17:00 without quotes as the number 1020.
        if not isinstance(ends, str) or re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d|24:00", ends) is None:
            raise ValueError('a time of the clock in quotes is needed, hours and minutes, such as "17:00"; "00:00" is midnight')
        return "00:00" if ends == "24:00" else ends


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


class Settings(_Section):
    """What an operator decides."""

    database: DatabaseSettings = DatabaseSettings()
    broker: BrokerSettings = BrokerSettings()
    publisher: PublisherSettings = PublisherSettings()
    worker: WorkerSettings = WorkerSettings()
    symbols: SymbolSettings = SymbolSettings()
    imports: ImportSettings = ImportSettings()
    scheduler: SchedulerSettings = SchedulerSettings()
    #: By the name that their files begin with.
    exports: dict[Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")], ExportSettings] = Field(default_factory=dict)
    rollup: RollupSettings = RollupSettings()
    logging: LoggingSettings = LoggingSettings()
    monitoring: MonitoringSettings = MonitoringSettings()
    alerts: AlertsSettings = AlertsSettings()
    web: WebSettings = WebSettings()

    @property
    def data_folder(self) -> Path:
        """Where the database lies, and beside it the embedded broker, the locks and the file that names the running broker."""
        return self.database.path.absolute().parent

    @property
    def conventions(self) -> Conventions:
        plan = self.rollup_plan
        zones = {name: options.day_zone for name, options in plan.accounts.items() if options.day_zone != plan.default.day_zone}
        return Conventions(self.symbols.quote_currencies, frozenset(self.symbols.usd_like), plan.default.day_zone, zones, self.symbols.pairs)

    @property
    def rollup_plan(self) -> RollupPlan:
        usd_like = frozenset(self.symbols.usd_like)
        common = {name: getattr(self.rollup, name) for name in RollupChoices.model_fields} | {"pairs": tuple(sorted(self.symbols.pairs.items()))}
        accounts = {
            account_id: RollupOptions(**{**common, **{name: getattr(choices, name) for name in choices.model_fields_set}}, usd_like=usd_like)
            for account_id, choices in self.rollup.accounts.items()
        }
        return RollupPlan(RollupOptions(**common, usd_like=usd_like), accounts, int(self.rollup.grace_minutes * 60_000_000))


def load_settings(folder: Path, *, named: bool = False) -> Settings:
    """Read the files of a folder and the environment. Raises `SettingsError` with every problem there is.

    `named`: somebody asked for this folder, so that it has to be there.
    """
    return load_settings_with_places(folder, named=named)[0]


def load_settings_with_places(folder: Path, *, named: bool = False) -> tuple[Settings, Places]:
    """The settings, and where each value was read that is not a default."""
    if (rule := path_rule(str(folder))) is not None:
        raise SettingsError([f"--config (or JARVIS_CONFIG) is {str(folder)!r:.60}: it {rule}"])
    values, places, problems = read_files(Path(os.path.expanduser(folder)), list(Settings.model_fields), named=named)
    problems += read_environment(values, places, Settings)
    problems += read_secrets(values, places)
    settings = None
    try:
        settings = Settings(**values)
    except ValidationError as error:
        problems += [_problem(dict(e), places) for e in error.errors(include_url=False)]
    if problems or settings is None:
        raise SettingsError(problems)
    return settings, places


def exposed_secrets(folder: Path, settings: Settings) -> list[str]:
    """Files with a password that others than their owner may read, each with the remedy."""
    alerts = settings.alerts
    secrets = [url.get_secret_value() for url in (*alerts.urls, *([] if alerts.ping is None else [alerts.ping]))]
    # A file of URLs holds nothing else; of the others it has to be looked up.
    paths = {alerts.urls_file: [""]} if alerts.urls_file is not None else {}
    if settings.broker.url is not None:
        # As a URL has them: a password alone may be a word that a comment uses, too.
        secrets += [f"{before}{secret}" for secret in read_address(settings.broker.url.get_secret_value()).secrets for before in ":="]
    if settings.database.url is not None and (password := password_of(settings.database.url.get_secret_value())):
        secrets += [f"{before}{password}" for before in ":="]
    paths |= {Path(os.path.expanduser(folder)) / name: secrets for name in FILES}
    if settings.broker.url_file is not None:
        paths[settings.broker.url_file] = secrets
    if settings.database.url_file is not None:
        paths[settings.database.url_file] = secrets
    found = []
    for path, held in paths.items():
        with suppress(OSError, UnicodeDecodeError):
            if path.stat().st_mode & 0o077 and any(secret in text for text in [path.read_text("utf-8")] for secret in held):
                found.append(f"{path} holds a password and can be read by others: chmod 600 {path}")
    return found


def _problem(error: dict[str, Any], places: Places) -> str:
    location = tuple(str(p) for p in error["loc"])
    path = ".".join(_printable(p) for p in location)
    where = place_of(places, location)
    at = "" if where is None else f" [{where}]"
    if error["type"] == "extra_forbidden":
        return f"{path}: no such setting{did_you_mean(location[-1], _siblings(error['loc']))}{at}"
    hidden = isinstance(error.get("input"), dict | list | SecretStr) or {"url", "url_file", "urls", "ping"} & {*location}
    shown = "" if hidden else f" (it is {error.get('input')!r:.60})"
    return f"{path}: {error['msg'].removeprefix('Value error, ')}{shown}{at}"


def _printable(name: str) -> str:
    return name if name.isprintable() and len(name) <= 60 else f"{name!r:.60}"


def _siblings(location: tuple[Any, ...]) -> list[str]:
    model: Any = Settings
    for name in location[:-1]:
        if get_origin(model) is dict:
            model = get_args(model)[1]
            continue
        field = getattr(model, "model_fields", {}).get(name)
        model = field.annotation if field else None
    return list(getattr(model, "model_fields", {}))


__all__ = ["Settings", "SettingsError", "exposed_secrets", "load_settings", "load_settings_with_places"]
