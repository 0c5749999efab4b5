"""The notifier and its channels as the settings say."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from jarvis import __version__
from jarvis.alerts.channels import Channel, CommandHook, NotificationUrl
from jarvis.alerts.memory import NAME
from jarvis.alerts.message import Origin
from jarvis.alerts.notifier import Notifier, Plan
from jarvis.alerts.ping import Ping
from jarvis.errors import SettingsError
from jarvis.settings import Settings
from jarvis.settings_monitoring import refuse_no_url
from jarvis.settings_sources import Unreadable, read_text
from jarvis.status.model import Status

#: What nobody is told without.
NOBODY = "nobody is told of alarms: alerts.urls, alerts.urls_file and alerts.command have no value; set one in monitoring.yaml"


def create_notifier(settings: Settings, take: Callable[[], Status]) -> Notifier | None:
    """`take` gives the status, cheaply and again and again. None where there is nobody to tell and nothing to ping.

    Raises `SettingsError` for channels that cannot work: a scheduler that starts without a word to say of alarms would be believed.
    """
    alerts = settings.alerts
    channels, ping = create_channels(settings), create_ping(settings)
    if not channels and ping is None:
        return None
    plan = Plan(
        look_seconds=alerts.look_seconds, repeat_seconds=alerts.repeat_minutes * 60, summary_at=alerts.summary_at, zone=settings.scheduler.time_zone,
        thresholds=settings.monitoring.thresholds,
    )  # fmt: skip
    return Notifier(take, channels, origin_of(settings), alarms_file(settings), plan, ping=ping)


def origin_of(settings: Settings) -> Origin:
    return Origin(__version__, socket.gethostname(), str(settings.data_folder))


def alarms_file(settings: Settings) -> Path:
    """What stands and what was told, beside the database."""
    return settings.data_folder / NAME


def create_ping(settings: Settings) -> Ping | None:
    alerts = settings.alerts
    return None if alerts.ping is None else Ping(alerts.ping.get_secret_value(), alerts.ping_seconds)


def create_channels(settings: Settings) -> list[Channel]:
    """Raises `SettingsError` with every problem there is."""
    alerts = settings.alerts
    urls = [url.get_secret_value() for url in alerts.urls]
    problems: list[str] = []
    if alerts.urls_file is not None:
        more, problems = _urls_of(alerts.urls_file)
        urls += more
    if urls and not NotificationUrl.is_possible():
        problems.append("alerts.urls: Apprise, which sends to them, is not installed; pip install 'jarvis-trading[alerts]'")
    if problems:
        raise SettingsError(problems)
    channels: list[Channel] = [] if alerts.command is None else [CommandHook(alerts.command)]
    of_scheme: Counter[str] = Counter()
    for url in urls:
        scheme = url.partition("://")[0]
        of_scheme[scheme] += 1
        channels.append(NotificationUrl(url, of_scheme[scheme]))
    return channels


def _urls_of(path: Path) -> tuple[list[str], list[str]]:
    """The URLs of a file, one a line, and what is wrong with it. Nothing that stands in it is ever shown."""
    try:
        lines = read_text(path).splitlines()
    except Unreadable as why:
        return [], [f"alerts.urls_file: {path}{why}"]
    urls, problems = [], []
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        try:
            refuse_no_url(text, f"line {number}")
        except ValueError as error:
            problems.append(f"alerts.urls_file: {path}: {error}")
        urls.append(text)
    if not urls:
        problems.append(f"alerts.urls_file: {path} holds no URL; write one a line, or leave the key without a value")
    return urls, problems
