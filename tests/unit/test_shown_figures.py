"""Numbers as people read them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from jarvis.cli.output import print_rows, shown_percent, shown_quantity, shown_ratio, shown_usd


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, ""), ("0", "0.00"), ("1234567.891", "1,234,567.89"), ("-12.345", "-12.34"), ("1", "1.00"), ("0.5", "0.50"), ("0.1234", "0.123"),
        ("-0.00456", "-0.00456"), ("0.0001", "0.0001"), ("0.000123456", "0.000123"), ("0.00000001234", "1.23e-8"), ("0.9999", "1.00"),
        ("0.000000000000000000000001", "1e-24"), ("-1E-46", "0.00"), ("-0", "0.00"), ("123456789012345678901234567890.12", "123,456,789,012,345,678,901,234,567,890.12"),
    ],
)  # fmt: skip
def test_money_is_shown_to_the_cent_and_small_money_to_three_digits(value, shown):
    assert shown_usd(value) == shown
    assert shown_usd(None if value is None else Decimal(value)) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, ""), ("0", "0"), ("1.50", "1.5"), ("100", "100"), ("1E+5", "100,000"), ("1234567.25", "1,234,567.25"), ("0.12345678", "0.12345678"),
        ("1.23456789", "1.23456789"), ("1.234567890123", "1.23456789"), ("-0.000015", "-0.000015"), ("0.0000000123", "1.23e-8"),
        ("123456789012345678", "123,456,789,012,345,678"),
    ],
)  # fmt: skip
def test_a_quantity_is_shown_to_ten_digits(value, shown):
    assert shown_quantity(value) == shown


def test_an_empty_listing_says_of_what_as_it_is_written(capsys):
    print_rows("Performance of DESK_NY in EUR", ("date",), [])
    assert capsys.readouterr().err.strip() == "no performance of DESK_NY in EUR"


@pytest.mark.parametrize(
    ("value", "signed", "plain", "ratio"),
    [
        (None, "", "", ""), (0.0, "+0.0000%", "0.0000%", "0.0000"), (-1e-50, "+0.0000%", "0.0000%", "0.0000"),
        (-0.000021, "-0.0021%", "-0.0021%", "0.0000"), (0.05, "+5.0000%", "5.0000%", "0.0500"), (-1.5, "-150.0000%", "-150.0000%", "-1.5000"),
    ],
)  # fmt: skip
def test_what_rounds_to_nothing_is_not_below_it(value, signed, plain, ratio):
    assert (shown_percent(value), shown_percent(value, signed=False), shown_ratio(value)) == (signed, plain, ratio)
