"""What the system grants: to a process by its limits, to a group of processes by its control group."""

from __future__ import annotations

import os
import re
import resource
from collections.abc import Iterator
from pathlib import PurePosixPath

from jarvis.doctor.case import Case
from jarvis.doctor.diagnosis import Diagnosis, me, problem, refused, warning, well
from jarvis.limits import FILES_WANTED, refuse_few_files
from jarvis_client.contract.errors import Unavailable
from persistence.domain.showing import size

#: `jarvis up` with one worker runs 37 threads (measured); a backup and an export come on top.
THREADS_NEEDED = 64
#: The same takes 280 MB in memory when it idles; a rollup or a proof of a large book comes on top.
MEMORY_NEEDED = 512 << 20
#: A worker takes 68 MB when it idles (measured), and up to 80 MB more for the 8 MB of payloads that it holds at most.
UNIT_MEMORY_NEEDED = 256 << 20
#: A worker reserves 1.2 GB of addresses, and touches a fraction of them.
ADDRESSES_NEEDED = 2 << 30
#: A control group of version 1 says this for "no limit".
_NO_LIMIT = 1 << 62


def look(case: Case) -> Iterator[Diagnosis]:
    try:
        files = refuse_few_files()
        yield well("open files", f"{files:,}" + (" or more" if files == FILES_WANTED else ""))
    except Unavailable as error:
        yield refused("open files", error)
    yield from _threads(case)
    yield from _memory(case)
    yield from _file_size()
    yield from _core_dumps()


def _threads(case: Case) -> Iterator[Diagnosis]:
    soft, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    # The kernel holds nobody but ordinary users to it.
    if soft != resource.RLIM_INFINITY and os.geteuid() != 0 and (left := soft - _threads_of(case, os.geteuid())) < THREADS_NEEDED:
        value = f"{me()} may start {max(0, left):,} more of {soft:,}"
        yield problem("threads", value, f"{THREADS_NEEDED} are needed", "raise `ulimit -u`, or LimitNPROC= in a unit")
        return
    groups = [
        (most, most - (_number(case, group / "pids.current") or 0))
        for group in _groups(case, "pids")
        if (most := _number(case, group / "pids.max")) is not None
    ]
    most, left = min(groups, key=lambda group: group[1], default=(0, THREADS_NEEDED))
    if left < THREADS_NEEDED:
        value = f"the control group has room for {left:,} more of {most:,}"
        yield problem("threads", value, f"{THREADS_NEEDED} are needed", "raise TasksMax= in the unit, or --pids-limit of the container")
        return
    yield well("threads", "no limit is near")


def _memory(case: Case) -> Iterator[Diagnosis]:
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft != resource.RLIM_INFINITY and soft < ADDRESSES_NEEDED:
        rule = f"a worker reserves over a gigabyte of addresses; {size(ADDRESSES_NEEDED)} leave room for large batches"
        yield problem("memory", f"`ulimit -v` grants {size(soft)}", rule, "ulimit -v unlimited, or no LimitAS= in the unit")
        return
    total = re.search(r"MemTotal:\s+(\d+) kB", case.text_of("proc/meminfo") or "")
    granted = [int(total[1]) * 1024] if total else []
    of_group = memory_of_group(case)
    if of_group is not None:
        granted.append(of_group)
    if not granted:
        return
    least = min(granted)
    if least < MEMORY_NEEDED:
        value = f"{size(least)}" + (" for the control group" if least == of_group else "")
        rule = f"everything together needs about {size(MEMORY_NEEDED)}"
        yield warning("memory", value, rule, "raise MemoryMax= in the unit or the container's limit" if least == of_group else "run it on a larger machine")
    else:
        yield well("memory", size(least) + (" for the control group" if least == of_group else ""))


def _file_size() -> Iterator[Diagnosis]:
    soft, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    if soft != resource.RLIM_INFINITY:
        rule = "a database that reaches it takes no more commits"
        yield problem("file size", f"`ulimit -f` grants {size(soft)}", rule, "ulimit -f unlimited, or no LimitFSIZE= in the unit")


def _core_dumps() -> Iterator[Diagnosis]:
    soft, _ = resource.getrlimit(resource.RLIMIT_CORE)
    if soft != 0:
        granted = "of any size" if soft == resource.RLIM_INFINITY else f"of {size(soft)}"
        rule = "one holds records and the broker's password, and lies where others may read it"
        yield warning("core dumps", f"{granted} are written", rule, "ulimit -c 0, or LimitCORE=0 in the unit")
    else:
        yield well("core dumps", "none are written")


def memory_of_group(case: Case) -> int | None:
    """The least that our control group and those above it grant; None where none of them limits anything."""
    names = ("memory.max", "memory.limit_in_bytes")
    granted = [_number(case, group / name) for group in _groups(case, "memory") for name in names]
    return min((bytes_ for bytes_ in granted if bytes_ is not None and bytes_ < _NO_LIMIT), default=None)


def _groups(case: Case, controller: str) -> Iterator[PurePosixPath]:
    """Our own control group and those above it, of either version."""
    for line in (case.text_of("proc/self/cgroup") or "").splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers or controller in controllers.split(","):
            top, own = PurePosixPath("sys/fs/cgroup") / (controller if controllers else ""), PurePosixPath(path.lstrip("/"))
            # In a container its own group is mounted at the top, whatever the path says.
            yield from (top / group for group in (own, *own.parents))


def _number(case: Case, path: PurePosixPath) -> int | None:
    text = (case.text_of(str(path)) or "").strip()
    return int(text) if text.isdecimal() else None


def _threads_of(case: Case, user: int) -> int:
    count = 0
    for folder in (case.root / "proc").glob("[0-9]*"):
        status = case.text_of(f"proc/{folder.name}/status") or ""
        owner, threads = re.search(r"^Uid:\s+(\d+)", status, re.MULTILINE), re.search(r"^Threads:\s+(\d+)", status, re.MULTILINE)
        if owner and threads and int(owner[1]) == user:
            count += int(threads[1])
    return count
