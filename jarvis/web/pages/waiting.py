"""What waits for somebody, for people: quarantine, notes, gaps. Each with the command that settles it."""

from __future__ import annotations

import json
import shlex
from contextlib import suppress
from typing import Any

from jarvis.reading.oddities import differences
from jarvis.web import asking, cursor
from jarvis.web.desk import Reading
from jarvis.web.pages.asking import REASONS, Notes, Quarantine, Record
from jarvis.web.paging import page
from jarvis.web.problems import problem
from persistence.domain.differing import exactly
from persistence.repositories.gaps import Gap, SQLiteGapRepository
from persistence.repositories.quarantine import Filter, SQLiteQuarantineRepository
from scheduler.notes import look_for_notes

#: Of what arrived, so much is shown: a message may be as large as the broker lets it.
MOST_CHARACTERS = 20_000
#: Gaps listed; a producer that began anew may have left thousands.
MOST_GAPS = 200


def quarantine(reading: Reading, asked: Quarantine) -> dict[str, Any]:
    [after] = (None,) if asked.after is None else cursor.read(asked.after, int)
    repository = SQLiteQuarantineRepository(reading.books)
    wanted = Filter(state=None if asked.state == "all" else asked.state, account_id=asked.account, reason=asked.reason, after=after)
    found = [*repository.stream(wanted, asked.limit + 1)]
    shown = found[: asked.limit]
    following = cursor.written(shown[-1].quarantine_no) if len(found) > len(shown) else None
    return {"records": shown, "next": following, "by_reason": repository.held_by_reason(), "reasons": REASONS}


def record(reading: Reading, asked: Record) -> dict[str, Any]:
    repository = SQLiteQuarantineRepository(reading.books)
    held = repository.find(asked.number)
    if held is None:
        raise problem(404, "there is no such record", "the page of quarantine lists those that there are", parameter="number", value=asked.number)
    recorded = repository.recorded_version(held)
    return {
        "held": held, "arrived": _readable(held.raw), "recorded": None if recorded is None else exactly(recorded),
        "differences": None if recorded is None else differences(held, recorded, reading.settings.conventions),
    }  # fmt: skip


def _readable(raw: bytes) -> tuple[str, int]:
    """What arrived as a text, its JSON laid out; and how many characters of it are left out."""
    text = raw.decode("utf-8", "backslashreplace")
    with suppress(ValueError, RecursionError):  # else it is shown as it came
        text = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    return text[:MOST_CHARACTERS], max(0, len(text) - MOST_CHARACTERS)


def notes(reading: Reading, asked: Notes) -> dict[str, Any]:
    found = look_for_notes(reading.books, reading.settings.rollup_plan, reading.now, known=True).notes
    return page((note for note in found if asked.account in (None, note.account_id)), asked)


def gaps(reading: Reading, _asked: asking.Asked) -> dict[str, Any]:
    found = SQLiteGapRepository(reading.books).find_open()
    return {"gaps": [(gap, _accepting(gap)) for gap in found[:MOST_GAPS]], "more": max(0, len(found) - MOST_GAPS)}


def _accepting(gap: Gap) -> tuple[str, str]:
    """The command, and what is shown of the reason that it ends before: whoever runs it has to give one. A producer is called as its engine likes,
    so the shell is told that it is one word; and the command that it is no option, after which no option can follow."""
    numbers = f"{gap.first}-{gap.last}" if gap.last > gap.first else f"{gap.first}"
    if gap.producer.startswith("-"):
        return f"jarvis gaps accept --reason '' -- {shlex.quote(gap.producer)} {numbers}", ""
    return f"jarvis gaps accept {shlex.quote(gap.producer)} {numbers} --reason ", "…"
