"""The daily rollup: from recorded facts to one row of figures per account and day.

options.py    what an operator may choose, per account
days.py       which instants belong to which day of a zone
trades.py     fills to flat-to-flat trades: position, cash, fees, dust
returns.py    closes and flows to profit and the day's return
ratios.py     returns to Sharpe, Sortino, drawdown; trades to win rate and profit factor
account.py    one account: what is new, what has to be redone, what changed
statement.py  a day's opening, movements and closing per currency
explain.py    from a figure down to the closes, flows, trades and fills it comes from

Everything but `account.py` and `explain.py` is a pure function of its arguments.
"""
