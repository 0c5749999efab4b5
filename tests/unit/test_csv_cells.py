"""One cell of a file people have: numbers, amounts with codes, times, what a profile describes."""

from decimal import Decimal

import pytest

from jarvis.importing.cells import amount_of, flag_of, number_text
from jarvis.importing.matching import matches
from jarvis.importing.times import Clock, zone_in_heading, zone_of
from jarvis_client.contract.errors import Invalid
from jarvis_client.contract.instants import to_text


@pytest.mark.parametrize(
    ("text", "decimal", "number", "code"),
    [
        ("0.1ETH", None, "0.1", "ETH"), ("1,234.50 USDT", None, "1234.5", "USDT"), ("1,234,567", None, "1234567", None), ("1,234,567.8", ".", "1234567.8", None),
        ("1,234", ".", "1234", None), ("1,234", ",", "1.234", None), ("1.234,50", ",", "1234.5", None), ("1.234", ",", "1234", None), ("0,5", ",", "0.5", None),
        ("1 234 567,8", ",", "1234567.8", None), ("1\u202f234,5 €", ",", None, None), ("1'234.5", None, "1234.5", None), ("(12.50)", None, "-12.5", None),
        ("(1,234.5) USD", ".", "-1234.5", "USD"), ("\u221212.5", None, "-12.5", None), ("-3", None, "-3", None), ("+3.5", None, "3.5", None),
        ("$1,000.25", ".", "1000.25", None), ("-€5.10", None, "-5.1", None), ("€-5.10", None, "-5.1", None), ("USD 5.00", None, "5", "USD"),
        ("5.5E-7", None, "0.00000055", None), ("1e5", None, "100000", None), ("1E5ETH", None, "100000", "ETH"), ("-0.0", None, "0", None), (".5", None, "0.5", None),
        ("10 1INCH", None, None, None), ("0.00000001BTC", None, "0.00000001", "BTC"), ("5 C98", None, "5", "C98"),
    ],
)  # fmt: skip
def test_an_amount_is_read_as_people_write_it(text, decimal, number, code):
    if number is None:
        with pytest.raises(Invalid, match="it must be a number"):
            amount_of(text, decimal)
        return
    assert amount_of(text, decimal) == (Decimal(number), code)


@pytest.mark.parametrize(
    ("text", "within", "number", "code"),
    [("0.51INCH", "1INCHUSDT", "0.5", "1INCH"), ("51USDT", "1INCHUSDT", "51", "USDT"), ("100.001000SATS", "1000SATSUSDT", "100.00", "1000SATS"),
     ("0.0012BNB", "1INCHUSDT", "0.0012", "BNB"), ("0.51INCH", "", "0.51", "INCH"), ("3BTC", "BTCUSDT", "3", "BTC")],
)  # fmt: skip
def test_a_code_that_begins_with_a_digit_is_told_by_the_pair(text, within, number, code):
    assert amount_of(text, ".", within) == (Decimal(number), code)


@pytest.mark.parametrize(
    ("text", "decimal", "said"),
    [("1,234", None, "1234 or 1.234"), ("0,5", None, "--decimal comma"), ("1.234,5", None, "--decimal comma"), ("1,23.4", ".", "must be a number"),
     ("12,34,567", ".", "must be a number"), ("(-5)", None, "parentheses and a sign"), ("n/a", None, "must be a number"), ("1.2.3", ".", "must be a number"),
     ("½", None, "must be a number"), ("", None, "must be a number"), ("٣", None, "must be a number"), ("NaN", None, "must be a number")],
)  # fmt: skip
def test_what_can_be_read_in_two_ways_or_none_is_refused(text, decimal, said):
    with pytest.raises(Invalid, match=said):
        amount_of(text, decimal)


@pytest.mark.parametrize(
    ("text", "decimal", "same"),
    [("1.50", ".", "1.5"), ("1,50", ",", "1.5"), ("1,234.50", ".", "1234.5"), ("007", ".", "007"), ("12E5.0", ".", "12E5.0"), ("a,b", ".", "a,b"), ("10.0", None, "10")],
)  # fmt: skip
def test_a_number_has_one_text_for_the_identity_whatever_program_wrote_it(text, decimal, same):
    assert number_text(text, decimal) == same


@pytest.mark.parametrize(("text", "flag"), [("true", True), ("Yes", True), ("1", True), ("FALSE", False), ("no", False), ("0", False)])
def test_flags(text, flag):
    assert flag_of(text) is flag
    with pytest.raises(Invalid, match="true or false"):
        flag_of("perhaps")


@pytest.mark.parametrize(
    ("cell", "described", "fits"),
    [("BUY", "buy", True), ("Simple Earn Locked Rewards", "simple earn * rewards", True), ("buyer", "buy", False), ("", "", True), ("-", "", False),
     ("0.00000", "0", True), ("-0", "0", True), ("", "0", False), ("5", ">0", True), ("-5", "<0", True), ("1,234", ">0", True), ("x", ">0", False),
     ("a(b", "a(*", True), ("CLOSE", "C*E", True), ("line\nbreak", "line*", True)],
)  # fmt: skip
def test_what_a_profile_describes(cell, described, fits):
    assert matches(cell, (described,), None) is fits


@pytest.mark.parametrize(
    ("text", "formats", "zone", "fold", "instant"),
    [
        ("2024-03-01 10:00:00", ("iso",), "UTC", None, "2024-03-01T10:00:00.000000Z"),
        ("2024-03-01T10:00:00.123Z", ("iso",), "Europe/Berlin", None, "2024-03-01T10:00:00.123000Z"),
        ("2024-03-01 10:00:00+02:00", ("iso",), None, None, "2024-03-01T08:00:00.000000Z"),
        ("2021-12-31 21:39:13 UTC", ("iso",), "Europe/Berlin", None, "2021-12-31T21:39:13.000000Z"),
        ("2024-07-01 10:00:00", ("iso",), "Europe/Berlin", None, "2024-07-01T08:00:00.000000Z"),
        ("2024-07-01 10:00:00", ("iso",), "+05:30", None, "2024-07-01T04:30:00.000000Z"),
        ("2021-05-19 16:18:15.2434", ("iso",), "UTC", None, "2021-05-19T16:18:15.243400Z"),
        ("24-03-23 04:11:00", ("iso", "%y-%m-%d %H:%M:%S"), "UTC", None, "2024-03-23T04:11:00.000000Z"),
        ("01.03.2024 10:00", ("%d.%m.%Y %H:%M",), "UTC", None, "2024-03-01T10:00:00.000000Z"),
        ("11/26/2025 01:05:09 PM", ("%m/%d/%Y %I:%M:%S %p",), "UTC", None, "2025-11-26T13:05:09.000000Z"),
        ("1709287200", ("epoch_s",), None, None, "2024-03-01T10:00:00.000000Z"), ("1709287200123", ("epoch_ms",), None, None, "2024-03-01T10:00:00.123000Z"),
        ("1709287200.5", ("epoch_s",), None, None, "2024-03-01T10:00:00.500000Z"), ("1709287200123456", ("epoch_us",), None, None, "2024-03-01T10:00:00.123456Z"),
        ("2025-10-26 02:30:00", ("iso",), "Europe/Berlin", "first", "2025-10-26T00:30:00.000000Z"),
        ("2025-10-26 02:30:00", ("iso",), "Europe/Berlin", "second", "2025-10-26T01:30:00.000000Z"),
        ("2025-03-30 02:30:00", ("iso",), "Europe/Berlin", "first", "2025-03-30T01:30:00.000000Z"),
        ("2025-03-30 02:30:00", ("iso",), "Europe/Berlin", "second", "2025-03-30T00:30:00.000000Z"),
        ("2025-10-26 03:00:00", ("iso",), "Europe/Berlin", None, "2025-10-26T02:00:00.000000Z"),
    ],
)  # fmt: skip
def test_a_time_names_one_instant(text, formats, zone, fold, instant):
    assert to_text(Clock(formats, zone, fold, {}).instant(text)) == instant


@pytest.mark.parametrize(
    ("text", "formats", "zone", "said"),
    [("2024-03-01 10:00:00", ("iso",), None, "says no offset; say --zone"), ("2024-03-01", ("iso",), "UTC", "a day alone names no instant"),
     ("03/01/2024 10:00:00", ("iso",), "UTC", "a time is written as 2026-01-31 10:15:30 here"), ("1709287200", ("iso",), "UTC", "a time is written"),
     ("1709287200123", ("epoch_s",), None, "written epoch_s here"), ("1709287200", ("epoch_ms",), None, "written epoch_ms here"),
     ("2025-10-26 02:30:00", ("iso",), "Europe/Berlin", "showed twice; say --fold"), ("2025-03-30 02:30:00", ("iso",), "Europe/Berlin", "never showed; say --fold"),
     ("2024-02-30 10:00:00", ("iso",), "UTC", "a time is written"), ("1709287200", ("iso", "%Y%m%d"), "UTC", "iso|%Y%m%d")],
)  # fmt: skip
def test_a_time_that_names_none_or_two_is_refused(text, formats, zone, said):
    with pytest.raises(Invalid, match=said):
        Clock(formats, zone, None, {}).instant(text)


def test_a_word_behind_a_time_says_its_offset():
    clock = Clock(("%Y-%m-%d;%H:%M:%S",), "America/New_York", None, {"EST": "-05:00", "EDT": "-04:00"})
    assert to_text(clock.instant("2025-11-02;01:30:00 EDT")) == "2025-11-02T05:30:00.000000Z"
    assert to_text(clock.instant("2025-11-02;01:30:00 EST")) == "2025-11-02T06:30:00.000000Z"


@pytest.mark.parametrize(
    ("heading", "zone"),
    [("Date(UTC)", "UTC"), ("UTC_Time", "UTC"), ("Timestamp (UTC+0)", "+0"), ("Time (UTC-6)", "-6"), ("Date(GMT+08:00)", "+08:00"), ("Time", None), ("UTCOFFSET", None)],
)  # fmt: skip
def test_a_heading_may_name_the_zone(heading, zone):
    assert zone_in_heading(heading) == zone


@pytest.mark.parametrize("name", ["Europe/Nowhere", "+25:00", "", "../etc/passwd"])
def test_an_unknown_zone_is_refused(name):
    with pytest.raises(Invalid, match=r"unknown time zone|no offset"):
        zone_of(name)
