"""The house looks after itself: the rules that a machine can check."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest
import typer.main
from typer.testing import CliRunner

from jarvis.cli import app

HOUSE = Path(__file__).parents[1]
PACKAGES = ("jarvis", "persistence", "scheduler", "workers")
MODULES = [p for package in PACKAGES for p in sorted((HOUSE / package).rglob("*.py"))]

#: Which rooms a room may look into.
MAY_IMPORT = {
    "persistence": {"persistence"},
    "workers": {"workers", "persistence"},
    "scheduler": {"scheduler", "persistence"},
    "jarvis": {"jarvis", "workers", "scheduler", "persistence"},
}


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module)
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(HOUSE)))
def test_imports_point_the_way_the_house_points(path):
    room = path.relative_to(HOUSE).parts[0]
    ours = {name for name in imports(path) if name.split(".")[0] in PACKAGES}
    wrong = {name for name in ours if name.split(".")[0] not in MAY_IMPORT[room]}
    assert not wrong, f"{path.relative_to(HOUSE)} imports {wrong}: jarvis → workers, scheduler → persistence → persistence.domain, never back"


@pytest.mark.parametrize("path", sorted((HOUSE / "persistence" / "domain").glob("*.py")), ids=lambda p: p.name)
def test_the_domain_knows_the_standard_library_only(path):
    foreign = {n for n in imports(path) if n.split(".")[0] not in sys.stdlib_module_names and not n.startswith("persistence.domain")}
    assert not foreign, f"{path.name} imports {foreign}; the domain has no dependencies and no I/O"


def test_only_persistence_knows_sqlite():
    for path in MODULES:
        if path.relative_to(HOUSE).parts[0] != "persistence":
            assert not imports(path) & {"apsw", "sqlite3"}, f"{path} imports the driver; all SQL stays in persistence/"
            assert not re.search(r"\b(INSERT INTO|DELETE FROM|UPDATE \w+ SET)\b", path.read_text()), f"{path} holds SQL that writes"


def test_only_the_front_door_reads_settings():
    for path in MODULES:
        if path.relative_to(HOUSE).parts[0] != "jarvis":
            assert not imports(path) & {"pydantic_settings", "yaml", "jarvis.settings"}, f"{path} reads settings; constructors take plain values"


#: Names that may be put into SQL: they come from this package, never from outside.
SQL_PARTS = re.compile(
    r"^[A-Z_]+$|^_[A-Z_]+$|^(where|order|opened|rare|table|column|columns|account_column|instant_column|sql|name|names|key|marks|sets|head|source|rest|differs"
    r"|schema|SHOWN|transactions\.\w+|orders\.\w+|self\..*)$"
)


def test_sql_is_made_of_constants_and_parameters():
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.JoinedStr):
                continue
            text = "".join(v.value for v in node.values if isinstance(v, ast.Constant))
            if not re.search(r"\b(SELECT|INSERT|UPDATE|DELETE|PRAGMA)\b .*\b(FROM|INTO|SET|\()", text):
                continue
            for value in (v for v in node.values if isinstance(v, ast.FormattedValue)):
                part = ast.unparse(value.value)
                assert SQL_PARTS.match(part), f"{path.name}:{node.lineno} puts {part} into SQL; pass it as a parameter"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(HOUSE)))
def test_every_module_says_what_it_is_for(path):
    if path.name == "__main__.py" or path.stat().st_size == 0:
        return
    assert ast.get_docstring(ast.parse(path.read_text())), f"{path.relative_to(HOUSE)} has no docstring"
    lines = path.read_text().count("\n")
    assert lines <= 600, f"{path.relative_to(HOUSE)} has {lines} lines; give a part of it a room of its own"


def test_nothing_is_left_unfinished():
    for path in MODULES:
        assert not re.search(r"\b(TODO|FIXME|XXX)\b", path.read_text()), f"{path} is unfinished"


def test_every_dependency_has_its_reason():
    text = (HOUSE / "pyproject.toml").read_text()
    block = text[text.index("dependencies = [") : text.index("[project.optional-dependencies]")]
    for line in block.splitlines()[1:]:
        if line.strip().startswith('"'):
            assert "#" in line, f"say why: {line.strip()}"


def commands() -> list[tuple[str, ...]]:
    def below(group, path):
        for name, command in group.commands.items():
            if hasattr(command, "commands"):
                yield from below(command, (*path, name))
            else:
                yield (*path, name)

    return list(below(typer.main.get_command(app), ()))


def test_every_command_explains_itself():
    for path in commands():
        shown = CliRunner().invoke(app, [*path, "--help"])
        assert shown.exit_code == 0
        assert len(shown.stdout.splitlines()) > 3, f"jarvis {' '.join(path)} has no help"


def documentation() -> str:
    return "\n".join(p.read_text() for p in [HOUSE / "README.md", *sorted((HOUSE / "docs").glob("*.md"))])


def test_every_command_is_documented_and_every_documented_command_exists():
    text = documentation()
    for path in commands():
        assert f"jarvis {' '.join(path)}" in text, f"`jarvis {' '.join(path)}` stands in no document"
    known = {" ".join(path) for path in commands()} | {" ".join(path[:-1]) for path in commands()}
    for line in re.findall(
        r"(?<![\w/-])jarvis ((?:[a-z][a-z-]*)(?: [a-z]+)?)", "\n".join(re.findall(r"`[^`\n]+`|^    .*$|```.*?```", text, re.DOTALL | re.MULTILINE))
    ):
        first = line.split()[0]
        assert line in known or first in known or first in {p.split()[0] for p in known}, f"the documents speak of `jarvis {line}`, which does not exist"


def test_links_between_documents_lead_somewhere():
    for page in [HOUSE / "README.md", *(HOUSE / "docs").glob("*.md")]:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}, which is not there"


def test_the_makefiles_verbs_say_what_they_do():
    for line in (HOUSE / "Makefile").read_text().splitlines():
        if re.match(r"^[a-z][a-z-]*:", line):
            assert "## " in line, f"no help: {line}"
