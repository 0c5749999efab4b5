"""The wheel, installed elsewhere: it has the recipes, and runs as the container's image does, without a checkout."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from deployed import a_redis, laid, units
from parts import wait_until

from jarvis.recipes.compose import compose_recipe

pytestmark = pytest.mark.slow

HOUSE = Path(__file__).parents[2]
DEPOSIT = {"type": "deposit", "deposit_id": "d1", "account_id": "acc", "currency": "USDT", "amount": "5", "occurred_at": "2026-01-01T00:00:00Z"}


@pytest.fixture(scope="session")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--wheel-dir", folder, HOUSE], check=True, capture_output=True, timeout=100
    )  # fmt: skip
    [found] = folder.glob("*.whl")
    return found


@pytest.fixture(scope="session")
def jarvis(wheel, tmp_path_factory) -> Path:
    """The command of the wheel in a venv of its own; what it depends on is that of the tests, without the checkout."""
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, symlinks=True)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    # A folder that is named here is searched, and the .pth files in it are not read: the one of the checkout is among them.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    pip = [sys.executable, "-m", "pip", "--python", folder / "bin" / "python", "install", "-q", "--no-deps", "--ignore-installed", wheel]
    subprocess.run(pip, check=True, capture_output=True, timeout=100)
    return folder / "bin" / "jarvis"


def run(jarvis: Path, *arguments: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([jarvis, *arguments], cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done


def without_hashes(folder: Path) -> dict[str, tuple[str, int]]:
    """Every file with its mode, without what is made anew each time."""
    return {
        str(path.relative_to(folder)): (re.sub(r"#[0-9a-f]{64}|[A-Za-z0-9_-]{43}(?=@|\n)", "", path.read_text()), path.stat().st_mode)
        for path in sorted(folder.rglob("*")) if path.is_file()
    }  # fmt: skip


def test_an_installed_wheel_writes_what_a_checkout_does(jarvis, tmp_path):
    where = subprocess.run(
        [jarvis.with_name("python"), "-c", "import jarvis; print(jarvis.__file__)"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert where.stdout.startswith(str(jarvis.parents[1]))
    for recipe, of_the_checkout in (
        ("systemd", units(tmp_path / "of systemd")), ("redis", a_redis(tmp_path / "of redis")),
        ("compose", laid(compose_recipe(tmp_path / "of compose"), tmp_path / "of compose")),
    ):  # fmt: skip
        run(jarvis, "deploy", recipe, "--to", recipe, folder=tmp_path)
        assert without_hashes(tmp_path / recipe) == without_hashes(of_the_checkout)


def test_an_installed_wheel_writes_reports(jarvis, tmp_path):
    metrics = {"type": "metrics", "snapshot_id": "m1", "account_id": "acc", "total_value_usd": "5", "observed_at": "2026-01-01T12:00:00Z"}
    (tmp_path / "feed.ndjson").write_text("\n".join(map(json.dumps, (DEPOSIT, metrics))))
    for arguments in (["db", "init"], ["import", "feed.ndjson"], ["rollup"], ["report", "acc"], ["report", "--all"]):
        run(jarvis, *arguments, folder=tmp_path)
    for written in (tmp_path / "report.html", tmp_path / "reports" / "acc.html", tmp_path / "reports" / "index.html"):
        text = written.read_text()
        assert ".figures {" in text, "its style came along"
        assert "5.00" in text


class Image:
    """What the Dockerfile says, with a folder in the place of / and no Docker: the settings, the environment, the commands."""

    def __init__(self, jarvis: Path, wheel: Path, folder: Path) -> None:
        self._jarvis, self.folder = jarvis, folder
        run(jarvis, "deploy", "compose", "--to", str(folder / "built"), "--wheel", str(wheel), folder=folder)
        dockerfile = (folder / "built" / "Dockerfile").read_text()
        shutil.copytree(folder / "built" / "config", folder / "etc")
        (folder / "var").mkdir(mode=0o700)
        self.environment = {
            name: value.replace("/etc/jarvis", f"{folder}/etc").replace("/var/lib/jarvis", f"{folder}/var")
            for name, value in re.findall(r"(JARVIS_\w+)=(\S+)", dockerfile)
        } | {"JARVIS_MONITORING__LISTEN": ""}
        [entry], [self._command], [check] = (
            [json.loads(found) for found in re.findall(rf"{word} (\[.*\])$", dockerfile, re.MULTILINE)] for word in ("^ENTRYPOINT", "^CMD", " CMD")
        )
        assert entry == check[:1] == ["jarvis"]
        self.check = check[1:]

    def run(self, *arguments: str) -> str:
        return run(self._jarvis, *arguments, folder=self.folder, **self.environment).stdout

    @contextmanager
    def running(self) -> Iterator[None]:
        environment = {**os.environ, **self.environment}
        daemon = subprocess.Popen([self._jarvis, *self._command], cwd=self.folder / "var", env=environment, stderr=subprocess.PIPE, text=True)
        try:
            wait_until(lambda: (self.folder / "var" / "broker.json").exists(), "the embedded broker is announced")
            yield
        finally:
            daemon.send_signal(signal.SIGTERM)
            _, said = daemon.communicate(timeout=60)
        assert daemon.returncode == 0, said

    def feed(self) -> None:
        (self.folder / "feed.ndjson").write_text(json.dumps(DEPOSIT) + "\n")
        self.run("publish", str(self.folder / "feed.ndjson"))
        wait_until(lambda: '"d1"' in self.run("export", "deposits", "--account", "acc", "--format", "ndjson"), "the deposit is recorded")


def test_the_image_s_steps_give_a_daemon_that_records(jarvis, wheel, short_folder):
    image = Image(jarvis, wheel, short_folder)
    with image.running():
        image.feed()
        image.run("verify")


def test_the_image_s_health_check_finds_the_daemon_healthy(jarvis, wheel, short_folder):
    pytest.importorskip("jarvis.cli.status", reason="the command of the health check is not there yet")
    image = Image(jarvis, wheel, short_folder)
    with image.running():
        image.feed()
        image.run(*image.check)
