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


def test_the_image_s_steps_give_a_daemon_that_records_and_is_healthy(jarvis, wheel, short_folder):
    """As the Dockerfile says, with a folder in the place of / and no Docker: the settings, the environment, the command, the health check."""
    built = short_folder / "built"
    run(jarvis, "deploy", "compose", "--to", str(built), "--wheel", str(wheel), folder=short_folder)
    dockerfile = (built / "Dockerfile").read_text()
    shutil.copytree(built / "config", short_folder / "etc")
    (short_folder / "var").mkdir(mode=0o700)
    environment = {
        name: value.replace("/etc/jarvis", f"{short_folder}/etc").replace("/var/lib/jarvis", f"{short_folder}/var")
        for name, value in re.findall(r"(JARVIS_\w+)=(\S+)", dockerfile)
    }
    environment["JARVIS_MONITORING__LISTEN"] = ""
    [entry], [command], [check] = (
        [json.loads(found) for found in re.findall(rf"{word} (\[.*\])$", dockerfile, re.MULTILINE)] for word in ("^ENTRYPOINT", "^CMD", " CMD")
    )
    assert entry == check[:1] == ["jarvis"]
    daemon = subprocess.Popen([jarvis, *command], cwd=short_folder / "var", env={**os.environ, **environment}, stderr=subprocess.PIPE, text=True)
    try:
        (short_folder / "feed.ndjson").write_text(json.dumps(DEPOSIT) + "\n")
        wait_until(lambda: (short_folder / "var" / "broker.json").exists(), "the embedded broker is announced")
        run(jarvis, "publish", str(short_folder / "feed.ndjson"), folder=short_folder, **environment)

        def recorded() -> str:
            return run(jarvis, "export", "deposits", "--account", "acc", "--format", "ndjson", folder=short_folder, **environment).stdout

        wait_until(lambda: '"d1"' in recorded(), "the deposit is recorded")
        run(jarvis, *check[1:], folder=short_folder, **environment)
    finally:
        daemon.send_signal(signal.SIGTERM)
        _, said = daemon.communicate(timeout=60)
    assert daemon.returncode == 0, said
