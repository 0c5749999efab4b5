"""One table of the books into one file: what is stored and what is computed, by hand and by the timetable."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, TextIO

from jarvis_client.contract import instants
from jarvis_client.contract.errors import Invalid, Unavailable
from persistence import exports
from persistence.domain.errors import WrongFolder
from persistence.engine.contract import LiveBooks
from persistence.files import make_last_folder
from persistence.repositories.rollups import SQLiteRollupRepository
from scheduler.rollup.options import RollupPlan
from scheduler.rollup.tables import COMPUTED, Period

#: What is told for one moment: it has no beginning.
MOMENTARY = ("balances", *(name for name, table in COMPUTED.items() if not table.bounds))


@dataclass(frozen=True, slots=True)
class Wanted:
    """An export as it is asked for. `accounts` None: all there are; `start` included, `end` not, in microseconds UTC. `raw` leaves texts in CSV
    as they are that a spreadsheet would run."""

    table: str
    form: str = "csv"
    accounts: tuple[str, ...] | None = None
    start: int | None = None
    end: int | None = None
    raw: bool = False


def write(database: LiveBooks, plan: RollupPlan, wanted: Wanted, out: TextIO, tell: Callable[[str], None] = lambda said: None) -> int:
    """Write an export to an open text file, Parquet to the binary file behind it. Returns the number of rows.

    Raises `Invalid` for an account that does not exist.
    """
    known = SQLiteRollupRepository(database).account_ids()
    if missing := sorted(set(wanted.accounts or ()) - set(known)):
        raise Invalid(f"account {missing[0]} does not exist; `jarvis accounts` lists those that do")
    computed = COMPUTED.get(wanted.table)
    if computed is None:
        bounds = (None if i is None else instants.to_datetime(i) for i in (wanted.start, wanted.end))
        return exports.write(database, wanted.table, wanted.accounts, wanted.form, out, *bounds, raw=wanted.raw, tell=tell)
    repository, period = SQLiteRollupRepository(database), Period(wanted.start, wanted.end, instants.now())
    rows: list[tuple[Any, ...]] = []
    for account_id in known if wanted.accounts is None else sorted(set(wanted.accounts)):
        with repository.reading(account_id) as books:
            rows += computed.rows(books, plan.of(account_id), period)
    return exports.write_rows(computed.columns, rows, wanted.form, out, raw=wanted.raw, tell=tell)


@dataclass(frozen=True, slots=True)
class Standing:
    """An export that the timetable makes: into `folder`, everything up to the end of the last day in UTC or, with `days`, so many days of it."""

    wanted: Wanted
    folder: Path
    days: int | None = None


def write_standing(chosen: Mapping[str, Standing], plan: RollupPlan) -> Callable[..., Any]:
    """The job that writes each of some exports, by name, into NAME-DATE.FORM: DATE is the last day of it. A second run of one day replaces
    its files, so they also have what came late."""

    def run(database: LiveBooks, slot: int) -> Any:
        if not chosen:
            raise Invalid("there is nothing to export: name it under exports: in scheduler.yaml, and restart the scheduler")
        midnight = instants.to_datetime(slot).replace(hour=0, minute=0, second=0, microsecond=0)
        written, failed, told = {}, [], list[str]()
        for name, export in chosen.items():
            start = None if export.days is None else instants.to_instant(midnight - timedelta(days=export.days))
            path = export.folder / f"{name}-{(midnight - timedelta(days=1)).date()}.{export.wanted.form}"
            try:
                wanted = bounded(export.wanted, start, instants.to_instant(midnight))
                make_last_folder(export.folder)
                said: list[str] = []
                written[path.name] = into_file(database, plan, wanted, path, said.append)
                told += [f"{path.name}: {one}" for one in said]
            except (Invalid, Unavailable, WrongFolder) as error:
                failed.append(f"{name}: {error}")
        if failed:
            raise Unavailable(f"{len(failed)} of {len(chosen)} exports could not be written, the others were: {'; '.join(failed)}")
        return {"rows": written, **({"note": told} if told else {})}

    return run


def bounded(wanted: Wanted, start: int | None, end: int) -> Wanted:
    """The same for a period; what is told for one moment is told for its end."""
    if wanted.table in exports.TABLES and wanted.table in MOMENTARY:
        return wanted
    return replace(wanted, start=None if wanted.table in MOMENTARY else start, end=end)


def into_file(database: LiveBooks, plan: RollupPlan, wanted: Wanted, path: Path, tell: Callable[[str], None]) -> int:
    """Write an export into a file, which appears whole or not at all. Returns the number of rows."""
    return exports.into_file(path, lambda out: write(database, plan, wanted, out, tell))


__all__ = ["MOMENTARY", "Standing", "Wanted", "into_file", "write", "write_standing"]
