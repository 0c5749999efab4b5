"""What people would pick instead, doing the same per fill: identity, fill, three transactions, an order, two balances, one commit.

`python -m benchmarks.others MODE URL FOLDER COUNT` consumes a queue filled beforehand and prints the seconds it took.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import threading
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

DDL = """
CREATE TABLE IF NOT EXISTS fills (fill_id TEXT, account_id TEXT, order_id TEXT, symbol TEXT, side TEXT, quantity TEXT, price TEXT, fee TEXT, executed_at INTEGER,
    PRIMARY KEY (account_id, fill_id));
CREATE TABLE IF NOT EXISTS transactions (id INTEGER PRIMARY KEY, account_id TEXT, type TEXT, currency TEXT, amount TEXT, occurred_at INTEGER);
CREATE INDEX IF NOT EXISTS transactions_by_time ON transactions (account_id, occurred_at);
CREATE TABLE IF NOT EXISTS orders (order_id TEXT PRIMARY KEY, account_id TEXT, symbol TEXT, side TEXT, filled TEXT, cash TEXT, status TEXT);
CREATE TABLE IF NOT EXISTS balances (account_id TEXT, currency TEXT, total TEXT, PRIMARY KEY (account_id, currency));
"""


def movements(record: dict[str, Any]) -> list[tuple[str, str, Decimal]]:
    base, quote = record["symbol"].split("/")
    quantity, cash = Decimal(record["quantity"]), Decimal(record["quantity"]) * Decimal(record["price"])
    sign = 1 if record["side"] == "buy" else -1
    return [("trade", base, sign * quantity), ("trade", quote, -sign * cash), ("fee", quote, -Decimal(record["fee"]))]


# -- RQ + sqlite3 ---------------------------------------------------------------------------------------------------------


def record_with_sqlite3(record: dict[str, Any]) -> None:
    connection = sqlite3.connect(os.environ["BENCH_DB"], timeout=30, isolation_level=None)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("BEGIN IMMEDIATE")
    fields = ("fill_id", "account_id", "order_id", "symbol", "side", "quantity", "price", "fee", "executed_at")
    if connection.execute(f"INSERT OR IGNORE INTO fills VALUES ({', '.join('?' * 9)})", [record[f] for f in fields]).rowcount:
        for kind, currency, amount in movements(record):
            connection.execute(
                "INSERT INTO transactions VALUES (NULL, ?, ?, ?, ?, ?)", (record["account_id"], kind, currency, str(amount), record["executed_at"])
            )
            row = connection.execute("SELECT total FROM balances WHERE account_id = ? AND currency = ?", (record["account_id"], currency)).fetchone()
            total = (Decimal(row[0]) if row else Decimal(0)) + amount
            connection.execute("INSERT OR REPLACE INTO balances VALUES (?, ?, ?)", (record["account_id"], currency, str(total)))
        cash = str(Decimal(record["quantity"]) * Decimal(record["price"]))
        connection.execute(
            "INSERT OR REPLACE INTO orders VALUES (?, ?, ?, ?, ?, ?, 'filled')",
            (record["order_id"], record["account_id"], record["symbol"], record["side"], record["quantity"], cash),
        )
    connection.execute("COMMIT")
    connection.close()


# -- SQLAlchemy -----------------------------------------------------------------------------------------------------------

_local = threading.local()


def record_with_sqlalchemy(record: dict[str, Any]) -> None:
    from sqlalchemy import event, select
    from sqlalchemy.orm import Session

    if not hasattr(_local, "engine"):
        import sqlalchemy

        if "BENCH_URL" in os.environ:
            _local.engine = sqlalchemy.create_engine(os.environ["BENCH_URL"])
        else:
            _local.engine = sqlalchemy.create_engine(f"sqlite:///{os.environ['BENCH_DB']}", connect_args={"timeout": 30})
            event.listen(_local.engine, "connect", lambda c, _: c.execute("PRAGMA synchronous = FULL"))
        _local.models = models()
    fill, transaction, order, balance = _local.models
    with Session(_local.engine) as session, session.begin():
        if session.get(fill, (record["account_id"], record["fill_id"])) is not None:
            return
        session.add(fill(**record))
        for kind, currency, amount in movements(record):
            session.add(transaction(account_id=record["account_id"], type=kind, currency=currency, amount=str(amount), occurred_at=record["executed_at"]))
            held = session.scalar(select(balance).where(balance.account_id == record["account_id"], balance.currency == currency))
            if held is None:
                session.add(balance(account_id=record["account_id"], currency=currency, total=str(amount)))
            else:
                held.total = str(Decimal(held.total) + amount)
            session.flush()
        cash = str(Decimal(record["quantity"]) * Decimal(record["price"]))
        session.merge(
            order(
                order_id=record["order_id"], account_id=record["account_id"], symbol=record["symbol"], side=record["side"], filled=record["quantity"],
                cash=cash, status="filled",
            )
        )  # fmt: skip


def models() -> tuple[Any, Any, Any, Any]:
    from sqlalchemy.ext.automap import automap_base

    base = automap_base()
    base.prepare(autoload_with=_local.engine)
    return base.classes.fills, base.classes.transactions, base.classes.orders, base.classes.balances


def directly(count: int) -> str:
    """Record fills on the server at BENCH_URL, one commit each, without a queue. Returns seconds, and processor seconds of this side."""
    import sqlalchemy

    from .common import fill_records

    on_server = DDL.replace("INTEGER PRIMARY KEY", "BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY").replace("INTEGER", "BIGINT")
    with sqlalchemy.create_engine(os.environ["BENCH_URL"]).begin() as connection:
        connection.execute(sqlalchemy.text(f"CREATE SCHEMA others; ALTER ROLE CURRENT_USER SET search_path = others; SET search_path = others; {on_server}"))
    records = fill_records(count + 1)
    record_with_sqlalchemy(records[0])
    started, used = time.perf_counter(), time.process_time()
    for record in records[1:]:
        record_with_sqlalchemy(record)
    return f"{time.perf_counter() - started} {time.process_time() - used}"


# -- the runs -------------------------------------------------------------------------------------------------------------


def prepare(folder: Path) -> None:
    os.environ["BENCH_DB"] = str(folder / "others.db")
    connection = sqlite3.connect(os.environ["BENCH_DB"])
    connection.execute("PRAGMA journal_mode = WAL")
    connection.executescript(DDL)
    connection.close()


def recorded() -> int:
    connection = sqlite3.connect(os.environ["BENCH_DB"])
    try:
        return int(connection.execute("SELECT count(*) FROM fills").fetchone()[0])
    finally:
        connection.close()


def _report_when_done(count: int, started: float) -> None:
    """Celery's worker keeps the main thread, so its end is seen from the side."""
    while recorded() < count:
        time.sleep(0.02)
    print(time.perf_counter() - started)
    sys.stdout.flush()
    os._exit(0)


def fill_and_consume(mode: str, url: str, folder: Path, count: int) -> float:
    """Fill the mode's queue, then time one worker process emptying it."""
    from .common import fill_records

    prepare(folder)
    records = fill_records(count)
    socket = url.removeprefix("unix://")
    if mode == "rq":
        import redis
        from rq import Queue, SimpleWorker

        client = redis.Redis(unix_socket_path=socket)
        queue = Queue(connection=client)
        queue.enqueue_many([Queue.prepare_data(record_with_sqlite3, args=(r,)) for r in records])
        started = time.perf_counter()
        SimpleWorker([queue], connection=client).work(burst=True, logging_level="ERROR")
    elif mode == "dramatiq":
        import dramatiq
        from dramatiq.brokers.redis import RedisBroker

        broker = RedisBroker(url=url)
        actor = dramatiq.actor(record_with_sqlalchemy, broker=broker)
        for record in records:
            actor.send(record)
        worker = dramatiq.Worker(broker, worker_threads=8)
        started = time.perf_counter()
        worker.start()
        while recorded() < count:
            time.sleep(0.02)
    else:
        from celery import Celery

        app = Celery("bench", broker=f"redis+socket://{socket}")
        app.conf.update(
            task_acks_late=True, worker_prefetch_multiplier=4, task_ignore_result=True, worker_hijack_root_logger=False, worker_redirect_stdouts=False
        )
        task = app.task(record_with_sqlalchemy, name="record")
        for record in records:
            task.delay(record)
        started = time.perf_counter()
        threading.Thread(target=_report_when_done, args=(count, started), daemon=True).start()
        app.Worker(pool="threads", concurrency=8, loglevel="ERROR", without_heartbeat=True, quiet=True).start()
    assert recorded() == count
    return time.perf_counter() - started


if __name__ == "__main__":
    mode, url, folder, count = sys.argv[1:5]
    print(fill_and_consume(mode, url, Path(folder), int(count)))
    sys.stdout.flush()
    os._exit(0)
