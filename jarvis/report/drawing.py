"""The pictures of a report, by name."""

from __future__ import annotations

from datetime import date as Date
from decimal import Decimal

from jarvis.cli.output import shown_usd
from jarvis.report import pictures
from jarvis.report.figures import Report
from jarvis.report.pictures import Bar, Line, Mark
from jarvis.report.series import MOST_BARS, Point, Rolling, below_peak, by_week, linked_points, sampled, spread_of
from jarvis_client.contract.decimals import EXACT, ZERO
from persistence.domain.showing import count_of

#: Currencies that have a colour of their own; the others share one.
COLOURS = 6
REST = "all others"
#: What a picture of returns spans that are all nothing: one percent, up and down.
FLAT = 0.01
#: Marks of single flows that can be told apart; beyond, the line of capital tells.
MOST_MARKS = 60


def drawn(report: Report, turned: Rolling) -> dict[str, str]:
    """Every picture as SVG; an empty text where there is nothing to draw."""
    grown = linked_points(report.rows)
    beside = [(day, worth / report.benchmark[0][1] - 1) for day, worth in report.benchmark]
    since = beside[:1] if beside and beside[0][0] < report.summary.figures.first else []
    return {
        "equity": _equity(report),
        "growth": pictures.lines(
            "Return since the beginning of the period",
            [Line("value", sampled([*since, *grown] if grown else [])), *([Line("beside", sampled(beside))] if beside else [])], percent, zero=True, flat=FLAT,
        ),
        "below": pictures.lines("Below the peak", [Line("down", sampled(below_peak(grown)))], percent, area=True, flat=FLAT, height=150),
        "profit": _profit(report),
        "spread": _spread(report),
        "sharpe": pictures.lines("Rolling Sharpe ratio", [Line("value", turned.sharpe)], lambda v: f"{v:g}", zero=True, height=150),
        "volatility": pictures.lines("Rolling volatility, a year", [Line("value", turned.volatility)], percent, zero=True, flat=FLAT, height=150),
        "exposure": _exposure(report),
        "beside": _beside(report),
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
    """Dollars beside an axis: 1,500 · 20k · 3M · 1e18."""
    for least, size, letter in ((1e12, 1e12, "T"), (1e9, 1e9, "B"), (1e6, 1e6, "M"), (1e4, 1e3, "k")):
        if least <= abs(value) < 1e18:
            return f"{value / size:,.10g}{letter}"
    return f"{value:,.10g}".replace("e+", "e").replace("e-0", "e-")


def percent(value: float) -> str:
    return f"{value * 100:,.10g}%".replace("e+", "e").replace("e-0", "e-")


def _signed(value: float) -> str:
    return f"{value * 100:+z.4g}%"


def _usd(value: float) -> str:
    """Dollars told on hover."""
    return f"{shown_usd(Decimal(repr(value)))} USD"


def _apart(name: str) -> str:
    """A name within a sentence, marked as a text of its own: an Arabic or Hebrew one would turn the numbers around it."""
    return name if name.isascii() else f"\N{FIRST STRONG ISOLATE}{name}\N{POP DIRECTIONAL ISOLATE}"


def _equity(report: Report) -> str:
    value = [(r.date, float(r.value)) for r in report.rows if r.value is not None]
    lines = [Line("capital", sampled(capital(report)), stepped=True), Line("value", sampled(value))]
    label = "Value of the account, and the capital that was put in, in USD"
    return pictures.lines(label, lines, money, marks=marked(report), height=260)


def _beside(report: Report) -> str:
    if report.beside is None:
        return ""
    both = [Line("value", sampled(report.beside.our_points)), Line("beside", sampled(report.beside.their_points))]
    return pictures.lines("Returns of both accounts since the first day of both", [line for line in both if line.points], percent, zero=True, flat=FLAT)


def capital(report: Report) -> list[Point]:
    """What was put in so far, day by day."""
    put_in = report.summary.figures.opening_value or ZERO
    found: list[Point] = []
    for row in report.rows:
        put_in = EXACT.subtract(EXACT.add(put_in, row.inflow or ZERO), row.outflow or ZERO)
        found.append((row.date, float(put_in)))
    return found


def _profit(report: Report) -> str:
    days = [(r.date, float(r.pnl)) for r in report.rows if r.pnl is not None]
    whole = by_week(days) if len(report.rows) > MOST_BARS else days
    what = "week of " if len(report.rows) > MOST_BARS else ""
    bars = [Bar([("up" if value > 0 else "down", value)], f"{what}{day}: {'+' if value > 0 else ''}{_usd(value)}") for day, value in whole]
    return pictures.bars("Profit and loss in USD", bars, money, pictures.days_below([day for day, _ in whole]))


def _spread(report: Report) -> str:
    bins = spread_of([r.daily_return for r in report.rows if r.daily_return is not None])
    bars = [Bar([("up" if b.least >= 0 else "down", float(b.days))], f"{_signed(b.least)} to {_signed(b.beyond)}: {count_of('day', b.days)}") for b in bins]
    ends = [_signed(bins[0].least), _signed(bins[-1].beyond)] if bins else []
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
        bars.append(Bar(sorted(parts.items()), f"{day}: " + ", ".join(f"{_apart(name)} {_usd(usd)}" for name, usd in greatest)))
        days.append(day)
    return pictures.bars("What was held of each currency, in USD", bars, money, pictures.days_below(days))


__all__ = ["capital", "colours", "drawn", "marked"]
