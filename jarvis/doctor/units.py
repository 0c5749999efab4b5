"""systemd's units: those of this version, with the drop-ins that the settings ask for, over the same books."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from jarvis.doctor.case import Case
from jarvis.doctor.diagnosis import Diagnosis, problem, warning, well
from jarvis.doctor.limits import ADDRESSES_NEEDED, THREADS_NEEDED, UNIT_MEMORY_NEEDED
from jarvis.doctor.unit_files import Unit, installed, lines_of, number_of, units
from jarvis.limits import FILES_NEEDED
from jarvis.recipes.systemd import SystemdChoices, shipped_units
from jarvis.settings import Settings
from jarvis_client.contract.address import read_address
from persistence.domain.showing import size
from persistence.program import program_version

#: Differences that are named of one file.
MOST_SHOWN = 3
RELOAD = "then: systemctl daemon-reload, and restart the unit"
#: What brings a unit into order. Every option of the machine has to be given with it.
DEPLOY = "jarvis deploy systemd --to /"
BYTES = "of memory"
#: What a drop-in may set too low: the key, what is needed, and of what.
LIMITS = (
    ("MemoryMax", UNIT_MEMORY_NEEDED, BYTES), ("TasksMax", THREADS_NEEDED, "threads"), ("LimitNOFILE", FILES_NEEDED, "open files"),
    ("LimitAS", ADDRESSES_NEEDED, "bytes of addresses"),
)  # fmt: skip
_PROGRAM = re.compile(r"^\S*/jarvis(?= )")


def look(case: Case) -> Iterator[Diagnosis]:
    """Are the units installed those of this version?"""
    found = list(units(case))
    if not found:
        yield well("units", "none of jarvis is installed")
        return
    for unit in found:
        yield from _program_and_limits(unit)
    # Whom the units run as, and where the books lie, is the operator's to say.
    default = SystemdChoices()
    shipped = shipped_units(SystemdChoices(user=found[0].last("User") or default.user, state=found[0].last("WorkingDirectory") or default.state))
    there = {name: path for name in shipped if (path := installed(case, name)) is not None}
    for name in sorted({"jarvis-.service.d/10-hardening.conf"} - {*there}):
        rule = "it has the user, the folders and the restrictions of every unit"
        yield problem("units", f"{name} is not installed", rule, f"{DEPLOY} with this machine's options, {RELOAD}")
    for name, path in there.items():
        differences = _differences(shipped[name], path.read_text("utf-8", "replace"))
        if differences:
            more = f"; and {len(differences) - MOST_SHOWN} more" if len(differences) > MOST_SHOWN else ""
            rule = "changes of your own belong in a drop-in, which an upgrade leaves alone"
            value = f"{path}: {'; '.join(differences[:MOST_SHOWN])}{more}"
            remedy = f"{DEPLOY} --force with this machine's options, {RELOAD}"
            yield warning("units", value, f"differs from that of jarvis {program_version()}: {rule}", remedy)
        else:
            yield well("units", f"{path} is that of jarvis {program_version()}")


def look_at_settings(case: Case, settings: Settings) -> Iterator[Diagnosis]:
    """Do the units let the services do what the settings say, and do they mean the same books?"""
    found = {unit.name: unit for unit in units(case)}
    for unit in found.values():
        yield from _same_settings(case, settings, unit)
    recording = [unit for name, unit in found.items() if name != "jarvis-broker.service"]
    for unit in recording:
        if not unit.may_write(settings.data_folder):
            remedy = f"a drop-in with ReadWritePaths={settings.data_folder}, {RELOAD}"
            yield problem("units", f"{unit.name} may not write to {settings.data_folder}", "the books lie there (database.path)", remedy)
    if (scheduler := found.get("jarvis-scheduler.service")) is not None:
        yield from _second_place(settings, scheduler)
        yield from _alerts(settings, scheduler)
    # The worker takes from the broker, the scheduler tells of what waits there.
    for unit in recording:
        yield from _network(settings, unit)


def _program_and_limits(unit: Unit) -> Iterator[Diagnosis]:
    program = unit.last("ExecStart").split(" ")[0]
    if program and Path(program).parent != Path(sys.prefix) / "bin":
        rule = f"what is said here is of the one in {sys.prefix}"
        yield warning("units", f"{unit.name} runs {program}", rule, f"ask that one: {program} doctor")
    for key, needed, what in LIMITS:
        granted = number_of(unit.last(key))
        if granted is not None and granted < needed:
            value = f"{unit.name} has {key}={unit.last(key)}"
            yield problem("units", value, f"{size(needed) if what == BYTES else f'{needed:,}'} {what} are needed", f"raise it in its drop-in, {RELOAD}")


def _differences(ours: str, theirs: str) -> list[str]:
    # In which folder the program is installed is not ours to say.
    shipped, there = ([(key, _PROGRAM.sub("jarvis", value)) for _, key, value in lines_of(text)] for text in (ours, theirs))
    missing = [f"{key}={value} is missing" for key, value in shipped if (key, value) not in there]
    return missing + [f"{key}={value} is added" for key, value in there if (key, value) not in shipped]


def _same_settings(case: Case, settings: Settings, unit: Unit) -> Iterator[Diagnosis]:
    """What the unit's own environment says, against what this command was told."""
    ours = {
        "JARVIS_CONFIG": case.config.absolute(), "JARVIS_DATABASE__PATH": settings.database.path.absolute(),
        "JARVIS_DATABASE__BACKUP__PATH": settings.database.backup.path.absolute(),
    }  # fmt: skip
    other = [f"{name}={value}" for name, value in unit.environment.items() if name in ours and ours[name] != Path(value)]
    other += [
        f"{name}={value}" for name, value in unit.environment.items() if name.startswith("JARVIS_") and name not in ours and os.environ.get(name) != value
    ]
    if other:
        rule = "the unit looks at other settings than this command"
        yield warning("units", f"{unit.name} has {', '.join(other)}", rule, "run this as the services do: jarvis-ctl doctor")


def _second_place(settings: Settings, unit: Unit) -> Iterator[Diagnosis]:
    second = settings.database.backup.second
    if second.path is not None and not unit.may_write(second.path.absolute()):
        remedy = f"{DEPLOY} with this machine's options and --second-path {second.path}, {RELOAD}"
        yield problem("units", f"{unit.name} may not write to {second.path}", "database.backup.second.path names it", remedy)
    if second.command is not None and unit.last("PrivateNetwork") == "yes":
        remedy = f"if the command needs one: {DEPLOY} with this machine's options and --network, {RELOAD}"
        yield warning("units", f"{unit.name} has no network", "database.backup.second.command runs in it", remedy)


def _alerts(settings: Settings, unit: Unit) -> Iterator[Diagnosis]:
    if unit.last("PrivateNetwork") != "yes":
        return
    alerts, remedy = settings.alerts, f"{DEPLOY} with this machine's options and --network, {RELOAD}"
    away = [name for name, given in (("urls", alerts.urls), ("urls_file", alerts.urls_file), ("ping", alerts.ping)) if given]
    if away:
        named = " and ".join(f"alerts.{name}" for name in away)
        yield problem("units", f"{unit.name} has no network", f"{named} lead{'' if len(away) > 1 else 's'} to other machines", remedy)
    elif alerts.command is not None:
        yield warning("units", f"{unit.name} has no network", "alerts.command runs in it", f"if the command needs one: {remedy}")


def _network(settings: Settings, unit: Unit) -> Iterator[Diagnosis]:
    if settings.broker.url is None:
        return
    address = read_address(settings.broker.url.get_secret_value())
    if address.socket:
        return
    hosts = ", ".join(host for host, _ in address.reached)
    remedy = f"{DEPLOY} with this machine's options and --broker {'tls' if address.scheme == 'rediss' else 'tcp'}, {RELOAD}"
    if unit.last("PrivateNetwork") == "yes":
        yield problem("units", f"{unit.name} has no network", f"broker.url leads to {hosts}", remedy)
    elif not {host for host, _ in address.reached} <= {"localhost", "127.0.0.1", "::1"} and unit.words("IPAddressAllow") == ["localhost"]:
        value = f"{unit.name} may reach no address but this machine's"
        yield problem("units", value, f"broker.url leads to {hosts}", f"give its address and the resolver's, each with --allow, to {DEPLOY} --force, {RELOAD}")
