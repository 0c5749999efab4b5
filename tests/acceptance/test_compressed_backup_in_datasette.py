"""A compressed backup, unpacked as docs/sql.md says, is a SQLite file that datasette shows."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import urllib.parse

import command
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.skipif(shutil.which("unzstd") is None, reason="no unzstd: apt-get install zstd")]
DEPOSIT = {"type": "deposit", "deposit_id": "d", "account_id": "main", "currency": "USDT", "amount": "12.50", "occurred_at": "2026-01-01T00:00:00Z"}


def test_a_compressed_backup_is_unpacked_and_shown(short_folder):
    for arguments, given in ((("db", "init"), None), (("import", "-"), json.dumps(DEPOSIT)), (("backup", "create"), None)):
        done = command.run(*arguments, folder=short_folder, stdin=given)
        assert done.returncode == 0, done.stderr
    [packed] = (short_folder / "data" / "backups").glob("*.zst")
    subprocess.run(["unzstd", "-q", str(packed), "-o", "books.db"], cwd=short_folder, check=True, timeout=60)
    asked = urllib.parse.urlencode({"sql": "SELECT account_name, currency, available FROM v_balances", "_shape": "arrays"})
    program = [sys.executable, "-m", "datasette", "serve", "--immutable", "books.db", "--get", f"/books.json?{asked}"]
    done = subprocess.run(program, cwd=short_folder, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rows"] == [["main", "USDT", "12.5"]]
