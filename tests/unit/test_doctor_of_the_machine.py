"""What the doctor says of a machine, by the files that the system itself would show: what makes each check speak, and what silences it."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from jarvis.doctor import clock, environment, limits, settings_read, units
from jarvis.doctor.case import Case, case_of
from jarvis.doctor.diagnosis import Diagnosis, Level, refused
from jarvis.doctor.rounds import SECTIONS, examine
from jarvis.recipes.systemd import SystemdChoices, shipped_units
from jarvis.settings import Settings
from jarvis_client.contract.errors import Invalid
from jarvis_client.contract.instants import to_instant

NOW = to_instant(datetime(2026, 11, 25, 12, tzinfo=UTC))


def machine(root: Path, files: dict[str, str] | None = None) -> Case:
    """A machine whose system files are these."""
    for name, text in (files or {}).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return Case(root / "config", named=False, now=NOW, root=root)


def of(subject: str, found: list[Diagnosis]) -> Diagnosis:
    [one] = [diagnosis for diagnosis in found if diagnosis.subject == subject]
    return one


def loud(found: list[Diagnosis]) -> list[str]:
    """The values of what is not well, each of which must have a rule and a remedy."""
    bad = [diagnosis for diagnosis in found if diagnosis.level in (Level.WARNING, Level.PROBLEM)]
    assert all(diagnosis.remedy for diagnosis in bad), bad
    return [diagnosis.value for diagnosis in bad]


# -- the round ---------------------------------------------------------------------------------------------------------------


def test_a_section_that_breaks_stops_none_of_the_others(tmp_path, monkeypatch):
    def broken(_case):
        raise RuntimeError("redis://:hunter2@host/0 is odd")
        yield

    monkeypatch.setattr("jarvis.doctor.rounds.SECTIONS", (SECTIONS[0].__class__("First", machine=(broken,)), SECTIONS[1]))
    first, *rest = examine(machine(tmp_path))
    assert (first.section, first.level) == ("First", Level.NOT_CHECKED)
    assert "RuntimeError" in first.value
    assert "hunter2" not in first.value
    assert {diagnosis.section for diagnosis in rest} == {"Environment"}


@pytest.mark.parametrize(
    ("sentence", "value", "remedy"),
    [
        ("the limit is 3, 5 are needed; raise it; or wait", "the limit is 3, 5 are needed", "raise it; or wait"),
        ("there were books here: a; b. `jarvis restore` brings them back", "there were books here: a; b", "`jarvis restore` brings them back"),
        ("it cannot be made. Is its disk mounted? Make it; or not", "it cannot be made", "Is its disk mounted? Make it; or not"),
        ("no broker runs over /d: start `jarvis up`", "no broker runs over /d", "start `jarvis up`"),
        ("x: 1.5 is odd", "x: 1.5 is odd", ""),
    ],
)
def test_a_sentence_of_ours_is_told_with_its_remedy_apart(sentence, value, remedy):
    found = refused("x", Invalid(sentence))
    assert (found.value, found.remedy) == (value, remedy)


# -- settings ----------------------------------------------------------------------------------------------------------------


def test_wrong_settings_are_the_first_problem_and_the_rest_goes_on(tmp_path):
    (tmp_path / "database.yaml").write_text("database: {pth: x}\n")
    found = list(examine(case_of(tmp_path, NOW, named=True)))
    assert found[0].level == Level.PROBLEM
    assert "did you mean path?" in found[0].value
    assert of("what they name", found).level == Level.NOT_CHECKED
    assert {"Settings", "Environment", "Limits", "Clock", "Units"} == {diagnosis.section for diagnosis in found}


def test_what_is_not_read_is_said(tmp_path):
    (tmp_path / "database.yaml").write_text("database: {path: x.db}\n")
    (tmp_path / "compose.yml").write_text("services: {}\n")
    assert loud([*settings_read.look(case_of(tmp_path, NOW))]) == [f"{tmp_path / 'compose.yml'} is not read"]
    (tmp_path / "compose.yml").unlink()
    found = [*settings_read.look(case_of(tmp_path, NOW))]
    assert loud(found) == []
    assert of("files", found).value == f"{tmp_path}: database.yaml"


def test_a_file_that_the_settings_refuse_is_told_once(tmp_path):
    (tmp_path / "worker.yaml").write_text("worker: {threads: 2}\n")
    found = [*settings_read.look(case_of(tmp_path, NOW))]
    assert sum("worker.yaml" in diagnosis.value for diagnosis in found) == 1


def test_variables_that_override_the_files_are_named(tmp_path, monkeypatch):
    monkeypatch.delenv("JARVIS_MONITORING__LISTEN")
    assert of("environment", [*settings_read.look(case_of(tmp_path, NOW))]).value == "overrides nothing"
    monkeypatch.setenv("JARVIS_WORKER__THREADS", "2")
    monkeypatch.setenv("JARVIS_DATABASE__PATH", "x.db")
    said = of("environment", [*settings_read.look(case_of(tmp_path, NOW))]).value
    assert said == "overrides the files: JARVIS_DATABASE__PATH, JARVIS_WORKER__THREADS"


# -- environment -------------------------------------------------------------------------------------------------------------


def test_this_environment_is_as_it_should_be(tmp_path):
    found = [*environment.look(machine(tmp_path))]
    assert [diagnosis for diagnosis in found if diagnosis.level != Level.OK] == []
    assert "apsw " in of("dependencies", found).value


@pytest.mark.parametrize(
    ("present", "bounds", "fits"),
    [
        ("3.11.3", "<4,>=3.11.3", True), ("3.11.2", "<4,>=3.11.3", False), ("4.0", "<4,>=3.11.3", False), ("14", ">=14", True), ("14.0.1", ">=14", True),
        ("9.1.2.post2", "<9.2,>=9.1.2", True), ("2.10", ">=2.9", True), ("0.1.0", "", True),
    ],
)  # fmt: skip
def test_versions_are_compared_as_numbers(present, bounds, fits):
    assert environment.satisfies(present, bounds) is fits


def test_a_dependency_that_is_missing_or_too_old_is_named_with_what_is_needed(tmp_path, monkeypatch):
    monkeypatch.setattr(environment, "requires", lambda _: ["apsw>=99", "no-such-thing>=1", "coverage>=99; extra == 'dev'", "typer>=0.20"])
    assert loud([*environment.look(machine(tmp_path))]) == [f"apsw is {environment.version('apsw')}, needed is >=99; no-such-thing is missing"]


def test_requirements_of_other_systems_and_extras_are_left_out():
    here, there = f'a>=1; sys_platform == "{sys.platform}"', 'b>=1; sys_platform == "plan9"'
    assert [*environment.wanted([here, there, f'c>=1; sys_platform != "{sys.platform}"', 'd>=1; sys_platform != "plan9"', "e[x]<3,>=2; extra == 'dev'"])] == [
        ("a", ">=1"), ("d", ">=1"),
    ]  # fmt: skip


@pytest.mark.parametrize(("version", "said"), [("3.40.1", "SQLite 3.40.1 can lose committed rows"), ("3.51.3", None)])
def test_a_sqlite_that_loses_rows_is_a_problem(tmp_path, monkeypatch, version, said):
    monkeypatch.setattr(environment, "sqlite_version", lambda: version)
    found = of("SQLite", [*environment.look(machine(tmp_path))])
    assert found.level == (Level.PROBLEM if said else Level.OK)
    assert (said or version) in found.value


def test_a_driver_without_its_extensions_is_a_problem(tmp_path, monkeypatch):
    monkeypatch.setattr("persistence.engine.sqlite.connect.EXTENSIONS", ("decimal", "no_such_extension"))
    found = of("SQLite", [*environment.look(machine(tmp_path))])
    assert found.level == Level.PROBLEM
    assert found.value.endswith("without no_such_extension")


def test_a_machine_without_a_broker_program_needs_a_url(tmp_path, monkeypatch):
    def none():
        raise Invalid("no embedded broker on this platform; set broker.url")

    case = machine(tmp_path)
    assert loud([*environment.look_at_server_program(case, Settings())]) == []
    monkeypatch.setattr(environment, "server_binary", none)
    assert loud([*environment.look_at_server_program(case, Settings())]) == ["no embedded broker on this platform"]
    assert [*environment.look_at_server_program(case, Settings(broker={"url": "redis://here"}))] == []


# -- limits ------------------------------------------------------------------------------------------------------------------

#: Run in a process of its own, below the limits that it sets.
LIMITED = """
import resource, sys
from pathlib import Path
for name, value in zip(sys.argv[2::2], sys.argv[3::2]):
    which = getattr(resource, "RLIMIT_" + name)
    # The hard limit of core dumps stays, so that the soft one can be raised again.
    resource.setrlimit(which, (int(value), resource.getrlimit(which)[1] if name == "CORE" else int(value)))
from jarvis.doctor import limits
from jarvis.doctor.case import Case
for d in limits.look(Case(Path("config"), False, 0, root=Path(sys.argv[1]))):
    if d.level != "ok": print(d.level, d.subject, d.value, d.rule, d.remedy, sep="|")
"""


def limited(root: Path, *limits_of_it: object) -> str:
    done = subprocess.run([sys.executable, "-c", LIMITED, str(root), *map(str, limits_of_it)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        (("NOFILE", 64), "problem|open files|the limit of open files is 64, 256 are needed||raise it with `ulimit -n`"),
        (("AS", 1 << 30), "problem|memory|`ulimit -v` grants 1.07 GB|"),
        (("FSIZE", 10_000_000), "problem|file size|`ulimit -f` grants 10 MB|"),
        (("CORE", 5_000_000), "warning|core dumps|of 5 MB are written|"),
    ],
)
def test_a_limit_of_the_shell_that_is_too_low_is_told(tmp_path, limit, said):
    assert said in limited(tmp_path, "CORE", 0, *limit)


def test_limits_that_suffice_are_silent(tmp_path):
    assert limited(tmp_path, "NOFILE", 512, "CORE", 0) == ""


@pytest.mark.parametrize(("running", "told"), [(1000, True), (10, False)])
def test_a_user_who_may_start_no_more_threads_is_told(tmp_path, monkeypatch, running, told):
    monkeypatch.setattr(limits.os, "geteuid", lambda: 1234)
    monkeypatch.setattr(limits.resource, "getrlimit", lambda which: (1024, 1024) if which == limits.resource.RLIMIT_NPROC else (-1, -1))
    case = machine(tmp_path, {"proc/1/status": f"Uid:\t1234\t1234\nThreads:\t{running}\n", "proc/2/status": "Uid:\t0\t0\nThreads:\t5000\n"})
    assert [d.value for d in limits._threads(case) if d.level == Level.PROBLEM] == (["user 1234 may start 24 more of 1,024"] if told else [])


V1 = "9:name=systemd:/\n4:memory:/a/b\n8:pids:/a\n"


@pytest.mark.parametrize(
    ("files", "granted"),
    [
        ({"proc/self/cgroup": "0::/jarvis.slice/jarvis-worker.service\n", "sys/fs/cgroup/jarvis.slice/memory.max": "100000000\n"}, 100_000_000),
        ({"proc/self/cgroup": "0::/x\n", "sys/fs/cgroup/x/memory.max": "max\n"}, None),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "200000000\n"}, 200_000_000),
        ({"proc/self/cgroup": V1, "sys/fs/cgroup/memory/a/memory.limit_in_bytes": "300000000\n"}, 300_000_000),
        ({"proc/self/cgroup": V1, "sys/fs/cgroup/memory/a/b/memory.limit_in_bytes": "9223372036854771712\n"}, None),
        ({}, None),
    ],
)
def test_the_tightest_control_group_above_us_counts(tmp_path, files, granted):
    case = machine(tmp_path, {**files, "proc/meminfo": "MemTotal: 8000000 kB\n"})
    assert limits.memory_of_group(case) == granted
    [found] = limits._memory(case)
    assert found.level == (Level.OK if granted is None else Level.WARNING)
    assert ("for the control group" in found.value) is (granted is not None)


@pytest.mark.parametrize(("most", "level"), [("100", Level.PROBLEM), ("4915", Level.OK), ("max", Level.OK)])
def test_a_control_group_without_room_for_threads_is_told(tmp_path, most, level):
    files = {"proc/self/cgroup": "0::/x\n", "sys/fs/cgroup/x/pids.max": most, "sys/fs/cgroup/x/pids.current": "90", "sys/fs/cgroup/pids.current": "4000"}
    [found] = limits._threads(machine(tmp_path, files))
    assert found.level == level


# -- clock -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "kernel", "level"),
    [
        ({}, False, Level.WARNING), ({}, True, Level.OK), ({}, None, Level.NOT_CHECKED), ({clock.SYNCHRONIZED: ""}, False, Level.OK),
    ],
)  # fmt: skip
def test_a_clock_that_nobody_keeps_is_a_warning(tmp_path, files, kernel, level):
    [found] = clock.look(machine(tmp_path, files), lambda: kernel)
    assert found.level == level
    assert found.value.startswith("2026-11-25 12:00:00 UTC")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has adjtimex")
def test_the_kernel_is_asked_and_answers():
    assert clock.kernel_says() in (True, False)


# -- units -------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def installed(tmp_path) -> Path:
    """A machine with the units of this version, for the program that runs here."""
    for name, text in shipped_units(SystemdChoices()).items():
        path = tmp_path / "etc" / "systemd" / "system" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("/opt/jarvis/bin", f"{sys.prefix}/bin"))
    return tmp_path / "etc" / "systemd" / "system"


def settings_of_units(**more) -> Settings:
    return Settings(database={"path": "/var/lib/jarvis/jarvis_trading.db", "backup": {"path": "/var/lib/jarvis/backups", **more.pop("backup", {})}}, **more)


def of_units(folder: Path, settings: Settings | None = None) -> list[Diagnosis]:
    case = Case(Path("/etc/jarvis"), named=True, now=NOW, root=folder.parents[2])
    return [*units.look(case), *(units.look_at_settings(case, settings) if settings else ())]


def test_units_of_this_version_are_well(installed):
    found = of_units(installed, settings_of_units())
    assert loud(found) == []
    assert len(found) == len(shipped_units(SystemdChoices()))


def test_without_units_nothing_is_amiss(tmp_path):
    [found] = units.look(machine(tmp_path))
    assert (found.level, found.value) == (Level.OK, "none of jarvis is installed")


def test_a_unit_of_another_version_is_named_with_what_differs(installed):
    path = installed / "jarvis-.service.d" / "10-hardening.conf"
    path.write_text(path.read_text().replace("TimeoutStopSec=60", "TimeoutStopSec=10") + "# a remark of mine\n")
    assert loud(of_units(installed)) == [f"{path}: TimeoutStopSec=60 is missing; TimeoutStopSec=10 is added"]


def test_the_drop_in_of_all_units_is_missed(installed):
    (installed / "jarvis-.service.d" / "10-hardening.conf").unlink()
    assert loud(of_units(installed)) == ["jarvis-.service.d/10-hardening.conf is not installed"]


def test_a_drop_in_of_ones_own_is_no_difference(installed):
    (installed / "jarvis-worker.service.d").mkdir()
    (installed / "jarvis-worker.service.d" / "90-mine.conf").write_text("[Service]\nMemoryMax=1G\n")
    assert loud(of_units(installed, settings_of_units())) == []


def test_units_that_run_another_program_are_told(installed):
    path = installed / "jarvis-worker.service"
    path.write_text(path.read_text().replace(f"{sys.prefix}/bin", "/opt/other/bin"))
    assert loud(of_units(installed)) == ["jarvis-worker.service runs /opt/other/bin/jarvis"]


def test_a_command_that_sees_other_books_than_the_units_is_told(installed):
    found = loud(of_units(installed, Settings()))
    assert "jarvis-worker.service has JARVIS_DATABASE__PATH=/var/lib/jarvis/jarvis_trading.db, JARVIS_DATABASE__BACKUP__PATH=/var/lib/jarvis/backups" in found


DROP_INS = Path(__file__).parents[2] / "deploy" / "systemd" / "drop-ins"


def drop_in(installed: Path, unit: str, name: str, *changes: tuple[str, str]) -> None:
    text = (DROP_INS / name).read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (installed / f"{unit}.d").mkdir(exist_ok=True)
    (installed / f"{unit}.d" / f"50-{name}").write_text(text)


def test_a_second_place_needs_its_drop_in(installed):
    settings = settings_of_units(backup={"second": {"path": "/mnt/other/jarvis"}})
    assert loud(of_units(installed, settings)) == ["jarvis-scheduler.service may not write to /mnt/other/jarvis"]
    drop_in(installed, "jarvis-scheduler.service", "second-path.conf")
    assert loud(of_units(installed, settings)) == []


def test_a_command_for_the_second_place_needs_the_network(installed):
    settings = settings_of_units(backup={"second": {"command": "aws s3 cp {file} s3://bucket/"}})
    assert loud(of_units(installed, settings)) == ["jarvis-scheduler.service has no network"]
    drop_in(installed, "jarvis-scheduler.service", "network.conf")
    assert loud(of_units(installed, settings)) == []


def test_alerts_that_go_to_other_machines_need_the_network(installed, tmp_path):
    scheduler, urls = "jarvis-scheduler.service has no network", tmp_path / "urls"
    urls.write_text("json://alarms.example.com\n")
    ways = ({"urls": ["json://alarms.example.com"]}, {"urls_file": urls}, {"ping": "https://ping.example.com/1"}, {"command": "/usr/local/bin/tell-me"})
    found = [[one for one in of_units(installed, settings_of_units(alerts=way)) if one.value == scheduler] for way in ways]
    assert [one.level for [one] in found] == [Level.PROBLEM, Level.PROBLEM, Level.PROBLEM, Level.WARNING]
    assert found[2][0].rule == "alerts.ping leads to other machines"
    assert "--network" in found[2][0].remedy
    drop_in(installed, "jarvis-scheduler.service", "network.conf")
    assert [loud(of_units(installed, settings_of_units(alerts=way))) for way in ways] == [[], [], [], []]


def test_a_broker_on_the_network_needs_its_drop_in_in_both_units_that_use_it(installed):
    both = ("jarvis-worker.service", "jarvis-scheduler.service")
    here, away = (settings_of_units(broker={"url": f"redis://{host}:6379/0"}) for host in ("localhost", "redis.example.com"))
    assert loud(of_units(installed, here)) == [f"{unit} has no network" for unit in both]
    for unit in both:
        drop_in(installed, unit, "redis-tcp.conf")
    assert loud(of_units(installed, here)) == []
    assert loud(of_units(installed, away)) == [f"{unit} may reach no address but this machine's" for unit in both]
    for unit in both:
        drop_in(installed, unit, "redis-tcp.conf", ("IPAddressAllow=localhost", "IPAddressAllow=10.0.0.5 10.0.0.1"))
    assert loud(of_units(installed, away)) == []


def test_units_made_for_another_user_and_place_are_well(tmp_path):
    choices = SystemdChoices(user="books", state="/srv/books", prefix="/srv/jarvis")
    folder = tmp_path / "etc" / "systemd" / "system"
    for name, text in shipped_units(choices).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text.replace("/srv/jarvis/bin", f"{sys.prefix}/bin"))
    assert loud(of_units(folder)) == []


def test_a_broker_on_a_socket_needs_no_network(installed):
    assert loud(of_units(installed, settings_of_units(broker={"url": "unix:///run/redis/redis.sock"}))) == []


def test_books_outside_of_the_state_folder_cannot_be_written(installed):
    settings = Settings(database={"path": "/srv/books/b.db", "backup": {"path": "/var/lib/jarvis/backups"}})
    drop_in(installed, "jarvis-worker.service", "second-path.conf", ("/mnt/other/jarvis", "/srv/books"))
    found = [value for value in loud(of_units(installed, settings)) if "may not write" in value]
    assert found == ["jarvis-scheduler.service may not write to /srv/books"]


def test_a_later_folder_of_systemd_is_hidden_by_an_earlier_one(installed):
    old = installed.parents[2] / "usr" / "lib" / "systemd" / "system"
    old.mkdir(parents=True)
    (old / "jarvis-worker.service").write_text("[Service]\nExecStart=/usr/bin/old\n")
    assert loud(of_units(installed)) == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("MemoryMax=64M", "MemoryMax=64M"), ("MemoryMax=2G", None), ("MemoryMax=infinity", None), ("MemoryMax=50%", None), ("TasksMax=16", "TasksMax=16"),
        ("LimitNOFILE=128", "LimitNOFILE=128"), ("LimitNOFILE=128:4096", None), ("LimitAS=1G", "LimitAS=1G"),
    ],
)  # fmt: skip
def test_a_unit_that_is_locked_down_too_far_is_a_problem(installed, line, said):
    (installed / "jarvis-worker.service.d").mkdir()
    (installed / "jarvis-worker.service.d" / "90-mine.conf").write_text(f"[Service]\n{line}\n")
    assert loud(of_units(installed)) == ([f"jarvis-worker.service has {said}"] if said else [])
