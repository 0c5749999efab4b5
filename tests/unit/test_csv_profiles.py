"""Profiles: what is data there can be meant, and what cannot is refused before a file is opened."""

import pytest
from pydantic import ValidationError

from jarvis.importing.fields import CODE_OF, CODES, FLAGS, FLOW, ID, ID_FIELDS, KINDS, NUMBERS, SECOND_FEE, SECOND_FEE_CURRENCY, TIMES, WORDS, fields_of
from jarvis.importing.profile import Profile
from jarvis.importing.shipped import shipped, shipped_names
from jarvis.settings import SettingsError, load_settings
from jarvis_client.contract.forms import FORMS
from jarvis_client.contract.values import flag, not_negative, number, positive, time

#: What a publisher gives, or no cell holds.
NOT_FROM_ROWS = {"producer", "sequence", "fees", "trades_count"}


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != FLOW])
def test_the_fields_of_a_row_are_those_of_the_record(kind):
    assert {*fields_of(kind)} - {ID} - SECOND == {*FORMS[kind].names} - NOT_FROM_ROWS
    assert ID_FIELDS.get(kind, FORMS[kind].id_field) in (FORMS[kind].id_field, "snapshot_id")


def test_a_flow_has_what_deposits_and_withdrawals_have():
    both = {*fields_of("deposit")} & {*fields_of("withdrawal")}
    assert {*fields_of(FLOW)} == both
    assert {*KINDS} == {*FORMS, FLOW} - {"void"}


def test_every_field_of_money_and_time_is_read_as_such():
    known = {field.name: field.check for form in FORMS.values() for field in form.fields if field.name not in NOT_FROM_ROWS}

    def read_by(*checks: object) -> set[str]:
        return {name for name, check in known.items() if check in checks}

    assert read_by(number, positive, not_negative) == NUMBERS - SECOND
    assert (read_by(time), read_by(flag)) == (TIMES, FLAGS)
    assert {*WORDS} | CODES | {*CODE_OF.values()} <= known.keys() | SECOND


#: A row may say two fees, which a record has in a list.
SECOND = {SECOND_FEE, SECOND_FEE_CURRENCY}


def one_row(**keys):
    return {"rows": [{"kind": "deposit", "fields": {"amount": "A", "currency": "C", "occurred_at": "T"}}]} | keys


@pytest.mark.parametrize(
    ("profile", "said"),
    [
        ({"rows": []}, "at least 1 item"), ({"rows": [{}]}, "one of kind, pass_over and refuse"), ({"rows": [{"kind": "deposti"}]}, "did you mean deposit"),
        ({"rows": [{"kind": "deposit", "fields": {"amout": "A"}}]}, "did you mean amount"), ({"rows": [{"pass_over": "x", "fields": {"amount": "A"}}]}, "belong to a kind"),
        (one_row(fields={"price": "P"}), "'price' is no field of a deposit"), (one_row(zone="Nowhere"), "unknown time zone"), (one_row(times="yesterday"), "no form of a time"),
        (one_row(decimal=";"), "Input should be"), (one_row(pairs={"X": "BTC"}), "names no instrument"), (one_row(pair_patterns=["(?P<base>.*)"]), "needs the groups"),
        (one_row(code_patterns={"(": ""}), "no regular expression"), (one_row(identity=["A", "C"]), "T is recorded, so it belongs to the identity"),
        (one_row(colums={}), "Extra inputs"), (one_row(fields={"amount": {"column": "A", "value": "1"}}), "one of column, value and of"),
        (one_row(fields={"amount": {"column": "A", "pattern": "x"}}), "exactly one group"),
    ],
)  # fmt: skip
def test_a_profile_that_cannot_be_meant_is_refused(profile, said):
    with pytest.raises(ValidationError, match=said):
        Profile.model_validate(profile)


def test_every_shipped_profile_says_what_it_is_and_tells_decimals_apart():
    assert len(shipped_names()) >= 14
    for name in shipped_names():
        profile = shipped(name)
        assert profile.title, name
        assert profile.decimal, f"{name} leaves 1,234 open"
        assert all(rule.when or rule is profile.rows[-1] for rule in profile.rows), f"{name}: rows behind a rule without conditions are never reached"


def test_profiles_of_the_settings_are_checked_with_the_rest_and_every_mistake_has_its_line(tmp_path):
    (tmp_path / "workers.yaml").write_text(
        "imports:\n  profiles:\n    mine:\n      zone: Europe/Berlin\n      rows:\n        - kind: deposit\n          fields:\n            amout: Menge\n"
    )
    with pytest.raises(SettingsError, match=r"imports\.profiles\.mine\.rows\.0.*did you mean amount.*workers\.yaml"):
        load_settings(tmp_path)
    (tmp_path / "workers.yaml").write_text(
        "imports:\n  profiles:\n    mine:\n      rows:\n        - when: {Art: Einzahlung, Menge: 0}\n          kind: deposit\n          fields: {amount: Menge, contract_: x}\n"
    )
    with pytest.raises(SettingsError, match="is no field of a deposit"):
        load_settings(tmp_path)
