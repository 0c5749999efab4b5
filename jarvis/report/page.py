"""A report as a page: figures and pictures put into the templates. What comes from outside is escaped there, whatever it holds."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from jinja2 import BaseLoader, Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from jarvis.cli.output import shown_percent, shown_quantity, shown_usd
from jarvis.report import lists
from jarvis.report.definitions import DEFINITIONS
from jarvis.report.drawing import colours, drawn, marked
from jarvis.report.figures import Report
from jarvis.report.series import MOST_BARS, rolling
from jarvis_client.contract.instants import to_datetime
from persistence.domain.showing import count_of, lasting
from persistence.repositories.report import NAMED
from scheduler.rollup.days import day_of
from scheduler.rollup.period import DatedReturn

FOLDER = Path(__file__).with_name("templates")
_STYLE = (FOLDER / "report.css").read_text(encoding="utf-8")
_DIGEST = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
#: The page may wear its own style and do nothing else: no script, no request, no form, whatever a name in it says.
POLICY = f"default-src 'none'; style-src 'sha256-{_DIGEST}'; base-uri 'none'; form-action 'none'"

#: Characters that a card of a figure holds in its own size, and in a smaller one; beyond, in the smallest, over two lines.
FITTING, FITTING_SMALLER = 12, 15


def dressed(loader: BaseLoader) -> Environment:
    """Templates with what those of a report use. `jarvis web` puts its own beside them, which frame the same sections."""
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.globals.update(definitions=DEFINITIONS, style=Markup(_STYLE), policy=POLICY, count_of=count_of)  # noqa: S704 - the style is a file of ours
    environment.filters.update(
        {
            "usd": shown_usd,
            "quantity": shown_quantity,
            "percent": lambda value: shown_percent(value, places=2),
            "share": lambda value: shown_percent(value, signed=False, places=2),
            "rate": lambda value: shown_percent(value, signed=False, places=1),
            "ratio": lambda value: "" if value is None else f"{value:z.2f}",
            "fee": lambda value: shown_usd(Decimal(repr(value))) if value else "",
            "breaking": lambda shown: Markup(",<wbr>").join(shown.split(",")) if len(shown) > FITTING_SMALLER else shown,
            "fitting": lambda shown: "" if len(shown) <= FITTING else "long" if len(shown) <= FITTING_SMALLER else "longer",
            "number": lambda value: "" if value is None else f"{value:,}",
            "held": lambda microseconds: "" if microseconds is None else lasting(microseconds // 1_000_000),
            "tone": lambda value: "" if not value else "up" if value > 0 else "down",
        }
    )
    return environment


_ENVIRONMENT = dressed(FileSystemLoader(FOLDER))


def page(report: Report, made_at: str) -> str:
    """The page, whole. `made_at` is when, for people."""
    return _ENVIRONMENT.get_template("report.html").render(told(report, made_at))


def told(report: Report, made_at: str) -> dict[str, Any]:
    """What the template of a report is given."""
    zone = report.options.zone
    returns = [DatedReturn(r.date, r.daily_return) for r in report.rows if r.daily_return is not None]
    turned = rolling(returns, report.options)
    return {
        "report": report, "summary": report.summary, "figures": report.summary.figures, "quality": report.quality, "named": NAMED, "made_at": made_at,
        "turned": turned, "pictures": {name: Markup(svg) for name, svg in drawn(report, turned).items()},  # noqa: S704 - pictures.py escapes every text
        "colours": colours(report), "marked": bool(marked(report)), "by_week": len(report.rows) > MOST_BARS, "months": lists.months(report),
        "fees": lists.fees(report), "by_instrument": lists.grouped(report.trades, lambda trade: trade.instrument),
        "by_side": lists.grouped(report.trades, lambda trade: trade.side), "best": lists.extremes(report.trades, best=True),
        "worst": lists.extremes(report.trades, best=False), "most": lists.MOST_LISTED,
        "day_of": lambda instant: "" if instant is None else f"{day_of(instant, zone)}",
        "moment_of": lambda instant: f"{to_datetime(instant):%Y-%m-%d %H:%M} UTC",
    }  # fmt: skip


def index(entries: Sequence[tuple[str, str, Report]], without: Sequence[str], made_at: str) -> str:
    """The page that leads to the others: (account, file, report) each, and the accounts that have no figures."""
    return _ENVIRONMENT.get_template("index.html").render(entries=entries, without=without, made_at=made_at)


__all__ = ["FOLDER", "POLICY", "dressed", "index", "page", "told"]
