"""A period of `jarvis performance`: its summary, and its rows in another currency."""

from __future__ import annotations

from datetime import date as Date
from itertools import groupby

import typer

from jarvis.cli.common import Exit, say
from jarvis.cli.output import print_json, print_rows, shown_percent, shown_ratio, shown_usd
from jarvis.reading.performance import converted_row, summary, withheld_in
from jarvis_client.contract.conventions import code
from jarvis_client.contract.errors import Invalid
from jarvis_client.contract.showing import first_few
from persistence.domain.showing import count_of, lasting
from persistence.repositories.rollups import SQLiteRollupRepository
from scheduler.rollup.converted import Converter
from scheduler.rollup.options import RollupOptions
from scheduler.rollup.period import PeriodFigures
from scheduler.rollup.summary import Summary, summarise

#: The first day and the last, both included; None where there is no bound.
Days = tuple[Date | None, Date | None]
#: Columns of the daily rows that give way on a narrow terminal, the last one first.
SELDOM = ("return", "drawdown", "trades", "max_drawdown", "sharpe", "win_rate", "profit_factor", "sortino")


def tell_summary(repository: SQLiteRollupRepository, account: str, options: RollupOptions, days: Days, currency: str, *, wide: bool, as_json: bool) -> None:
    """Print the figures of a period; exits 1 where it has no row, or the currency no rate on any of its days."""
    with repository.reading(account) as books:
        found = summarise(books, options, *days, checked(currency))
    if found is None:
        say(f"{account} has no row in that period: `jarvis performance {account}` lists those it has, `jarvis rollup` brings them up to date")
        raise typer.Exit(Exit.FINDINGS)
    figures = found.figures
    withheld = withheld_in(repository.withheld(account), found, *days)
    if as_json:
        print_json(summary(account, options, found, withheld))
    else:
        _print(account, found, wide=wide)
    said = {
        "without a row": found.days_without_row, f"without a rate of {currency}": found.days_without_rate,
        "whose row has no return": figures.rows_without_return, "whose row has no profit": figures.rows_without_pnl,
    }  # fmt: skip
    missing = [f"{count:,} {what}" for what, count in said.items() if count]
    if missing:
        say(f"days from {found.looked_at[0]} to {found.looked_at[1]}: {', '.join(missing)}; returns are linked over the others")
    if found.by_hand:
        say(f"rows of the period that were saved by hand: {found.by_hand:,}; the summary is of the rollup's own")
    if withheld:
        say(f"withheld: {first_few(f'{w.date}: {w.reason}' for w in withheld)}")
    _any_rate(found.days_without_rate, figures.rows, currency)


def tell_rows(repository: SQLiteRollupRepository, account: str, options: RollupOptions, days: Days, currency: str, *, wide: bool, as_json: bool) -> None:
    """Print the rows of a period in another currency than USD; exits 1 where no row has a rate."""
    first, last = days
    with repository.reading(account) as books:
        rows = Converter(books, options, checked(currency)).rows()
        manual = [d for d, (source, _) in books.figures_from(first or Date.min).items() if source == "manual" and (last is None or d <= last)]
    rows = [r for r in rows if (first or Date.min) <= r.figures.date <= (last or Date.max)]
    if as_json:
        print_json([converted_row(r, currency) for r in rows])
    else:
        columns = (
            "date", f"value_{currency}", "pnl_day", "pnl_total", "return", "sharpe", "sortino", "drawdown", "max_drawdown", "win_rate", "profit_factor",
            "trades",
        )  # fmt: skip
        shown = [
            (
                r.figures.date, *map(shown_usd, (r.figures.value, r.figures.pnl, r.pnl_total)), shown_percent(r.figures.daily_return),
                *map(shown_ratio, (r.sharpe, r.sortino)), shown_percent(r.below_peak, signed=False), shown_percent(r.drawdown, signed=False),
                shown_percent(r.win_rate, signed=False, places=1), shown_ratio(r.profit_factor), r.trades,
            )
            for r in rows
        ]  # fmt: skip
        print_rows(f"Performance of {account} in {currency}", columns, shown, right=columns[1:], seldom=SELDOM, wide=wide)
    without = [r.figures.date for r in rows if r.rate is None]
    if without:
        say(f"no rate of {currency} is known on {count_of('day', len(without))}: {first_few(map(str, without))}")
    if manual:
        say(f"rows that were saved by hand, in USD: {len(manual):,}; shown is what the rollup has for these days")
    _any_rate(len(without), len(rows), currency)


def checked(currency: str, named: str = "--in") -> str:
    """The same code, once it can be one; `named` is the option that named it."""
    try:
        return code(currency, named)
    except Invalid as error:
        raise typer.BadParameter(str(error), param_hint=named) from None


def _any_rate(without: int, rows: int, currency: str) -> None:
    if rows and without == rows:
        say(f"nothing tells a rate of {currency}: publish a record of kind rate for it")
        raise typer.Exit(Exit.FINDINGS)


# -- for people -------------------------------------------------------------------------------------------------------


def _print(account: str, found: Summary, *, wide: bool) -> None:
    f, currency = found.figures, found.currency
    what = [
        ("rows", f"{f.rows:,}", f"in {count_of('day', f.calendar_days)}"),
        ("return", shown_percent(f.total_return), "time-weighted"),
        ("CAGR", shown_percent(f.cagr), f.no_cagr or ""),
        ("volatility", shown_percent(f.volatility, signed=False), "a year" if f.volatility is not None else ""),
        ("Sharpe", shown_ratio(f.sharpe), ""),
        ("Sortino", shown_ratio(f.sortino), ""),
        ("Calmar", shown_ratio(f.calmar), f.no_cagr or ""),
        ("max drawdown", shown_percent(f.max_drawdown, signed=False), ""),
        *(
            (name, "" if r is None else shown_percent(r.value), "" if r is None else f"{r.date}")
            for name, r in (("best day", f.best_day), ("worst day", f.worst_day))
        ),
        *(
            (name, "" if r is None else shown_percent(r.value), "" if r is None else f"{r.date:%Y-%m}")
            for name, r in (("best month", f.best_month), ("worst month", f.worst_month))
        ),
    ]
    print_rows(f"{account}, {f.first} to {f.last}", ("figure", "value", "of"), what, right=("value",))
    money = [
        ("opening value", f.opening_value), ("deposits and transfers in", f.inflow), ("withdrawals and transfers out", f.outflow), ("profit", f.pnl),
        *([("change of valuation, no profit", f.revalued)] if f.revalued else []), ("closing value", f.closing_value),
    ]  # fmt: skip
    print()
    print_rows(f"Money in {currency}", ("what", "amount"), [(name, shown_usd(value)) for name, value in money], right=("amount",))
    if f.drawdowns:
        falls = [(shown_percent(d.depth, signed=False), d.peak or "the start", d.trough, d.recovery or "open") for d in f.drawdowns]
        print()
        print_rows("Worst drawdowns", ("depth", "peak", "trough", "recovered"), falls, right=("depth",))
    _print_months(f, wide=wide)
    _print_trades(f, currency, wide=wide)


def _print_months(f: PeriodFigures, *, wide: bool) -> None:
    names = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    of_year = {r.date.year: r.value for r in f.years}
    table = []
    for year, months in groupby(f.months, key=lambda r: r.date.year):
        values = {r.date.month: r.value for r in months}
        table.append((year, *(f"{values[n]:+.2%}" if n in values else "" for n in range(1, 13)), f"{of_year[year]:+.2%}" if year in of_year else ""))
    if table:
        print()
        print_rows("Returns by month", ("year", *names, "whole"), table, right=(*names, "whole"), sideways=True, wide=wide)


def _print_trades(f: PeriodFigures, currency: str, *, wide: bool) -> None:
    columns = ("instrument", "side", "trades", "win_rate", "profit_factor", "profit", "average_win", "average_loss", "fees", "held", "held_median")
    of_all = [("all", "", f.trades)] if f.trades.trades else []
    rows = [
        (
            name, side, t.trades, shown_percent(t.win_rate, signed=False, places=1), shown_ratio(t.profit_factor), shown_usd(t.pnl), shown_usd(t.average_win),
            shown_usd(t.average_loss), shown_usd(t.fees), _duration(t.average_holding), _duration(t.median_holding),
        )
        for name, side, t in [*of_all, *f.by_instrument]
    ]  # fmt: skip
    print()
    seldom = ("average_win", "average_loss", "fees", "profit_factor", "held_median", "held")
    print_rows(f"Trades closed, in {currency}", columns, rows, right=columns[2:], seldom=seldom, none="no trade was closed", wide=wide)


def _duration(microseconds: int | None) -> str:
    if microseconds is None:
        return ""
    return lasting(microseconds / 1_000_000)
