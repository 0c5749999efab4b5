"""One account, for people: the sections of its report, live. What takes the longer the more was traded is a page of its own, so that the
account's page is there at once; a browser puts it below."""

from __future__ import annotations

from datetime import UTC, datetime
from datetime import date as Date
from typing import Any

from markupsafe import Markup

from jarvis.cli.times import moment_of
from jarvis.reading.accounts import balances
from jarvis.report.drawing import capital, marked
from jarvis.report.figures import Report, report_of
from jarvis.report.page import told
from jarvis.report.series import below_peak, linked_points
from jarvis.web.desk import Reading
from jarvis.web.pages.asking import Account
from jarvis.web.problems import problem
from persistence.domain.account import Account as AccountEntity
from persistence.repositories import SQLiteAccountRepository
from scheduler.notes import look_for_notes

#: The picture of the report that a browser draws anew, so that it can be looked into, by the name that the script knows it by.
LIVE = {"equity": "value", "below": "below"}


def account(reading: Reading, asked: Account) -> dict[str, Any]:
    found = _entity(reading, asked)
    report = _report(reading, asked, rows_alone=True)
    shown = {"account": found, "balances": balances(found), "report": None, "curve": None}
    if report is None:
        return shown
    said = told(report, moment_of(reading.now))
    frames = {name: Markup('<div class="chart" data-chart="{}">{}</div>').format(LIVE[name], said["pictures"][name]) for name in LIVE}
    return {**shown, **said, "pictures": {**said["pictures"], **frames}, "curve": _curve(report)}


def trades(reading: Reading, asked: Account) -> dict[str, Any]:
    found = _entity(reading, asked)
    report = _report(reading, asked)
    return {"account": found, "report": None, **({} if report is None else told(report, moment_of(reading.now)))}


def _entity(reading: Reading, asked: Account) -> AccountEntity:
    found = SQLiteAccountRepository(reading.books).find_by_id(asked.account)
    if found is None:
        raise problem(404, "there is no such account", "the page of accounts lists those that there are", parameter="account", value=asked.account)
    return found


def _report(reading: Reading, asked: Account, *, rows_alone: bool = False) -> Report | None:
    plan = reading.settings.rollup_plan
    # The page of the account says nothing of them: they stand with what is odd, below the trades.
    notes = None if rows_alone else look_for_notes(reading.books, plan, reading.now, known=True).notes
    return report_of(
        reading.books, asked.account, plan.of(asked.account), (asked.first, asked.last), asked.benchmark, notes=notes, rows_alone=rows_alone,
        fees_of=reading.fees.of,
    )  # fmt: skip


def _curve(report: Report) -> dict[str, Any]:
    """What the script draws: columns of one length, day by day, and the marks of deposits and withdrawals."""
    put_in, below = dict(capital(report)), dict(below_peak(linked_points(report.rows)))
    days = [row.date for row in report.rows]
    return {
        "days": [_seconds(day) for day in days], "value": [None if row.value is None else float(row.value) for row in report.rows],
        "capital": [put_in[day] for day in days], "below": [below.get(day) for day in days],
        "marks": [{"at": _seconds(mark.date), "kind": mark.style, "says": mark.says} for mark in marked(report)],
    }  # fmt: skip


def _seconds(day: Date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
