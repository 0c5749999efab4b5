"""Rolling up by hand."""

from __future__ import annotations

from typing import Annotated

import typer

from jarvis.cli.common import say
from jarvis.cli.context import CONTEXT
from jarvis.cli.known import known_account
from jarvis.cli.options import parse_date
from jarvis.cli.output import doing, print_json
from jarvis_client.contract import instants
from jarvis_client.contract.errors import Invalid
from persistence.domain.showing import count_of
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
    if account is not None:
        known_account(account, "--account")
    plan = CONTEXT.settings.rollup_plan
    with doing("rolling up", wanted=not as_json) as progress:
        try:
            done = roll_up_accounts(
                database, plan, instants.now(), [account] if account is not None else None, start=first, until=last, rebuild=rebuild,
                overwrite_by_hand=overwrite, progress=lambda of, day, share: progress(f"rolling up {of}, {day}", round(share * 1_000), 1_000),
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
        f"rolled up {count_of('account', len(done))}: {count_of('row', added)} added, {revised:,} revised"
        + (f", {by_hand:,} saved by hand left as they are" if by_hand else "")
    )
