"""What the system grants a process, looked at before it runs short."""

from __future__ import annotations

import resource

from jarvis_client.contract.errors import Unavailable

#: Each connection to the database holds three files, each to the broker one; besides them locks, logs and an export or two.
FILES_NEEDED = 256
#: The embedded broker wants this many for its clients.
FILES_WANTED = 10_240


def raise_file_limit() -> None:
    """Take as many open files as the hard limit grants; children inherit it. Raises `Unavailable` where that is too few."""
    granted = refuse_few_files()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < granted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (granted, hard))


def refuse_few_files() -> int:
    """How many open files a process of ours may have, at most as many as are wanted. Raises `Unavailable` where those are too few."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    granted = FILES_WANTED if hard == resource.RLIM_INFINITY else min(hard, FILES_WANTED)
    if granted < FILES_NEEDED:
        raise Unavailable(f"the limit of open files is {granted}, {FILES_NEEDED} are needed; raise it with `ulimit -n`, or LimitNOFILE= in a unit")
    return granted


def remedy_of(error: BaseException) -> str | None:
    """What to do where the system refused memory or threads; None for any other error."""
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and "start new thread" in str(error)):
        return "the system grants no more memory or threads; raise `ulimit -v` and `ulimit -u`, or MemoryMax= and TasksMax= in a unit"
    return None
