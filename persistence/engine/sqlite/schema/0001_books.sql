-- The books. Conditions on the hot tables are chains of comparisons: SQLite builds a set for each IN list, per row.
-- Amounts are exact decimals as canonical text; instants are integer microseconds UTC; dates are ISO text.
-- Views at the end present both for people. Only built-in SQL here, so that any SQLite tool can read the file.

-- What was recorded, one row per identity, for ever. `state`: 0 live, 1 voided, 2 erased with its account (a tombstone:
-- the identity stays so that a late delivery is recognised). `fact_no` is the order of arrival, an internal key. `sort_key` orders kind
-- and id within an instant, as people count. A rate is of no account: its `account_id` is empty.
CREATE TABLE facts (
    fact_no     INTEGER PRIMARY KEY,
    kind        TEXT    NOT NULL CHECK (kind = 'fill' OR kind IN (
                    'fee', 'deposit', 'withdrawal', 'order', 'metrics', 'rate', 'balance', 'void', 'transaction', 'adjustment')),
    account_id  TEXT    NOT NULL,
    record_id   TEXT    NOT NULL CHECK (record_id <> ''),
    sort_key    BLOB    NOT NULL,
    occurred_at INTEGER NOT NULL,
    sequence    INTEGER,
    producer    TEXT,
    digest      BLOB    NOT NULL CHECK (length(digest) = 32),
    state       INTEGER NOT NULL DEFAULT 0 CHECK (state BETWEEN 0 AND 2),
    recorded_at INTEGER NOT NULL
) STRICT;
-- Is this identity recorded? The id leads, so that a bare id finds its records too.
CREATE UNIQUE INDEX facts_identity ON facts (record_id, account_id, kind);

-- `dirty_since` is the least instant of what came since the last rollup took it; `dirty_count` moves with every commit that
-- touched the account, so that a rollup can see whether it raced one. `recheck_since`: the least instant at which something recorded
-- changed in place (a smaller sequence, a revived record), so that everything derived from there on has to be read anew. `last_fact_no`:
-- the newest number of a commit that recorded something of the account.
CREATE TABLE accounts (
    account_id  TEXT    PRIMARY KEY CHECK (account_id <> ''),
    name        TEXT    NOT NULL,
    is_active   INTEGER NOT NULL DEFAULT 1 CHECK (is_active IN (0, 1)),
    opened_at   INTEGER,
    dirty_since INTEGER,
    dirty_count INTEGER NOT NULL DEFAULT 0,
    recheck_since INTEGER,
    recheck_count INTEGER NOT NULL DEFAULT 0,
    last_fact_no INTEGER NOT NULL DEFAULT 0,
    created_at  INTEGER NOT NULL DEFAULT (CAST(unixepoch('subsec') * 1000000 AS INTEGER)),
    updated_at  INTEGER NOT NULL DEFAULT (CAST(unixepoch('subsec') * 1000000 AS INTEGER))
) STRICT, WITHOUT ROWID;
-- An account by its name.
CREATE INDEX accounts_by_name ON accounts (name);

CREATE TRIGGER accounts_updated AFTER UPDATE OF name, is_active ON accounts WHEN NEW.updated_at = OLD.updated_at
BEGIN
    UPDATE accounts SET updated_at = CAST(unixepoch('subsec') * 1000000 AS INTEGER) WHERE account_id = NEW.account_id;
END;

-- Accounts that were deleted: a message never reopens one, an explicit save does.
CREATE TABLE account_tombstones (
    account_id TEXT    PRIMARY KEY,
    deleted_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What an account holds of a currency, or of a contract by its symbol: a contract named BTC is not the coin.
CREATE TABLE balances (
    account_id TEXT    NOT NULL REFERENCES accounts ON DELETE CASCADE,
    currency   TEXT    NOT NULL CHECK (currency <> ''),
    kind       TEXT    NOT NULL CHECK (kind = 'currency' OR kind = 'contract'),
    available  TEXT    NOT NULL CHECK (available <> '' AND available NOT GLOB '*[^-.0-9]*'),
    reserved   TEXT    NOT NULL CHECK (reserved <> '' AND reserved NOT GLOB '*[^-.0-9]*'),
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (account_id, currency, kind)
) STRICT, WITHOUT ROWID;

-- Every movement of money. `transaction_no` = 16 × fact_no + leg. Legs: 0 amount, 1 base, 2 quote, 3 to 7 fees; + 8 for
-- the reversal of that leg when its fact is voided. `amount` is signed as the balance moves.
CREATE TABLE transactions (
    transaction_no INTEGER PRIMARY KEY,
    fact_no        INTEGER GENERATED ALWAYS AS (transaction_no >> 4) VIRTUAL,
    leg            INTEGER GENERATED ALWAYS AS (transaction_no & 15) VIRTUAL,
    account_id     TEXT    NOT NULL REFERENCES accounts ON DELETE CASCADE,
    occurred_at    INTEGER NOT NULL,
    type           TEXT    NOT NULL CHECK (type <> ''),
    currency       TEXT    NOT NULL CHECK (currency <> ''),
    kind           TEXT    NOT NULL,
    amount         TEXT    NOT NULL CHECK (amount <> '' AND amount <> '0' AND amount NOT GLOB '*[^-.0-9]*'),
    description    TEXT,
    reference      TEXT
) STRICT;
-- An account's movements of a period, the newest hundred, a day's statement.
CREATE INDEX transactions_by_time ON transactions (account_id, occurred_at);
-- An account's deposits among millions of trades; the frequent types are dense enough for the index above.
CREATE INDEX transactions_rare ON transactions (account_id, type, occurred_at)
    WHERE type <> 'trade_in' AND type <> 'trade_out' AND type <> 'fee' AND type <> 'rebate';

CREATE TRIGGER transactions_immutable BEFORE UPDATE ON transactions
BEGIN
    SELECT RAISE(ABORT, 'transactions are never updated: record a void of the fact and a new fact');
END;

-- Sums of the transactions by type, moved in the commit that moves them, so that no query has to add up history.
CREATE TABLE transaction_totals (
    account_id TEXT    NOT NULL REFERENCES accounts ON DELETE CASCADE,
    currency   TEXT    NOT NULL,
    kind       TEXT    NOT NULL,
    type       TEXT    NOT NULL,
    amount     TEXT    NOT NULL CHECK (amount <> '' AND amount NOT GLOB '*[^-.0-9]*'),
    count      INTEGER NOT NULL,
    PRIMARY KEY (account_id, currency, kind, type)
) STRICT, WITHOUT ROWID;

-- Executions. `settle` is empty for spot; `instrument` is what is traded: BASE/QUOTE, or the contract. `fee` is empty while it is not known;
-- `more_fees` holds the second to the fifth as JSON.
CREATE TABLE fills (
    fact_no        INTEGER PRIMARY KEY REFERENCES facts,
    account_id     TEXT    NOT NULL REFERENCES accounts ON DELETE CASCADE,
    fill_id        TEXT    NOT NULL,
    order_id       TEXT,
    symbol         TEXT    NOT NULL,
    side           TEXT    NOT NULL CHECK (side = 'buy' OR side = 'sell'),
    quantity       TEXT    NOT NULL CHECK (quantity > '0' AND quantity NOT GLOB '*[^.0-9]*'),
    price          TEXT    NOT NULL CHECK (price <> '' AND price NOT GLOB '*[^-.0-9]*'),
    quote_quantity TEXT    NOT NULL CHECK (quote_quantity <> '' AND quote_quantity NOT GLOB '*[^-.0-9]*'),
    multiplier     TEXT    NOT NULL,
    base           TEXT    NOT NULL,
    quote          TEXT    NOT NULL,
    settle         TEXT,
    inverse        INTEGER NOT NULL CHECK (inverse BETWEEN 0 AND 1),
    instrument     TEXT    NOT NULL,
    fee            TEXT    CHECK (fee <> '' AND fee NOT GLOB '*[^-.0-9]*'),
    fee_currency   TEXT    NOT NULL,
    fee_usd_rate   TEXT,
    more_fees      TEXT,
    executed_at    INTEGER NOT NULL,
    quote_usd_rate TEXT,
    liquidity      TEXT,
    order_type     TEXT,
    order_quantity TEXT,
    order_price    TEXT,
    extra          TEXT,
    given_time     TEXT
) STRICT;
-- An order's fills, when it is derived again.
CREATE INDEX fills_by_order ON fills (order_id, account_id);
-- A day's fills of an account, exports of a period.
CREATE INDEX fills_by_time ON fills (account_id, executed_at);

-- Fees that came after their fill. `amount` is signed: negative is a rebate.
CREATE TABLE fees (
    fact_no     INTEGER PRIMARY KEY REFERENCES facts,
    account_id  TEXT    NOT NULL REFERENCES accounts ON DELETE CASCADE,
    fee_id      TEXT    NOT NULL,
    fill_id     TEXT    NOT NULL,
    currency    TEXT    NOT NULL,
    amount      TEXT    NOT NULL CHECK (amount <> '' AND amount NOT GLOB '*[^-.0-9]*'),
    occurred_at INTEGER NOT NULL,
    usd_rate    TEXT,
    extra       TEXT,
    given_time  TEXT
) STRICT;
-- A fill's further fees, when it is voided or its trade is read.
CREATE INDEX fees_by_fill ON fees (account_id, fill_id);
-- Fees of a period, for exports.
CREATE INDEX fees_by_time ON fees (account_id, occurred_at);

-- Deposits and withdrawals. `amount` is positive, `direction` says which way.
CREATE TABLE flows (
    fact_no     INTEGER PRIMARY KEY REFERENCES facts,
    account_id  TEXT    NOT NULL REFERENCES accounts ON DELETE CASCADE,
    flow_id     TEXT    NOT NULL,
    direction   TEXT    NOT NULL CHECK (direction IN ('deposit', 'withdrawal')),
    currency    TEXT    NOT NULL,
    amount      TEXT    NOT NULL CHECK (amount > '0' AND amount NOT GLOB '*[^.0-9]*'),
    category    TEXT    NOT NULL,
    occurred_at INTEGER NOT NULL,
    usd_rate    TEXT,
    fee         TEXT,
    fee_currency TEXT,
    description TEXT,
    reference   TEXT,
    symbol      TEXT,
    extra       TEXT,
    given_time  TEXT
) STRICT;
-- A day's flows of an account.
CREATE INDEX flows_by_time ON flows (account_id, occurred_at);

-- Steps in the life of orders. `waiting` marks one that fits no order of its id yet.
CREATE TABLE order_events (
    fact_no         INTEGER PRIMARY KEY REFERENCES facts,
    account_id      TEXT    NOT NULL REFERENCES accounts ON DELETE CASCADE,
    event_id        TEXT    NOT NULL,
    order_id        TEXT    NOT NULL,
    status          TEXT    NOT NULL CHECK (status IN ('placed', 'amended', 'cancelled', 'rejected', 'expired', 'filled')),
    occurred_at     INTEGER NOT NULL,
    symbol          TEXT,
    side            TEXT CHECK (side IN ('buy', 'sell')),
    order_type      TEXT,
    quantity        TEXT,
    price           TEXT,
    cost            TEXT,
    closes_position INTEGER NOT NULL DEFAULT 0 CHECK (closes_position IN (0, 1)),
    reserve         INTEGER NOT NULL DEFAULT 0 CHECK (reserve IN (0, 1)),
    base            TEXT,
    quote           TEXT,
    settle          TEXT,
    inverse         INTEGER NOT NULL DEFAULT 0 CHECK (inverse IN (0, 1)),
    multiplier      TEXT    NOT NULL DEFAULT '1',
    instrument      TEXT,
    extra           TEXT,
    given_time      TEXT,
    waiting         INTEGER NOT NULL DEFAULT 0 CHECK (waiting IN (0, 1))
) STRICT;
-- Does an event wait for the order that arrives now?
CREATE INDEX order_events_waiting ON order_events (order_id, account_id) WHERE waiting = 1;
-- An order's events, when it is derived again.
CREATE INDEX order_events_by_order ON order_events (order_id, account_id);
-- Those of an account, for its deletion.
CREATE INDEX order_events_by_account ON order_events (account_id);

CREATE TABLE equity_snapshots (
    fact_no         INTEGER PRIMARY KEY REFERENCES facts,
    account_id      TEXT    NOT NULL REFERENCES accounts ON DELETE CASCADE,
    snapshot_id     TEXT    NOT NULL,
    observed_at     INTEGER NOT NULL,
    date            TEXT,
    total_value_usd TEXT    NOT NULL CHECK (total_value_usd <> '' AND total_value_usd NOT GLOB '*[^-.0-9]*'),
    reported        TEXT,
    extra           TEXT,
    given_time      TEXT
) STRICT;
-- The last snapshot of a day.
CREATE INDEX equity_snapshots_by_time ON equity_snapshots (account_id, observed_at);

-- What a currency was worth in USD, as somebody said. Of no account.
CREATE TABLE rates (
    fact_no     INTEGER PRIMARY KEY REFERENCES facts,
    rate_id     TEXT    NOT NULL,
    currency    TEXT    NOT NULL,
    usd_rate    TEXT    NOT NULL CHECK (usd_rate <> '' AND usd_rate NOT GLOB '*[^.0-9]*'),
    observed_at INTEGER NOT NULL,
    source      TEXT,
    extra       TEXT,
    given_time  TEXT
) STRICT;
-- The newest rate of a currency at an instant.
CREATE INDEX rates_by_time ON rates (currency, observed_at);
-- Rates of a period, for exports.
CREATE INDEX rates_all_by_time ON rates (observed_at);
-- What came of a currency since a rollup.
CREATE INDEX rates_by_arrival ON rates (currency, fact_no, observed_at);

-- What a venue says an account holds. It books nothing.
CREATE TABLE balance_reports (
    fact_no     INTEGER PRIMARY KEY REFERENCES facts,
    account_id  TEXT    NOT NULL REFERENCES accounts ON DELETE CASCADE,
    report_id   TEXT    NOT NULL,
    currency    TEXT    NOT NULL,
    total       TEXT    NOT NULL CHECK (total <> '' AND total NOT GLOB '*[^-.0-9]*'),
    observed_at INTEGER NOT NULL,
    extra       TEXT,
    given_time  TEXT
) STRICT;
-- Reports of a period.
CREATE INDEX balance_reports_by_time ON balance_reports (account_id, observed_at);

-- `target_fact_no` is empty until the target arrives. The void of a rate is of no account: its `account_id` is empty.
CREATE TABLE voids (
    fact_no        INTEGER PRIMARY KEY REFERENCES facts,
    account_id     TEXT    NOT NULL,
    void_id        TEXT    NOT NULL,
    target_kind    TEXT    NOT NULL,
    target_id      TEXT    NOT NULL,
    target_fact_no INTEGER REFERENCES facts,
    reason         TEXT    NOT NULL,
    occurred_at    INTEGER NOT NULL,
    extra          TEXT,
    given_time     TEXT
) STRICT;
-- Does a void wait for the record that arrives now?
CREATE INDEX voids_waiting ON voids (account_id, target_id, target_kind) WHERE target_fact_no IS NULL;
-- Why a fact is voided; those of an account, for its deletion.
CREATE INDEX voids_by_account ON voids (account_id, target_id);

-- What was saved by hand: transactions, and adjustments of balances. `amount` is signed as the balance moves.
CREATE TABLE entries (
    fact_no     INTEGER PRIMARY KEY REFERENCES facts,
    account_id  TEXT    NOT NULL REFERENCES accounts ON DELETE CASCADE,
    entry_id    TEXT    NOT NULL,
    kind        TEXT    NOT NULL CHECK (kind IN ('transaction', 'adjustment')),
    type        TEXT    NOT NULL,
    currency    TEXT    NOT NULL,
    amount      TEXT    NOT NULL CHECK (amount <> '' AND amount NOT GLOB '*[^-.0-9]*'),
    reserved    TEXT    NOT NULL DEFAULT '0',
    description TEXT,
    reference   TEXT,
    occurred_at INTEGER NOT NULL
) STRICT;
CREATE INDEX entries_by_time ON entries (account_id, occurred_at);

-- What the live facts of an order make of it. `quantity_given` is 0 where only its fills say how much it was. `weight` is
-- Σ quantity × multiplier, `notional` Σ quantity × price of quanto contracts.
CREATE TABLE orders (
    order_no          INTEGER PRIMARY KEY,
    order_id          TEXT    NOT NULL,
    account_id        TEXT    NOT NULL REFERENCES accounts ON DELETE CASCADE,
    instrument        TEXT    NOT NULL,
    symbol            TEXT    NOT NULL,
    side              TEXT    NOT NULL CHECK (side = 'buy' OR side = 'sell'),
    order_type        TEXT,
    quantity          TEXT,
    price             TEXT,
    cost              TEXT,
    base              TEXT    NOT NULL,
    quote             TEXT    NOT NULL,
    settle            TEXT,
    inverse           INTEGER NOT NULL CHECK (inverse BETWEEN 0 AND 1),
    multiplier        TEXT    NOT NULL,
    filled            TEXT    NOT NULL CHECK (filled NOT GLOB '*[^.0-9]*'),
    cash              TEXT    NOT NULL CHECK (cash NOT GLOB '*[^-.0-9]*'),
    weight            TEXT    NOT NULL CHECK (weight NOT GLOB '*[^.0-9]*'),
    notional          TEXT    NOT NULL,
    fills_count       INTEGER NOT NULL CHECK (fills_count >= 0),
    placed            INTEGER NOT NULL CHECK (placed BETWEEN 0 AND 1),
    reserve           INTEGER NOT NULL CHECK (reserve BETWEEN 0 AND 1),
    quantity_given    INTEGER NOT NULL CHECK (quantity_given BETWEEN 0 AND 1),
    amended           INTEGER NOT NULL CHECK (amended BETWEEN 0 AND 1),
    ended_status      TEXT,
    created_at        INTEGER NOT NULL,
    updated_at        INTEGER NOT NULL,
    executed_at       INTEGER,
    status            TEXT    NOT NULL CHECK (status = 'filled' OR status IN ('pending', 'partially_filled', 'cancelled', 'rejected', 'expired')),
    reserved          TEXT    NOT NULL DEFAULT '0',
    reserved_currency TEXT
) STRICT;
-- The orders of an id. What tells them apart (instrument, side, spot or contract) is left to the check of orders: it would double the index.
CREATE INDEX orders_by_id ON orders (order_id, account_id);
-- An account's orders, the newest first, filtered by status or symbol on the way.
CREATE INDEX orders_by_time ON orders (account_id, created_at);
-- The few open orders among millions of finished ones.
CREATE INDEX orders_open ON orders (account_id, created_at) WHERE status <> 'filled' AND status <> 'cancelled' AND status <> 'rejected' AND status <> 'expired';

-- One row per account and day. `source` says whether the rollup computed it or somebody saved it by hand.
CREATE TABLE performance_metrics (
    account_id      TEXT    NOT NULL REFERENCES accounts ON DELETE CASCADE,
    date            TEXT    NOT NULL CHECK (date GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]'),
    total_value_usd TEXT    NOT NULL,
    pnl_daily       TEXT,
    pnl_total       TEXT,
    sharpe_ratio    REAL,
    sortino_ratio   REAL,
    max_drawdown    REAL CHECK (max_drawdown BETWEEN -1 AND 0),
    win_rate        REAL CHECK (win_rate BETWEEN 0 AND 1),
    profit_factor   REAL CHECK (profit_factor >= 0),
    trades_count    INTEGER NOT NULL DEFAULT 0 CHECK (trades_count >= 0),
    source          TEXT    NOT NULL DEFAULT 'manual' CHECK (source IN ('manual', 'rollup')),
    created_at      INTEGER NOT NULL DEFAULT (CAST(unixepoch('subsec') * 1000000 AS INTEGER)),
    updated_at      INTEGER NOT NULL DEFAULT (CAST(unixepoch('subsec') * 1000000 AS INTEGER)),
    PRIMARY KEY (account_id, date)
) STRICT, WITHOUT ROWID;

-- What can never be applied, whole, until somebody replays or discards it. Nothing here expires.
CREATE TABLE quarantine (
    quarantine_no INTEGER PRIMARY KEY,
    raw           BLOB    NOT NULL,
    raw_digest    BLOB    NOT NULL UNIQUE CHECK (length(raw_digest) = 32),
    reason        TEXT    NOT NULL,
    detail        TEXT    NOT NULL,
    kind          TEXT,
    account_id    TEXT,
    record_id     TEXT,
    fact_no       INTEGER REFERENCES facts,
    received_at   INTEGER NOT NULL,
    deliveries    INTEGER NOT NULL DEFAULT 1,
    state         TEXT    NOT NULL DEFAULT 'held' CHECK (state IN ('held', 'replayed', 'discarded')),
    resolution    TEXT,
    resolved_at   INTEGER
) STRICT;
-- What still waits for a decision.
CREATE INDEX quarantine_held ON quarantine (received_at, reason) WHERE state = 'held';

-- Which run of which job is asked for, due, taken, done: a (job, instant) is claimed once. A run that was asked for, by hand or by a
-- message, has a `request_id`, which keeps it from being filed twice. `ahead`: its instant was seen to lie in the future, so a clock
-- that was ahead wrote it, and it says nothing of when the job ran.
CREATE TABLE job_runs (
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
    ahead         INTEGER NOT NULL DEFAULT 0 CHECK (ahead IN (0, 1)),
    PRIMARY KEY (job, scheduled_for)
) STRICT, WITHOUT ROWID;

CREATE TABLE job_pauses (
    job       TEXT    PRIMARY KEY,
    paused_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Who ticks, and since when: a scheduler that has not for minutes is gone.
CREATE TABLE schedulers (
    owner      TEXT    PRIMARY KEY,
    started_at INTEGER NOT NULL,
    ticked_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What the statistics job saw, for trends.
CREATE TABLE statistics_reports (
    taken_at INTEGER PRIMARY KEY,
    report   TEXT NOT NULL
) STRICT;

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

-- What workers found in the broker that nobody claims, or that the broker lost: shown until it is gone, or settled.
CREATE TABLE strays (
    kind       TEXT    NOT NULL,
    subject    TEXT    NOT NULL,
    first_seen INTEGER NOT NULL,
    last_seen  INTEGER NOT NULL,
    count      INTEGER NOT NULL,
    example    TEXT    NOT NULL,
    PRIMARY KEY (kind, subject)
) STRICT, WITHOUT ROWID;

-- The token that workers of these books left in the broker of a namespace: one that has another was emptied meanwhile.
CREATE TABLE broker_marks (
    namespace TEXT    PRIMARY KEY,
    token     TEXT    NOT NULL,
    marked_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- ---------------------------------------------------------------------------------------------------------------------
-- What the daily rollup derives from the facts. Everything here can be rebuilt from them; performance_metrics has the figures.

-- How far an account is rolled up, and under which options: the newest number of its facts that was looked at, and of rates, which are of no account. Rows from `snapshots_from` on are valued by snapshots. `generation` moves with
-- every commit of a rollup. `usd_like`: the currencies that count as a dollar where nothing else is said, as JSON.
CREATE TABLE rollup_accounts (
    account_id     TEXT    PRIMARY KEY REFERENCES accounts ON DELETE CASCADE,
    options_digest TEXT    NOT NULL,
    snapshots_from TEXT,
    rolled_to      TEXT    NOT NULL,
    stale_from     TEXT,
    seen_fact_no   INTEGER NOT NULL,
    seen_rate_no   INTEGER NOT NULL,
    generation     INTEGER NOT NULL,
    usd_like       TEXT    NOT NULL,
    rolled_at      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- One row per observed day: its close, flows and trades since the row before, and the state from which the next row goes on. Profit is
-- empty while one of its flows (`unrated`) has no rate. `books_value`: what the books were worth that day, where every rate is known.
CREATE TABLE rollup_rows (
    account_id    TEXT    NOT NULL REFERENCES accounts ON DELETE CASCADE,
    date          TEXT    NOT NULL,
    close_at      INTEGER NOT NULL,
    close_fact_no INTEGER,
    value         TEXT    NOT NULL,
    inflow        TEXT    NOT NULL,
    outflow       TEXT    NOT NULL,
    pnl_daily     TEXT,
    pnl_total     TEXT,
    daily_return  REAL,
    profit        TEXT    NOT NULL,
    loss          TEXT    NOT NULL,
    wins          INTEGER NOT NULL,
    losses        INTEGER NOT NULL,
    trades        INTEGER NOT NULL,
    untold        INTEGER NOT NULL,
    unrated       INTEGER NOT NULL,
    books_value   TEXT,
    warnings      TEXT,
    observations  INTEGER NOT NULL,
    mean          REAL    NOT NULL,
    squares       REAL    NOT NULL,
    downside      REAL    NOT NULL,
    downside_rest REAL    NOT NULL,
    depth         REAL    NOT NULL,
    max_drawdown  REAL    NOT NULL,
    total_profit  TEXT    NOT NULL,
    total_loss    TEXT    NOT NULL,
    total_wins    INTEGER NOT NULL,
    total_losses  INTEGER NOT NULL,
    total_trades  INTEGER NOT NULL,
    total_untold  INTEGER NOT NULL,
    PRIMARY KEY (account_id, date)
) STRICT, WITHOUT ROWID;

-- Round trips, dated by the local day of the fill that closed them. `pnl` is net of fees, in USD; empty where a rate is missing.
CREATE TABLE trades (
    account_id      TEXT    NOT NULL REFERENCES accounts ON DELETE CASCADE,
    date            TEXT    NOT NULL,
    position        TEXT    NOT NULL,
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
    PRIMARY KEY (account_id, date, position, number)
) STRICT, WITHOUT ROWID;

-- An asset of an account at the end of each day on which something concerned it: what it moved, what was held, what of it was borrowed, and
-- its positions and lots as JSON, from which the next day goes on ("" for none). `depends`: whether what became of it depended on how
-- much was held. A contract's key is `contract SYMBOL`, here and in trades: no currency's code has a blank.
CREATE TABLE asset_closes (
    account_id TEXT    NOT NULL REFERENCES accounts ON DELETE CASCADE,
    asset      TEXT    NOT NULL,
    date       TEXT    NOT NULL,
    moved      TEXT    NOT NULL,
    closing    TEXT    NOT NULL,
    debt       TEXT    NOT NULL,
    state      TEXT    NOT NULL,
    depends    INTEGER NOT NULL CHECK (depends IN (0, 1)),
    PRIMARY KEY (account_id, asset, date)
) STRICT, WITHOUT ROWID;

-- What brought an asset where lots are told apart (cost_basis fifo): an asset's state names the first that is still open, and what is left of it.
CREATE TABLE lots (
    account_id TEXT    NOT NULL REFERENCES accounts ON DELETE CASCADE,
    asset      TEXT    NOT NULL,
    date       TEXT    NOT NULL,
    number     INTEGER NOT NULL,
    opened_at  INTEGER NOT NULL,
    quantity   TEXT    NOT NULL,
    cost       TEXT,
    brought_by TEXT    NOT NULL,
    fact_no    INTEGER NOT NULL,
    PRIMARY KEY (account_id, asset, date, number)
) STRICT, WITHOUT ROWID;

-- The last USD rate that an account's records of a day carried or told of a currency, rate / per, and when. What rate records say is not kept
-- here: it is no account's.
CREATE TABLE currency_rates (
    account_id TEXT    NOT NULL REFERENCES accounts ON DELETE CASCADE,
    currency   TEXT    NOT NULL,
    date       TEXT    NOT NULL,
    at         INTEGER NOT NULL,
    rate       TEXT    NOT NULL,
    per        TEXT    NOT NULL,
    carried    INTEGER NOT NULL CHECK (carried IN (0, 1)),
    PRIMARY KEY (account_id, currency, date)
) STRICT, WITHOUT ROWID;

-- What one contract was worth at the end of a day on which it was traded, value / per, in the currency that it settles in.
CREATE TABLE contract_values (
    account_id TEXT NOT NULL REFERENCES accounts ON DELETE CASCADE,
    contract   TEXT NOT NULL,
    date       TEXT NOT NULL,
    value      TEXT NOT NULL,
    per        TEXT NOT NULL,
    settle     TEXT NOT NULL,
    PRIMARY KEY (account_id, contract, date)
) STRICT, WITHOUT ROWID;

-- Capital that came (positive) or left, and what it was worth in USD at its instant; empty where no rate was known.
CREATE TABLE flow_values (
    account_id TEXT    NOT NULL REFERENCES accounts ON DELETE CASCADE,
    at         INTEGER NOT NULL,
    fact_no    INTEGER NOT NULL,
    date       TEXT    NOT NULL,
    amount     TEXT    NOT NULL,
    usd        TEXT,
    PRIMARY KEY (account_id, at, fact_no)
) STRICT, WITHOUT ROWID;

-- Observed days that have no row, and why.
CREATE TABLE withheld_days (
    account_id TEXT NOT NULL REFERENCES accounts ON DELETE CASCADE,
    date       TEXT NOT NULL,
    reason     TEXT NOT NULL,
    PRIMARY KEY (account_id, date)
) STRICT, WITHOUT ROWID;

-- For want of whose rate.
CREATE TABLE withheld_currencies (
    account_id TEXT NOT NULL REFERENCES accounts ON DELETE CASCADE,
    date       TEXT NOT NULL,
    currency   TEXT NOT NULL,
    PRIMARY KEY (account_id, date, currency)
) STRICT, WITHOUT ROWID;

-- Odd things that replaying the facts of a day showed.
CREATE TABLE rollup_oddities (
    account_id TEXT    NOT NULL REFERENCES accounts ON DELETE CASCADE,
    date       TEXT    NOT NULL,
    oddity     TEXT    NOT NULL,
    subject    TEXT    NOT NULL,
    fact_no    INTEGER NOT NULL,
    detail     TEXT    NOT NULL,
    PRIMARY KEY (account_id, date, oddity, subject, fact_no)
) STRICT, WITHOUT ROWID;

-- The sum of the digests of an account's derived rows above, as commits of rollups left them: what is changed otherwise shows.
CREATE TABLE derived_digests (
    account_id TEXT PRIMARY KEY REFERENCES accounts ON DELETE CASCADE,
    digest     BLOB NOT NULL CHECK (length(digest) = 32)
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

-- ---------------------------------------------------------------------------------------------------------------------
-- What protects the books: their number of commits, the hash chain over what was recorded, and what the last full verification saw.

-- Whose books these are. `commit_no` moves with every commit, and a file outside the database and its WAL keeps the highest one that
-- was made durable; `epoch` is renewed where a restore takes the books back on purpose.
CREATE TABLE book (
    one       INTEGER PRIMARY KEY CHECK (one = 1),
    book_id   TEXT    NOT NULL,
    epoch     TEXT    NOT NULL CHECK (length(epoch) = 16),
    commit_no INTEGER NOT NULL
) STRICT;

-- Folders that backups of these books were written to. One that no longer carries their mark is another disk, or none.
CREATE TABLE backup_folders (
    path          TEXT    PRIMARY KEY,
    first_used_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What happened to recorded rows besides being recorded: a deleted account, an earlier place of a fact, a decision about a quarantined record.
CREATE TABLE chain_events (
    event_no    INTEGER PRIMARY KEY,
    kind        TEXT    NOT NULL,
    happened_at INTEGER NOT NULL,
    content     TEXT    NOT NULL
) STRICT;

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
    kind       TEXT    NOT NULL,
    type       TEXT    NOT NULL,
    amount     TEXT    NOT NULL,
    count      INTEGER NOT NULL,
    PRIMARY KEY (account_id, currency, kind, type)
) STRICT, WITHOUT ROWID;

-- Notes: what was recorded and is odd. `state`: open, accepted (an event of the chain says so), over. `extent` is how far the oddity goes:
-- what goes further is a new note.
CREATE TABLE notes (
    number     INTEGER PRIMARY KEY,
    check_name TEXT    NOT NULL,
    account_id TEXT    NOT NULL,
    subject    TEXT    NOT NULL,
    state      TEXT    NOT NULL CHECK (state IN ('open', 'accepted', 'over')),
    extent     TEXT    NOT NULL,
    count      INTEGER NOT NULL,
    noted_at   INTEGER NOT NULL
) STRICT;

-- What may be odd, found when it was new, so that old records need not be read again: a fact, or (`fact_no` 0) an order or a currency.
CREATE TABLE note_suspects (
    check_name TEXT    NOT NULL,
    account_id TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    fact_no    INTEGER NOT NULL,
    PRIMARY KEY (check_name, account_id, name, fact_no)
) STRICT, WITHOUT ROWID;

-- Up to where facts and events have been looked through for suspects.
CREATE TABLE note_marks (
    one       INTEGER PRIMARY KEY CHECK (one = 1),
    facts_to  INTEGER NOT NULL,
    events_to INTEGER NOT NULL
) STRICT;

-- ---------------------------------------------------------------------------------------------------------------------
-- Views for analysts. Instants read as RFC 3339 in UTC, each beside the plain integer it is made of (`…_us`, microseconds): filter by that
-- one, which an index knows. Amounts are exact text, each beside a `…_number` (a float) for charts. Voided records are marked.

CREATE VIEW v_transactions AS
SELECT CASE WHEN f.kind = 'transaction' AND t.leg = 0 THEN f.record_id
            ELSE f.kind || ':' || replace(replace(t.account_id, '%', '%25'), ':', '%3A') || ':' || f.record_id || ':'
                 || CASE t.leg & 7 WHEN 0 THEN 'amount' WHEN 1 THEN 'base' WHEN 2 THEN 'quote' WHEN 3 THEN 'fee' ELSE 'fee' || ((t.leg & 7) - 2) END
                 || CASE WHEN t.leg >= 8 THEN '.void' ELSE '' END END AS transaction_id,
       t.account_id,
       strftime('%Y-%m-%dT%H:%M:%S', t.occurred_at / 1000000, 'unixepoch') || printf('.%06dZ', t.occurred_at % 1000000) AS occurred_at,
       t.occurred_at AS occurred_at_us,
       t.type, t.currency, t.kind, t.amount, CAST(t.amount AS REAL) AS amount_number,
       f.kind AS fact_kind, f.record_id AS fact_id, t.leg >= 8 AS is_reversal, f.state = 1 AS is_voided, t.description, t.reference,
       t.transaction_no
FROM transactions t JOIN facts f ON f.fact_no = t.fact_no;

-- `fee_usd_number`: the fee that came with the fill, by the rate it carries, else by the newest that was known of its currency.
CREATE VIEW v_fills AS
SELECT l.fill_id, l.account_id, l.order_id, l.instrument, l.symbol, l.side, l.quantity, l.price, l.quote_quantity, l.base, l.quote, l.settle, l.inverse, l.multiplier, l.fee,
       l.fee_currency, l.more_fees,
       strftime('%Y-%m-%dT%H:%M:%S', l.executed_at / 1000000, 'unixepoch') || printf('.%06dZ', l.executed_at % 1000000) AS executed_at,
       l.executed_at AS executed_at_us,
       l.quote_usd_rate, l.fee_usd_rate, l.liquidity, l.order_type, l.extra, f.producer, f.sequence, f.state = 1 AS is_voided,
       CAST(l.quantity AS REAL) AS quantity_number, CAST(l.price AS REAL) AS price_number, CAST(l.quote_quantity AS REAL) AS quote_quantity_number, CAST(l.fee AS REAL) AS fee_number,
       CASE WHEN l.fee = '0' THEN 0.0
            ELSE CAST(l.fee AS REAL) * CASE
                WHEN l.fee_currency = 'USD' THEN 1.0
                WHEN l.fee_currency = coalesce(l.settle, l.quote) AND l.quote_usd_rate IS NOT NULL THEN CAST(l.quote_usd_rate AS REAL)
                WHEN l.fee_usd_rate IS NOT NULL THEN CAST(l.fee_usd_rate AS REAL)
                WHEN l.fee_currency = l.base AND l.settle IS NULL AND l.quote_usd_rate IS NOT NULL THEN CAST(l.price AS REAL) * CAST(l.quote_usd_rate AS REAL)
                ELSE coalesce(
                    (SELECT k.rate FROM (
                        SELECT * FROM (SELECT s.observed_at AS at, CAST(s.usd_rate AS REAL) AS rate FROM rates s JOIN facts g USING (fact_no)
                                       WHERE s.currency = l.fee_currency AND s.observed_at <= l.executed_at AND g.state = 0
                                       ORDER BY s.observed_at DESC, coalesce(s.source, '') LIMIT 1)
                        UNION ALL
                        SELECT * FROM (SELECT c.at, CAST(c.rate AS REAL) / CAST(c.per AS REAL) FROM currency_rates c
                                       WHERE c.account_id = l.account_id AND c.currency = l.fee_currency AND c.at <= l.executed_at
                                       -- Of no later day, whatever its zone: else the search begins at the newest.
                                       AND c.date <= date(l.executed_at / 1000000, 'unixepoch', '+2 days') ORDER BY c.date DESC LIMIT 1)
                     ) k ORDER BY k.at DESC LIMIT 1),
                    (SELECT 1.0 FROM rollup_accounts p, json_each(p.usd_like) d WHERE p.account_id = l.account_id AND d.value = l.fee_currency)
                ) END END AS fee_usd_number,
       l.fact_no
FROM fills l JOIN facts f USING (fact_no);

CREATE VIEW v_orders AS
SELECT order_id, account_id, instrument, symbol, side, order_type, status, quantity, price, cost, filled,
       CASE WHEN fills_count = 0 THEN NULL
            WHEN inverse = 1 THEN CAST(weight AS REAL) / CAST(cash AS REAL)
            WHEN settle IS NOT NULL AND settle <> base AND settle <> quote THEN CAST(notional AS REAL) / CAST(filled AS REAL)
            ELSE CAST(cash AS REAL) / CAST(weight AS REAL) END AS average_price_number,
       cash, weight, fills_count, reserved, reserved_currency,
       CAST(quantity AS REAL) AS quantity_number, CAST(price AS REAL) AS price_number, CAST(cost AS REAL) AS cost_number, CAST(filled AS REAL) AS filled_number, CAST(cash AS REAL) AS cash_number, CAST(reserved AS REAL) AS reserved_number,
       strftime('%Y-%m-%dT%H:%M:%S', created_at / 1000000, 'unixepoch') || printf('.%06dZ', created_at % 1000000) AS created_at,
       created_at AS created_at_us,
       strftime('%Y-%m-%dT%H:%M:%S', updated_at / 1000000, 'unixepoch') || printf('.%06dZ', updated_at % 1000000) AS updated_at,
       updated_at AS updated_at_us,
       strftime('%Y-%m-%dT%H:%M:%S', executed_at / 1000000, 'unixepoch') || printf('.%06dZ', executed_at % 1000000) AS executed_at,
       executed_at AS executed_at_us
FROM orders;

CREATE VIEW v_balances AS
SELECT b.account_id, a.name AS account_name, b.currency, b.kind, b.available, b.reserved, CAST(b.available AS REAL) AS available_number, CAST(b.reserved AS REAL) AS reserved_number,
       CAST(b.available AS REAL) + CAST(b.reserved AS REAL) AS total_number,
       strftime('%Y-%m-%dT%H:%M:%S', b.updated_at / 1000000, 'unixepoch') || printf('.%06dZ', b.updated_at % 1000000) AS updated_at,
       b.updated_at AS updated_at_us
FROM balances b JOIN accounts a USING (account_id);

CREATE VIEW v_daily_performance AS
SELECT account_id, date, total_value_usd, pnl_daily, pnl_total, sharpe_ratio, sortino_ratio, max_drawdown, win_rate, profit_factor,
       trades_count, source, CAST(total_value_usd AS REAL) AS total_value_number, CAST(pnl_daily AS REAL) AS pnl_daily_number, CAST(pnl_total AS REAL) AS pnl_total_number
FROM performance_metrics;

CREATE VIEW v_trades AS
SELECT t.account_id, t.date, CASE WHEN t.position LIKE 'contract %' THEN substr(t.position, 10) ELSE t.position END AS instrument,
       t.position LIKE 'contract %' AS is_contract, t.direction,
       strftime('%Y-%m-%dT%H:%M:%S', t.opened_at / 1000000, 'unixepoch') || printf('.%06dZ', t.opened_at % 1000000) AS opened_at,
       t.opened_at AS opened_at_us,
       strftime('%Y-%m-%dT%H:%M:%S', t.closed_at / 1000000, 'unixepoch') || printf('.%06dZ', t.closed_at % 1000000) AS closed_at,
       t.closed_at AS closed_at_us,
       t.fills, t.peak, t.pnl, t.fees, CAST(t.peak AS REAL) AS peak_number, CAST(t.pnl AS REAL) AS pnl_number, CAST(t.fees AS REAL) AS fees_number, t.estimated, f.record_id AS closing_fill_id, t.closing_fact_no
FROM trades t JOIN facts f ON f.fact_no = t.closing_fact_no;

-- `drawdown` is how far the day lies below the peak so far, 0 at a new one; `max_drawdown` the deepest there was.
CREATE VIEW v_equity AS
SELECT account_id, date, value, inflow, outflow, pnl_daily, pnl_total, daily_return, depth - 1 AS drawdown, max_drawdown,
       CAST(value AS REAL) AS value_number, CAST(inflow AS REAL) AS inflow_number, CAST(outflow AS REAL) AS outflow_number, CAST(pnl_daily AS REAL) AS pnl_daily_number, CAST(pnl_total AS REAL) AS pnl_total_number,
       CASE WHEN close_fact_no IS NULL THEN 'books' ELSE 'snapshots' END AS valuation, books_value, CAST(books_value AS REAL) AS books_value_number,
       strftime('%Y-%m-%dT%H:%M:%S', close_at / 1000000, 'unixepoch') || printf('.%06dZ', close_at % 1000000) AS close_at,
       close_at AS close_at_us, warnings
FROM rollup_rows;

-- Deposits and withdrawals. `capital` is what of one crossed the account's boundary (no profit), signed, `usd` its worth as the last rollup
-- has it; where that is none, `usd_number` is the amount by the rate that the record carries.
CREATE VIEW v_flows AS
SELECT l.flow_id, l.account_id, l.direction, l.category, l.currency, l.amount,
       CASE l.direction WHEN 'deposit' THEN CAST(l.amount AS REAL) ELSE -CAST(l.amount AS REAL) END AS amount_number,
       v.amount AS capital, CAST(v.amount AS REAL) AS capital_number, v.usd, l.usd_rate,
       coalesce(CAST(v.usd AS REAL),
                CASE l.direction WHEN 'deposit' THEN CAST(l.amount AS REAL) ELSE -CAST(l.amount AS REAL) END * CAST(l.usd_rate AS REAL)) AS usd_number,
       strftime('%Y-%m-%dT%H:%M:%S', l.occurred_at / 1000000, 'unixepoch') || printf('.%06dZ', l.occurred_at % 1000000) AS occurred_at,
       l.occurred_at AS occurred_at_us,
       v.date, l.fee, l.fee_currency, CAST(l.fee AS REAL) AS fee_number, l.description, l.reference, l.symbol, l.extra, f.producer, f.sequence, f.state = 1 AS is_voided, l.fact_no
FROM flows l JOIN facts f USING (fact_no)
LEFT JOIN flow_values v ON v.account_id = l.account_id AND v.at = l.occurred_at AND v.fact_no = l.fact_no;

-- `is_close`: a row of figures is valued by it.
CREATE VIEW v_snapshots AS
SELECT s.snapshot_id, s.account_id,
       strftime('%Y-%m-%dT%H:%M:%S', s.observed_at / 1000000, 'unixepoch') || printf('.%06dZ', s.observed_at % 1000000) AS observed_at,
       s.observed_at AS observed_at_us,
       s.date, s.total_value_usd, CAST(s.total_value_usd AS REAL) AS total_value_number, s.reported, s.extra, f.producer, f.sequence, f.state = 1 AS is_voided,
       EXISTS (SELECT 1 FROM rollup_rows r WHERE r.account_id = s.account_id AND r.close_fact_no = s.fact_no
               AND r.date BETWEEN date(s.observed_at / 1000000, 'unixepoch', '-1 day') AND date(s.observed_at / 1000000, 'unixepoch', '+1 day')) AS is_close,
       s.fact_no
FROM equity_snapshots s JOIN facts f USING (fact_no);

-- Rate records: what somebody said. They are of no account.
CREATE VIEW v_rates AS
SELECT r.rate_id, r.currency, r.usd_rate, CAST(r.usd_rate AS REAL) AS usd_rate_number,
       strftime('%Y-%m-%dT%H:%M:%S', r.observed_at / 1000000, 'unixepoch') || printf('.%06dZ', r.observed_at % 1000000) AS observed_at,
       r.observed_at AS observed_at_us,
       r.source, r.extra, f.producer, f.sequence, f.state = 1 AS is_voided, r.fact_no
FROM rates r JOIN facts f USING (fact_no);

-- What an account's own records carried, or its fills told, of a currency: the last of each day, as the last rollup has it.
CREATE VIEW v_told_rates AS
SELECT account_id, currency, date, CASE per WHEN '1' THEN rate END AS usd_rate, CAST(rate AS REAL) / CAST(per AS REAL) AS usd_rate_number,
       strftime('%Y-%m-%dT%H:%M:%S', at / 1000000, 'unixepoch') || printf('.%06dZ', at % 1000000) AS at,
       at AS at_us, carried
FROM currency_rates;

-- Open positions at the end of the last day that was rolled up. `cost` is the cash that the open quantity was opened with, below zero where
-- it was paid; opened_at is empty for what is left of a closed trade.
CREATE VIEW v_positions AS
SELECT account_id, CASE WHEN position LIKE 'contract %' THEN substr(position, 10) ELSE position END AS instrument,
       position LIKE 'contract %' AS is_contract, quantity, CAST(quantity AS REAL) AS quantity_number, cash_currency,
       CASE WHEN part_cost IS NULL THEN cost END AS cost, coalesce(part_cost, CAST(cost AS REAL)) AS cost_number,
       CASE WHEN opened_at_us IS NOT NULL THEN abs(coalesce(part_cost, CAST(cost AS REAL)) / CAST(quantity AS REAL)) END AS average_price_number,
       fills, strftime('%Y-%m-%dT%H:%M:%S', opened_at_us / 1000000, 'unixepoch') || printf('.%06dZ', opened_at_us % 1000000) AS opened_at, opened_at_us, date
FROM (
    SELECT b.account_id, p.key AS position, json_extract(p.value, '$[0]') AS quantity, json_extract(p.value, '$[10]') AS cost, c.date,
           (SELECT sum(CAST(json_extract(o.value, '$[1]') AS REAL)) FROM json_each(p.value, '$[11]') o) AS part_cost,
           json_extract(p.value, '$[6]') AS fills,
           coalesce(json_extract(p.value, '$[11][0][5]'), CASE WHEN json_extract(p.value, '$[1]') <> 0 THEN json_extract(p.value, '$[7]') END) AS opened_at_us,
           CASE b.kind WHEN 'currency' THEN substr(p.key, instr(p.key, '/') + 1)
                ELSE (SELECT v.settle FROM contract_values v WHERE v.account_id = b.account_id AND v.contract = p.key ORDER BY v.date DESC LIMIT 1)
                END AS cash_currency
    FROM balances b
    CROSS JOIN asset_closes c ON c.account_id = b.account_id AND c.asset = CASE b.kind WHEN 'contract' THEN 'contract ' || b.currency ELSE b.currency END
         AND c.date = (SELECT max(n.date) FROM asset_closes n WHERE n.account_id = b.account_id AND n.asset = CASE b.kind WHEN 'contract' THEN 'contract ' || b.currency ELSE b.currency END)
    CROSS JOIN json_each(nullif(c.state, ''), '$.positions') p
)
WHERE quantity <> '0';

-- Open lots at the end of the last day that was rolled up: with cost_basis fifo one by one, else each asset's as one. The text is empty where
-- the books keep the figure in two parts (dollars that were not worth one, the cash of open contracts): the number is always there.
CREATE VIEW v_lots AS
SELECT account_id, currency, quantity, CASE WHEN quantity IS NULL THEN counted ELSE CAST(quantity AS REAL) END AS quantity_number,
       CASE WHEN is_par AND pooled IS NOT NULL THEN NULL WHEN is_par THEN quantity WHEN pooled = '?' THEN NULL ELSE coalesce(pooled, '0') END AS cost_usd,
       CASE WHEN pooled = '?' THEN NULL WHEN is_par THEN counted + coalesce(CAST(pooled AS REAL), 0) ELSE coalesce(CAST(pooled AS REAL), 0) END AS cost_usd_number,
       NULL AS opened_at, NULL AS opened_at_us, 'pool' AS brought_by, NULL AS record_id, date
FROM (
    SELECT b.account_id, b.currency, c.date, json_extract(nullif(c.state, ''), '$.lots') AS pooled,
           CASE WHEN json_extract(nullif(c.state, ''), '$.open_cash') IS NULL THEN c.closing END AS quantity,
           CAST(c.closing AS REAL) - coalesce(CAST(json_extract(nullif(c.state, ''), '$.open_cash') AS REAL), 0) AS counted,
           b.currency = 'USD' OR EXISTS (SELECT 1 FROM rollup_accounts p, json_each(p.usd_like) d WHERE p.account_id = b.account_id AND d.value = b.currency)
               AS is_par
    FROM balances b
    CROSS JOIN asset_closes c ON c.account_id = b.account_id AND c.asset = b.currency
         AND c.date = (SELECT max(n.date) FROM asset_closes n WHERE n.account_id = b.account_id AND n.asset = b.currency)
    WHERE b.kind = 'currency'
)
WHERE counted <> 0 AND coalesce(pooled, '') NOT LIKE '[%'
UNION ALL
SELECT account_id, currency, quantity, CAST(quantity AS REAL), cost, CAST(cost AS REAL),
       strftime('%Y-%m-%dT%H:%M:%S', opened_at / 1000000, 'unixepoch') || printf('.%06dZ', opened_at % 1000000), opened_at, brought_by, record_id, date
FROM (
    SELECT b.account_id, b.currency, l.opened_at, l.brought_by, f.record_id, c.date,
           CASE WHEN l.date = json_extract(json_extract(c.state, '$.lots'), '$[0]') AND l.number = json_extract(json_extract(c.state, '$.lots'), '$[1]')
                THEN json_extract(json_extract(c.state, '$.lots'), '$[3]') ELSE l.quantity END AS quantity,
           CASE WHEN l.date = json_extract(json_extract(c.state, '$.lots'), '$[0]') AND l.number = json_extract(json_extract(c.state, '$.lots'), '$[1]')
                THEN json_extract(json_extract(c.state, '$.lots'), '$[4]') ELSE l.cost END AS cost
    FROM balances b
    CROSS JOIN asset_closes c ON c.account_id = b.account_id AND c.asset = b.currency
         AND c.date = (SELECT max(n.date) FROM asset_closes n WHERE n.account_id = b.account_id AND n.asset = b.currency)
    CROSS JOIN lots l ON l.account_id = b.account_id AND l.asset = b.currency
         AND (l.date, l.number) >= (json_extract(json_extract(c.state, '$.lots'), '$[0]'), json_extract(json_extract(c.state, '$.lots'), '$[1]'))
    LEFT JOIN facts f ON f.fact_no = l.fact_no
    WHERE b.kind = 'currency' AND json_extract(nullif(c.state, ''), '$.lots') LIKE '[%'
);

-- What was held on each day that has a row of figures, in units and in USD at the rates of its close; a contract counts as what it is worth by its
-- last price, and the cash of an open one with its currency, so that the USD of a day add up to what the books are worth.
CREATE VIEW v_exposure AS
SELECT account_id, date, currency, kind, units, borrowed, CAST(units AS REAL) - CAST(borrowed AS REAL) AS units_number,
       (CAST(units AS REAL) - CAST(borrowed AS REAL)) * unit * CASE
           WHEN name = 'USD' THEN 1.0
           WHEN said_at IS NOT NULL AND (told_at IS NULL OR said_at > told_at OR (said_at = told_at AND carried = 0)) THEN said
           WHEN told_at IS NOT NULL THEN told
           ELSE (SELECT 1.0 FROM rollup_accounts p, json_each(p.usd_like) d WHERE p.account_id = held.account_id AND d.value = name)
           END AS usd_number
FROM (
    SELECT r.account_id, r.date, b.currency, b.kind, c.closing AS units, c.debt AS borrowed,
           CASE b.kind WHEN 'contract' THEN v.settle ELSE b.currency END AS name,
           CASE b.kind WHEN 'contract' THEN CAST(v.value AS REAL) / CAST(v.per AS REAL) ELSE 1.0 END AS unit,
           s.observed_at AS said_at, CAST(s.usd_rate AS REAL) AS said,
           t.at AS told_at, CAST(t.rate AS REAL) / CAST(t.per AS REAL) AS told, t.carried
    FROM rollup_rows r
    CROSS JOIN balances b ON b.account_id = r.account_id
    CROSS JOIN asset_closes c ON c.account_id = r.account_id AND c.asset = CASE b.kind WHEN 'contract' THEN 'contract ' || b.currency ELSE b.currency END
         AND c.date = (SELECT max(n.date) FROM asset_closes n WHERE n.account_id = r.account_id AND n.asset = CASE b.kind WHEN 'contract' THEN 'contract ' || b.currency ELSE b.currency END AND n.date <= r.date)
    LEFT JOIN contract_values v ON b.kind = 'contract' AND v.account_id = r.account_id AND v.contract = CASE b.kind WHEN 'contract' THEN 'contract ' || b.currency ELSE b.currency END
         AND v.date = (SELECT max(n.date) FROM contract_values n WHERE n.account_id = r.account_id AND n.contract = CASE b.kind WHEN 'contract' THEN 'contract ' || b.currency ELSE b.currency END AND n.date <= r.date)
    LEFT JOIN rates s ON s.fact_no = (
         SELECT n.fact_no FROM rates n JOIN facts g USING (fact_no)
         WHERE n.currency = CASE b.kind WHEN 'contract' THEN v.settle ELSE b.currency END AND n.observed_at <= r.close_at AND g.state = 0
         ORDER BY n.observed_at DESC, coalesce(n.source, '') LIMIT 1)
    LEFT JOIN currency_rates t ON t.account_id = r.account_id AND t.currency = CASE b.kind WHEN 'contract' THEN v.settle ELSE b.currency END
         AND t.date = (SELECT max(n.date) FROM currency_rates n
                       WHERE n.account_id = r.account_id AND n.currency = CASE b.kind WHEN 'contract' THEN v.settle ELSE b.currency END AND n.date <= r.date)
    WHERE c.closing <> '0' OR c.debt <> '0'
) AS held;
