"""Settings of what watches the daemon: where figures are served, when something counts as wrong, who is told."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, field_validator

from jarvis.settings_sources import as_path
from persistence.commands import words_of

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+")
_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\s\[\]]+):(\d{1,5})")


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Thresholds(_Section):
    """From when on something counts as wrong, for `jarvis status --check` and the notifier."""

    broker_away_seconds: float = Field(60, ge=0)
    not_ready_seconds: float = Field(60, ge=0)
    oldest_message_seconds: float = Field(60, gt=0)
    quarantine_held: int = Field(0, ge=0)
    gaps: int = Field(0, ge=0)
    job_late_minutes: float = Field(15, gt=0)
    backup_age_hours: float = Field(26, gt=0)
    copy_age_hours: float = Field(26, gt=0)
    verification_age_hours: float = Field(26, gt=0)
    drill_age_days: float = Field(8, gt=0)
    disk_free_bytes: int = Field(1_000_000_000, ge=0)
    disk_free_percent: float = Field(5, ge=0, lt=100)
    log_bytes: int = Field(256_000_000, gt=0)


class MonitoringSettings(_Section):
    #: host:port of `/metrics`, `/healthz` and `/readyz`. Under `jarvis up` and for a worker that port; a scheduler that runs by itself
    #: takes the next one, the embedded broker that runs by itself the one after. None: nothing is served.
    listen: str | None = "127.0.0.1:9464"
    #: A folder for node_exporter's textfile collector: figures are written there, too.
    textfile: Annotated[Path | None, BeforeValidator(as_path)] = None
    thresholds: Thresholds = Thresholds()

    @field_validator("listen")
    @classmethod
    def _address(cls, text: str | None) -> str | None:
        if text is None or text == "":
            return None
        match = _ADDRESS.fullmatch(text)
        if match is None or not 0 <= int(match[2]) <= 65_533:
            raise ValueError("must be HOST:PORT, such as 127.0.0.1:9464 or [::1]:9464; leave it without a value to serve nothing")
        return text


class WebSettings(_Section):
    """Where `jarvis serve` and `jarvis web` answer, and whom."""

    listen: str = "127.0.0.1:8787"
    #: A file that holds the token alone, which every request then has to bring. Needed where `listen` is no loopback address.
    token_file: Annotated[Path | None, BeforeValidator(as_path)] = None
    #: Names of this server besides its own address and those of loopback. A request to any other name is refused: a page from elsewhere
    #: whose name was turned to this address would read the books otherwise.
    hosts: tuple[str, ...] = ()

    @field_validator("listen")
    @classmethod
    def _address(cls, text: str) -> str:
        match = _ADDRESS.fullmatch(text)
        if match is None or int(match[2]) > 65_535:
            raise ValueError("must be HOST:PORT, such as 127.0.0.1:8787 or [::1]:8787")
        return text

    @field_validator("hosts")
    @classmethod
    def _names(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        for host in hosts:
            if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?|[0-9A-Fa-f:]+", host):
                raise ValueError(f"{host!r:.60} is no name of a host; write it without scheme and port, such as books.example.org")
        return tuple(host.lower() for host in hosts)


class AlertsSettings(_Section):
    """Who is told, without Prometheus. `urls` and `ping` may hold secrets, so only their schemes are ever shown."""

    #: Notification URLs of Apprise, such as tgram://TOKEN/CHAT or mailto://….
    urls: tuple[SecretStr, ...] = ()
    #: A file with one such URL a line.
    urls_file: Annotated[Path | None, BeforeValidator(as_path)] = None
    #: Run for each message, with the message as JSON on its standard input.
    command: str | None = None
    #: A dead man's switch: fetched while all is well with the watcher itself.
    ping: SecretStr | None = None
    ping_seconds: float = Field(300, ge=10)
    #: How often the watcher looks.
    look_seconds: float = Field(15, gt=0, le=3600)
    #: How long until an alarm that lasts is said again; each pause is twice the one before, up to a day.
    repeat_minutes: float = Field(30, gt=0)
    #: When the daily summary is sent, as a time of the clock in scheduler.time_zone, such as "08:00". None: never.
    summary_at: str | None = None

    @field_validator("urls")
    @classmethod
    def _are_urls(cls, urls: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        for number, url in enumerate(urls, 1):
            refuse_no_url(url.get_secret_value(), f"number {number}")
        return urls

    @field_validator("command")
    @classmethod
    def _readable(cls, text: str | None) -> str | None:
        if text:
            words_of(text)
        return text or None

    @field_validator("ping")
    @classmethod
    def _can_be_fetched(cls, url: SecretStr | None) -> SecretStr | None:
        text = "" if url is None else url.get_secret_value()
        if text and re.fullmatch(r"https?://[^\s/]\S*", text) is None:
            raise ValueError("must begin with https:// or http://, with neither blanks nor line breaks; it is the address that your dead man's switch gave you")
        return url if text else None

    @field_validator("summary_at", mode="before")
    @classmethod
    def _time_of_the_clock(cls, text: object) -> object:
        # YAML reads 08:00 without quotes as text, but 17:00 as the number 1020.
        if text is not None and (not isinstance(text, str) or re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", text) is None):
            raise ValueError('a time of the clock in quotes is needed, hours and minutes, such as "08:00"')
        return text


def refuse_no_url(text: str, called: str) -> None:
    """Raises `ValueError`, which does not show the text, for what cannot be a notification URL."""
    if _URL.fullmatch(text) is None:
        raise ValueError(f"{called} is no URL; write it as Apprise does, such as tgram://TOKEN/CHAT, without blanks")
