"""`jarvis alerts`: what is wrong and who was told, and whether whoever is to be told can be."""

from __future__ import annotations

import shutil
import textwrap
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import typer

from jarvis.alerts.memory import KeptAlarm, KeptChannel, Memory, load
from jarvis.alerts.message import Kind, Message
from jarvis.alerts.standing import key_of
from jarvis.alerts.told import Entry
from jarvis.alerts.wiring import NOBODY, alarms_file, create_channels, create_ping, origin_of
from jarvis.cli.common import Exit, say
from jarvis.cli.context import CONTEXT
from jarvis.cli.options import Json
from jarvis.cli.output import doing, print_json, printable
from jarvis.cli.times import moment_of
from jarvis.errors import SettingsError
from jarvis_client.contract.errors import Unavailable
from jarvis_client.contract.instants import to_text
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
    names = [channel.name for channel in create_channels(settings)]
    memory = load(alarms_file(settings)) or Memory()
    if as_json:
        print_json([_exact(kept, memory, names) for kept in memory.standing])
    else:
        for kept in memory.standing:
            _print_alarm(kept, memory, names)
    if not memory.standing:
        say("no alarm stands")
    for name in names:
        if (failing := memory.channels.get(name, KeptChannel()).failing) is not None:
            say(printable(f"{name} has not delivered since {moment_of(failing.since)}: {failing.problem}; tried again at {moment_of(failing.next_try_at)}"))
    if not names:
        say(NOBODY)
    elif not is_locked(settings.data_folder / "scheduler.lock"):
        known = f"this is how it stood at {moment_of(memory.saved_at)}" if memory.saved_at else "nobody has looked yet"
        say(f"no scheduler is running, so nobody looks; {known}")


def _told(kept: KeptAlarm, memory: Memory, names: list[str]) -> list[tuple[str, Entry | None]]:
    """Per channel what it was told of an alarm."""
    told = {name: {key_of(entry.alarm): entry for entry in memory.channels.get(name, KeptChannel()).told if not entry.over} for name in names}
    return [(name, told[name].get(key_of(kept.alarm))) for name in names]


def _exact(kept: KeptAlarm, memory: Memory, names: list[str]) -> dict[str, object]:
    alarm = kept.alarm
    told = [
        {"channel": name, "told_at": None if entry is None else to_text(entry.told_at), "next_at": None if entry is None else to_text(entry.next_at)}
        for name, entry in _told(kept, memory, names)
    ]
    return {
        "name": alarm.name, "severity": alarm.severity, "subject": alarm.subject, "says": alarm.says, "remedy": alarm.remedy,
        "since": to_text(kept.since), "told": told,
    }  # fmt: skip


def _print_alarm(kept: KeptAlarm, memory: Memory, names: list[str]) -> None:
    alarm, told = kept.alarm, _told(kept, memory, names)
    _print_wrapped(f"{alarm.severity.upper()}: {alarm.says}  ({alarm.name})", "")
    _print_wrapped(f"since {moment_of(kept.since)}", "  ")
    _print_wrapped(f"to do: {alarm.remedy}", "  ")
    for name, entry in told:
        if entry is not None:
            _print_wrapped(f"{name}: told at {moment_of(entry.told_at)}, next at {moment_of(entry.next_at)}", "  ")
    if waiting := [name for name, entry in told if entry is None]:
        _print_wrapped(f"not told yet: {', '.join(waiting)}", "  ")
    print()


def _print_wrapped(text: str, indent: str) -> None:
    """As wide as the terminal, or COLUMNS; piped, in one line."""
    width = shutil.get_terminal_size((10_000, 0)).columns
    print(textwrap.fill(printable(text), width, initial_indent=indent, subsequent_indent=f"{indent}  ", break_long_words=False, break_on_hyphens=False))


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
            print(printable(f"{one.channel}: works" if one.error is None else f"{one.channel}: FAILED: {one.error}"))
    if any(one.error is not None for one in tried):
        raise typer.Exit(Exit.FINDINGS)


def _try(name: str, deliver: Callable[[], None]) -> _Tried:
    begun = time.monotonic()
    try:
        deliver()
        error = None
    except Unavailable as refused:
        error = str(refused)
    return _Tried(name, round(time.monotonic() - begun, 3), error)
