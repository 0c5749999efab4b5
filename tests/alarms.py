"""Alarms staged: a status that is well but for what a test says, and a notifier whose clocks a test moves."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from parts import wait_until

from jarvis.alerts.channels import Channel
from jarvis.alerts.message import Origin
from jarvis.alerts.notifier import Notifier, Plan
from jarvis.alerts.ping import Ping
from jarvis.status.model import Broker, Copies, Disk, Gaps, Job, Process, Proof, Quarantine, Records, State, Status, Storage

SECOND = 1_000_000
MINUTE, HOUR, DAY = 60 * SECOND, 3_600 * SECOND, 86_400 * SECOND
ORIGIN = Origin("1.2.3", "db1", "/var/lib/jarvis")
#: 2026-11-25T12:00:00Z.
NOON = 1_795_608_000 * SECOND


def a_status(now: int = NOON, **parts: Any) -> Status:
    """All is well, but for the parts that are given."""
    well: dict[str, Any] = {
        "processes": (Process(name="worker", kind="worker", state=State.RUNNING), Process(name="scheduler", kind="scheduler", state=State.RUNNING)),
        "broker": Broker(place="localhost:6379", reachable=True, since=now - HOUR),
        "queues": (),
        "records": Records(total=12_345, begun_at=now - 90 * DAY, last_minute=3, last_hour=200, last_commit_at=now - SECOND),
        "quarantine": Quarantine(held=0, by_reason={}, oldest_at=None, newest_at=None),
        "gaps": Gaps(missing=0, producers=0, first_noticed_at=None),
        "notes": 0,
        "strays": (),
        "jobs": (a_job(),),
        "copies": (Copies(place="/backups", second=False, count=30, bytes=244_000_000, newest_at=now - 9 * HOUR),),
        "proof": Proof(verified_at=now - 8 * HOUR, findings=0, found=None, drilled_at=now - 3 * DAY),
        "storage": Storage(
            path="/var/lib/jarvis/books.db", database_bytes=244_000_000, log_bytes=0, free_bytes_inside=0,
            disks=(Disk(folders=("/var/lib/jarvis",), free_bytes=120_000_000_000, total_bytes=200_000_000_000),),
        ),
    }  # fmt: skip
    return Status(taken_at=now, version="1.2.3", host="db1", folder="/var/lib/jarvis", namespace="dramatiq", **{**well, **parts})


def a_job(name: str = "backup", **said: Any) -> Job:
    job: dict[str, Any] = dict.fromkeys(
        ("paused_since", "last_started_at", "last_ended_at", "last_success_at", "last_seconds", "result", "next_at", "next_try_at", "late_since")
    )
    return Job(
        **{**job, "name": name, "says": "does its work", "cron": "0 3 * * *", "zone": "UTC", "enabled": True, "state": "succeeded", "failed": False, **said}
    )


def away(now: int = NOON) -> dict[str, Any]:
    """The broker, since two minutes."""
    return {"broker": Broker(place="localhost:6379", reachable=False, since=now - 2 * MINUTE, problem="Connection refused")}


class Staged:
    """A notifier over a status that a test sets, by clocks that it moves: `now` on the wall, `steady` seconds that only go forward."""

    def __init__(self, file: Path, *channels: Channel, ping: Ping | None = None, take: Callable[[], Status] | None = None, **plan: Any) -> None:
        self.file, self.channels, self.ping = file, channels, ping
        self.plan = Plan(**{"look_seconds": 15.0, "repeat_seconds": 1_800.0, **plan})
        self.now, self.steady = NOON, 1_000.0
        self.parts: dict[str, Any] = {}
        self.take = take or (lambda: a_status(self.now, **self.parts))
        self.start()

    def start(self) -> None:
        """Another process over the same file."""
        self.notifier = Notifier(
            lambda: self.take(), self.channels, ORIGIN, self.file, self.plan, ping=self.ping, clock=lambda: self.now, steady=lambda: self.steady
        )

    def stop(self) -> None:
        """This process ends well."""
        self.notifier._thread.start()
        self.notifier.__exit__()

    def wait(self, seconds: float, step: float = 15.0) -> None:
        """Time passes, on both clocks."""
        end = self.steady + seconds
        while self.steady < end:
            passed = min(step, end - self.steady)
            self.steady += passed
            self.now += int(passed * SECOND)
            self.turn()

    def turn(self) -> None:
        """What is due is done, to its end."""
        self.notifier.turn()
        wait_until(self._is_idle, "looks and deliveries have ended")

    def _is_idle(self) -> bool:
        notifier = self.notifier
        pinging = notifier._ping is not None and notifier._ping._thread is not None and notifier._ping._thread.is_alive()
        if notifier._look.under_way or pinging or any(courier._attempt is not None for courier in notifier._couriers):
            notifier.turn()
            return False
        return True


class Server:
    """An HTTP server that keeps what it is sent, and answers with `code`."""

    def __init__(self, code: int = 200) -> None:
        self.code = code
        self.got: list[tuple[str, str]] = []
        kept = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                kept.got.append((self.path, self.rfile.read(int(self.headers["Content-Length"])).decode()))
                self.answer()

            def do_GET(self) -> None:
                kept.got.append((self.path, ""))
                self.answer()

            def answer(self) -> None:
                self.send_response(kept.code)
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def messages_in(file: Path) -> list[dict[str, Any]]:
    """What a hook has written, a message a line."""
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def told_in(file: Path) -> list[tuple[str, list[tuple[str, str]]]]:
    """Of each message its kind, and kind and name of its alarms."""
    return [(m["kind"], [(a["kind"], a["name"]) for a in m["alarms"]]) for m in messages_in(file)]
