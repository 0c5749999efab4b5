-- What a producer numbered and never arrived. `lowest` to `highest` is what was seen of a producer; `gaps` holds the ranges in
-- between that are missing, and loses them as they arrive.
CREATE TABLE producers (
    producer TEXT    PRIMARY KEY,
    lowest   INTEGER NOT NULL,
    highest  INTEGER NOT NULL CHECK (highest >= lowest),
    seen_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE gaps (
    producer   TEXT    NOT NULL REFERENCES producers ON DELETE CASCADE,
    first      INTEGER NOT NULL,
    last       INTEGER NOT NULL CHECK (last >= first),
    noticed_at INTEGER NOT NULL,
    PRIMARY KEY (producer, first)
) STRICT, WITHOUT ROWID;
