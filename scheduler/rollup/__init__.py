"""The daily rollup: from recorded facts to one row of figures per account and day.

Chosen
    options.py    what an operator may choose, per account
    days.py       which instants belong to which day of a zone
Facts, in their order
    reading.py    what single facts say: rates they carry, fees, what a contract is worth
    rates.py      the rate of a currency at an instant
    lots.py       what brought an asset, at which cost, and what of it is left
    trades.py     fills to flat-to-flat trades: position, cash, fees, dust
    assets.py     one asset of an account: its lots, positions and debts
    movements.py  all assets of an account, and who hears of what moves them
    flows.py      deposits and withdrawals of every category
    replay.py     facts day by day, from what was left before the first
    meeting.py    where late facts stop making a difference
Rows
    valuation.py  what the books are worth at the ends of days
    returns.py    closes and flows to profit and the day's return
    ratios.py     returns to Sharpe, Sortino, drawdown; trades to win rate and profit factor
    rows.py       which rows differ, and what they say
    account.py    one account: what is new, what has to be redone, what changed
Asked for
    period.py     the figures of a period
    summary.py    rows and trades of a period brought together
    converted.py  rows in another currency
    disposals.py  what was taken, from which lots
    standing.py   open positions and lots
    tables.py     lots, positions and disposals as plain rows
    statement.py  opening, movements and closing of a period, per currency
    explain.py    from a figure down to the closes, flows, trades and fills it comes from

Formulas and their sources: docs/performance.md.
"""
