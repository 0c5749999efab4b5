"""Where settings come from: the YAML files of a folder, the environment, the file of a secret. Each value with its place.

What was named and is not there is a problem, and so is what would be taken for something else: a file under a name that nobody
reads, a key that stands twice, an empty secret. No input raises; all of it ends in values and sentences.
"""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, get_args, get_origin

import yaml
from pydantic import BaseModel

from persistence.domain.showing import size

FILES = ("database.yaml", "workers.yaml", "scheduler.yaml", "monitoring.yaml")
ENVIRONMENT_PREFIX = "JARVIS_"
#: Names of our environment that are no settings.
OTHER_NAMES = {"JARVIS_CONFIG", "JARVIS_TIME_ZONE", "JARVIS_SUPERVISOR", "JARVIS_STATUS_FD"}
#: Endings of files that somebody meant to be read as settings.
LOOKS_LIKE_SETTINGS = (".yaml", ".yml", ".json", ".toml")
#: Settings fit into a fraction of it; a device or a disk image does not.
LONGEST_FILE_BYTES = 1 << 20
#: Settings go nine deep, in a profile of imports.
DEEPEST = 16

Values = dict[str, Any]
#: The path of a value, such as ("database", "path"), to where it was read.
Places = dict[tuple[str, ...], str]


def read_files(folder: Path, sections: list[str], *, named: bool) -> tuple[Values, Places, list[str]]:
    """The values of the files of a folder. `named`: somebody asked for this folder, so that it has to be there."""
    values: Values = {}
    places: Places = {}
    try:
        if not folder.is_dir():
            return values, places, _no_folder(folder, named)
        problems = _misnamed(folder, named)
    except OSError as error:
        return values, places, [f"{folder}: cannot be read: {error.strerror}; check its owner and mode, and those of the folders above it"]
    for name in FILES:
        path = folder / name
        if not os.path.lexists(path):
            continue
        try:
            content, lines = read_yaml(read_text(path))
        except Unreadable as why:
            problems.append(f"{path}{why}")
            continue
        if content is not None and not isinstance(content, dict):
            problems.append(f"{path}: must hold keys such as {', '.join(sections)}, not a {type(content).__name__}")
            continue
        for key, section in (content or {}).items():
            if key in values:
                problems.append(f"{path}: {_shown(key)} stands in another file too; keep one of them")
            # A key without a value (`worker:`) means its defaults.
            values[key] = {} if section is None else section
        places |= {where: f"{path}:{line}" for where, line in lines.items()}
    return values, places, problems


def _no_folder(folder: Path, named: bool) -> list[str]:
    if folder.exists():
        return [f"{folder}: is a file; --config and JARVIS_CONFIG name the folder that has {', '.join(FILES)}"]
    if named or folder.is_symlink():
        return [f"{folder}: there is no such folder; correct --config or JARVIS_CONFIG, or make it and put {', '.join(FILES)} there"]
    return []


def _misnamed(folder: Path, named: bool) -> list[str]:
    """Files that look like settings and are none of ours. In a ./config that nobody named, the files of others may lie, too."""
    problems = []
    for name in unread_files(folder):
        close = difflib.get_close_matches(name.lower().partition(".")[0] + ".yaml", FILES, n=1, cutoff=0.85)
        if close or named:
            said = f"did you mean {close[0]}?" if close else f"there are {', '.join(FILES)}:"
            problems.append(f"{folder / name}: nobody reads a file of this name; {said} Rename it, or move it out of {folder}")
    return problems


def unread_files(folder: Path) -> list[str]:
    """The names in a folder that look like settings and that nobody reads; none where there is no such folder."""
    names = sorted(os.listdir(folder)) if folder.is_dir() else []
    return [name for name in names if name not in FILES and not name.startswith(".") and name.lower().endswith(LOOKS_LIKE_SETTINGS)]


class Unreadable(Exception):
    """Why a file cannot be used; the text goes on behind its path."""


def read_text(path: Path) -> str:
    """The text of a small file. Raises `Unreadable`."""
    try:
        with open(path, "rb") as file:
            raw = file.read(LONGEST_FILE_BYTES + 1)
        if len(raw) > LONGEST_FILE_BYTES:
            raise Unreadable(f": is longer than {size(LONGEST_FILE_BYTES)}; name the right file")
        return raw.decode("utf-8-sig")
    except FileNotFoundError:
        if path.is_symlink():
            raise Unreadable(f": is a link to {os.readlink(path)}, which is not there; mend the link") from None
        raise Unreadable(": cannot be read: it does not exist; put it there, or correct the path") from None
    except PermissionError:
        raise Unreadable(f": cannot be read by user {os.geteuid()}; check its owner and mode, and those of the folders above it") from None
    except UnicodeDecodeError as error:
        raise Unreadable(f": cannot be read: byte {error.start:,} is not UTF-8; save it as UTF-8 text") from None
    except (OSError, ValueError) as error:
        raise Unreadable(f": cannot be read: {getattr(error, 'strerror', None) or error}; name a file") from None


# -- YAML --------------------------------------------------------------------------------------------------------------------


class _Loader(yaml.SafeLoader):
    """YAML as settings need it: no anchors, whose copies of copies fill any memory, and no times, which are text here."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise yaml.MarkedYAMLError(problem="anchors and aliases (& and *) are not taken; write the value out, or quote it", problem_mark=event.start_mark)
        return super().compose_node(parent, index)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in known if tag != "tag:yaml.org,2002:timestamp"]
    for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read_yaml(text: str) -> tuple[Any, dict[tuple[str, ...], int]]:
    """The value of a YAML text, and the line of every key. Raises `Unreadable`."""
    lines: dict[tuple[str, ...], int] = {}
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        return (None if node is None else _value(loader, node, (), lines)), lines
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise Unreadable(f"{f' line {mark.line + 1}' if mark else ''}: not YAML: {getattr(error, 'problem', None) or 'it holds control characters'}") from None
    except RecursionError:
        raise Unreadable(": is nested deeper than settings go") from None


def _value(loader: _Loader, node: yaml.Node, where: tuple[str, ...], lines: dict[tuple[str, ...], int]) -> Any:
    line = node.start_mark.line + 1
    if len(where) > DEEPEST:
        raise Unreadable(f" line {line}: is nested deeper than settings go")
    if isinstance(node, yaml.MappingNode):
        values: Values = {}
        for key_node, value_node in node.value:
            key, at = _key(loader, key_node), key_node.start_mark.line + 1
            if key in values:
                raise Unreadable(f" line {at}: {_shown(key)} stands in line {lines[(*where, key)]} already, and one of the two would be lost; keep one")
            lines[(*where, key)] = at
            values[key] = _value(loader, value_node, (*where, key), lines)
        return values
    if isinstance(node, yaml.SequenceNode):
        return [_value(loader, element, (*where, str(number)), lines) for number, element in enumerate(node.value)]
    try:
        return loader.construct_object(node)
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError, OverflowError):
        raise Unreadable(f" line {line}: {node.value!r:.60} is no value of settings; quote it if it is text") from None


def _key(loader: _Loader, node: yaml.Node) -> str:
    if isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:str" and node.value.isprintable():
        return str(node.value)
    shown = f"{node.value!r:.60}" if isinstance(node, yaml.ScalarNode) else "a list or a mapping"
    raise Unreadable(f" line {node.start_mark.line + 1}: {shown} is no name of a setting; a key is text: quote it")


def _shown(key: str) -> str:
    return key if key.isprintable() and len(key) <= 60 else f"{key!r:.60}"


# -- the environment ---------------------------------------------------------------------------------------------------------


def read_environment(values: Values, places: Places, model: type[BaseModel]) -> list[str]:
    """Put what the environment says over the values of the files."""
    problems = []
    known = set(_names(model, ENVIRONMENT_PREFIX))
    # Below these the names are the operator's own.
    open_ended = (
        f"{ENVIRONMENT_PREFIX}SCHEDULER__JOBS__",
        f"{ENVIRONMENT_PREFIX}ROLLUP__ACCOUNTS__",
        f"{ENVIRONMENT_PREFIX}IMPORTS__PROFILES__",
        f"{ENVIRONMENT_PREFIX}EXPORTS__",
    )
    for name in sorted(os.environ):
        upper = name.upper()
        if not upper.startswith(ENVIRONMENT_PREFIX) or upper in OTHER_NAMES:
            continue
        if upper not in known and not upper.startswith(open_ended):
            problems.append(f"environment variable {_shown(name)}: no such setting{did_you_mean(upper, sorted(known))}")
            continue
        where = tuple(upper.removeprefix(ENVIRONMENT_PREFIX).lower().split("__"))
        value: Any = os.environ[name]
        if _is_structured(model, where):
            try:
                value = json.loads(value)
            except (ValueError, RecursionError):
                problems.append(f'environment variable {name}: is {value!r:.60}; it must be JSON, such as ["USD", "USDT"] or {{"XBTUSD": "XBT/USD"}}')
                continue
        _put(values, where, value)
        for below in [place for place in places if place[: len(where)] == where]:
            del places[below]
        places[where] = name
    return problems


def _put(values: Values, where: tuple[str, ...], value: Any) -> None:
    for name in where[:-1]:
        inner = values.setdefault(name, {})
        if not isinstance(inner, dict):
            return  # what stands there is told of as it is
        values = inner
    below = values.get(where[-1])
    values[where[-1]] = {**below, **value} if isinstance(below, dict) and isinstance(value, dict) else value


def _is_structured(model: Any, where: tuple[str, ...]) -> bool:
    """Whether a value is written as JSON: a list, a mapping, a whole section."""
    for name in where:
        if get_origin(model) is dict:
            model = get_args(model)[1]
        elif isinstance(model, type) and issubclass(model, BaseModel) and name in model.model_fields:
            model = model.model_fields[name].annotation
        else:
            return False
    return get_origin(model) in (tuple, dict) or (isinstance(model, type) and issubclass(model, BaseModel))


def _names(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield f"{prefix}{name.upper()}"
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _names(field.annotation, f"{prefix}{name.upper()}__")


# -- the secret --------------------------------------------------------------------------------------------------------------


class Secret(NamedTuple):
    """A section whose `url` may stand in a file of its own: `url_file`, or a credential of systemd's."""

    section: str
    #: What it is the URL of, as people say it, and where records would go without one.
    of: str
    without: str

    @property
    def credential(self) -> str:
        """What a systemd unit calls it (`LoadCredential=broker-url:…`)."""
        return f"{self.section}-url"

    @property
    def owner(self) -> str:
        return f"the {self.of}'s"


SECRETS = (Secret("broker", "broker", "an embedded broker"), Secret("database", "server", "a file"))


def read_secrets(values: Values, places: Places) -> list[str]:
    """The URLs of the broker and of the books' server from their files, or from systemd's credentials, where they are not set outright."""
    return [problem for secret in SECRETS for problem in _read_secret(secret, values, places)]


def _read_secret(secret: Secret, values: Values, places: Places) -> list[str]:
    section = values.setdefault(secret.section, {})
    if not isinstance(section, dict):
        return []
    url, url_file = (section.get(name) is not None for name in ("url", "url_file"))
    if url and url_file:
        from_file = {name: not places.get((secret.section, name), "").startswith(ENVIRONMENT_PREFIX) for name in ("url", "url_file")}
        if from_file["url"] == from_file["url_file"]:
            return [f"{secret.section}.url: {secret.section}.url_file is set, too, and they may name two {secret.of}s; keep one of them"]
        if not from_file["url"]:
            return []
    elif url:
        return []
    if url_file:
        named = section["url_file"]
        if not isinstance(named, str) or (expanded := usable_path(named)) is None:
            return []  # its own rule says what is wrong with it
        return _take_secret(secret, section, places, Path(expanded), f"{secret.section}.url_file")
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if folder and os.path.lexists(Path(folder) / secret.credential):
        return _take_secret(secret, section, places, Path(folder) / secret.credential, f"systemd's credential {secret.credential}")
    return []


def _take_secret(secret: Secret, section: Values, places: Places, path: Path, called: str) -> list[str]:
    try:
        text = read_text(path).strip()
    except Unreadable as why:
        return [f"{called}: {path}{why}"]
    if not text:
        return [f"{called}: {path} is empty; write {secret.owner} URL into it (without it, records would go to {secret.without})"]
    if len(text.splitlines()) > 1:
        return [f"{called}: {path} has {len(text.splitlines())} lines; it must hold {secret.owner} URL alone"]
    section["url"] = text
    places[(secret.section, "url")] = str(path)
    return []


# -- what the sources share --------------------------------------------------------------------------------------------------


def usable_path(text: str) -> str | None:
    """A path with `~` and `~user` expanded; None where `path_rule` has something to say."""
    return os.path.expanduser(text) if path_rule(text) is None else None


def path_rule(text: str) -> str | None:
    """What is wrong with the text of a path, and the remedy."""
    if not text.strip():
        return "is empty; name a path, or leave the key out"
    if "\0" in text:
        return "holds a NUL, which no path can; name another"
    if re.search(r"\$(\{|[A-Za-z_])", text):
        return "holds a variable, and variables of the shell mean nothing here; write the path out (~ is understood)"
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", text):
        return "is a URL; name a path"
    if text.startswith("~") and os.path.expanduser(text).startswith("~"):
        return "begins with ~, and nobody of that name has a home here; write the path out"
    return None


def as_path(value: Any) -> Any:
    """A text as the path that settings mean by it; raises `ValueError` where it can be none."""
    if not isinstance(value, str):
        return value
    if (rule := path_rule(value)) is not None:
        raise ValueError(rule)
    return os.path.expanduser(value)


def did_you_mean(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else f"; there are {', '.join(known)}" if 0 < len(known) <= 12 else ""


def place_of(places: Mapping[tuple[str, ...], str], where: tuple[str, ...]) -> str | None:
    """Where a value was read: its own place, or that of the section it came in."""
    for length in range(len(where), 0, -1):
        found = places.get(where[:length])
        if found is not None:
            return found
    return None
