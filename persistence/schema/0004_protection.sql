-- What protects the books: their number of commits, the hash chain over what was recorded, and what the last full verification saw.

-- Whose books these are. `commit_no` moves with every commit, and a file outside the database and its WAL keeps the highest one that
-- was made durable; `epoch` is renewed where a restore takes the books back on purpose.
CREATE TABLE book (
    one       INTEGER PRIMARY KEY CHECK (one = 1),
    book_id   TEXT    NOT NULL,
    epoch     TEXT    NOT NULL CHECK (length(epoch) = 16),
    commit_no INTEGER NOT NULL
) STRICT;
INSERT INTO book VALUES (1, lower(hex(randomblob(16))), lower(hex(randomblob(8))), 0);

-- What happened to recorded rows besides being recorded: a deleted account, an earlier place of a fact, a decision about a quarantined record.
CREATE TABLE chain_events (
    event_no    INTEGER PRIMARY KEY,
    kind        TEXT    NOT NULL,
    happened_at INTEGER NOT NULL,
    content     TEXT    NOT NULL
) STRICT;

INSERT INTO chain_events (kind, happened_at, content)
SELECT 'quarantine decided', coalesce(resolved_at, received_at), json_object('quarantine_no', quarantine_no, 'state', state, 'resolution', resolution)
FROM quarantine WHERE resolution IS NOT NULL ORDER BY quarantine_no;

-- The hash chain (docs/chain.md): each block lists a digest for every row it seals and is hashed with the block before it.
CREATE TABLE chain_blocks (
    block_no      INTEGER PRIMARY KEY,
    sealed_at     INTEGER NOT NULL,
    facts_to      INTEGER NOT NULL,
    quarantine_to INTEGER NOT NULL,
    events_to     INTEGER NOT NULL,
    entries       BLOB    NOT NULL CHECK (length(entries) % 41 = 0),
    hash          BLOB    NOT NULL CHECK (length(hash) = 32)
) STRICT;

CREATE TRIGGER chain_events_immutable BEFORE UPDATE ON chain_events
BEGIN
    SELECT RAISE(ABORT, 'events of the chain are never updated');
END;

CREATE TRIGGER chain_blocks_immutable BEFORE UPDATE ON chain_blocks
BEGIN
    SELECT RAISE(ABORT, 'sealed blocks are never updated');
END;

-- What the last full verification without findings saw, so that a quick one only has to look at what came since.
CREATE TABLE verifications (
    verified_at INTEGER PRIMARY KEY,
    facts_to    INTEGER NOT NULL,
    events_to   INTEGER NOT NULL,
    block_no    INTEGER NOT NULL
) STRICT;

CREATE TABLE verified_totals (
    account_id TEXT    NOT NULL,
    currency   TEXT    NOT NULL,
    type       TEXT    NOT NULL,
    amount     TEXT    NOT NULL,
    count      INTEGER NOT NULL,
    PRIMARY KEY (account_id, currency, type)
) STRICT, WITHOUT ROWID;
