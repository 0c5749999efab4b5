"""An engine of its own process: publishes one deposit after the other, and notes when each was acknowledged, until it is told to stop.

python publishing_engine.py URL NAMESPACE WAIT_REPLICAS NOTES [SPOOL]
"""

from __future__ import annotations

import signal
import sys
import threading
import time

from jarvis_client import Publisher

stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())

url, namespace, replicas, notes, *spool = sys.argv[1:]
with (
    open(notes, "a", buffering=1) as said,
    Publisher(url, namespace=namespace, producer="engine", wait_replicas=int(replicas), spool=spool[0] if spool else None) as publisher,
):
    number = 0
    while not stop.is_set():
        number += 1
        record = {"deposit_id": f"d{number}", "account_id": "main", "currency": "USDT", "amount": "1", "occurred_at": "2026-01-01T00:00:00Z"}
        said.write(f"tried d{number} {time.monotonic()}\n")
        try:
            publisher.publish("deposit", record)
        except Exception as error:
            said.write(f"failed d{number} {time.monotonic()} {type(error).__name__}: {str(error)!r:.150}\n")
        else:
            said.write(f"acked d{number} {time.monotonic()}\n")
    # What waits in the spool is sent, too, by the thread that looks whether the broker is back.
    until = time.monotonic() + 60
    while publisher.spooled_bytes and time.monotonic() < until:
        time.sleep(0.05)
