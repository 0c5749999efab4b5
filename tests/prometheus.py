"""A real Prometheus: installed, or out of Debian's package."""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from parts import wait_until
from watched import free_port

RULES = Path(__file__).parents[1] / "deploy/prometheus/alerts.yml"


@cache
def program(name: str, folder: Path) -> str:
    """The path of `prometheus` or `promtool`. Skips the test where neither is installed nor the package can be had."""
    if (installed := shutil.which(name)) is not None:
        return installed
    if not (folder / "usr").exists():
        for command in (["apt-get", "download", "prometheus"], ["sh", "-c", "dpkg -x prometheus_*.deb ."]):
            try:
                done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
            except OSError as error:
                pytest.skip(f"Prometheus is not installed, and {command[0]} is not there: {error}")
            if done.returncode:
                pytest.skip(f"Prometheus is not installed, and its package cannot be had: {done.stderr.strip()[-200:]}")
    return str(folder / "usr" / "bin" / name)


class Prometheus:
    """One that scrapes some targets twice a second and has our rules, each holding as soon as it is true."""

    def __init__(self, address: str) -> None:
        self._address = address

    def ask(self, path: str, **parameters: str) -> Any:
        with urllib.request.urlopen(f"http://{self._address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}", timeout=10) as answer:
            return json.loads(answer.read())["data"]

    def alerts(self) -> dict[str, dict[str, Any]]:
        """Those that fire, by name."""
        return {alert["labels"]["alertname"]: alert for alert in self.ask("alerts")["alerts"] if alert["state"] == "firing"}

    def query(self, query: str) -> list[Any]:
        result: list[Any] = self.ask("query", query=query)["result"]
        return result


@contextmanager
def prometheus(folder: Path, binary: str, *targets: str) -> Iterator[Prometheus]:
    rules = yaml.safe_load(RULES.read_text())
    for rule in rules["groups"][0]["rules"]:
        rule["for"] = "0s"
    (folder / "alerts.yml").write_text(yaml.safe_dump(rules))
    settings = {
        "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "500ms"},
        "rule_files": ["alerts.yml"],
        "scrape_configs": [{"job_name": "jarvis", "static_configs": [{"targets": list(targets)}]}],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(settings))
    address = f"127.0.0.1:{free_port()}"
    with open(folder / "prometheus.log", "w") as log:
        process = subprocess.Popen(
            [binary, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/tsdb", f"--web.listen-address={address}", "--query.lookback-delta=3s"],
            stdout=log, stderr=log,
        )  # fmt: skip
    server = Prometheus(address)
    try:
        wait_until(lambda: _answers(server), "Prometheus answers", 30)
        yield server
    finally:
        process.terminate()
        process.wait(30)


def _answers(server: Prometheus) -> bool:
    try:
        return server.query("up") is not None
    except OSError:
        return False
