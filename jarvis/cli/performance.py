"""`jarvis performance`: daily rows, where they come from, how they changed."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Any

import typer

from jarvis.cli.common import Exit, say
from jarvis.cli.context import CONTEXT
from jarvis.cli.curve import labelled
from jarvis.cli.help import Group
from jarvis.cli.known import known_account
from jarvis.cli.options import Json, Wide, parse_date
from jarvis.cli.output import print_json, print_rows, shown_percent, shown_ratio, shown_usd
from jarvis.cli.period import SELDOM, tell_rows, tell_summary
from jarvis.cli.times import at, moment_of
from jarvis.reading.performance import daily_rows, days_between
from jarvis_client.contract.decimals import canonical
from jarvis_client.contract.instants import to_text
from jarvis_client.contract.showing import first_few
from persistence.domain.rollup import name_and_kind
from persistence.domain.showing import count_of
from persistence.repositories.rollups import SQLiteRollupRepository
from scheduler.rollup.explain import explain as explained

Account = Annotated[str, typer.Argument(metavar="ACCOUNT", help="The account's id.")]
Day = Annotated[str, typer.Argument(metavar="DATE", help="The day in the account's zone, such as 2026-11-22.")]
#: Of a day's fills, so many are shown to people.
FILLS_SHOWN = 20


def register(app: typer.Typer) -> None:
    group = typer.Typer(cls=_AccountFirst, help="Daily figures: rows, where they come from, how they changed.", no_args_is_help=True)
    group.command("list")(list_)
    group.command("explain")(explain)
    group.command("history")(history)
    app.add_typer(group, name="performance")


class _AccountFirst(Group):
    """`jarvis performance ACCOUNT` is short for `jarvis performance list ACCOUNT`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            args = ["list", *args]
        return super().parse_args(ctx, args)


def list_(
    account: Account,
    start: Annotated[str | None, typer.Option("--from", metavar="DATE", help="From this day on.")] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="DATE", help="Up to this day, included.")] = None,
    summary: Annotated[bool, typer.Option("--summary", help="The figures of the period as a whole instead of its rows.")] = False,
    currency: Annotated[
        str, typer.Option("--in", metavar="CURRENCY", help="Money in this currency, at each day's rate; ratios of the converted values.")
    ] = "USD",
    wide: Wide = False,
    as_json: Json = False,
) -> None:
    """Show an account's daily rows: `jarvis performance ACCOUNT` does the same.

    A row marked * was saved by hand; ! has a warning, which `jarvis performance explain` tells. drawdown is how far the day lies below the
    peak so far, max drawdown the deepest there was.
    """
    database = CONTEXT.database()
    known_account(account)
    first, last = parse_date(start, "--from"), parse_date(end, "--to")
    if first is not None and last is not None and last < first:
        raise typer.BadParameter(f"{last} is before {first}", param_hint="--to")
    repository = SQLiteRollupRepository(database)
    if summary:
        tell_summary(repository, account, CONTEXT.settings.rollup_plan.of(account), (first, last), currency, wide=wide, as_json=as_json)
        return
    if currency != "USD":
        tell_rows(repository, account, CONTEXT.settings.rollup_plan.of(account), (first, last), currency, wide=wide, as_json=as_json)
        return
    if as_json:
        with repository.reading(account) as books:
            print_json(daily_rows(books, first, last))
        return
    with repository.reading(account) as books:
        figures, rows = days_between(books, first, last)
    shown = []
    for day, (source, values) in sorted(figures.items()):
        worth, daily, total, *ratios, trades = values
        row = rows.get(day)
        mark = ("*" if source == "manual" else "") + ("!" if row is not None and row.warnings else "")
        sharpe, sortino, deepest, win_rate, profit_factor = ratios
        shown.append((
            f"{day}{mark}", *map(shown_usd, (worth, daily, total)), shown_percent(None if row is None else row.daily_return), shown_ratio(sharpe),
            shown_ratio(sortino), shown_percent(None if row is None else row.depth - 1, signed=False), shown_percent(deepest, signed=False),
            shown_percent(win_rate, signed=False, places=1), shown_ratio(profit_factor), trades,
        ))  # fmt: skip
    columns = (
        "date", "value_usd", "pnl_day", "pnl_total", "return", "sharpe", "sortino", "drawdown", "max_drawdown", "win_rate", "profit_factor", "trades",
    )  # fmt: skip
    print_rows(f"Performance of {account}", columns, shown, right=columns[1:], seldom=SELDOM, none=f"{account} has no row in that period", wide=wide)
    worths = [float(found[0]) for _, (_, found) in sorted(figures.items())]
    if len(worths) > 1:
        print(f"\n{labelled(worths, f'value, {min(figures)} to {max(figures)}')}")
    for withheld in repository.withheld(account):
        say(f"withheld: {withheld.date}: {withheld.reason}")


def explain(account: Account, day: Day, wide: Wide = False, as_json: Json = False) -> None:
    """Show what the figures of a day come from: closes, flows, trades, fills, and what the engine reported itself."""
    database = CONTEXT.database()
    known_account(account)
    date = parse_date(day, "DATE")
    assert date is not None
    options = CONTEXT.settings.rollup_plan.of(account)
    found = explained(database, account, options, date)
    row, previous = found.row, found.previous
    if as_json:
        print_json(_as_json(found))
        return
    if not found.figures and row is None:
        reasons = first_few(f"{w.date}: {w.reason}" for w in found.withheld)
        say(
            f"{account} has no row for {date}"
            + (
                f": withheld, {reasons}"
                if reasons
                else ": no snapshot that day, nothing that moved in an account without snapshots, or not rolled up yet (jarvis rollup)"
            )
        )
        raise typer.Exit(Exit.FINDINGS)
    title = f"Figures of {account} on {date} ({found.source or 'none stored'})"
    print_rows(title, ("figure", "ours", "reported", "difference"), _beside(found.figures, found.reported), right=("ours", "reported", "difference"), wide=wide)
    if row is None:
        say("this row was saved by hand; the rollup has none of its own for the day")
        return
    worth = "snapshot" if row.close_fact_no is not None else "books valued at the latest known rates"
    before = ("", "none: the first row") if previous is None else (canonical(previous.value), f"row of {previous.date}, {moment_of(previous.close_at)}")
    profit = [
        ("close", canonical(row.value), f"{worth} at {moment_of(row.close_at)}"),
        ("previous close", *before),
        ("inflows", canonical(row.inflow), f"{sum(f.amount > 0 for f in found.flows)} since the previous close"),
        ("outflows", canonical(row.outflow), f"{sum(f.amount < 0 for f in found.flows)} since the previous close"),
        ("pnl_daily", _exact(row.pnl_daily) or "withheld", "close - previous close - inflows + outflows"),
        ("daily return", "" if row.daily_return is None else repr(row.daily_return), f"{options.flow_timing}, of {row.observations} observations so far"),
        ("warnings", row.warnings or "none", ""),
    ]
    print_rows("Profit", ("what", "usd", "from"), profit, right=("usd",), wide=wide)
    flows = [(at(f.instant), f.record_id, canonical(f.amount), f.currency, shown_usd(f.usd), "yes" if f.given else "estimated") for f in found.flows]
    print_rows(
        "Flows", ("instant", "id", "amount", "currency", "usd", "given"), flows, right=("amount", "usd"), whole=("instant", "currency"), timed=True, wide=wide
    )
    trades = [
        (day, name_and_kind(t.position)[0], t.direction, at(t.opened_at), at(t.closed_at), t.fills, canonical(t.peak), shown_usd(t.pnl), shown_usd(t.fees))
        for day, t in found.trades
    ]
    trade_columns = ("date", "instrument", "direction", "opened", "closed", "fills", "peak", "pnl_usd", "fees_usd")
    print_rows(
        "Trades closed since the previous row", trade_columns, trades, right=trade_columns[5:], whole=("opened", "closed"),
        seldom=("fills", "peak", "fees_usd", "date", "opened"), timed=True, wide=wide,
    )  # fmt: skip
    fills = [
        (at(f["instant"]), f["fill_id"], f["symbol"], f["side"], f["quantity"], f["price"], f"{f['fee']} {f['fee_currency']}", shown_usd(f["realised_usd"]))
        for f in found.fills[:FILLS_SHOWN]
    ]
    fill_columns = ("instant", "fill_id", "symbol", "side", "quantity", "price", "fee", "realised_usd")
    title = f"Fills of the day, realised before fees by {options.cost_basis}"
    print_rows(title, fill_columns, fills, right=fill_columns[4:], whole=("instant",), below=("fill_id",), seldom=("fee",), timed=True, wide=wide)
    if len(found.fills) > FILLS_SHOWN:
        say(f"and {count_of('more fill', len(found.fills) - FILLS_SHOWN)}: --json has them all")


def history(account: Account, day: Day, wide: Wide = False, as_json: Json = False) -> None:
    """Show how the figures of a day were revised: what they said, what they say, which facts caused it, when."""
    database = CONTEXT.database()
    known_account(account)
    date = parse_date(day, "DATE")
    assert date is not None
    found = SQLiteRollupRepository(database).revisions(account, date)
    if as_json:
        print_json([{"revised_at": to_text(r.revised_at), "cause": r.cause, "facts": r.facts, "before": r.before, "after": r.after} for r in found])
        return
    rows: list[Sequence[Any]] = []
    for revision in found:
        facts = ", ".join(f"{f['kind']} {f['id']}" if "id" in f else f"and {f['more']:,} more" for f in revision.facts)
        before, after = revision.before or {}, revision.after or {}
        changed = [n for n in {**before, **after} if before.get(n) != after.get(n)]
        for i, name in enumerate(changed):
            head = (at(revision.revised_at), revision.cause + (f": {facts}" if facts else "")) if i == 0 else ("", "")
            rows.append((*head, name, _exact(before.get(name)) or ("no row" if not before else ""), _exact(after.get(name)) or ("no row" if not after else "")))
    print_rows(
        f"Revisions of {account} on {date}", ("revised_at", "cause", "figure", "before", "after"), rows, right=("before", "after"), whole=("revised_at",),
        timed=True, none=f"the figures of {account} on {date} were never revised", wide=wide,
    )  # fmt: skip


def _beside(figures: dict[str, Any], reported: dict[str, Any]) -> list[tuple[Any, ...]]:
    rows = []
    for name, ours in figures.items():
        theirs = reported.get(name)
        known = ours is not None and theirs is not None
        difference = (Decimal(str(ours)) - Decimal(str(theirs))) if known else None
        rows.append((name, "undefined" if ours is None else ours, theirs, difference))
    return rows


def _as_json(found: Any) -> dict[str, Any]:
    row = found.row
    plain = {} if row is None else {n: canonical(v) if isinstance(v, Decimal) else v for n, v in row._asdict().items()} | {"drawdown": row.depth - 1}
    flows = [
        {"instant": to_text(f.instant), "id": f.record_id, "amount": canonical(f.amount), "currency": f.currency, "usd": _exact(f.usd), "given": f.given}
        for f in found.flows
    ]
    trades = [
        {
            "date": d, **dict(zip(("instrument", "kind"), name_and_kind(t.position), strict=True)), **{k: v for k, v in t._asdict().items() if k != "position"},
            "opened_at": to_text(t.opened_at), "closed_at": to_text(t.closed_at), "peak": canonical(t.peak), "pnl": _exact(t.pnl),
            "fees": _exact(t.fees),
        }
        for d, t in found.trades
    ]  # fmt: skip
    reported = [
        {"figure": name, "ours": ours, "reported": None if theirs is None else str(theirs), "difference": _exact(difference)}
        for name, ours, theirs, difference in _beside(found.figures, found.reported)
        if theirs is not None
    ]
    return {
        "account_id": found.account_id, "date": found.date, "source": found.source, "valuation": found.valuation, "figures": found.figures,
        "reported": reported, "row": plain or None,
        "previous_close": None if found.previous is None else {"date": found.previous.date, "value": canonical(found.previous.value)},
        "flows": flows, "trades": trades,
        "fills": [{**f, "instant": to_text(f["instant"]), "realised_usd": _exact(f["realised_usd"])} for f in found.fills],
        "withheld": [{"date": w.date, "reason": w.reason} for w in found.withheld],
    }  # fmt: skip


def _exact(value: Any) -> str | None:
    return canonical(value) if isinstance(value, Decimal) else None if value is None else str(value)
