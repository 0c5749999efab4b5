"""The contract of records: what turns the JSON of one into a checked fact. Standard library only, no I/O.

    decimals.py     exact numbers, their limits and their one text        instants.py   microseconds UTC, days of a zone
    symbols.py      what a symbol names, or why it names nothing          choice.py     closed sets of words
    conventions.py  the settings that fill the defaults of records, and the checks of ids, codes and times
    facts/          Fill, Fee, Deposit, Withdrawal, OrderEvent, EquitySnapshot, Rate, BalanceReport, Void: what records state
    forms.py        the fields of each kind of record, and the fact that it states; form.py, values.py
    near_misses.py  unknown fields that look like ours                    json_values.py  what JSON can say of Python's values
    routes.py       kinds, their queues and actors, the envelope          jobs.py       jobs that can be asked for
    outcome.py      what became of a delivery: applied, duplicate, quarantined
    address.py      the URL of a broker, read once, refused with a sentence; broker_faults.py: what a broker's errors mean
    errors.py       wrong for ever, or wrong for now                      showing.py    what may be shown

The client and the daemon use this one code, so that what one lets through the other takes.
"""
