"""`jarvis status`: how it stands, on one screen."""

from __future__ import annotations

import select
import signal
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Annotated

import typer
from rich.console import Console, RenderableType
from rich.live import Live

from jarvis.cli.common import Exit
from jarvis.cli.context import CONTEXT
from jarvis.cli.options import Json
from jarvis.cli.output import print_json, printable
from jarvis.cli.status_screen import screen
from jarvis.reading.status import status as status_as_plain
from jarvis.status.alarms import Raised, Severity, raised
from jarvis.status.gathering import Watcher, is_elsewhere
from jarvis.status.model import Status
from jarvis.status.words import in_a_line
from jarvis_client.contract import instants


def register(app: typer.Typer) -> None:
    app.command()(status)


def status(
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Show it anew every few seconds, until q or Ctrl-C.")] = False,
    every: Annotated[float, typer.Option("--every", metavar="SECONDS", help="How often --watch looks.", min=0.2, max=3600)] = 2.0,
    check: Annotated[bool, typer.Option("--check", help="One line; exit 1 where an alarm is critical, 3 where neither broker nor books can be read.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="With --check: exit 1 for warnings, too.")] = False,
    broker_only: Annotated[bool, typer.Option("--broker-only", help="Ask the broker alone, as where there is neither the database nor the daemon.")] = False,
    as_json: Json = False,
) -> None:
    """Show how it stands: what is wrong and what to do, processes, queues, records, jobs, backups, disks. Works while everything is stopped, too.

    From when on something counts as wrong stands in monitoring.yaml.
    """
    _refuse_to_combine(watch=watch, check=check, strict=strict, as_json=as_json)
    settings = CONTEXT.settings
    alone = broker_only or is_elsewhere(settings)
    with closing(Watcher(settings, broker_only=alone)) as watcher:
        if watch:
            _watch(watcher, every)
            return
        found = watcher.look(instants.now())
    alarms = raised(found, settings.monitoring.thresholds)
    if check:
        print(printable(in_a_line(found, alarms)))
        raise typer.Exit(exit_code(found, alarms, strict=strict))
    if as_json:
        print_json(status_as_plain(found, alarms))
        return
    _print(screen(found, alarms, "as its broker knows it" if alone else ""))


def exit_code(status: Status, alarms: list[Raised], *, strict: bool) -> Exit:
    """What `--check` exits with."""
    if not (status.broker is not None and status.broker.reachable) and status.jobs is None:
        return Exit.FAILED
    return Exit.FINDINGS if any(strict or alarm.severity is Severity.CRITICAL for alarm in alarms) else Exit.DONE


def _print(shown: RenderableType) -> None:
    """Lines end where their text does, which a table's do not by themselves."""
    console = Console(highlight=False)
    with console.capture() as captured:
        console.print(shown)
    print("\n".join(line.rstrip() for line in captured.get().splitlines()))


def _refuse_to_combine(*, watch: bool, check: bool, strict: bool, as_json: bool) -> None:
    if sum((watch, check, as_json)) > 1:
        raise typer.BadParameter("--watch, --check and --json each say how it is shown; give one of them", param_hint="--watch")
    if strict and not check:
        raise typer.BadParameter("decides the exit code of --check; give that, too", param_hint="--strict")
    if watch and not sys.stdout.isatty():
        raise typer.BadParameter("needs a terminal; elsewhere run `jarvis status` again and again", param_hint="--watch")


def _watch(watcher: Watcher, seconds: float) -> None:
    thresholds = CONTEXT.settings.monitoring.thresholds
    hint = f"every {seconds:g} s, q ends"
    with _keys() as pressed, Live(console=Console(highlight=False), screen=True, auto_refresh=False) as live:
        while True:
            found = watcher.look(instants.now())
            live.update(screen(found, raised(found, thresholds), hint), refresh=True)
            if pressed(seconds) in ("q", "Q"):
                return


@contextmanager
def _keys() -> Iterator[Callable[[float], str]]:
    """Waits for a key for so many seconds, while the terminal hands each over at once. Ctrl-C ends the block without a trace."""
    descriptor = sys.stdin.fileno() if sys.stdin is not None and sys.stdin.isatty() else None
    before = None if descriptor is None else termios.tcgetattr(descriptor)
    interrupted = False

    def interrupt(*_: object) -> None:
        # Python drops what is raised while it clears an object away, so a Ctrl-C that came just then is noted as well.
        nonlocal interrupted
        interrupted = True
        raise KeyboardInterrupt

    def pressed(seconds: float) -> str:
        if interrupted:
            raise KeyboardInterrupt
        return sys.stdin.read(1) if select.select([] if descriptor is None else [descriptor], [], [], seconds)[0] else ""

    handler = signal.signal(signal.SIGINT, interrupt)
    try:
        if descriptor is not None:
            tty.setcbreak(descriptor)
        yield pressed
    except KeyboardInterrupt:
        return
    finally:
        signal.signal(signal.SIGINT, handler)
        if descriptor is not None and before is not None:
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
