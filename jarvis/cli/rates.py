"""`jarvis rates`: what is known of the worth of currencies."""

from __future__ import annotations

from typing import Annotated

import typer

from jarvis.cli.common import say
from jarvis.cli.context import CONTEXT
from jarvis.cli.known import known_account
from jarvis.cli.options import Json, Wide
from jarvis.cli.output import print_json, print_rows, shown_quantity
from jarvis.cli.times import at
from jarvis_client.contract import instants
from jarvis_client.contract.decimals import ONE, canonical
from persistence.domain.showing import count_of, did_you_mean
from persistence.repositories import SQLiteRateRepository
from persistence.repositories.rates import Awaited, RateOnRecord


def register(app: typer.Typer) -> None:
    app.command()(rates)


def rates(
    currency: Annotated[str | None, typer.Argument(metavar="CURRENCY", help="Only this one.")] = None,
    account: Annotated[str | None, typer.Option("--account", "-a", help="What counts for this account, of the currencies that it ever had.")] = None,
    wide: Wide = False,
    as_json: Json = False,
) -> None:
    """List what is known of currencies in USD: from where (rate records, accounts' own, prices of fills), since when, and what waits for a rate.

    Of several the newest counts. What accounts' own records say is as the last rollup found it.
    """
    database = CONTEXT.database()
    if account is not None:
        known_account(account, "--account")
    plan = CONTEXT.settings.rollup_plan
    repository = SQLiteRateRepository(database)
    now = instants.now()
    found = repository.known(now, currency, account)
    waiting = repository.awaited(currency, account)
    usd_like = {"USD", *(plan.default if account is None else plan.of(account)).usd_like}
    said = {r.currency for r in found if r.account_id is None}
    dollars = sorted(({currency} if currency is not None else repository.held(account)) & usd_like - said)
    rows = [
        *((r.currency, canonical(r.rate.of(ONE)), r.at, _from(r), r.account_id, r.source) for r in found),
        *((code, "1", None, "counts as a dollar", None, None) for code in dollars),
    ]
    rows.sort(key=lambda row: (row[0], row[4] or ""))
    if as_json:
        columns = ("currency", "usd_rate", "since", "from", "account_id", "source")
        exact = [(code, rate, None if since is None else instants.to_text(since), *rest) for code, rate, since, *rest in rows]
        print_json({"rates": [dict(zip(columns, row, strict=True)) for row in exact], "waiting": [_waiting(w) for w in waiting]})
        return
    shown = [(code, shown_quantity(rate), at(since), _where(text, account_id, source)) for code, rate, since, text, account_id, source in rows]
    if currency is not None and not shown and not waiting:
        meant = did_you_mean(currency, {*repository.held(account), *(r.currency for r in repository.known(now, None, account))})
        raise typer.BadParameter(f"nothing is known of {currency}; {meant}", param_hint="CURRENCY")
    if currency is not None and not shown:
        say(f"nothing is known of {currency}: publish a rate record of it, or trade it against something that is known")
    else:
        print_rows("Rates", ("currency", "usd_rate", "since", "from"), shown, right=("usd_rate",), whole=("since",), timed=True, wide=wide)
    if waiting:
        heads = ("currency", "account", "first", "what")
        print_rows("Waiting for a rate", heads, [(w.currency, w.account_id, w.first, _what(w)) for w in waiting], whole=("first",), wide=wide)
        say("publish a rate record of the currency, at or before that day; `jarvis rollup` then mends the rows")


def _from(known_rate: RateOnRecord) -> str:
    if known_rate.account_id is None:
        return "rate record"
    return "carried by a record" if known_rate.carried else "derived from a record"


def _where(text: str, account_id: str | None, source: str | None) -> str:
    if account_id is not None:
        return f"{text} of {account_id}"
    return text if source is None else f"{text}, {source}"


def _what(waits: Awaited) -> str:
    if waits.detail is None:
        return f"{count_of('day', waits.times)} without a row, up to {waits.last}"
    return waits.detail + (f" (and {waits.times - 1:,} more)" if waits.times > 1 else "")


def _waiting(waits: Awaited) -> dict[str, object]:
    what = "days without a row" if waits.detail is None else "amounts without a worth"
    return {
        "currency": waits.currency, "account_id": waits.account_id, "what": what, "count": waits.times, "first": waits.first, "last": waits.last,
        "detail": waits.detail,
    }  # fmt: skip
