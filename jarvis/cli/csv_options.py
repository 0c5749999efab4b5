"""The options of `jarvis import` that say what the columns of a CSV file mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import typer

from jarvis.importing.fields import ID_FIELDS, KINDS, fields_of
from jarvis.importing.profile import Cell, Profile, RowRule
from jarvis.importing.rows import Told
from jarvis.importing.shipped import shipped, shipped_names
from jarvis.importing.times import ISO, format_rule, zone_of
from jarvis.settings_sources import did_you_mean

_PANEL = "CSV files"
ProfileName = Annotated[
    str | None, typer.Option("--profile", metavar="NAME", help="What the columns mean, by name; --profiles lists them.", rich_help_panel=_PANEL)
]
Kind = Annotated[str | None, typer.Option("--kind", help=f"With --map, what each row is: {', '.join(KINDS)}.", rich_help_panel=_PANEL)]
Map = Annotated[
    list[str] | None,
    typer.Option("--map", metavar="FIELD=COLUMN", help="Which column fills a field of the record; once for each field.", rich_help_panel=_PANEL),
]
Set = Annotated[list[str] | None, typer.Option("--set", metavar="FIELD=TEXT", help="The value of a field, whatever the file says.", rich_help_panel=_PANEL)]
AccountId = Annotated[str | None, typer.Option("--account", "-a", help="The account of a CSV file's rows, or of ccxt's structures.")]
Zone = Annotated[str | None, typer.Option("--zone", help="Of times that say none: Europe/London, +02:00. Goes before the profile's.", rich_help_panel=_PANEL)]
Folded = Annotated[
    Literal["first", "second"] | None,
    typer.Option("--fold", help="What a local time means that clocks showed twice or never: by the clock before its change, or after.", rich_help_panel=_PANEL),
]
DecimalMark = Annotated[
    Literal["comma", "point"] | None, typer.Option("--decimal", help="What stands before decimals: whether 1,234 is 1.234 or 1234.", rich_help_panel=_PANEL)
]
TimeFormat = Annotated[
    list[str] | None,
    typer.Option(
        "--time-format", metavar="FORMAT", help="With --map: iso (the default), epoch_s, epoch_ms or such as %d/%m/%Y %H:%M:%S.", rich_help_panel=_PANEL
    ),
]


def all_profiles(own: Mapping[str, Profile]) -> dict[str, Profile]:
    """Every profile by its name; the user's `own` go before those shipped."""
    return {name: own[name] if name in own else shipped(name) for name in sorted({*own, *shipped_names()})}


def named_profile(name: str, profiles: Mapping[str, Profile], *, mapped: bool) -> Profile:
    """The profile of a name, `mapped` if other options map columns, too. Raises `BadParameter`."""
    if mapped:
        raise typer.BadParameter("--map, --kind and --time-format make a mapping of their own; to change a profile, copy it into imports.profiles")
    if name not in profiles:
        meant = did_you_mean(name, list(profiles))
        raise typer.BadParameter(f"unknown profile {name!r}{meant}; `jarvis import --profiles` lists them", param_hint="--profile")
    return profiles[name]


def mapped_profile(kind: str | None, mapped: Sequence[str], formats: Sequence[str]) -> Profile:
    """The profile that --kind, --map and --time-format make. Raises `BadParameter`."""
    if kind is None:
        raise typer.BadParameter(f"--map needs to know what each row is; there are {', '.join(KINDS)}", param_hint="--kind")
    if kind not in KINDS:
        raise typer.BadParameter(f"unknown kind {kind!r}{did_you_mean(kind, list(KINDS))}", param_hint="--kind")
    known = fields_of(kind)
    fields = {field: Cell(column=column) for field, column in _pairs(mapped, "--map").items()}
    for field in fields:
        if field not in known:
            raise typer.BadParameter(f"{field!r} is no field of a {kind}{did_you_mean(field, list(known))}; it has {', '.join(known)}", param_hint="--map")
    for form in formats:
        if (problem := format_rule(form)) is not None:
            raise typer.BadParameter(problem, param_hint="--time-format")
    return Profile(times=tuple(formats) or (ISO,), rows=(RowRule(kind=kind, fields=fields),))


def told_of(
    constants: Sequence[str],
    account: str | None,
    zone: str | None,
    fold: Literal["first", "second"] | None,
    decimal: Literal["comma", "point"] | None,
    profile: Profile,
) -> Told:
    """What the options say besides the profile. Raises `BadParameter`."""
    values = _pairs(constants, "--set")
    if account is not None:
        values["account_id"] = account
    known = dict.fromkeys(name for rule in profile.rows if rule.kind is not None for name in fields_of(rule.kind))
    for name in values:
        if name not in known:
            raise typer.BadParameter(f"{name!r} is no field of these records{did_you_mean(name, list(known))}", param_hint="--set")
        if name == "id" or name in ID_FIELDS.values():
            raise typer.BadParameter(f"{name} is another one in every row; map it to a column, or leave it out: rows without one get ids", param_hint="--set")
    if zone is not None:
        zone_of(zone)
    return Told(values, zone, fold, None if decimal is None else {"comma": ",", "point": "."}[decimal])


def _pairs(texts: Sequence[str], option: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise typer.BadParameter(f"{text!r} is no FIELD={'COLUMN' if option == '--map' else 'TEXT'}, such as {_EXAMPLES[option]}", param_hint=option)
        if name in found:
            raise typer.BadParameter(f"{name} is given twice; keep one of them", param_hint=option)
        found[name.strip()] = value.strip()
    return found


_EXAMPLES = {"--map": "quantity=Amount", "--set": "account_id=main"}
