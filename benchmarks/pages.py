"""What the pages of `jarvis web` take over books that are there: `python -m benchmarks.pages BOOKS ACCOUNT`.

Processor time is what to compare; a machine with others at work shows in the rest. Books of a million fills are made by
`python -m benchmarks waiting --facts 1200000 --keep FOLDER`, and their daily rows by `jarvis rollup` there.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jarvis.settings import Settings
from jarvis.web.app import create_app
from jarvis.web.desk import Reading
from persistence.reading import ReadOnlyBooks

from .common import median

ROUNDS = 5
PATHS = (
    "/", "/queues", "/quarantine", "/notes", "/gaps", "/jobs", "/backups", "/accounts", "/account?account={account}",
    "/account?account={account}&benchmark=BTC", "/account/trades?account={account}", "/transactions?account={account}",
    "/transactions?account={account}&type=fee", "/transactions?account={account}&type=rebate", "/transactions?account={account}&currency=BTC&type=fee",
    "/orders?account={account}", "/orders?account={account}&status=open", "/orders?account={account}&status=rejected",
    "/orders?account={account}&symbol=DOGE/USDT",
)  # fmt: skip


async def ask(app: Any, target: str) -> int:
    """The status that is answered."""
    path, _, query = target.partition("?")
    statuses: list[int] = []
    scope = {
        "type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "query_string": query.encode(), "root_path": "", "scheme": "http",
        "http_version": "1.1", "server": ("127.0.0.1", 80), "headers": [(b"host", b"127.0.0.1")],
    }  # fmt: skip

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    await app(scope, receive, send)
    return statuses[0]


def measured(path: Path, account: str) -> Iterator[tuple[str, int, float, float, float]]:
    """(page, status, milliseconds of the first time, and of the later ones in the median: on the clock, of the processor)."""
    with closing(ReadOnlyBooks(path, 4, cache_mb=16)) as books:
        app = create_app(Reading(books, Settings(database={"path": path})), pages=True)
        for target in (page.format(account=quote(account, safe="")) for page in PATHS):
            clock, processor, status = [], [], 0
            for _ in range(ROUNDS + 1):
                began, used = time.perf_counter(), time.process_time()
                status = asyncio.run(ask(app, target))
                clock.append((time.perf_counter() - began) * 1_000)
                processor.append((time.process_time() - used) * 1_000)
            yield target, status, clock[0], median(clock[1:]), median(processor[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("books", type=Path, help="the database")
    parser.add_argument("account")
    arguments = parser.parse_args()
    print(f"{'page':<64} {'':>3} {'first':>9} {'later':>9} {'processor':>9}  ms")
    for target, status, first, later, used in measured(arguments.books, arguments.account):
        print(f"{target:<64} {status:>3} {first:>9.1f} {later:>9.1f} {used:>9.1f}")


if __name__ == "__main__":
    main()
