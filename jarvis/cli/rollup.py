"""Rolling up by hand."""

from __future__ import annotations

import sys
from datetime import date as Date
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from jarvis.cli.common import say
from jarvis.cli.context import CONTEXT
from jarvis.cli.options import parse_date
from jarvis.cli.output import print_json
from jarvis_client.contract import instants
from jarvis_client.contract.errors import Invalid
from scheduler.jobs import roll_up_accounts


def register(app: typer.Typer) -> None:
    app.command()(rollup)


def rollup(
    account: Annotated[str | None, typer.Option("--account", "-a", help="Only this account.")] = None,
    date: Annotated[str | None, typer.Option("--date", metavar="DATE", help="Read this day anew, and whatever follows from it.")] = None,
    start: Annotated[str | None, typer.Option("--from", metavar="DATE", help="Read everything from this day on anew.")] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="DATE", help="Up to this day; without it, up to the last day that has ended.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every account, every day that is due (as without any option).")] = False,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Forget what was derived and derive it anew from the recorded facts.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite-by-hand", help="Replace rows that were saved by hand, too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="What was done, as JSON on stdout.")] = False,
) -> None:
    """Bring the daily rows of figures up to date, here and now; what is up to date stays as it is.

    What has to be withheld for want of a USD rate is said on stderr, with what to send; the exit status is 0.
    """
    if date is not None and (start is not None or end is not None):
        raise typer.BadParameter("give either --date, or --from and --to", param_hint="--date")
    if everything and account is not None:
        raise typer.BadParameter("--all is every account; leave out one of the two", param_hint="--all")
    first = parse_date(date if date is not None else start, "--date" if date is not None else "--from")
    last = parse_date(date if date is not None else end, "--date" if date is not None else "--to")
    if first is not None and last is not None and last < first:
        raise typer.BadParameter(f"{end} is before {start}", param_hint="--to")
    database = CONTEXT.database()
    database.initialize()
    plan = CONTEXT.settings.rollup_plan
    with _Shown() as progress:
        try:
            done = roll_up_accounts(
                database, plan, instants.now(), [account] if account is not None else None, start=first, until=last, rebuild=rebuild,
                overwrite_by_hand=overwrite, progress=progress,
            )  # fmt: skip
        except Invalid as error:
            raise typer.BadParameter(str(error)) from error
    database.close()
    withheld = [(r.account_id, day, reason) for r in done for day, reason in r.withheld]
    if as_json:
        print_json([
            {
                "account_id": r.account_id, "through": r.through, "added": r.added, "revised": r.revised, "kept_by_hand": r.kept_by_hand,
                "withheld": [{"date": day, "reason": reason} for day, reason in r.withheld],
            }
            for r in done
        ])  # fmt: skip
    for account_id, day, reason in withheld:
        say(f"withheld: {account_id} {day}: {reason}")
    added, revised, by_hand = (sum(getattr(r, name) for r in done) for name in ("added", "revised", "kept_by_hand"))
    say(
        f"rolled up {len(done):,} account{'s' if len(done) != 1 else ''}: {added:,} rows added, {revised:,} revised"
        + (f", {by_hand:,} saved by hand left as they are" if by_hand else "")
    )


class _Shown:
    """Progress on a terminal: the account and the day that is being read."""

    def __init__(self) -> None:
        self._bar: Progress | None = None

    def __enter__(self) -> _Shown:
        if sys.stderr.isatty():
            columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self._task = self._bar.add_task("rolling up", total=None)
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, account_id: str, day: Date, share: float) -> None:
        if self._bar is not None:
            self._bar.update(self._task, description=f"{account_id} {day}", total=1.0, completed=share)
