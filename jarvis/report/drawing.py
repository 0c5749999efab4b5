"""The pictures of a report, by name."""

from __future__ import annotations

from datetime import date as Date

from jarvis.cli.output import shown_usd
from jarvis.report import pictures
from jarvis.report.figures import Report
from jarvis.report.pictures import Bar, Line, Mark
from jarvis.report.series import MOST_BARS, Point, Rolling, by_week, sampled, spread_of
from jarvis_client.contract.decimals import EXACT, ZERO
from persistence.domain.showing import count_of

#: Currencies that have a colour of their own; the others share one.
COLOURS = 6
REST = "all others"
#: Marks of single flows that can be told apart; beyond, the line of capital tells.
MOST_MARKS = 60


def drawn(report: Report, turned: Rolling) -> dict[str, str]:
    """Every picture as SVG; an empty text where there is nothing to draw."""
    grown, below = indexed(report)
    beside = [(day, worth / report.benchmark[0][1] - 1) for day, worth in report.benchmark]
    return {
        "equity": _equity(report),
        "growth": pictures.lines(
            "Return since the beginning of the period",
            [Line("value", sampled(grown)), *([Line("beside", sampled(beside))] if beside else [])], percent, zero=True,
        ),
        "below": pictures.lines("Below the peak", [Line("down", sampled(below))], percent, area=True, height=150),
        "profit": _profit(report),
        "spread": _spread(report),
        "sharpe": pictures.lines("Rolling Sharpe ratio", [Line("value", turned.sharpe)], lambda v: f"{v:g}", zero=True, height=150),
        "volatility": pictures.lines("Rolling volatility, a year", [Line("value", turned.volatility)], percent, zero=True, height=150),
        "exposure": _exposure(report),
    }  # fmt: skip


def marked(report: Report) -> list[Mark]:
    """The deposits and withdrawals that are marked in the picture of the value; none where they would be too many to tell apart."""
    marks = []
    for row in report.rows:
        for amount, style, what in ((row.inflow, "in", "deposited"), (row.outflow, "out", "withdrawn")):
            if amount:
                marks.append(Mark(row.date, style, f"{row.date}: {shown_usd(amount)} USD {what}"))
    return marks if len(marks) <= MOST_MARKS else []


def colours(report: Report) -> list[tuple[str, str]]:
    """(class, currency) of what is drawn of the exposure, the greatest first."""
    greatest: dict[str, float] = {}
    for _, held in report.exposure:
        for name, usd in held.items():
            greatest[name] = max(greatest.get(name, 0.0), abs(usd or 0.0))
    names = sorted((n for n, usd in greatest.items() if usd), key=lambda name: (-greatest[name], name))
    own = [(f"c{n}", name) for n, name in enumerate(names[:COLOURS])]
    return [*own, ("c-rest", REST)] if len(names) > COLOURS else own


def money(value: float) -> str:
    """Dollars beside an axis: 1,500 · 20k · 3M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{value / min(size, 1e3 if letter == 'k' else size):,g}{letter}"
    return f"{value:,.10g}"


def percent(value: float) -> str:
    return f"{value * 100:,.6g}%"


def _equity(report: Report) -> str:
    value = [(r.date, float(r.value)) for r in report.rows if r.value is not None]
    lines = [Line("capital", sampled(capital(report)), stepped=True), Line("value", sampled(value))]
    label = "Value of the account, and the capital that was put in, in USD"
    return pictures.lines(label, lines, money, marks=marked(report), height=260)


def capital(report: Report) -> list[Point]:
    """What was put in so far, day by day."""
    put_in = report.summary.figures.opening_value or ZERO
    found: list[Point] = []
    for row in report.rows:
        put_in = EXACT.subtract(EXACT.add(put_in, row.inflow or ZERO), row.outflow or ZERO)
        found.append((row.date, float(put_in)))
    return found


def indexed(report: Report) -> tuple[list[Point], list[Point]]:
    """What the linked returns come to, and how far that lies below its peak, day by day."""
    grown: list[Point] = []
    below: list[Point] = []
    index = peak = 1.0
    for row in report.rows:
        if row.daily_return is not None:
            index *= 1.0 + row.daily_return
            peak = max(peak, index)
            grown.append((row.date, index - 1))
            below.append((row.date, index / peak - 1))
    return grown, below


def _profit(report: Report) -> str:
    days = [(r.date, float(r.pnl)) for r in report.rows if r.pnl is not None]
    whole = by_week(days) if len(report.rows) > MOST_BARS else days
    what = "week of " if len(report.rows) > MOST_BARS else ""
    bars = [Bar([("up" if value > 0 else "down", value)], f"{what}{day}: {value:+,.2f} USD") for day, value in whole]
    return pictures.bars("Profit and loss in USD", bars, money, pictures.days_below([day for day, _ in whole]))


def _spread(report: Report) -> str:
    bins = spread_of([r.daily_return for r in report.rows if r.daily_return is not None])
    bars = [Bar([("up" if b.least >= 0 else "down", float(b.days))], f"{b.least:+.2%} to {b.beyond:+.2%}: {count_of('day', b.days)}") for b in bins]
    ends = [f"{bins[0].least:+.1%}", f"{bins[-1].beyond:+.1%}"] if bins else []
    return pictures.bars("How many days had a return of which size", bars, lambda v: f"{v:g}", ends, height=160)


def _exposure(report: Report) -> str:
    style_of = {name: style for style, name in colours(report)}
    bars, days = [], list[Date]()
    for day, held in report.exposure:
        parts: dict[str, float] = {}
        for name, usd in held.items():
            if usd:
                style = style_of.get(name, "c-rest")
                parts[style] = parts.get(style, 0.0) + usd
        greatest = sorted(((name, usd) for name, usd in held.items() if usd), key=lambda held: -abs(held[1]))[:COLOURS]
        bars.append(Bar(sorted(parts.items()), f"{day}: " + ", ".join(f"{name} {usd:,.0f}" for name, usd in greatest)))
        days.append(day)
    return pictures.bars("What was held of each currency, in USD", bars, money, pictures.days_below(days))


__all__ = ["capital", "colours", "drawn", "indexed", "marked"]
