"""`jarvis broker`: the embedded broker in the foreground, and the way back where its file cannot be read."""

from __future__ import annotations

from datetime import UTC, datetime

import typer

from jarvis.broker_repair import messages_in, repair, write_out_what_can_be_read
from jarvis.cli.common import Exit, say
from jarvis.cli.context import CONTEXT
from jarvis.embedded_broker import EmbeddedBroker
from jarvis.errors import SettingsError
from jarvis.limits import raise_file_limit
from jarvis.processes import leave
from jarvis.processes.broker import run_broker
from jarvis.streams import heed_no_reader
from persistence.domain.errors import Damaged
from persistence.domain.showing import count_of

group = typer.Typer(help="The embedded broker.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    app.add_typer(group, name="broker")


@group.command("run")
def broker_run() -> None:
    """Run the embedded broker in the foreground; only waits where broker.url names a Redis."""
    heed_no_reader()
    raise_file_limit()
    run_broker(CONTEXT.settings)
    leave()


@group.command("repair")
def broker_repair() -> None:
    """Cut what cannot be read off the embedded broker's file; the original is kept aside.

    Says how many bytes were cut and how many messages are there. Records behind the damage that can still be read are written out for
    `jarvis import`. Exits with 1 where something else than zeros was cut.
    """
    settings = CONTEXT.settings
    if settings.broker.url is not None:
        raise SettingsError(["broker.url names a Redis of yours, this repairs the embedded broker's file: use that Redis's own valkey-check-aof"])
    broker = EmbeddedBroker(settings.data_folder, settings.broker.socket_folder)
    now = datetime.now(UTC)
    done = repair(broker, now)
    for cut in done.cuts:
        what = "zeros, as a power cut leaves them: nothing was in them" if cut.empty else "what was accepted after that place is lost to the broker"
        say(f"cut {count_of('byte', cut.bytes)} off {cut.file} at byte {cut.at:,}: {what}")
    if done.aside is None:
        say("every incremental file can be read, nothing was cut")
    else:
        say(f"the original is kept as {done.aside}")
    if done.readable is not None:
        say(f"{count_of('record', done.records)} of the part that was cut can be read: `jarvis import {done.readable}` brings back what is in that file")
    try:
        with broker.running() as url:
            say(f"the broker comes up with {count_of('message', messages_in(url, settings.broker.namespace))}; start `jarvis up`")
    except Damaged:
        readable, records = write_out_what_can_be_read(broker, now)
        brought = f", then `jarvis import {readable}` for the part that can still be read ({count_of('record', records)})" if records else ""
        raise Damaged(
            f"the base file or the manifest in {broker.folder / 'appendonlydir'} is broken, which cannot be repaired ({broker.log}). Move that folder aside and"
            f" start `jarvis up`{brought}; publish again what the engine sent before the failure: what is known counts as a duplicate"
        ) from None
    if not all(cut.empty for cut in done.cuts):
        say("publish again what the engine sent before the failure: what is known counts as a duplicate")
        raise typer.Exit(Exit.FINDINGS)
