"""What is read back of the books, as plain values: what `--json` of the commands prints and the HTTP server answers.

    accounts.py      accounts and what they hold
    movements.py     orders, transactions
    performance.py   daily rows, in USD and converted; the summary of a period
    statement.py     periods by their names, and the statement of one
    oddities.py      quarantine, how a conflict differs, gaps
    copies.py        backups
    status.py        how the daemon stands

Amounts are texts of every digit, instants texts in UTC, days dates.
"""
