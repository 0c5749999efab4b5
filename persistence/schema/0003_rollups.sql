-- What the daily rollup derives from the facts. Everything here can be rebuilt from them; performance_metrics has the figures.

-- `recheck_since`: the least instant at which something recorded changed in place (a smaller sequence, a revived record), so
-- that everything derived from there on has to be read anew.
ALTER TABLE accounts ADD COLUMN recheck_since INTEGER;
ALTER TABLE accounts ADD COLUMN recheck_count INTEGER NOT NULL DEFAULT 0;

-- How far an account is rolled up, and under which options. `generation` moves with every commit of a rollup.
CREATE TABLE rollup_accounts (
    account_id     TEXT    PRIMARY KEY REFERENCES accounts ON DELETE CASCADE,
    options_digest TEXT    NOT NULL,
    valuation      TEXT    NOT NULL CHECK (valuation IN ('snapshots', 'books')),
    rolled_to      TEXT    NOT NULL,
    stale_from     TEXT,
    seen_fact_no   INTEGER NOT NULL,
    estimates      INTEGER NOT NULL CHECK (estimates IN (0, 1)),
    withheld_from  TEXT,
    generation     INTEGER NOT NULL,
    rolled_at      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- One row per observed day: its close, flows and trades since the row before, and the state from which the next row goes on.
CREATE TABLE rollup_rows (
    account_id    TEXT    NOT NULL REFERENCES accounts ON DELETE CASCADE,
    date          TEXT    NOT NULL,
    close_at      INTEGER NOT NULL,
    close_fact_no INTEGER,
    value         TEXT    NOT NULL,
    inflow        TEXT    NOT NULL,
    outflow       TEXT    NOT NULL,
    pnl_daily     TEXT    NOT NULL,
    pnl_total     TEXT    NOT NULL,
    daily_return  REAL,
    profit        TEXT    NOT NULL,
    loss          TEXT    NOT NULL,
    wins          INTEGER NOT NULL,
    losses        INTEGER NOT NULL,
    trades        INTEGER NOT NULL,
    warnings      TEXT,
    observations  INTEGER NOT NULL,
    mean          REAL    NOT NULL,
    squares       REAL    NOT NULL,
    downside      REAL    NOT NULL,
    downside_rest REAL    NOT NULL,
    depth         REAL    NOT NULL,
    drawdown      REAL    NOT NULL,
    total_profit  TEXT    NOT NULL,
    total_loss    TEXT    NOT NULL,
    total_wins    INTEGER NOT NULL,
    total_losses  INTEGER NOT NULL,
    total_trades  INTEGER NOT NULL,
    PRIMARY KEY (account_id, date)
) STRICT, WITHOUT ROWID;

-- Round trips, dated by the local day of the fill that closed them. `pnl` is net of fees, in USD; empty where a rate is missing.
CREATE TABLE trades (
    account_id      TEXT    NOT NULL REFERENCES accounts ON DELETE CASCADE,
    date            TEXT    NOT NULL,
    symbol          TEXT    NOT NULL,
    number          INTEGER NOT NULL,
    direction       TEXT    NOT NULL CHECK (direction IN ('long', 'short')),
    opened_at       INTEGER NOT NULL,
    closed_at       INTEGER NOT NULL,
    closing_fact_no INTEGER NOT NULL,
    fills           INTEGER NOT NULL,
    peak            TEXT    NOT NULL,
    pnl             TEXT,
    fees            TEXT,
    estimated       INTEGER NOT NULL CHECK (estimated IN (0, 1)),
    PRIMARY KEY (account_id, date, symbol, number)
) STRICT, WITHOUT ROWID;

-- The position in a symbol at the end of each day on which it moved; `state` is "" when flat.
CREATE TABLE position_closes (
    account_id TEXT NOT NULL REFERENCES accounts ON DELETE CASCADE,
    symbol     TEXT NOT NULL,
    date       TEXT NOT NULL,
    state      TEXT NOT NULL,
    PRIMARY KEY (account_id, symbol, date)
) STRICT, WITHOUT ROWID;

-- What an account held of a currency at the end of each day on which it moved.
CREATE TABLE currency_closes (
    account_id TEXT NOT NULL REFERENCES accounts ON DELETE CASCADE,
    currency   TEXT NOT NULL,
    date       TEXT NOT NULL,
    moved      TEXT NOT NULL,
    closing    TEXT NOT NULL,
    PRIMARY KEY (account_id, currency, date)
) STRICT, WITHOUT ROWID;

-- The last USD rate that an account's records of a day told of a currency.
CREATE TABLE currency_rates (
    account_id TEXT NOT NULL REFERENCES accounts ON DELETE CASCADE,
    currency   TEXT NOT NULL,
    date       TEXT NOT NULL,
    rate       TEXT NOT NULL,
    PRIMARY KEY (account_id, currency, date)
) STRICT, WITHOUT ROWID;

-- The rate that a flow without one was valued at: the latest that was known.
CREATE TABLE flow_rates (
    account_id TEXT    NOT NULL REFERENCES accounts ON DELETE CASCADE,
    fact_no    INTEGER NOT NULL,
    date       TEXT    NOT NULL,
    rate       TEXT    NOT NULL,
    PRIMARY KEY (account_id, fact_no)
) STRICT, WITHOUT ROWID;

-- Observed days that have no row, and why.
CREATE TABLE withheld_days (
    account_id TEXT NOT NULL REFERENCES accounts ON DELETE CASCADE,
    date       TEXT NOT NULL,
    reason     TEXT NOT NULL,
    PRIMARY KEY (account_id, date)
) STRICT, WITHOUT ROWID;

-- What a row of figures said before, what it says now, which facts caused it. JSON; empty where there was, or is, no row.
CREATE TABLE performance_revisions (
    account_id  TEXT    NOT NULL REFERENCES accounts ON DELETE CASCADE,
    date        TEXT    NOT NULL,
    revision_no INTEGER NOT NULL,
    revised_at  INTEGER NOT NULL,
    before      TEXT,
    after       TEXT,
    cause       TEXT    NOT NULL,
    facts       TEXT    NOT NULL,
    PRIMARY KEY (account_id, date, revision_no)
) STRICT, WITHOUT ROWID;

-- Runs can be requested now, with arguments: by hand or by a message, whose id keeps it from being filed twice.
CREATE TABLE job_runs_new (
    job           TEXT    NOT NULL,
    scheduled_for INTEGER NOT NULL,
    state         TEXT    NOT NULL CHECK (state IN ('requested', 'claimed', 'succeeded', 'failed')),
    attempts      INTEGER NOT NULL DEFAULT 1,
    owner         TEXT,
    claimed_at    INTEGER,
    heartbeat_at  INTEGER,
    retry_at      INTEGER,
    finished_at   INTEGER,
    error         TEXT,
    result        TEXT,
    request_id    TEXT    UNIQUE,
    arguments     TEXT,
    PRIMARY KEY (job, scheduled_for)
) STRICT, WITHOUT ROWID;
INSERT INTO job_runs_new (job, scheduled_for, state, attempts, owner, claimed_at, heartbeat_at, retry_at, finished_at, error, result)
SELECT job, scheduled_for, state, attempts, owner, claimed_at, heartbeat_at, retry_at, finished_at, error, result FROM job_runs;
DROP TABLE job_runs;
ALTER TABLE job_runs_new RENAME TO job_runs;

CREATE TABLE job_pauses (
    job       TEXT    PRIMARY KEY,
    paused_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Who ticks: a scheduler that has not for minutes is gone.
CREATE TABLE schedulers (
    owner     TEXT    PRIMARY KEY,
    ticked_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE VIEW v_trades AS
SELECT account_id, date, symbol, direction,
       strftime('%Y-%m-%dT%H:%M:%S', opened_at / 1000000, 'unixepoch') || printf('.%06dZ', opened_at % 1000000) AS opened_at,
       strftime('%Y-%m-%dT%H:%M:%S', closed_at / 1000000, 'unixepoch') || printf('.%06dZ', closed_at % 1000000) AS closed_at,
       fills, peak, pnl, fees, CAST(pnl AS REAL) AS pnl_number, estimated, closing_fact_no
FROM trades;

CREATE VIEW v_equity AS
SELECT account_id, date, value, inflow, outflow, pnl_daily, pnl_total, daily_return, drawdown, CAST(value AS REAL) AS value_number,
       strftime('%Y-%m-%dT%H:%M:%S', close_at / 1000000, 'unixepoch') || printf('.%06dZ', close_at % 1000000) AS close_at, warnings
FROM rollup_rows;
