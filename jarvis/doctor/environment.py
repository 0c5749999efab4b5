"""Python, the system, the dependencies, and the SQLite that comes with the driver."""

from __future__ import annotations

import operator
import platform
import re
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version

from jarvis.doctor.case import Case
from jarvis.doctor.diagnosis import Diagnosis, not_checked, problem, refused, warning, well
from jarvis.embedded_broker import server_binary
from jarvis.settings import Settings
from jarvis_client.contract.errors import BooksError
from persistence.engine.sqlite.connect import missing_extensions, sqlite_version
from persistence.engine.sqlite.host import refuse_unsafe_sqlite
from persistence.program import DISTRIBUTION, program_version

_REQUIREMENT = re.compile(r"([\w.-]+)(?:\[[^\]]*\])?\s*([^;]*)(;.*)?")
_BOUND = re.compile(r"(>=|<=|==|<|>)\s*([\d.]+)")
_COMPARE = {">=": operator.ge, "<=": operator.le, "==": operator.eq, "<": operator.lt, ">": operator.gt}


def look(_case: Case) -> Iterator[Diagnosis]:
    yield well("jarvis", f"{program_version()}, in {sys.prefix}")
    yield well("Python", f"{platform.python_version()} ({platform.python_implementation()})")
    if sys.platform == "linux":
        yield well("system", f"Linux {platform.release()} on {platform.machine()}")
    else:
        rule = "only Linux tells who holds a lock, what is mounted and how the clock is kept"
        yield warning("system", f"{sys.platform} on {platform.machine()}", rule, "run what keeps books for good on Linux")
    yield from _dependencies()
    try:
        refuse_unsafe_sqlite(sqlite_version())
        missing = missing_extensions()
    except BooksError as error:
        yield refused("SQLite", error)
        return
    if missing:
        yield problem(
            "SQLite", f"{sqlite_version()} without {', '.join(missing)}", "exact sums and page checksums need both", "pip install --force-reinstall apsw"
        )
    else:
        yield well("SQLite", f"{sqlite_version()} with exact decimals and page checksums")


def look_at_server_program(_case: Case, settings: Settings) -> Iterator[Diagnosis]:
    """The embedded broker's, where it is needed."""
    if settings.broker.url is not None:
        return
    try:
        yield well("broker program", server_binary())
    except BooksError as error:
        yield refused("broker program", error)


def _dependencies() -> Iterator[Diagnosis]:
    try:
        needed = requires(DISTRIBUTION) or []
    except PackageNotFoundError:
        yield not_checked("dependencies", f"{DISTRIBUTION} is not installed, it runs from its source", f"pip install {DISTRIBUTION}")
        return
    found, wrong = [], []
    for name, bounds in sorted(wanted(needed)):
        try:
            present = version(name)
        except PackageNotFoundError:
            wrong.append(f"{name} is missing")
            continue
        found.append(f"{name} {present}")
        if not satisfies(present, bounds):
            wrong.append(f"{name} is {present}, needed is {bounds}")
    if wrong:
        yield problem("dependencies", "; ".join(wrong), f"as jarvis {program_version()} was tested", f"pip install --upgrade {DISTRIBUTION}")
    else:
        yield well("dependencies", ", ".join(found))


def wanted(requirements: list[str]) -> Iterator[tuple[str, str]]:
    """The name and the bounds of each requirement on this system, those of extras left out."""
    for text in requirements:
        match = _REQUIREMENT.match(text)
        marker = (match[3] or "") if match else ""
        elsewhere = "sys_platform" in marker and (f'!= "{sys.platform}"' in marker or ("==" in marker and f'== "{sys.platform}"' not in marker))
        if match and "extra" not in marker and not elsewhere:
            yield match[1], match[2].strip()


def satisfies(present: str, bounds: str) -> bool:
    return all(_COMPARE[sign](_parts(present), _parts(bound)) for sign, bound in _BOUND.findall(bounds))


def _parts(text: str) -> tuple[int, ...]:
    numbers = re.match(r"\d+(?:\.\d+)*", text)
    return tuple(int(n) for n in numbers[0].split(".")) if numbers else ()
