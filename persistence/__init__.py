"""The books: exact, durable, and the only package that knows SQLite.

    database.py      DatabaseManager: the file, its connections, its pragmas, its transactions
    ledger.py        Ledger.post(facts): one batch, one commit, an outcome for every fact
    repositories/    rows in, entities out: accounts, transactions, orders, performance, quarantine
    integrity.py     small named checks of the books that return findings
    exports.py       CSV, JSON, NDJSON out
    domain/          the words: Money, Account, Order, Fill …, and the contracts of the repositories

Everything that changes money is a fact. `Ledger.post` records facts and moves what depends on them (transactions, balances,
orders) in the same commit; saving by hand through a repository records a fact too. Durable means fsynced (WAL,
synchronous=FULL): when a call that writes has returned, a power cut does not take it back.
"""
