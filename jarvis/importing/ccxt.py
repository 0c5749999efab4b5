"""A file of ccxt's structures, checked before anything is recorded: its records as lines of NDJSON, or every problem there is."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from typing import Any, BinaryIO

from jarvis.importing.reading import MOST_PROBLEMS, ROWS_BETWEEN_LOOKS, Checked
from jarvis_client.ccxt import NothingToRecord, Told, records_from_ccxt
from jarvis_client.ccxt.structures import Structure, Unsaid
from jarvis_client.contract.errors import Invalid
from jarvis_client.contract.outcome import Refusal
from persistence.domain.entries import AnyFact

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_FORMS = "one JSON object a line, or one JSON array, such as json.dump(exchange.fetch_my_trades(), file) writes"

#: What a file cannot say, and the command can, or a record written by hand.
_OPTIONS = {
    "market": "add --markets FILE",
    "fee_included": "add --fee-included or --fee-apart",
    "positive": "add --positive-funding received or paid",
    "category": "leave it out, or write a deposit or withdrawal of that category",
    "cost": "put the quantity into amount, or write the order record yourself",
    "quote_usd_rate": "leave it out, or write a rate record",
    "observed_at": "put its milliseconds since 1970 into timestamp",
}


def markets_of(file: BinaryIO) -> dict[str, Structure]:
    """The market structures of a file by their symbols: `exchange.markets` as JSON, a JSON array of markets, or one a line. Raises `Invalid`."""
    content = file.read().removeprefix(_BYTE_ORDER_MARK)
    try:
        found = json.loads(content)
        markets = list(found.values()) if isinstance(found, dict) and "symbol" not in found else found if isinstance(found, list) else [found]
    except (ValueError, RecursionError):
        markets = [_object(line) for line in content.splitlines() if line.strip()]
    for market in markets:
        if not isinstance(market, dict) or not isinstance(market.get("symbol"), str):
            raise Invalid(f"a market is {str(market)[:60]!r}, without a symbol; write exchange.markets with json.dump")
    return {market["symbol"]: market for market in markets}


@contextmanager
def checked_structures(
    told: Told,
    markets: Mapping[str, Structure],
    item_of: Callable[[bytes, int], AnyFact | Refusal],
    file: BinaryIO,
    progress: Callable[[], None] = lambda: None,
) -> Iterator[Checked]:
    """Read a file whole, for the length of a block; `item_of(line, number)` checks a record by the rules of the books. `progress` is
    called now and then.

    Raises `Invalid` where it holds no JSON; what single structures say wrong is in `problems`. The first record of each structure
    stands on the line (or at the place in the array) of its structure, so that line numbers stay true; further ones stand behind all.
    """
    with tempfile.TemporaryFile(prefix="jarvis-import-") as lines, tempfile.TemporaryFile(prefix="jarvis-import-") as further:
        unit, structures = _structures(file)
        found = Checked(lines, unit=unit, thing="structure")
        at = 1
        for number, given in structures:
            found.rows += 1
            if found.rows % ROWS_BETWEEN_LOOKS == 0:
                progress()
            try:
                structure = given if isinstance(given, dict) else _object(given)
                first, *others = _lines(structure, told, markets, item_of)
            except NothingToRecord as error:
                found.passed_over[str(error)] += 1
                continue
            except Invalid as error:
                found.problems[_sentence(error)].append(number)
                if len(found.problems) >= MOST_PROBLEMS:
                    found.gave_up_at = number
                    break
                continue
            lines.write(b"\n" * (number - at) + first)
            further.writelines(b"\n" + line for line in others)
            at = number
            found.records += 1 + len(others)
        further.seek(0)
        lines.writelines(further)
        lines.write(b"\n")
        lines.seek(0)
        yield found


def _sentence(error: Invalid) -> str:
    """What is wrong, with the option of the command where the function has an argument."""
    if not isinstance(error, Unsaid) or error.argument not in _OPTIONS:
        return str(error)
    return error.with_remedy(_OPTIONS[error.argument])


def _lines(structure: Structure, told: Told, markets: Mapping[str, Structure], item_of: Callable[[bytes, int], AnyFact | Refusal]) -> list[bytes]:
    """The records of a structure, each as the books take it. Raises `Invalid`."""
    symbol = structure.get("symbol")
    market = markets.get(symbol) if isinstance(symbol, str) else None
    made = []
    for kind, record in records_from_ccxt(structure, market, told):
        line = json.dumps({"type": kind, **record}, ensure_ascii=False, separators=(",", ":")).encode()
        if isinstance(item := item_of(line, 0), Refusal):
            raise Invalid(item.detail.removeprefix("line 0: "))
        made.append(line)
    return made


def _structures(file: BinaryIO) -> tuple[str, Iterator[tuple[int, Any]]]:
    """What numbers count, and the structures by them: objects of an array, or lines that have yet to be read."""
    numbered = enumerate(file, 1)
    for number, line in numbered:
        opening = line.removeprefix(_BYTE_ORDER_MARK).lstrip()
        if opening.startswith(b"["):
            return "entry", enumerate(_array(chain((opening,), (line for _, line in numbered))), 1)
        if opening.startswith(b"{"):
            return "line", ((at, line) for at, line in chain(((number, opening),), numbered) if line.strip())
        if opening:
            raise Invalid(f"the file begins with {opening[:40].decode(errors='replace').rstrip()!r}; ccxt's structures are taken as {_FORMS}")
    return "line", iter(())


def _array(lines: Iterable[bytes]) -> list[Any]:
    try:
        found = json.loads(b"".join(lines))
    except (ValueError, RecursionError) as error:
        raise Invalid(f"the JSON array is damaged: {error}") from error
    if problem := next((element for element in found if not isinstance(element, dict)), None):
        raise Invalid(f"the JSON array holds {str(problem)[:40]!r}, which is no structure of ccxt's; write {_FORMS}")
    return list(found)


def _object(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Invalid(f"no JSON object; ccxt's structures are taken as {_FORMS}")
    return found
