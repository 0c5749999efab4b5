"""The processes that run over the data folder, by the locks that they hold: whether they are of the version that is installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from jarvis.doctor.case import Case
from jarvis.doctor.diagnosis import Diagnosis, not_checked, warning, well
from jarvis.embedded_broker import LAUNCHER_LOCK
from jarvis.settings import Settings
from persistence.files import is_locked
from persistence.holders import Holder, holder_of
from persistence.program import program_version


def look(_case: Case, settings: Settings) -> Iterator[Diagnosis]:
    folder = settings.data_folder
    locks = [folder / "jarvis.lock", folder / "broker" / LAUNCHER_LOCK, *sorted(folder.glob("worker-*.lock")), folder / "scheduler.lock"]
    nobody = True
    for lock in locks:
        try:
            if not is_locked(lock):
                continue
        except OSError as error:
            nobody = False
            yield not_checked("process", f"{lock}: {error.strerror}", "run this as the user whom the books belong to, or as root")
            continue
        nobody = False
        yield _judge(lock, holder_of(lock))
    if nobody:
        yield well("processes", f"none runs over {folder}")


def _judge(lock: Path, holder: Holder) -> Diagnosis:
    installed, name = program_version(), str(holder)
    if holder.version is None:
        return not_checked("process", f"{name}: {lock.name} does not tell its version", "if it ran before the last upgrade, restart it")
    if holder.version != installed:
        value = f"{name} is jarvis {holder.version}"
        return warning("process", value, f"{installed} is installed: it goes on with the old program until it ends", "restart it")
    gone = ""
    if holder.process is not None:
        with suppress(OSError):
            gone = str(Path(f"/proc/{holder.process.pid}/exe").readlink())
    if gone.endswith(" (deleted)"):
        rule = "its Python was replaced while it ran: what it loads later comes from another version"
        return warning("process", f"{name} runs {gone}", rule, "restart it")
    return well("process", f"{name}, jarvis {holder.version}")
