"""The machine's clock: whether somebody keeps it in time, and whether the books know a later time than now."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Iterator

from jarvis.doctor.case import Case
from jarvis.doctor.diagnosis import Diagnosis, Level, not_checked, problem, refused, warning, well
from jarvis.opening import reading_books
from jarvis.settings import Settings
from jarvis_client.contract.errors import BooksError, Unavailable
from jarvis_client.contract.instants import to_datetime
from persistence.copies.identity import is_missing
from persistence.proof.surroundings import clock_is_sane

#: Of adjtimex(2): nobody disciplines the clock.
STA_UNSYNC = 0x0040
#: What systemd-timesyncd leaves once it has set the clock.
SYNCHRONIZED = "run/systemd/timesync/synchronized"


class _Timex(ctypes.Structure):
    """struct timex of adjtimex(2), up to the field that is asked for; the rest is room."""

    _fields_ = [
        ("modes", ctypes.c_uint), ("offset", ctypes.c_long), ("freq", ctypes.c_long), ("maxerror", ctypes.c_long), ("esterror", ctypes.c_long),
        ("status", ctypes.c_int), ("rest", ctypes.c_byte * 256),
    ]  # fmt: skip


def kernel_says() -> bool | None:
    """Whether the kernel counts its clock as kept in time; None where it does not tell."""
    if sys.platform != "linux":
        return None
    told = _Timex(modes=0)
    # With no mode set nothing is changed, and no privilege is needed.
    if ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(told)) < 0:
        return None
    return not told.status & STA_UNSYNC


def look(case: Case, ask: Callable[[], bool | None] = kernel_says) -> Iterator[Diagnosis]:
    shown = f"{to_datetime(case.now):%Y-%m-%d %H:%M:%S} UTC"
    kept = (case.root / SYNCHRONIZED).exists() or ask()
    if kept is None:
        yield not_checked("clock", f"{shown}; this system does not tell whether it is kept in time", "look at its time service")
    elif kept:
        yield well("clock", f"{shown}, kept in time")
    else:
        rule = "days, backups and jobs go by it; nobody has set it since the machine started"
        yield warning(
            "clock", f"{shown}, not kept in time", rule, "timedatectl set-ntp true, or install chrony; a virtual machine may get its time from its host"
        )


def look_at_books(case: Case, settings: Settings) -> Iterator[Diagnosis]:
    """Nothing was recorded later than now."""
    try:
        if settings.database.url is None and is_missing(settings.database.path):
            return
        with reading_books(settings) as connection:
            found = list(clock_is_sane(connection, case.now))
    except Unavailable as error:
        yield refused("newest record", error, Level.NOT_CHECKED)
        return
    except BooksError:
        return  # what is wrong with the file is said above
    for finding in found:
        rule = f"{finding.expected}: the clock was ahead then, or is behind now"
        yield problem("newest record", f"recorded at {finding.found}", rule, "compare `date -u` with another clock, and set it (timedatectl)")
    if not found:
        yield well("newest record", "is from the past")
