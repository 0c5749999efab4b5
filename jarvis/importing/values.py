"""The values of one row, read, and the record that they make."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from jarvis.importing.cells import Amount, amount_of, flag_of
from jarvis.importing.codes import Codes, joined
from jarvis.importing.fields import CODE_OF, CODES, FLAGS, FLOW, NUMBERS, SECOND_FEE, SECOND_FEE_CURRENCY, TIMES, WORDS
from jarvis.importing.profile import Cell
from jarvis_client.contract.decimals import SHOWN, ZERO, canonical
from jarvis_client.contract.errors import Invalid
from jarvis_client.contract.instants import to_text
from jarvis_client.contract.showing import shown

MOVES_NOTHING = "an amount of zero without a fee moves nothing"

Record = dict[str, Any]


@dataclass(frozen=True)
class PassedOver:
    """A row that becomes no record, for a reason that its profile names."""

    reason: str


#: The kind of record and its fields.
Made = tuple[str, Record] | PassedOver


class Values:
    """The fields of one row. What is empty is absent."""

    def __init__(self, codes: Codes, decimal: str | None, instant_of: Callable[[str, str | None], int]) -> None:
        self._codes, self._decimal, self._instant_of = codes, decimal, instant_of
        self.fields: Record = {}
        #: The codes that stand with numbers, as the file writes them, by the field that says them.
        self._written: dict[str, str] = {}
        self._symbol = ""

    def read(self, texts: Mapping[str, str], cells: Mapping[str, Cell], called: Callable[[str], str]) -> None:
        """Read the fields that are not empty. Raises `Invalid`, beginning with what the field is `called`."""
        self._symbol = texts.get("symbol", "")
        traded = joined(self._symbol)
        for name, text in texts.items():
            if text:
                try:
                    self._take(name, text, cells[name], traded)
                except Invalid as error:
                    raise Invalid(f"{called(name)}: {error}") from None

    def made(self, kind: str) -> Made:
        """The record of a row of this kind; a flow becomes a deposit or a withdrawal. Raises `Invalid` where the row contradicts itself."""
        if kind in ("fill", "order"):
            self._cut_pair()
        if kind == "fill":
            self._settle_fill()
        if kind in (FLOW, "deposit", "withdrawal"):
            return self._flow(kind)
        return kind, self.fields

    def _take(self, name: str, text: str, cell: Cell, traded: str) -> None:
        if name in NUMBERS:
            amount = amount_of(text, self._decimal, traded)
            self.fields[name] = _signed(amount.number, cell.sign)
            self._counted_in(name, amount)
        elif name in CODES:
            self.fields[name] = self._agreed(name, self._codes.code(text))
        elif name in TIMES:
            self.fields[name] = to_text(self._instant_of(text, cell.column))
        elif name in WORDS:
            self.fields[name] = _word(text, WORDS[name])
        else:
            self.fields[name] = flag_of(text) if name in FLAGS else text

    def _counted_in(self, name: str, amount: Amount) -> None:
        if amount.code is None:
            return
        says = CODE_OF.get(name)
        if says is None:
            raise Invalid(f"it says {amount.code} besides the number, and {name} has no currency")
        self._written[says] = amount.code
        self.fields[says] = self._agreed(says, self._codes.code(amount.code))

    def _agreed(self, name: str, code: str) -> str:
        if (known := self.fields.get(name, code)) != code:
            raise Invalid(f"it says {code} where another column of the row says {known}")
        return code

    def _cut_pair(self) -> None:
        """Base and quote as the profile cuts the pair, or as the amounts say them. Raises `Invalid` where these differ."""
        cut = self._codes.pair(self._symbol) if self._symbol and not self.fields.get("contract") else None
        if isinstance(cut, str):
            self.fields["symbol"] = cut
            return
        for name, code in zip(("base", "quote"), cut or (), strict=False):
            if self.fields.setdefault(name, code) != code:
                raise Invalid(f"the pair {self._symbol} trades {'/'.join(cut or ())}, and an amount of the row says {self.fields[name]}; which is right?")
        if cut is None and self._symbol:
            self._cut_by_amounts()
        base, quote = self.fields.get("base"), self.fields.get("quote")
        if base is not None and quote is not None and not self.fields.get("contract"):
            self.fields["symbol"] = f"{base}/{quote}"

    def _cut_by_amounts(self) -> None:
        """What the amounts are in cuts the pair: of ETHUSDT and 0.1ETH the rest is what it is traded for. Raises `Invalid` where it does not fit."""
        pair = joined(self._symbol)
        base, quote = self._written.get("base"), self._written.get("quote")
        written = [code for code in (base, quote) if code is not None]
        # A contract's symbol goes on behind its pair.
        fits = pair.startswith(base or "") and (":" in pair or pair.endswith(quote or "")) and (len(written) < 2 or ":" in pair or pair == "".join(written))
        if not fits:
            raise Invalid(f"the pair is {self._symbol}, and the amounts are in {' and '.join(written)}; which is right?")
        if len(written) == 1 and ":" not in pair and pair not in written:
            rest = pair[len(base) :] if base is not None else pair[: -len(written[0])]
            self.fields.setdefault("quote" if base is not None else "base", self._codes.code(rest))

    def _settle_fill(self) -> None:
        quantity: Decimal | None = self.fields.get("quantity")
        if quantity is not None:
            if "side" not in self.fields and quantity:
                self.fields["side"] = "buy" if quantity > ZERO else "sell"
            elif quantity < ZERO and self.fields.get("side") == "buy":
                raise Invalid(f"the quantity is {canonical(quantity)}, and the side is buy; which is right?")
            self.fields["quantity"] = quantity.copy_abs()
        cash: Decimal | None = self.fields.get("quote_quantity")
        if cash is not None:
            if "price" not in self.fields and quantity:
                # The cash is exact and is what is booked; the price only describes it.
                self.fields["price"] = SHOWN.divide(cash.copy_abs(), quantity.copy_abs())
            # The side says which way the cash goes; the contract has it with the sign of the price.
            self.fields["quote_quantity"] = cash.copy_abs() if self.fields.get("price", ZERO) >= ZERO else cash.copy_abs().copy_negate()
        self._settle_fees()

    def _settle_fees(self) -> None:
        """A second fee stands in a list with the first."""
        second, its_currency = self.fields.pop(SECOND_FEE, ZERO), self.fields.pop(SECOND_FEE_CURRENCY, None)
        if not second:
            return
        first, currency = self.fields.pop("fee", ZERO), self.fields.pop("fee_currency", None)
        cash = self.fields.get("settle") or self.fields.get("quote")
        fees = [(first, currency or cash), (second, its_currency or cash)]
        self.fields["fees"] = [{"currency": code, "amount": canonical(amount)} for amount, code in fees if amount]

    def _flow(self, kind: str) -> Made:
        if self._symbol and (named := self._codes.pair(self._symbol)) is not None:
            self.fields["symbol"] = named if isinstance(named, str) else "/".join(named)
        amount: Decimal | None = self.fields.get("amount")
        if kind != FLOW:
            if amount is not None and amount < ZERO:
                raise Invalid(f"the amount is {canonical(amount)}; a {kind} is above zero: with the kind flow the sign says which way it goes")
            return kind, self.fields
        if amount is None:
            raise Invalid("the amount is empty, and its sign says which way the money goes")
        if not amount:
            return self._fee_alone()
        self.fields["amount"] = amount.copy_abs()
        return ("deposit" if amount > ZERO else "withdrawal"), self.fields

    def _fee_alone(self) -> Made:
        """A row that moves nothing but its fee: the fee is what it is about."""
        fee: Decimal = self.fields.pop("fee", ZERO)
        if not fee:
            return PassedOver(MOVES_NOTHING)
        currency = self.fields.pop("fee_currency", self.fields.get("currency"))
        self.fields.pop("symbol", None)
        self.fields |= {"amount": fee.copy_abs(), "category": "fee", "currency": currency}
        return ("withdrawal" if fee > ZERO else "deposit"), self.fields


def _signed(number: Decimal, sign: str) -> Decimal:
    # Operators would round to the digits of the context.
    return number.copy_negate() if sign == "opposite" else number.copy_abs() if sign == "absolute" else number


def _word(text: str, known: Collection[str]) -> str:
    if (word := text.casefold()) in known:
        return word
    raise Invalid(f"it is {shown(text)}; it must be {' or '.join(known)}: a profile translates other words (words)")
