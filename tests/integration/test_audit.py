"""The audit of dependencies says "not run" where it could not look, and finds what is known to be bad."""

from __future__ import annotations

import importlib.util
import json
from email.message import Message
from pathlib import Path
from types import SimpleNamespace

import pytest

SPEC = importlib.util.spec_from_file_location("audit", Path(__file__).parents[2] / "deploy" / "build" / "audit.py")
audit = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(audit)


def auditor(folder: Path, answer: object) -> str:
    """An auditor that gives one answer."""
    path = folder / "pip-audit"
    path.write_text(f"#!/bin/sh\ncat <<'X'\n{json.dumps(answer) if not isinstance(answer, str) else answer}\nX\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ({"dependencies": [{"name": "jinja2", "version": "2.4.1", "vulns": [{"id": "PYSEC-1"}]}]}, ["jinja2 2.4.1 PYSEC-1"]),
        ({"dependencies": [{"name": "jinja2", "version": "2.4.1", "vulns": []}]}, []),
        ({"dependencies": [{"name": "jinja2", "skip_reason": "not found"}]}, None),
        ("ERROR: no network", None),
    ],
)
def test_an_answer_is_a_finding_nothing_or_no_audit(tmp_path, answer, found):
    assert audit.vulnerable(auditor(tmp_path, answer), ["x==1"]) == found


@pytest.mark.parametrize("answer", ["no network", {"dependencies": [{"name": "jinja2", "version": "2.4.1", "vulns": []}]}])
def test_without_the_canary_s_report_the_audit_was_not_run(tmp_path, answer, monkeypatch, capsys):
    lister = tmp_path / "lister"
    lister.write_text('#!/bin/sh\nfor a; do [ "$p" = -o ] && echo \'{"components": []}\' > $a; p=$a; done\n')
    lister.chmod(0o755)
    monkeypatch.setattr("sys.argv", ["audit", "--auditor", auditor(tmp_path, answer), "--lister", str(lister), "--sbom", str(tmp_path / "s.json")])
    assert audit.main() == 3
    assert "not run" in capsys.readouterr().out


def test_a_licence_that_needs_a_look_is_named():
    def package(**told: str) -> SimpleNamespace:
        metadata = Message()
        for name, value in told.items():
            metadata[name.replace("_", "-")] = value
        return SimpleNamespace(name="x", version="1", metadata=metadata)

    assert audit.unclear_licences([package(License_Expression="MIT"), package(Classifier="License :: OSI Approved :: BSD License")]) == []
    assert audit.unclear_licences([package(License="All rights reserved")]) == ["x 1: All rights reserved"]
