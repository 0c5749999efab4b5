"""One cell: a number, an amount with its code, a flag. What can be read in two ways is refused, with both."""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal
from typing import NamedTuple

from jarvis_client.contract.decimals import canonical, exact
from jarvis_client.contract.errors import Invalid
from jarvis_client.contract.showing import shown

_PLAIN = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,4})?", re.ASCII)
_GROUPED = {
    ".": re.compile(r"[+-]?\d{1,3}(?:([,' _])\d{3}(?:\1\d{3})*)?(?:\.\d+)?", re.ASCII),
    ",": re.compile(r"[+-]?\d{1,3}(?:([.' _])\d{3}(?:\1\d{3})*)?(?:,\d+)?", re.ASCII),
}
_COMMA = re.compile(r"[+-]?(?:\d+(?:,\d*)?|,\d+)(?:[eE][+-]?\d{1,4})?", re.ASCII)
#: 1,234 is 1234 to some and 1.234 to others.
_EITHER = re.compile(r"[+-]?[1-9]\d{0,2}[.,]\d{3}", re.ASCII)
_CODE_BEHIND = re.compile(r"(.*[\d).,])(\s*)([A-Za-z$][A-Za-z0-9.$]*)", re.DOTALL)
_CODE_BEFORE = re.compile(r"([A-Za-z]{2,10})\s+([-+(.,\d].*)", re.DOTALL)
#: Blanks of other widths, and signs that are typeset, as the plain ones.
_PLAIN_SIGNS = str.maketrans({"\u00a0": " ", "\u2009": " ", "\u202f": " ", "\u2007": " ", "\u2212": "-", "\u2013": "-", "\u2019": "'"})
_YES, _NO = frozenset({"true", "yes", "1"}), frozenset({"false", "no", "0"})


class Amount(NamedTuple):
    """A number and the code that stands with it, if any."""

    number: Decimal
    code: str | None


def amount_of(text: str, decimal: str | None, within: str = "") -> Amount:
    """What `0.1ETH`, `1,234.50 USDT`, `(12.5)`, `$1,000` or `-3` says. Raises `Invalid`.

    `decimal` is the mark before the decimals, None where nobody said which: then what both readings allow is refused. `within` is the
    pair that is traded; it tells that 0.51INCH is 0.5 of 1INCH.
    """
    plain = text.translate(_PLAIN_SIGNS).strip()
    if _PLAIN.fullmatch(plain) and decimal != ",":
        return Amount(exact(plain, "it"), None)
    if found := _CODE_BEFORE.fullmatch(plain):
        return Amount(_number(found[2], decimal, text), found[1])
    if found := _CODE_BEHIND.fullmatch(plain):
        number, blank, code = found.groups()
        if not _is_exponent(number, code):
            if not blank and within:
                number, code = _cut_within(number, code, within)
            return Amount(_number(number, decimal, text), code)
    return Amount(_number(plain, decimal, text), None)


def number_text(text: str, decimal: str | None) -> str:
    """The one text of a cell that is a number with decimals or groups; any other text as it is."""
    if "." not in text and "," not in text:
        return text
    try:
        return canonical(_number(text, decimal, text)) if "e" not in text and "E" not in text else text
    except Invalid:
        return text


def flag_of(text: str) -> bool:
    """True or false as files write it. Raises `Invalid`."""
    if text.casefold() in _YES | _NO:
        return text.casefold() in _YES
    raise Invalid(f"it is {shown(text)}; it must be true or false")


def _is_exponent(number: str, code: str) -> bool:
    """1E5 and 1e5, whose letter belongs to the number."""
    return re.fullmatch(r"[eE]\d*", code) is not None and number[-1:].isdigit() and len(code) > 1


def _cut_within(number: str, code: str, within: str) -> tuple[str, str]:
    digits = re.search(r"\d*$", number, re.ASCII)
    assert digits is not None
    fitting = [cut for cut in range(len(digits[0])) if _ends(within, digits[0][len(digits[0]) - cut :] + code)]
    if not fitting or _ends(within, code):
        return number, code
    cut = fitting[-1]
    return number[: len(number) - cut], number[len(number) - cut :] + code


def _ends(within: str, code: str) -> bool:
    return within.startswith(code) or within.endswith(code)


def _number(text: str, decimal: str | None, cell: str) -> Decimal:
    plain = text.strip()
    negative = plain.startswith("(") and plain.endswith(")")
    plain = plain[1:-1].strip() if negative else plain
    sign = plain[:1] if plain[:1] in ("+", "-") else ""
    plain = sign + plain[len(sign) :].strip()
    if len(plain) > len(sign) and unicodedata.category(plain[len(sign)]) == "Sc":
        plain = sign + plain[len(sign) + 1 :].strip()
        if not sign and plain[:1] == "-":  # $-5.00
            sign = "-"
    if decimal is None and _EITHER.fullmatch(plain) and "," in plain:
        either = plain.replace(",", "")
        raise Invalid(f"it is {shown(cell)}: {either} or {plain.replace(',', '.')}? say --decimal point or --decimal comma (a profile: decimal)")
    number = _ungrouped(plain, decimal)
    if number is None:
        comma = "; say --decimal comma, if the comma stands before the decimals" if decimal is None and _ungrouped(plain, ",") is not None else ""
        raise Invalid(f"it is {shown(cell)}; it must be a number{comma}")
    if negative and sign:
        raise Invalid(f"it is {shown(cell)}: parentheses and a sign; one of them says that it is negative")
    return exact(f"-{number}" if negative else number, "it")


def _ungrouped(text: str, decimal: str | None) -> str | None:
    """The text of a number without groups, its mark a point; None for what is none."""
    if decimal == ",":
        if _COMMA.fullmatch(text):
            return text.replace(",", ".")
        if (found := _GROUPED[","].fullmatch(text)) is not None:
            return text.replace(found[1] or "\0", "").replace(",", ".")
        return None
    if _PLAIN.fullmatch(text):
        return text
    if (found := _GROUPED["."].fullmatch(text)) is not None:
        return text.replace(found[1] or "\0", "")
    return None
