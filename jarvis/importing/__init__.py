"""Files that people have: the rows of a CSV file, and ccxt's structures, become records of the contract.

    table      bytes to rows: encoding, dialect, where the headings are; cells by heading, with the line they begin on
    profile    what the columns of one export mean, as data; `profiles/` has those of venues, the settings have a user's own
    cells      one cell: a number, an amount with its code, a time, a code, a pair of codes
    rows       a row by the first rule that fits it: a record, passed over for a reason, or refused
    identity   the id of a row that has none
    reading    a whole file, checked before anything is recorded: lines of NDJSON for `persistence.imports`, or every problem
    ccxt       a file of ccxt's structures, checked the same way; what they mean, `jarvis_client.ccxt` says
    preview    what those lines would do to the books

Nothing is guessed. A cell that can be read in two ways, a row that no rule fits, and a local time that existed twice are problems;
a file with one problem records nothing.
"""
