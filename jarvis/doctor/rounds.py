"""Every section in turn. One that cannot be looked at says so, and stops none of the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain

from jarvis.doctor import books_file, broker, clock, environment, folders, limits, running, secrets, settings_read, units
from jarvis.doctor.case import Case
from jarvis.doctor.diagnosis import Diagnosis, not_checked
from jarvis.settings import Settings
from jarvis_client.contract.showing import hide_passwords

OfTheMachine = Callable[[Case], Iterator[Diagnosis]]
OfTheSettings = Callable[[Case, Settings], Iterator[Diagnosis]]


@dataclass(frozen=True)
class Section:
    """What is looked at whatever the settings are, and what only they lead to."""

    title: str
    machine: tuple[OfTheMachine, ...] = ()
    settings: tuple[OfTheSettings, ...] = ()


SECTIONS = (
    Section("Settings", machine=(settings_read.look,)),
    Section("Environment", machine=(environment.look,), settings=(environment.look_at_server_program,)),
    Section("Books", settings=(books_file.look,)),
    Section("Folders", settings=(folders.look,)),
    Section("Limits", machine=(limits.look,)),
    Section("Clock", machine=(clock.look,), settings=(clock.look_at_books,)),
    Section("Broker", settings=(broker.look,)),
    Section("Secrets", settings=(secrets.look,)),
    Section("Units", machine=(units.look,), settings=(units.look_at_settings,)),
    Section("Processes", settings=(running.look,)),
)


def examine(case: Case) -> Iterator[Diagnosis]:
    """Look at everything. Raises nothing: what goes wrong on the way is a line of its own."""
    for section in SECTIONS:
        looks: list[Callable[[], Iterator[Diagnosis]]] = [partial(look, case) for look in section.machine]
        if case.settings is not None:
            looks += [partial(look, case, case.settings) for look in section.settings]
        for diagnosis in chain.from_iterable(map(_guarded, looks)):
            yield replace(diagnosis, section=section.title)


def _guarded(look: Callable[[], Iterator[Diagnosis]]) -> Iterator[Diagnosis]:
    try:
        yield from look()
    except Exception as error:
        # The one who asks needs the other sections most when something is badly wrong.
        yield not_checked("the rest of it", f"{type(error).__name__}: {hide_passwords(str(error))}", "what is said above of the same place comes first")
