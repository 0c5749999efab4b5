"""A second opinion: positions, trades, lots, rates and valuation, written from the pages alone (design/meaning.md, rollups.md, messages.md).

Slow, exact, and without any state that is kept: every question replays everything in the order of facts. Nothing of the product is imported here, and nobody who writes
the product's figures should look here first.

    result = reckon(records, "account", Options(cost_basis="fifo"))

`records` are dicts in the wire form (`type` and the fields of the contract), in the order of their arrival; a `Result` has

    balances     {(code, "currency" | "contract"): total}, zeros left out
    trades       closed ones: instrument, opened_at, closed_at, direction, size, pnl, fees, fills
    positions    what is open: instrument, quantity, average price in quote, opened_at (None: a residue)
    lots         {currency: [Lot]}: quantity (negative: taken beyond the lots), cost, by, at; one pooled row where cost_basis is wac or the currency USD-like
    disposals    by sale, spent, fee or withdrawal: at, quantity, proceeds, cost, gain, acquired
    rows         one per observed day
    notes        those that follow from section 8, and a missing rate with what it withholds
    broken       where 8.2 or "lots add up to the balance" did not hold: always empty
    realised, unrealised, fees, income, told_pnl  of the last moment; told_pnl = their sum (8.4)

Numbers are fractions; None is what cannot be told.

Readings. Where the page can be read in two ways this is what was taken; 8.2 and so on are paragraphs of meaning.md, r1.8 of rollups.md.

Order and rates
 1. 7: "the rate at an instant" is one for all facts of that instant, those that come later in the order of facts included (told and said). What a fill *tells* is worked out in
    the order of facts: from everything said at or before the instant and from what facts before it told.
 2. 7: an amount whose own record carries a rate is worth that, even where another record of the same instant says another and comes later (`own_rate_first=False`: the
    instant's one rate). A fill's `quote_usd_rate` is its own in that sense for the closing trade, too.
 3. 7: of several rates carried by one fill for one currency the last counts, `quote_usd_rate` before `fee(s)`.
 4. 7: told rates use `price`, not `quote_quantity` / quantity. They are kept exact, not rounded to 50 digits; each USD amount is rounded once.
 5. 8.5: "older" rates are those of an instant before the split's. One of the same instant is taken as it is. What a rename hands over counts as told at the rename's instant
    (so what was said then goes before it, and a USD-like code does not hear it).
 6. An amount of 0 needs no rate. A currency whose balance is 0 needs none in a valuation.

Positions and trades
 7. 8.1: `what else` leaves out the instrument's own residue, and a residue that a sale uses up is no trade: with a short behind it its share of the cash is the short's ("at
    zero cost"), else the sale's of holdings. Cash is shared by quantity: closing, holdings, opening; the last takes the remainder.
 8. 8.1 for fees: a fee in the base is part of the fill's quantity (r1.8: s n - f). Cash and proceeds are not reduced by it.
 9. 8.2 in mirror: what a purchase beyond the own short covers is max(0, -balance - own short), whatever it is owed by; shorts of other instruments shrink only by what is no longer
    owed after the fact (as longs do), so what is owed without a short is covered first. Covered quantity is no trade.
10. 8.2: legs of a fact one after another: base (net of fees in the base), quote, then the other fees as listed.
11. 8.2: a position that a withdrawal (transfer, fee …) brings to zero ends without a trade, even when fills had realised part of it before: that part is then in no trade.
12. 8.2, "at its average cost, without fees": the average is the gross cash per unit bought, so a fee in the base does not raise it, nor does it take part with it. Positions are averaged
    in quote, whatever `cost_basis` says.
13. 8.3: dust is valued at the fill's price × multiplier (inverse and quanto: cash per contract) × the quote's rate; unknown rate: no dust. `Largest size` holds the residue it began with.
    Also an oversale by dust closes: its residue is negative, and all of the fill's cash and fees are the closing trade's.
14. 8.1/8.2 go for contracts by the same code (their balance moves by fills alone, so nothing else is held).
15. 3: a fee record counts in its fill's trade at its own `usd_rate`, else at the rate of the fill's instant, and is shared as that fill's fees are. In the base it is a fee in a third
    currency for the trade; the quantity goes at its own instant by 8.2.
16. 1.7: fees of a trade (a figure of listings) are in USD at each fill, P&L is quote × rate at the closing fill.

Lots
17. 8.4: cost and proceeds of both legs of a spot fill are cash × rate(quote); without it both are unknown, even where the base's is known. An unknown cost makes a pool unknown until it is empty.
18. 8.4: a pool (wac, USD-like) is one row; its disposals have no date of acquisition. What was taken beyond the lots is realised when it is covered, and dated then, under what took it.
19. 8: the cash of a closing contract is a lot of kind `contract` at its value of the instant, or is taken as `spent`; its value is realised. So is a contract's cash that is in no trade.
20. 8.5: lots that a rename moves keep their dates and are sorted in by them.

Flows
21. 8.5, split: before / after are balances without the cash of open contracts. Where before × after <= 0 it is the note "nothing held": quantity at cost 0, nothing scales. Debts scale, too (else
    a split makes a profit). Positions are rounded to 50 digits and covered.
22. 8.5, rename: `old` is what is withdrawn; no `reference` is never one; both halves take effect where the first stands in the order of facts. In part: each long moves by the share withdrawn /
    balance at its average cost, the old trade keeps its fees; as a whole the trade goes over and merges (opened earliest, fills and fees added, size the larger). Shorts and debts do not move.
    Instruments with the old code as quote stay. A position that would become X/X is covered instead.
23. 8.5, loan: what is borrowed is a lot at its value; what is repaid beyond the debt is a flow of type external.
24. 8.5, symbol: the instrument is looked for among all of the account's fills, later ones too; a contract of that symbol without an open trade is "none open", even if the spot pair has one.
25. 2 and 8.5: a code is a contract's where the account has a fill of a contract of that symbol.

Days
26. r1.2 and 8.8: an account valued from its books has a row for each day with a fill, flow or fee record (`book_days="all"`: each day). A withheld row is spanned by the next.
27. 8.8: the change needs a row from the books before it; without one the first snapshot opens the account as r1.3 says. The change's row shows its flows, which count in no figure.
28. r1.3: an inflow is a netted one (8.7). One unknown flow makes inflow and outflow of its row unknown; pnl_total is unknown from there on.
29. r1.3: from the books an account opens with 0, or with `opening_value`, and every flow counts.
30. 6: a snapshot is compared with the books at its own instant; more than 10 % of what the books say.
31. 7: a trade that cannot be told is counted in trades_count, in neither wins nor losses.

And
32. 7: 50 digits are significant ones, half to even. Sums and cash are exact.
33. 8.2 and 8.5: a loan is no negative balance: who sold borrowed coins and buys them back holds a long until the repayment takes it.
34. 8.4: withdrawals of category `fee` are income below zero; `fees` are those of fills, fee records, and of deposits and withdrawals.
35. 8.5: `other` with a symbol and no open trade is noted as funding is. Funding in a currency other than quote or settle counts in USD of its instant, else at the closing rate.
36. 2: a contract's last price is that of its newest fill, a price of 0 (expiry) too. With another settle it is another position.
37. 8.5: a split (rename) of a contract leaves its cash and scales what one is worth. A rename of a contract's code makes the new code a contract's.
"""

from reference.reckon import Result, reckon
from reference.replay import Options

__all__ = ["Options", "Result", "reckon"]
