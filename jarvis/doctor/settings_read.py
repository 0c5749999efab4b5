"""What was read of the settings, what overrides it, and what nobody reads."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from jarvis.doctor.case import Case
from jarvis.doctor.diagnosis import Diagnosis, not_checked, problem, warning, well
from jarvis.settings_sources import ENVIRONMENT_PREFIX, FILES, unread_files, usable_path


def look(case: Case) -> Iterator[Diagnosis]:
    for text in case.problems:
        yield problem("settings", text)
    if case.problems:
        yield not_checked("what they name", "books, folders, broker, secrets, processes, and whether units fit them", "correct the settings first")
    where = usable_path(str(case.config))
    if where is None:
        return
    folder = Path(where)
    read = [name for name in FILES if (folder / name).is_file()]
    yield well("files", f"{folder.absolute()}: {', '.join(read)}" if read else f"none in {folder.absolute()}; every setting has its default")
    told = "\n".join(case.problems)
    for name in unread_files(folder):
        if str(folder / name) not in told:
            yield warning("files", f"{folder / name} is not read", f"settings stand in {', '.join(FILES)}", f"move it out of {folder}, or rename it")
    names = sorted({place for place in case.places.values() if place.startswith(ENVIRONMENT_PREFIX)})
    # Which of them could be used is not known where others could not.
    names = names or sorted(n for n in os.environ if n.startswith(ENVIRONMENT_PREFIX)) * bool(case.problems)
    yield well("environment", f"overrides the files: {', '.join(names)}" if names else "overrides nothing")
