"""Processes of ours as an operator starts them, each serving its figures on a port of its own."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import command
from parts import wait_until
from watched import get


class Daemon:
    """A process of ours and what it logs."""

    def __init__(self, folder: Path, *arguments: str, **environment: str) -> None:
        self.log = folder / f"{len(list(folder.glob('*.log')))}.log"
        settings = {"JARVIS_DATABASE__PATH": str(folder / "b.db"), "JARVIS_LOGGING__FORMAT": "json", **environment}
        with open(self.log, "w") as log:
            self.process = command.begin(*arguments, folder=folder, log=log, **settings)

    def lines(self) -> list[dict]:
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{") and line.endswith("}")]

    def said(self, event: str) -> list[dict]:
        return [line for line in self.lines() if line["event"] == event]

    @property
    def address(self) -> str:
        wait_until(lambda: self.said("figures and health are served"), "it serves figures", 30)
        match = re.fullmatch("http://(.*)/metrics", self.said("figures and health are served")[0]["metrics"])
        assert match is not None
        return match[1]

    def is_ready(self) -> bool:
        return get(self.address, "/readyz")[0] == 200

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)


@contextmanager
def running(folder: Path, *arguments: str, **environment: str) -> Iterator[Daemon]:
    daemon = Daemon(folder, *arguments, **{"JARVIS_MONITORING__LISTEN": "127.0.0.1:0", **environment})
    try:
        yield daemon
    finally:
        daemon.end()


def child_of(process: int, command: str) -> int | None:
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            if parent == process and command in stat.with_name("cmdline").read_text().replace("\0", " "):
                return int(stat.parent.name)
        except OSError:
            continue
    return None


def problems(address: str) -> dict[str, str]:
    said: dict[str, str] = json.loads(get(address, "/readyz")[2])["problems"]
    return said
