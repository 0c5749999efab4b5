"""`jarvis alerts`: what is wrong and who was told, and whether whoever is to be told can be."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import typer

from jarvis.alerts.memory import Memory, load
from jarvis.alerts.message import Kind, Message
from jarvis.alerts.wiring import NOBODY, alarms_file, create_channels, create_ping, origin_of
from jarvis.alerts.words import moment
from jarvis.cli.common import Exit, say
from jarvis.cli.context import CONTEXT
from jarvis.cli.options import Json
from jarvis.cli.output import doing, print_json, print_rows, printable
from jarvis.errors import SettingsError
from jarvis.status.alarms import Raised
from persistence.domain.errors import Unavailable
from persistence.domain.instants import to_text
from persistence.files import is_locked


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Alarms, and who is told of them: list them, try the ways out.", no_args_is_help=True)
    group.command("list")(list_alarms)
    group.command("test")(send_test)
    group.callback()(lambda: None)
    app.add_typer(group, name="alerts")


def list_alarms(as_json: Json = False) -> None:
    """List the alarms that stand by the scheduler's newest look: since when, when each channel was told of them last, and when it is told next."""
    settings = CONTEXT.settings
    channels = create_channels(settings)
    memory = load(alarms_file(settings)) or Memory()
    rows = [row for kept in memory.standing for row in _rows(kept.alarm, kept.since, memory, [channel.name for channel in channels])]
    columns = ("alarm", "subject", "severity", "says", "since", "channel", "told_at", "next_at")
    if as_json:
        print_json([dict(zip(columns, map(_exact, row), strict=True)) for row in rows])
    elif rows:
        print_rows("Alarms", columns, [tuple(map(_shown, row)) for row in rows], whole=("since", "told_at", "next_at"))
    else:
        say("no alarm stands")
    for name, kept in memory.channels.items():
        if kept.failing_since is not None:
            again = "" if kept.next_try_at is None else f"; tried again at {moment(kept.next_try_at)}"
            say(printable(f"{name} has not delivered since {moment(kept.failing_since)}: {kept.problem}{again}"))
    if not channels:
        say(NOBODY)
    elif not is_locked(settings.data_folder / "scheduler.lock"):
        known = f"this is how it stood at {moment(memory.saved_at)}" if memory.saved_at else "nobody has looked yet"
        say(f"no scheduler is running, so nobody looks; {known}")


def _rows(alarm: Raised, since: int, memory: Memory, channels: list[str]) -> list[tuple[str | int | None, ...]]:
    rows: list[tuple[str | int | None, ...]] = []
    for name in channels or [""]:
        kept = memory.channels.get(name)
        told = next((one for one in kept.told if (one.alarm.name, one.alarm.subject) == (alarm.name, alarm.subject)), None) if kept is not None else None
        times = (None, None) if told is None else (told.told_at, told.next_at)
        rows.append((alarm.name, alarm.subject, alarm.severity, alarm.says, since, name, *times))
    return rows


def _shown(value: str | int | None) -> str | None:
    return moment(value) if isinstance(value, int) else value


def _exact(value: str | int | None) -> str | None:
    return to_text(value) if isinstance(value, int) else value


@dataclass(frozen=True, slots=True)
class _Tried:
    channel: str
    seconds: float
    error: str | None


def send_test(as_json: Json = False) -> None:
    """Send a test message through every channel, fetch the ping, and say of each whether it worked. Exit code 1 if one did not."""
    settings = CONTEXT.settings
    line = "This is a test of `jarvis alerts test`: alarms come this way. Nothing is wrong."
    message = Message(origin_of(settings), Kind.TEST, headline="a test, nothing is wrong", lines=(line,))
    ways: list[tuple[str, Callable[[], None]]] = [(channel.name, partial(channel.deliver, message)) for channel in create_channels(settings)]
    ping = create_ping(settings)
    if ping is not None:
        ways.append((ping.name, ping.fetch))
    if not ways:
        raise SettingsError([NOBODY])
    with doing("sending"), ThreadPoolExecutor(len(ways)) as pool:
        tried = list(pool.map(lambda way: _try(*way), ways))
    if as_json:
        print_json([{"channel": one.channel, "delivered": one.error is None, "seconds": one.seconds, "error": one.error} for one in tried])
    else:
        for one in tried:
            print(printable(f"{one.channel}: {'delivered' if one.error is None else 'NOT delivered'} after {one.seconds:.1f} s{_because(one.error)}"))
    if any(one.error is not None for one in tried):
        raise typer.Exit(Exit.FINDINGS)


def _because(error: str | None) -> str:
    return "" if error is None else f": {error}"


def _try(name: str, deliver: Callable[[], None]) -> _Tried:
    begun = time.monotonic()
    try:
        deliver()
        error = None
    except Unavailable as refused:
        error = str(refused)
    return _Tried(name, round(time.monotonic() - begun, 3), error)
