"""One line of the doctor's answer."""

from __future__ import annotations

import os
import pwd
import re
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

from jarvis_client.contract.showing import hide_passwords

#: Where the remedy begins in a sentence of ours: the first of these that it has.
_BORDERS = tuple(map(re.compile, (r"\. (?=[A-Z`])", r"; ", r": (?=\w+ `)")))


class Level(StrEnum):
    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"
    NOT_CHECKED = "not checked"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What was looked at and what was found. `rule` and `remedy` are there where it is not well; the section is set by the round."""

    subject: str
    level: Level
    value: str
    rule: str = ""
    remedy: str = ""
    section: str = ""


def well(subject: str, value: str) -> Diagnosis:
    return Diagnosis(subject, Level.OK, value)


def warning(subject: str, value: str, rule: str, remedy: str) -> Diagnosis:
    return Diagnosis(subject, Level.WARNING, value, rule, remedy)


def problem(subject: str, value: str, rule: str = "", remedy: str = "") -> Diagnosis:
    return Diagnosis(subject, Level.PROBLEM, value, rule, remedy)


def not_checked(subject: str, why: str, remedy: str = "") -> Diagnosis:
    return Diagnosis(subject, Level.NOT_CHECKED, why, "", remedy)


def refused(subject: str, error: Exception, level: Level = Level.PROBLEM) -> Diagnosis:
    """What an error of ours says: first the value and the rule, then the remedy."""
    text = hide_passwords(str(error))
    for border in _BORDERS:
        if len(parts := border.split(text, maxsplit=1)) == 2:
            return Diagnosis(subject, level, parts[0], "", parts[1])
    return Diagnosis(subject, level, text)


def user_name(number: int) -> str:
    with suppress(KeyError):
        return pwd.getpwuid(number).pw_name
    return f"user {number}"


def me() -> str:
    return user_name(os.geteuid())
