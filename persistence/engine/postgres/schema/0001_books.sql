-- The books on PostgreSQL: the tables, columns, constraints, triggers and views of the SQLite schema of the same number, in the same words.
-- Text sorts by code point (COLLATE "C"), so that what is read in order is the same on every server. Amounts are exact decimals as canonical
-- text, added up as NUMERIC; instants are integer microseconds UTC; dates are ISO text. Views at the end present both for people.

-- Every change of the schema that was made, the newest last.
CREATE TABLE schema_versions (
    version    BIGINT PRIMARY KEY,
    applied_at BIGINT NOT NULL
);

-- The clock in microseconds UTC, where nobody says when something happened.
CREATE FUNCTION instant_now() RETURNS BIGINT LANGUAGE sql VOLATILE AS
$$ SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT) $$;

-- An instant as RFC 3339 in UTC, to the microsecond.
CREATE FUNCTION instant_text(instant BIGINT) RETURNS TEXT LANGUAGE sql STABLE PARALLEL SAFE AS
$$ SELECT to_char(timestamp 'epoch' + (instant / 1000000) * interval '1 second' + (instant % 1000000) * interval '1 microsecond', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') $$;

-- The day, in UTC, of an instant, or one some days later.
CREATE FUNCTION day_of(instant BIGINT, later INTEGER DEFAULT 0) RETURNS TEXT LANGUAGE sql STABLE PARALLEL SAFE AS
$$ SELECT to_char(timestamp 'epoch' + (instant / 1000000) * interval '1 second' + later * interval '1 day', 'YYYY-MM-DD') $$;

-- The exact sum of decimal texts, as a decimal text.
CREATE FUNCTION decimal_sum_step(total NUMERIC, amount TEXT) RETURNS NUMERIC LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT CASE WHEN amount IS NULL THEN total ELSE coalesce(total, 0) + CAST(amount AS NUMERIC) END $$;
CREATE FUNCTION decimal_sum_parts(one NUMERIC, other NUMERIC) RETURNS NUMERIC LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT CASE WHEN one IS NULL THEN other WHEN other IS NULL THEN one ELSE one + other END $$;
CREATE FUNCTION decimal_sum_text(total NUMERIC) RETURNS TEXT LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT CAST(trim_scale(total) AS TEXT) $$;
CREATE AGGREGATE decimal_sum(TEXT) (
    sfunc = decimal_sum_step, stype = NUMERIC, finalfunc = decimal_sum_text, combinefunc = decimal_sum_parts, parallel = safe
);

-- Texts, one after the other, with something in between.
CREATE FUNCTION group_concat_step(found TEXT, following TEXT, separator TEXT) RETURNS TEXT LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT CASE WHEN following IS NULL THEN found WHEN found IS NULL THEN following ELSE found || separator || following END $$;
CREATE AGGREGATE group_concat(TEXT, TEXT) (sfunc = group_concat_step, stype = TEXT);

-- Numbers of facts. A commit takes those that it needs while it holds its accounts' rows: in one account numbers grow as commits end.
CREATE SEQUENCE fact_numbers;

-- What was recorded, one row per identity, for ever. `state`: 0 live, 1 voided, 2 erased with its account (a tombstone:
-- the identity stays so that a late delivery is recognised). `fact_no` is the order of arrival, an internal key. `sort_key` orders kind
-- and id within an instant, as people count. A rate is of no account: its `account_id` is empty.
CREATE TABLE facts (
    fact_no     BIGINT PRIMARY KEY,
    kind        TEXT COLLATE "C" NOT NULL CHECK (kind = 'fill' OR kind IN (
                    'fee', 'deposit', 'withdrawal', 'order', 'metrics', 'rate', 'balance', 'void', 'transaction', 'adjustment')),
    account_id  TEXT COLLATE "C" NOT NULL,
    record_id   TEXT COLLATE "C" NOT NULL CHECK (record_id <> ''),
    sort_key    BYTEA NOT NULL,
    occurred_at BIGINT NOT NULL,
    sequence    BIGINT,
    producer    TEXT COLLATE "C",
    digest      BYTEA NOT NULL CHECK (length(digest) = 32),
    state       BIGINT NOT NULL DEFAULT 0 CHECK (state BETWEEN 0 AND 2),
    recorded_at BIGINT NOT NULL
);
-- Is this identity recorded? The id leads, so that a bare id finds its records too.
CREATE UNIQUE INDEX facts_identity ON facts (record_id, account_id, kind);

-- `dirty_since` is the least instant of what came since the last rollup took it; `dirty_count` moves with every commit that
-- touched the account, so that a rollup can see whether it raced one. `recheck_since`: the least instant at which something recorded
-- changed in place (a smaller sequence, a revived record), so that everything derived from there on has to be read anew. `last_fact_no`:
-- the newest number of a commit that recorded something of the account.
CREATE TABLE accounts (
    account_id  TEXT COLLATE "C" PRIMARY KEY CHECK (account_id <> ''),
    name        TEXT COLLATE "C" NOT NULL,
    is_active   BIGINT NOT NULL DEFAULT 1 CHECK (is_active IN (0, 1)),
    opened_at   BIGINT,
    dirty_since BIGINT,
    dirty_count BIGINT NOT NULL DEFAULT 0,
    recheck_since BIGINT,
    recheck_count BIGINT NOT NULL DEFAULT 0,
    last_fact_no BIGINT NOT NULL DEFAULT 0,
    created_at  BIGINT NOT NULL DEFAULT (instant_now()),
    updated_at  BIGINT NOT NULL DEFAULT (instant_now())
);
-- An account by its name.
CREATE INDEX accounts_by_name ON accounts (name);

CREATE FUNCTION account_updated() RETURNS TRIGGER LANGUAGE plpgsql AS
$$ BEGIN NEW.updated_at := instant_now(); RETURN NEW; END $$;
CREATE TRIGGER accounts_updated BEFORE UPDATE OF name, is_active ON accounts FOR EACH ROW
    WHEN (NEW.updated_at = OLD.updated_at) EXECUTE FUNCTION account_updated();

-- What a row says that must never change.
CREATE FUNCTION refuse_update() RETURNS TRIGGER LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'restrict_violation'; END $$;

-- Accounts that were deleted: a message never reopens one, an explicit save does.
CREATE TABLE account_tombstones (
    account_id TEXT COLLATE "C" PRIMARY KEY,
    deleted_at BIGINT NOT NULL
);

-- What an account holds of a currency, or of a contract by its symbol: a contract named BTC is not the coin.
CREATE TABLE balances (
    account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts ON DELETE CASCADE,
    currency   TEXT COLLATE "C" NOT NULL CHECK (currency <> ''),
    kind       TEXT COLLATE "C" NOT NULL CHECK (kind = 'currency' OR kind = 'contract'),
    available  TEXT COLLATE "C" NOT NULL CHECK (available <> '' AND available !~ '[^-.0-9]'),
    reserved   TEXT COLLATE "C" NOT NULL CHECK (reserved <> '' AND reserved !~ '[^-.0-9]'),
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, currency, kind)
);

-- Every movement of money. `transaction_no` = 16 × fact_no + leg. Legs: 0 amount, 1 base, 2 quote, 3 to 7 fees; + 8 for
-- the reversal of that leg when its fact is voided. `amount` is signed as the balance moves.
CREATE TABLE transactions (
    transaction_no BIGINT PRIMARY KEY,
    fact_no        BIGINT GENERATED ALWAYS AS (transaction_no >> 4) STORED,
    leg            BIGINT GENERATED ALWAYS AS (transaction_no & 15) STORED,
    account_id     TEXT COLLATE "C" NOT NULL REFERENCES accounts ON DELETE CASCADE,
    occurred_at    BIGINT NOT NULL,
    type           TEXT COLLATE "C" NOT NULL CHECK (type <> ''),
    currency       TEXT COLLATE "C" NOT NULL CHECK (currency <> ''),
    kind           TEXT COLLATE "C" NOT NULL,
    amount         TEXT COLLATE "C" NOT NULL CHECK (amount <> '' AND amount <> '0' AND amount !~ '[^-.0-9]'),
    description    TEXT COLLATE "C",
    reference      TEXT COLLATE "C"
);
-- An account's movements of a period, the newest hundred, a day's statement.
CREATE INDEX transactions_by_time ON transactions (account_id, occurred_at);
-- An account's deposits among millions of trades; the frequent types are dense enough for the index above.
CREATE INDEX transactions_rare ON transactions (account_id, type, occurred_at)
    WHERE type <> 'trade_in' AND type <> 'trade_out' AND type <> 'fee' AND type <> 'rebate';

CREATE TRIGGER transactions_immutable BEFORE UPDATE ON transactions FOR EACH ROW
    EXECUTE FUNCTION refuse_update('transactions are never updated: record a void of the fact and a new fact');

-- Sums of the transactions by type, moved in the commit that moves them, so that no query has to add up history.
CREATE TABLE transaction_totals (
    account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts ON DELETE CASCADE,
    currency   TEXT COLLATE "C" NOT NULL,
    kind       TEXT COLLATE "C" NOT NULL,
    type       TEXT COLLATE "C" NOT NULL,
    amount     TEXT COLLATE "C" NOT NULL CHECK (amount <> '' AND amount !~ '[^-.0-9]'),
    count      BIGINT NOT NULL,
    PRIMARY KEY (account_id, currency, kind, type)
);

-- Executions. `settle` is empty for spot; `instrument` is what is traded: BASE/QUOTE, or the contract. `fee` is empty while it is not known;
-- `more_fees` holds the second to the fifth as JSON.
CREATE TABLE fills (
    fact_no        BIGINT PRIMARY KEY REFERENCES facts,
    account_id     TEXT COLLATE "C" NOT NULL REFERENCES accounts ON DELETE CASCADE,
    fill_id        TEXT COLLATE "C" NOT NULL,
    order_id       TEXT COLLATE "C",
    symbol         TEXT COLLATE "C" NOT NULL,
    side           TEXT COLLATE "C" NOT NULL CHECK (side = 'buy' OR side = 'sell'),
    quantity       TEXT COLLATE "C" NOT NULL CHECK (quantity > '0' AND quantity !~ '[^.0-9]'),
    price          TEXT COLLATE "C" NOT NULL CHECK (price <> '' AND price !~ '[^-.0-9]'),
    quote_quantity TEXT COLLATE "C" NOT NULL CHECK (quote_quantity <> '' AND quote_quantity !~ '[^-.0-9]'),
    multiplier     TEXT COLLATE "C" NOT NULL,
    base           TEXT COLLATE "C" NOT NULL,
    quote          TEXT COLLATE "C" NOT NULL,
    settle         TEXT COLLATE "C",
    inverse        BIGINT NOT NULL CHECK (inverse BETWEEN 0 AND 1),
    instrument     TEXT COLLATE "C" NOT NULL,
    fee            TEXT COLLATE "C" CHECK (fee <> '' AND fee !~ '[^-.0-9]'),
    fee_currency   TEXT COLLATE "C" NOT NULL,
    fee_usd_rate   TEXT COLLATE "C",
    more_fees      TEXT COLLATE "C",
    executed_at    BIGINT NOT NULL,
    quote_usd_rate TEXT COLLATE "C",
    liquidity      TEXT COLLATE "C",
    order_type     TEXT COLLATE "C",
    order_quantity TEXT COLLATE "C",
    order_price    TEXT COLLATE "C",
    extra          TEXT COLLATE "C",
    given_time     TEXT COLLATE "C"
);
-- An order's fills, when it is derived again.
CREATE INDEX fills_by_order ON fills (order_id, account_id);
-- A day's fills of an account, exports of a period.
CREATE INDEX fills_by_time ON fills (account_id, executed_at);

-- Fees that came after their fill. `amount` is signed: negative is a rebate.
CREATE TABLE fees (
    fact_no     BIGINT PRIMARY KEY REFERENCES facts,
    account_id  TEXT COLLATE "C" NOT NULL REFERENCES accounts ON DELETE CASCADE,
    fee_id      TEXT COLLATE "C" NOT NULL,
    fill_id     TEXT COLLATE "C" NOT NULL,
    currency    TEXT COLLATE "C" NOT NULL,
    amount      TEXT COLLATE "C" NOT NULL CHECK (amount <> '' AND amount !~ '[^-.0-9]'),
    occurred_at BIGINT NOT NULL,
    usd_rate    TEXT COLLATE "C",
    extra       TEXT COLLATE "C",
    given_time  TEXT COLLATE "C"
);
-- A fill's further fees, when it is voided or its trade is read.
CREATE INDEX fees_by_fill ON fees (account_id, fill_id);
-- Fees of a period, for exports.
CREATE INDEX fees_by_time ON fees (account_id, occurred_at);

-- Deposits and withdrawals. `amount` is positive, `direction` says which way.
CREATE TABLE flows (
    fact_no     BIGINT PRIMARY KEY REFERENCES facts,
    account_id  TEXT COLLATE "C" NOT NULL REFERENCES accounts ON DELETE CASCADE,
    flow_id     TEXT COLLATE "C" NOT NULL,
    direction   TEXT COLLATE "C" NOT NULL CHECK (direction IN ('deposit', 'withdrawal')),
    currency    TEXT COLLATE "C" NOT NULL,
    amount      TEXT COLLATE "C" NOT NULL CHECK (amount > '0' AND amount !~ '[^.0-9]'),
    category    TEXT COLLATE "C" NOT NULL,
    occurred_at BIGINT NOT NULL,
    usd_rate    TEXT COLLATE "C",
    fee         TEXT COLLATE "C",
    fee_currency TEXT COLLATE "C",
    description TEXT COLLATE "C",
    reference   TEXT COLLATE "C",
    symbol      TEXT COLLATE "C",
    extra       TEXT COLLATE "C",
    given_time  TEXT COLLATE "C"
);
-- A day's flows of an account.
CREATE INDEX flows_by_time ON flows (account_id, occurred_at);

-- Steps in the life of orders. `waiting` marks one that fits no order of its id yet.
CREATE TABLE order_events (
    fact_no         BIGINT PRIMARY KEY REFERENCES facts,
    account_id      TEXT COLLATE "C" NOT NULL REFERENCES accounts ON DELETE CASCADE,
    event_id        TEXT COLLATE "C" NOT NULL,
    order_id        TEXT COLLATE "C" NOT NULL,
    status          TEXT COLLATE "C" NOT NULL CHECK (status IN ('placed', 'amended', 'cancelled', 'rejected', 'expired', 'filled')),
    occurred_at     BIGINT NOT NULL,
    symbol          TEXT COLLATE "C",
    side            TEXT COLLATE "C" CHECK (side IN ('buy', 'sell')),
    order_type      TEXT COLLATE "C",
    quantity        TEXT COLLATE "C",
    price           TEXT COLLATE "C",
    cost            TEXT COLLATE "C",
    closes_position BIGINT NOT NULL DEFAULT 0 CHECK (closes_position IN (0, 1)),
    reserve         BIGINT NOT NULL DEFAULT 0 CHECK (reserve IN (0, 1)),
    base            TEXT COLLATE "C",
    quote           TEXT COLLATE "C",
    settle          TEXT COLLATE "C",
    inverse         BIGINT NOT NULL DEFAULT 0 CHECK (inverse IN (0, 1)),
    multiplier      TEXT COLLATE "C" NOT NULL DEFAULT '1',
    instrument      TEXT COLLATE "C",
    extra           TEXT COLLATE "C",
    given_time      TEXT COLLATE "C",
    waiting         BIGINT NOT NULL DEFAULT 0 CHECK (waiting IN (0, 1))
);
-- Does an event wait for the order that arrives now?
CREATE INDEX order_events_waiting ON order_events (order_id, account_id) WHERE waiting = 1;
-- An order's events, when it is derived again.
CREATE INDEX order_events_by_order ON order_events (order_id, account_id);
-- Those of an account, for its deletion.
CREATE INDEX order_events_by_account ON order_events (account_id);

CREATE TABLE equity_snapshots (
    fact_no         BIGINT PRIMARY KEY REFERENCES facts,
    account_id      TEXT COLLATE "C" NOT NULL REFERENCES accounts ON DELETE CASCADE,
    snapshot_id     TEXT COLLATE "C" NOT NULL,
    observed_at     BIGINT NOT NULL,
    date            TEXT COLLATE "C",
    total_value_usd TEXT COLLATE "C" NOT NULL CHECK (total_value_usd <> '' AND total_value_usd !~ '[^-.0-9]'),
    reported        TEXT COLLATE "C",
    extra           TEXT COLLATE "C",
    given_time      TEXT COLLATE "C"
);
-- The last snapshot of a day.
CREATE INDEX equity_snapshots_by_time ON equity_snapshots (account_id, observed_at);

-- What a currency was worth in USD, as somebody said. Of no account.
CREATE TABLE rates (
    fact_no     BIGINT PRIMARY KEY REFERENCES facts,
    rate_id     TEXT COLLATE "C" NOT NULL,
    currency    TEXT COLLATE "C" NOT NULL,
    usd_rate    TEXT COLLATE "C" NOT NULL CHECK (usd_rate <> '' AND usd_rate !~ '[^.0-9]'),
    observed_at BIGINT NOT NULL,
    source      TEXT COLLATE "C",
    extra       TEXT COLLATE "C",
    given_time  TEXT COLLATE "C"
);
-- The newest rate of a currency at an instant.
CREATE INDEX rates_by_time ON rates (currency, observed_at);
-- Rates of a period, for exports.
CREATE INDEX rates_all_by_time ON rates (observed_at);
-- What came of a currency since a rollup.
CREATE INDEX rates_by_arrival ON rates (currency, fact_no, observed_at);

-- What a venue says an account holds. It books nothing.
CREATE TABLE balance_reports (
    fact_no     BIGINT PRIMARY KEY REFERENCES facts,
    account_id  TEXT COLLATE "C" NOT NULL REFERENCES accounts ON DELETE CASCADE,
    report_id   TEXT COLLATE "C" NOT NULL,
    currency    TEXT COLLATE "C" NOT NULL,
    total       TEXT COLLATE "C" NOT NULL CHECK (total <> '' AND total !~ '[^-.0-9]'),
    observed_at BIGINT NOT NULL,
    extra       TEXT COLLATE "C",
    given_time  TEXT COLLATE "C"
);
-- Reports of a period.
CREATE INDEX balance_reports_by_time ON balance_reports (account_id, observed_at);

-- `target_fact_no` is empty until the target arrives. The void of a rate is of no account: its `account_id` is empty.
CREATE TABLE voids (
    fact_no        BIGINT PRIMARY KEY REFERENCES facts,
    account_id     TEXT COLLATE "C" NOT NULL,
    void_id        TEXT COLLATE "C" NOT NULL,
    target_kind    TEXT COLLATE "C" NOT NULL,
    target_id      TEXT COLLATE "C" NOT NULL,
    target_fact_no BIGINT REFERENCES facts,
    reason         TEXT COLLATE "C" NOT NULL,
    occurred_at    BIGINT NOT NULL,
    extra          TEXT COLLATE "C",
    given_time     TEXT COLLATE "C"
);
-- Does a void wait for the record that arrives now?
CREATE INDEX voids_waiting ON voids (account_id, target_id, target_kind) WHERE target_fact_no IS NULL;
-- Why a fact is voided; those of an account, for its deletion.
CREATE INDEX voids_by_account ON voids (account_id, target_id);

-- What was saved by hand: transactions, and adjustments of balances. `amount` is signed as the balance moves.
CREATE TABLE entries (
    fact_no     BIGINT PRIMARY KEY REFERENCES facts,
    account_id  TEXT COLLATE "C" NOT NULL REFERENCES accounts ON DELETE CASCADE,
    entry_id    TEXT COLLATE "C" NOT NULL,
    kind        TEXT COLLATE "C" NOT NULL CHECK (kind IN ('transaction', 'adjustment')),
    type        TEXT COLLATE "C" NOT NULL,
    currency    TEXT COLLATE "C" NOT NULL,
    amount      TEXT COLLATE "C" NOT NULL CHECK (amount <> '' AND amount !~ '[^-.0-9]'),
    reserved    TEXT COLLATE "C" NOT NULL DEFAULT '0',
    description TEXT COLLATE "C",
    reference   TEXT COLLATE "C",
    occurred_at BIGINT NOT NULL
);
CREATE INDEX entries_by_time ON entries (account_id, occurred_at);

-- What the live facts of an order make of it. `quantity_given` is 0 where only its fills say how much it was. `weight` is
-- Σ quantity × multiplier, `notional` Σ quantity × price of quanto contracts.
CREATE TABLE orders (
    order_no          BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    order_id          TEXT COLLATE "C" NOT NULL,
    account_id        TEXT COLLATE "C" NOT NULL REFERENCES accounts ON DELETE CASCADE,
    instrument        TEXT COLLATE "C" NOT NULL,
    symbol            TEXT COLLATE "C" NOT NULL,
    side              TEXT COLLATE "C" NOT NULL CHECK (side = 'buy' OR side = 'sell'),
    order_type        TEXT COLLATE "C",
    quantity          TEXT COLLATE "C",
    price             TEXT COLLATE "C",
    cost              TEXT COLLATE "C",
    base              TEXT COLLATE "C" NOT NULL,
    quote             TEXT COLLATE "C" NOT NULL,
    settle            TEXT COLLATE "C",
    inverse           BIGINT NOT NULL CHECK (inverse BETWEEN 0 AND 1),
    multiplier        TEXT COLLATE "C" NOT NULL,
    filled            TEXT COLLATE "C" NOT NULL CHECK (filled !~ '[^.0-9]'),
    cash              TEXT COLLATE "C" NOT NULL CHECK (cash !~ '[^-.0-9]'),
    weight            TEXT COLLATE "C" NOT NULL CHECK (weight !~ '[^.0-9]'),
    notional          TEXT COLLATE "C" NOT NULL,
    fills_count       BIGINT NOT NULL CHECK (fills_count >= 0),
    placed            BIGINT NOT NULL CHECK (placed BETWEEN 0 AND 1),
    reserve           BIGINT NOT NULL CHECK (reserve BETWEEN 0 AND 1),
    quantity_given    BIGINT NOT NULL CHECK (quantity_given BETWEEN 0 AND 1),
    amended           BIGINT NOT NULL CHECK (amended BETWEEN 0 AND 1),
    ended_status      TEXT COLLATE "C",
    created_at        BIGINT NOT NULL,
    updated_at        BIGINT NOT NULL,
    executed_at       BIGINT,
    status            TEXT COLLATE "C" NOT NULL CHECK (status = 'filled' OR status IN ('pending', 'partially_filled', 'cancelled', 'rejected', 'expired')),
    reserved          TEXT COLLATE "C" NOT NULL DEFAULT '0',
    reserved_currency TEXT COLLATE "C"
);
-- The orders of an id. What tells them apart (instrument, side, spot or contract) is left to the check of orders: it would double the index.
CREATE INDEX orders_by_id ON orders (order_id, account_id);
-- An account's orders, the newest first, filtered by status or symbol on the way.
CREATE INDEX orders_by_time ON orders (account_id, created_at);
-- The few open orders among millions of finished ones.
CREATE INDEX orders_open ON orders (account_id, created_at) WHERE status <> 'filled' AND status <> 'cancelled' AND status <> 'rejected' AND status <> 'expired';

-- One row per account and day. `source` says whether the rollup computed it or somebody saved it by hand.
CREATE TABLE performance_metrics (
    account_id      TEXT COLLATE "C" NOT NULL REFERENCES accounts ON DELETE CASCADE,
    date            TEXT COLLATE "C" NOT NULL CHECK (date ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}$'),
    total_value_usd TEXT COLLATE "C" NOT NULL,
    pnl_daily       TEXT COLLATE "C",
    pnl_total       TEXT COLLATE "C",
    sharpe_ratio    DOUBLE PRECISION,
    sortino_ratio   DOUBLE PRECISION,
    max_drawdown    DOUBLE PRECISION CHECK (max_drawdown BETWEEN -1 AND 0),
    win_rate        DOUBLE PRECISION CHECK (win_rate BETWEEN 0 AND 1),
    profit_factor   DOUBLE PRECISION CHECK (profit_factor >= 0),
    trades_count    BIGINT NOT NULL DEFAULT 0 CHECK (trades_count >= 0),
    source          TEXT COLLATE "C" NOT NULL DEFAULT 'manual' CHECK (source IN ('manual', 'rollup')),
    created_at      BIGINT NOT NULL DEFAULT (instant_now()),
    updated_at      BIGINT NOT NULL DEFAULT (instant_now()),
    PRIMARY KEY (account_id, date)
);

-- What can never be applied, whole, until somebody replays or discards it. Nothing here expires.
CREATE TABLE quarantine (
    quarantine_no BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    raw           BYTEA NOT NULL,
    raw_digest    BYTEA NOT NULL UNIQUE CHECK (length(raw_digest) = 32),
    reason        TEXT COLLATE "C" NOT NULL,
    detail        TEXT COLLATE "C" NOT NULL,
    kind          TEXT COLLATE "C",
    account_id    TEXT COLLATE "C",
    record_id     TEXT COLLATE "C",
    fact_no       BIGINT REFERENCES facts,
    received_at   BIGINT NOT NULL,
    deliveries    BIGINT NOT NULL DEFAULT 1,
    state         TEXT COLLATE "C" NOT NULL DEFAULT 'held' CHECK (state IN ('held', 'replayed', 'discarded')),
    resolution    TEXT COLLATE "C",
    resolved_at   BIGINT
);
-- What still waits for a decision.
CREATE INDEX quarantine_held ON quarantine (received_at, reason) WHERE state = 'held';

-- Which run of which job is asked for, due, taken, done: a (job, instant) is claimed once. A run that was asked for, by hand or by a
-- message, has a `request_id`, which keeps it from being filed twice. `ahead`: its instant was seen to lie in the future, so a clock
-- that was ahead wrote it, and it says nothing of when the job ran.
CREATE TABLE job_runs (
    job           TEXT COLLATE "C" NOT NULL,
    scheduled_for BIGINT NOT NULL,
    state         TEXT COLLATE "C" NOT NULL CHECK (state IN ('requested', 'claimed', 'succeeded', 'failed')),
    attempts      BIGINT NOT NULL DEFAULT 1,
    owner         TEXT COLLATE "C",
    claimed_at    BIGINT,
    heartbeat_at  BIGINT,
    retry_at      BIGINT,
    finished_at   BIGINT,
    error         TEXT COLLATE "C",
    result        TEXT COLLATE "C",
    request_id    TEXT COLLATE "C" UNIQUE,
    arguments     TEXT COLLATE "C",
    ahead         BIGINT NOT NULL DEFAULT 0 CHECK (ahead IN (0, 1)),
    PRIMARY KEY (job, scheduled_for)
);

CREATE TABLE job_pauses (
    job       TEXT COLLATE "C" PRIMARY KEY,
    paused_at BIGINT NOT NULL
);

-- Who ticks, and since when: a scheduler that has not for minutes is gone.
CREATE TABLE schedulers (
    owner      TEXT COLLATE "C" PRIMARY KEY,
    started_at BIGINT NOT NULL,
    ticked_at  BIGINT NOT NULL
);

-- What the statistics job saw, for trends.
CREATE TABLE statistics_reports (
    taken_at BIGINT PRIMARY KEY,
    report   TEXT COLLATE "C" NOT NULL
);

-- What a producer numbered and never arrived. `lowest` to `highest` is what was seen of a producer; `gaps` holds the ranges in
-- between that are missing, and loses them as they arrive.
CREATE TABLE producers (
    producer TEXT COLLATE "C" PRIMARY KEY,
    lowest   BIGINT NOT NULL,
    highest  BIGINT NOT NULL CHECK (highest >= lowest),
    seen_at  BIGINT NOT NULL
);

CREATE TABLE gaps (
    producer   TEXT COLLATE "C" NOT NULL REFERENCES producers ON DELETE CASCADE,
    first      BIGINT NOT NULL,
    last       BIGINT NOT NULL CHECK (last >= first),
    noticed_at BIGINT NOT NULL,
    PRIMARY KEY (producer, first)
);

-- What workers found in the broker that nobody claims, or that the broker lost: shown until it is gone, or settled.
CREATE TABLE strays (
    kind       TEXT COLLATE "C" NOT NULL,
    subject    TEXT COLLATE "C" NOT NULL,
    first_seen BIGINT NOT NULL,
    last_seen  BIGINT NOT NULL,
    count      BIGINT NOT NULL,
    example    TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (kind, subject)
);

-- The token that workers of these books left in the broker of a namespace: one that has another was emptied meanwhile.
CREATE TABLE broker_marks (
    namespace TEXT COLLATE "C" PRIMARY KEY,
    token     TEXT COLLATE "C" NOT NULL,
    marked_at BIGINT NOT NULL
);

-- ---------------------------------------------------------------------------------------------------------------------
-- What the daily rollup derives from the facts. Everything here can be rebuilt from them; performance_metrics has the figures.

-- How far an account is rolled up, and under which options: the newest number of its facts that was looked at, and of rates, which are of no account. Rows from `snapshots_from` on are valued by snapshots. `generation` moves with
-- every commit of a rollup. `usd_like`: the currencies that count as a dollar where nothing else is said, as JSON.
CREATE TABLE rollup_accounts (
    account_id     TEXT COLLATE "C" PRIMARY KEY REFERENCES accounts ON DELETE CASCADE,
    options_digest TEXT COLLATE "C" NOT NULL,
    snapshots_from TEXT COLLATE "C",
    rolled_to      TEXT COLLATE "C" NOT NULL,
    stale_from     TEXT COLLATE "C",
    seen_fact_no   BIGINT NOT NULL,
    seen_rate_no   BIGINT NOT NULL,
    generation     BIGINT NOT NULL,
    usd_like       TEXT COLLATE "C" NOT NULL,
    rolled_at      BIGINT NOT NULL
);

-- One row per observed day: its close, flows and trades since the row before, and the state from which the next row goes on. Profit is
-- empty while one of its flows (`unrated`) has no rate. `books_value`: what the books were worth that day, where every rate is known.
CREATE TABLE rollup_rows (
    account_id    TEXT COLLATE "C" NOT NULL REFERENCES accounts ON DELETE CASCADE,
    date          TEXT COLLATE "C" NOT NULL,
    close_at      BIGINT NOT NULL,
    close_fact_no BIGINT,
    value         TEXT COLLATE "C" NOT NULL,
    inflow        TEXT COLLATE "C" NOT NULL,
    outflow       TEXT COLLATE "C" NOT NULL,
    pnl_daily     TEXT COLLATE "C",
    pnl_total     TEXT COLLATE "C",
    daily_return  DOUBLE PRECISION,
    profit        TEXT COLLATE "C" NOT NULL,
    loss          TEXT COLLATE "C" NOT NULL,
    wins          BIGINT NOT NULL,
    losses        BIGINT NOT NULL,
    trades        BIGINT NOT NULL,
    untold        BIGINT NOT NULL,
    unrated       BIGINT NOT NULL,
    books_value   TEXT COLLATE "C",
    warnings      TEXT COLLATE "C",
    observations  BIGINT NOT NULL,
    mean          DOUBLE PRECISION    NOT NULL,
    squares       DOUBLE PRECISION    NOT NULL,
    downside      DOUBLE PRECISION    NOT NULL,
    downside_rest DOUBLE PRECISION    NOT NULL,
    depth         DOUBLE PRECISION    NOT NULL,
    max_drawdown  DOUBLE PRECISION    NOT NULL,
    total_profit  TEXT COLLATE "C" NOT NULL,
    total_loss    TEXT COLLATE "C" NOT NULL,
    total_wins    BIGINT NOT NULL,
    total_losses  BIGINT NOT NULL,
    total_trades  BIGINT NOT NULL,
    total_untold  BIGINT NOT NULL,
    PRIMARY KEY (account_id, date)
);

-- Round trips, dated by the local day of the fill that closed them. `pnl` is net of fees, in USD; empty where a rate is missing.
CREATE TABLE trades (
    account_id      TEXT COLLATE "C" NOT NULL REFERENCES accounts ON DELETE CASCADE,
    date            TEXT COLLATE "C" NOT NULL,
    position        TEXT COLLATE "C" NOT NULL,
    number          BIGINT NOT NULL,
    direction       TEXT COLLATE "C" NOT NULL CHECK (direction IN ('long', 'short')),
    opened_at       BIGINT NOT NULL,
    closed_at       BIGINT NOT NULL,
    closing_fact_no BIGINT NOT NULL,
    fills           BIGINT NOT NULL,
    peak            TEXT COLLATE "C" NOT NULL,
    pnl             TEXT COLLATE "C",
    fees            TEXT COLLATE "C",
    estimated       BIGINT NOT NULL CHECK (estimated IN (0, 1)),
    PRIMARY KEY (account_id, date, position, number)
);

-- An asset of an account at the end of each day on which something concerned it: what it moved, what was held, what of it was borrowed, and
-- its positions and lots as JSON, from which the next day goes on ("" for none). `depends`: whether what became of it depended on how
-- much was held. A contract's key is `contract SYMBOL`, here and in trades: no currency's code has a blank.
CREATE TABLE asset_closes (
    account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts ON DELETE CASCADE,
    asset      TEXT COLLATE "C" NOT NULL,
    date       TEXT COLLATE "C" NOT NULL,
    moved      TEXT COLLATE "C" NOT NULL,
    closing    TEXT COLLATE "C" NOT NULL,
    debt       TEXT COLLATE "C" NOT NULL,
    state      TEXT COLLATE "C" NOT NULL,
    depends    BIGINT NOT NULL CHECK (depends IN (0, 1)),
    PRIMARY KEY (account_id, asset, date)
);

-- What brought an asset where lots are told apart (cost_basis fifo): an asset's state names the first that is still open, and what is left of it.
CREATE TABLE lots (
    account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts ON DELETE CASCADE,
    asset      TEXT COLLATE "C" NOT NULL,
    date       TEXT COLLATE "C" NOT NULL,
    number     BIGINT NOT NULL,
    opened_at  BIGINT NOT NULL,
    quantity   TEXT COLLATE "C" NOT NULL,
    cost       TEXT COLLATE "C",
    brought_by TEXT COLLATE "C" NOT NULL,
    fact_no    BIGINT NOT NULL,
    PRIMARY KEY (account_id, asset, date, number)
);

-- The last USD rate that an account's records of a day carried or told of a currency, rate / per, and when. What rate records say is not kept
-- here: it is no account's.
CREATE TABLE currency_rates (
    account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts ON DELETE CASCADE,
    currency   TEXT COLLATE "C" NOT NULL,
    date       TEXT COLLATE "C" NOT NULL,
    at         BIGINT NOT NULL,
    rate       TEXT COLLATE "C" NOT NULL,
    per        TEXT COLLATE "C" NOT NULL,
    carried    BIGINT NOT NULL CHECK (carried IN (0, 1)),
    PRIMARY KEY (account_id, currency, date)
);

-- What one contract was worth at the end of a day on which it was traded, value / per, in the currency that it settles in.
CREATE TABLE contract_values (
    account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts ON DELETE CASCADE,
    contract   TEXT COLLATE "C" NOT NULL,
    date       TEXT COLLATE "C" NOT NULL,
    value      TEXT COLLATE "C" NOT NULL,
    per        TEXT COLLATE "C" NOT NULL,
    settle     TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (account_id, contract, date)
);

-- Capital that came (positive) or left, and what it was worth in USD at its instant; empty where no rate was known.
CREATE TABLE flow_values (
    account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts ON DELETE CASCADE,
    at         BIGINT NOT NULL,
    fact_no    BIGINT NOT NULL,
    date       TEXT COLLATE "C" NOT NULL,
    amount     TEXT COLLATE "C" NOT NULL,
    usd        TEXT COLLATE "C",
    PRIMARY KEY (account_id, at, fact_no)
);

-- Observed days that have no row, and why.
CREATE TABLE withheld_days (
    account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts ON DELETE CASCADE,
    date       TEXT COLLATE "C" NOT NULL,
    reason     TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (account_id, date)
);

-- For want of whose rate.
CREATE TABLE withheld_currencies (
    account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts ON DELETE CASCADE,
    date       TEXT COLLATE "C" NOT NULL,
    currency   TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (account_id, date, currency)
);

-- Odd things that replaying the facts of a day showed.
CREATE TABLE rollup_oddities (
    account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts ON DELETE CASCADE,
    date       TEXT COLLATE "C" NOT NULL,
    oddity     TEXT COLLATE "C" NOT NULL,
    subject    TEXT COLLATE "C" NOT NULL,
    fact_no    BIGINT NOT NULL,
    detail     TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (account_id, date, oddity, subject, fact_no)
);

-- The sum of the digests of an account's derived rows above, as commits of rollups left them: what is changed otherwise shows.
CREATE TABLE derived_digests (
    account_id TEXT COLLATE "C" PRIMARY KEY REFERENCES accounts ON DELETE CASCADE,
    digest     BYTEA NOT NULL CHECK (length(digest) = 32)
);

-- What a row of figures said before, what it says now, which facts caused it. JSON; empty where there was, or is, no row.
CREATE TABLE performance_revisions (
    account_id  TEXT COLLATE "C" NOT NULL REFERENCES accounts ON DELETE CASCADE,
    date        TEXT COLLATE "C" NOT NULL,
    revision_no BIGINT NOT NULL,
    revised_at  BIGINT NOT NULL,
    before      TEXT COLLATE "C",
    after       TEXT COLLATE "C",
    cause       TEXT COLLATE "C" NOT NULL,
    facts       TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (account_id, date, revision_no)
);

-- ---------------------------------------------------------------------------------------------------------------------
-- What protects the books: their number of commits, the hash chain over what was recorded, and what the last full verification saw.

-- Whose books these are. `commit_no` moves with every commit, and a file outside the database and its WAL keeps the highest one that
-- was made durable; `epoch` is renewed where a restore takes the books back on purpose.
CREATE TABLE book (
    one       BIGINT PRIMARY KEY CHECK (one = 1),
    book_id   TEXT COLLATE "C" NOT NULL,
    epoch     TEXT COLLATE "C" NOT NULL CHECK (length(epoch) = 16),
    commit_no BIGINT NOT NULL
);

-- Folders that backups of these books were written to. One that no longer carries their mark is another disk, or none.
CREATE TABLE backup_folders (
    path          TEXT COLLATE "C" PRIMARY KEY,
    first_used_at BIGINT NOT NULL
);

-- What happened to recorded rows besides being recorded: a deleted account, an earlier place of a fact, a decision about a quarantined record.
CREATE TABLE chain_events (
    event_no    BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    kind        TEXT COLLATE "C" NOT NULL,
    happened_at BIGINT NOT NULL,
    content     TEXT COLLATE "C" NOT NULL
);

-- The hash chain (docs/chain.md): each block lists a digest for every row it seals and is hashed with the block before it.
CREATE TABLE chain_blocks (
    block_no      BIGINT PRIMARY KEY,
    sealed_at     BIGINT NOT NULL,
    facts_to      BIGINT NOT NULL,
    quarantine_to BIGINT NOT NULL,
    events_to     BIGINT NOT NULL,
    entries       BYTEA NOT NULL CHECK (length(entries) % 41 = 0),
    hash          BYTEA NOT NULL CHECK (length(hash) = 32)
);

CREATE TRIGGER chain_events_immutable BEFORE UPDATE ON chain_events FOR EACH ROW
    EXECUTE FUNCTION refuse_update('events of the chain are never updated');

CREATE TRIGGER chain_blocks_immutable BEFORE UPDATE ON chain_blocks FOR EACH ROW
    EXECUTE FUNCTION refuse_update('sealed blocks are never updated');

-- What the last full verification without findings saw, so that a quick one only has to look at what came since.
CREATE TABLE verifications (
    verified_at BIGINT PRIMARY KEY,
    facts_to    BIGINT NOT NULL,
    events_to   BIGINT NOT NULL,
    block_no    BIGINT NOT NULL
);

CREATE TABLE verified_totals (
    account_id TEXT COLLATE "C" NOT NULL,
    currency   TEXT COLLATE "C" NOT NULL,
    kind       TEXT COLLATE "C" NOT NULL,
    type       TEXT COLLATE "C" NOT NULL,
    amount     TEXT COLLATE "C" NOT NULL,
    count      BIGINT NOT NULL,
    PRIMARY KEY (account_id, currency, kind, type)
);

-- Notes: what was recorded and is odd. `state`: open, accepted (an event of the chain says so), over. `extent` is how far the oddity goes:
-- what goes further is a new note.
CREATE TABLE notes (
    number     BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    check_name TEXT COLLATE "C" NOT NULL,
    account_id TEXT COLLATE "C" NOT NULL,
    subject    TEXT COLLATE "C" NOT NULL,
    state      TEXT COLLATE "C" NOT NULL CHECK (state IN ('open', 'accepted', 'over')),
    extent     TEXT COLLATE "C" NOT NULL,
    count      BIGINT NOT NULL,
    noted_at   BIGINT NOT NULL
);

-- What may be odd, found when it was new, so that old records need not be read again: a fact, or (`fact_no` 0) an order or a currency.
CREATE TABLE note_suspects (
    check_name TEXT COLLATE "C" NOT NULL,
    account_id TEXT COLLATE "C" NOT NULL,
    name       TEXT COLLATE "C" NOT NULL,
    fact_no    BIGINT NOT NULL,
    PRIMARY KEY (check_name, account_id, name, fact_no)
);

-- Up to where facts and events have been looked through for suspects.
CREATE TABLE note_marks (
    one       BIGINT PRIMARY KEY CHECK (one = 1),
    facts_to  BIGINT NOT NULL,
    events_to BIGINT NOT NULL
);

-- ---------------------------------------------------------------------------------------------------------------------
-- Views for analysts. Instants read as RFC 3339 in UTC, each beside the plain integer it is made of (`…_us`, microseconds): filter by that
-- one, which an index knows. Amounts are exact text, each beside a `…_number` (a float) for charts. Voided records are marked.

CREATE VIEW v_transactions AS
SELECT CASE WHEN f.kind = 'transaction' AND t.leg = 0 THEN f.record_id
            ELSE f.kind || ':' || replace(replace(t.account_id, '%', '%25'), ':', '%3A') || ':' || f.record_id || ':'
                 || CASE t.leg & 7 WHEN 0 THEN 'amount' WHEN 1 THEN 'base' WHEN 2 THEN 'quote' WHEN 3 THEN 'fee' ELSE 'fee' || ((t.leg & 7) - 2) END
                 || CASE WHEN t.leg >= 8 THEN '.void' ELSE '' END END AS transaction_id,
       t.account_id,
       instant_text(t.occurred_at) AS occurred_at,
       t.occurred_at AS occurred_at_us,
       t.type, t.currency, t.kind, t.amount, CAST(t.amount AS DOUBLE PRECISION) AS amount_number,
       f.kind AS fact_kind, f.record_id AS fact_id, CAST(t.leg >= 8 AS INTEGER) AS is_reversal, CAST(f.state = 1 AS INTEGER) AS is_voided, t.description, t.reference,
       t.transaction_no
FROM transactions t JOIN facts f ON f.fact_no = t.fact_no;

-- `fee_usd_number`: the fee that came with the fill, by the rate it carries, else by the newest that was known of its currency.
CREATE VIEW v_fills AS
SELECT l.fill_id, l.account_id, l.order_id, l.instrument, l.symbol, l.side, l.quantity, l.price, l.quote_quantity, l.base, l.quote, l.settle, l.inverse, l.multiplier, l.fee,
       l.fee_currency, l.more_fees,
       instant_text(l.executed_at) AS executed_at,
       l.executed_at AS executed_at_us,
       l.quote_usd_rate, l.fee_usd_rate, l.liquidity, l.order_type, l.extra, f.producer, f.sequence, CAST(f.state = 1 AS INTEGER) AS is_voided,
       CAST(l.quantity AS DOUBLE PRECISION) AS quantity_number, CAST(l.price AS DOUBLE PRECISION) AS price_number, CAST(l.quote_quantity AS DOUBLE PRECISION) AS quote_quantity_number, CAST(l.fee AS DOUBLE PRECISION) AS fee_number,
       CASE WHEN l.fee = '0' THEN 0.0
            ELSE CAST(l.fee AS DOUBLE PRECISION) * CASE
                WHEN l.fee_currency = 'USD' THEN 1.0
                WHEN l.fee_currency = coalesce(l.settle, l.quote) AND l.quote_usd_rate IS NOT NULL THEN CAST(l.quote_usd_rate AS DOUBLE PRECISION)
                WHEN l.fee_usd_rate IS NOT NULL THEN CAST(l.fee_usd_rate AS DOUBLE PRECISION)
                WHEN l.fee_currency = l.base AND l.settle IS NULL AND l.quote_usd_rate IS NOT NULL THEN CAST(l.price AS DOUBLE PRECISION) * CAST(l.quote_usd_rate AS DOUBLE PRECISION)
                ELSE coalesce(
                    (SELECT k.rate FROM (
                        SELECT * FROM (SELECT s.observed_at AS at, CAST(s.usd_rate AS DOUBLE PRECISION) AS rate FROM rates s JOIN facts g USING (fact_no)
                                       WHERE s.currency = l.fee_currency AND s.observed_at <= l.executed_at AND g.state = 0
                                       ORDER BY s.observed_at DESC, coalesce(s.source, '') LIMIT 1) AS said
                        UNION ALL
                        SELECT * FROM (SELECT c.at, CAST(c.rate AS DOUBLE PRECISION) / nullif(CAST(c.per AS DOUBLE PRECISION), 0) FROM currency_rates c
                                       WHERE c.account_id = l.account_id AND c.currency = l.fee_currency AND c.at <= l.executed_at
                                       -- Of no later day, whatever its zone: else the search begins at the newest.
                                       AND c.date <= day_of(l.executed_at, 2) ORDER BY c.date DESC LIMIT 1) AS told
                     ) k ORDER BY k.at DESC LIMIT 1),
                    (SELECT 1.0 FROM rollup_accounts p, json_array_elements_text(CAST(p.usd_like AS json)) d WHERE p.account_id = l.account_id AND d = l.fee_currency)
                ) END END AS fee_usd_number,
       l.fact_no
FROM fills l JOIN facts f USING (fact_no);

CREATE VIEW v_orders AS
SELECT order_id, account_id, instrument, symbol, side, order_type, status, quantity, price, cost, filled,
       CASE WHEN fills_count = 0 THEN NULL
            WHEN inverse = 1 THEN CAST(weight AS DOUBLE PRECISION) / nullif(CAST(cash AS DOUBLE PRECISION), 0)
            WHEN settle IS NOT NULL AND settle <> base AND settle <> quote THEN CAST(notional AS DOUBLE PRECISION) / nullif(CAST(filled AS DOUBLE PRECISION), 0)
            ELSE CAST(cash AS DOUBLE PRECISION) / nullif(CAST(weight AS DOUBLE PRECISION), 0) END AS average_price_number,
       cash, weight, fills_count, reserved, reserved_currency,
       CAST(quantity AS DOUBLE PRECISION) AS quantity_number, CAST(price AS DOUBLE PRECISION) AS price_number, CAST(cost AS DOUBLE PRECISION) AS cost_number, CAST(filled AS DOUBLE PRECISION) AS filled_number, CAST(cash AS DOUBLE PRECISION) AS cash_number, CAST(reserved AS DOUBLE PRECISION) AS reserved_number,
       instant_text(created_at) AS created_at,
       created_at AS created_at_us,
       instant_text(updated_at) AS updated_at,
       updated_at AS updated_at_us,
       instant_text(executed_at) AS executed_at,
       executed_at AS executed_at_us
FROM orders;

CREATE VIEW v_balances AS
SELECT b.account_id, a.name AS account_name, b.currency, b.kind, b.available, b.reserved, CAST(b.available AS DOUBLE PRECISION) AS available_number, CAST(b.reserved AS DOUBLE PRECISION) AS reserved_number,
       CAST(b.available AS DOUBLE PRECISION) + CAST(b.reserved AS DOUBLE PRECISION) AS total_number,
       instant_text(b.updated_at) AS updated_at,
       b.updated_at AS updated_at_us
FROM balances b JOIN accounts a USING (account_id);

CREATE VIEW v_daily_performance AS
SELECT account_id, date, total_value_usd, pnl_daily, pnl_total, sharpe_ratio, sortino_ratio, max_drawdown, win_rate, profit_factor,
       trades_count, source, CAST(total_value_usd AS DOUBLE PRECISION) AS total_value_number, CAST(pnl_daily AS DOUBLE PRECISION) AS pnl_daily_number, CAST(pnl_total AS DOUBLE PRECISION) AS pnl_total_number
FROM performance_metrics;

CREATE VIEW v_trades AS
SELECT t.account_id, t.date, CASE WHEN t.position LIKE 'contract %' THEN substr(t.position, 10) ELSE t.position END AS instrument,
       CAST(t.position LIKE 'contract %' AS INTEGER) AS is_contract, t.direction,
       instant_text(t.opened_at) AS opened_at,
       t.opened_at AS opened_at_us,
       instant_text(t.closed_at) AS closed_at,
       t.closed_at AS closed_at_us,
       t.fills, t.peak, t.pnl, t.fees, CAST(t.peak AS DOUBLE PRECISION) AS peak_number, CAST(t.pnl AS DOUBLE PRECISION) AS pnl_number, CAST(t.fees AS DOUBLE PRECISION) AS fees_number, t.estimated, f.record_id AS closing_fill_id, t.closing_fact_no
FROM trades t JOIN facts f ON f.fact_no = t.closing_fact_no;

-- `drawdown` is how far the day lies below the peak so far, 0 at a new one; `max_drawdown` the deepest there was.
CREATE VIEW v_equity AS
SELECT account_id, date, value, inflow, outflow, pnl_daily, pnl_total, daily_return, depth - 1 AS drawdown, max_drawdown,
       CAST(value AS DOUBLE PRECISION) AS value_number, CAST(inflow AS DOUBLE PRECISION) AS inflow_number, CAST(outflow AS DOUBLE PRECISION) AS outflow_number, CAST(pnl_daily AS DOUBLE PRECISION) AS pnl_daily_number, CAST(pnl_total AS DOUBLE PRECISION) AS pnl_total_number,
       CASE WHEN close_fact_no IS NULL THEN 'books' ELSE 'snapshots' END AS valuation, books_value, CAST(books_value AS DOUBLE PRECISION) AS books_value_number,
       instant_text(close_at) AS close_at,
       close_at AS close_at_us, warnings
FROM rollup_rows;

-- Deposits and withdrawals. `capital` is what of one crossed the account's boundary (no profit), signed, `usd` its worth as the last rollup
-- has it; where that is none, `usd_number` is the amount by the rate that the record carries.
CREATE VIEW v_flows AS
SELECT l.flow_id, l.account_id, l.direction, l.category, l.currency, l.amount,
       CASE l.direction WHEN 'deposit' THEN CAST(l.amount AS DOUBLE PRECISION) ELSE -CAST(l.amount AS DOUBLE PRECISION) END AS amount_number,
       v.amount AS capital, CAST(v.amount AS DOUBLE PRECISION) AS capital_number, v.usd, l.usd_rate,
       coalesce(CAST(v.usd AS DOUBLE PRECISION),
                CASE l.direction WHEN 'deposit' THEN CAST(l.amount AS DOUBLE PRECISION) ELSE -CAST(l.amount AS DOUBLE PRECISION) END * CAST(l.usd_rate AS DOUBLE PRECISION)) AS usd_number,
       instant_text(l.occurred_at) AS occurred_at,
       l.occurred_at AS occurred_at_us,
       v.date, l.fee, l.fee_currency, CAST(l.fee AS DOUBLE PRECISION) AS fee_number, l.description, l.reference, l.symbol, l.extra, f.producer, f.sequence, CAST(f.state = 1 AS INTEGER) AS is_voided, l.fact_no
FROM flows l JOIN facts f USING (fact_no)
LEFT JOIN flow_values v ON v.account_id = l.account_id AND v.at = l.occurred_at AND v.fact_no = l.fact_no;

-- `is_close`: a row of figures is valued by it.
CREATE VIEW v_snapshots AS
SELECT s.snapshot_id, s.account_id,
       instant_text(s.observed_at) AS observed_at,
       s.observed_at AS observed_at_us,
       s.date, s.total_value_usd, CAST(s.total_value_usd AS DOUBLE PRECISION) AS total_value_number, s.reported, s.extra, f.producer, f.sequence, CAST(f.state = 1 AS INTEGER) AS is_voided,
       CAST(EXISTS (SELECT 1 FROM rollup_rows r WHERE r.account_id = s.account_id AND r.close_fact_no = s.fact_no
               AND r.date BETWEEN day_of(s.observed_at, -1) AND day_of(s.observed_at, 1)) AS INTEGER) AS is_close,
       s.fact_no
FROM equity_snapshots s JOIN facts f USING (fact_no);

-- Rate records: what somebody said. They are of no account.
CREATE VIEW v_rates AS
SELECT r.rate_id, r.currency, r.usd_rate, CAST(r.usd_rate AS DOUBLE PRECISION) AS usd_rate_number,
       instant_text(r.observed_at) AS observed_at,
       r.observed_at AS observed_at_us,
       r.source, r.extra, f.producer, f.sequence, CAST(f.state = 1 AS INTEGER) AS is_voided, r.fact_no
FROM rates r JOIN facts f USING (fact_no);

-- What an account's own records carried, or its fills told, of a currency: the last of each day, as the last rollup has it.
CREATE VIEW v_told_rates AS
SELECT account_id, currency, date, CASE per WHEN '1' THEN rate END AS usd_rate, CAST(rate AS DOUBLE PRECISION) / nullif(CAST(per AS DOUBLE PRECISION), 0) AS usd_rate_number,
       instant_text(at) AS at,
       at AS at_us, carried
FROM currency_rates;

-- Open positions at the end of the last day that was rolled up. `cost` is the cash that the open quantity was opened with, below zero where
-- it was paid; opened_at is empty for what is left of a closed trade.
CREATE VIEW v_positions AS
SELECT account_id, CASE WHEN position LIKE 'contract %' THEN substr(position, 10) ELSE position END AS instrument,
       CAST(position LIKE 'contract %' AS INTEGER) AS is_contract, quantity, CAST(quantity AS DOUBLE PRECISION) AS quantity_number, cash_currency,
       CASE WHEN part_cost IS NULL THEN cost END AS cost, coalesce(part_cost, CAST(cost AS DOUBLE PRECISION)) AS cost_number,
       CASE WHEN opened_at_us IS NOT NULL THEN abs(coalesce(part_cost, CAST(cost AS DOUBLE PRECISION)) / nullif(CAST(quantity AS DOUBLE PRECISION), 0)) END AS average_price_number,
       fills, instant_text(opened_at_us) AS opened_at, opened_at_us, date
FROM (
    SELECT b.account_id, p.key AS position, p.value ->> 0 AS quantity, p.value ->> 10 AS cost, c.date,
           (SELECT sum(CAST(o ->> 1 AS DOUBLE PRECISION)) FROM json_array_elements(CASE json_typeof(p.value -> 11) WHEN 'array' THEN p.value -> 11 END) o)
               AS part_cost,
           CAST(p.value ->> 6 AS BIGINT) AS fills,
           coalesce(CAST(p.value -> 11 -> 0 ->> 5 AS BIGINT), CASE WHEN CAST(p.value ->> 1 AS DOUBLE PRECISION) <> 0 THEN CAST(p.value ->> 7 AS BIGINT) END)
               AS opened_at_us,
           CASE b.kind WHEN 'currency' THEN substr(p.key, strpos(p.key, '/') + 1)
                ELSE (SELECT v.settle FROM contract_values v WHERE v.account_id = b.account_id AND v.contract = p.key ORDER BY v.date DESC LIMIT 1)
                END AS cash_currency
    FROM balances b
    JOIN asset_closes c ON c.account_id = b.account_id AND c.asset = CASE b.kind WHEN 'contract' THEN 'contract ' || b.currency ELSE b.currency END
         AND c.date = (SELECT max(n.date) FROM asset_closes n WHERE n.account_id = b.account_id AND n.asset = CASE b.kind WHEN 'contract' THEN 'contract ' || b.currency ELSE b.currency END)
    CROSS JOIN LATERAL json_each(CAST(nullif(c.state, '') AS json) -> 'positions') p
) AS open
WHERE quantity <> '0';

-- Open lots at the end of the last day that was rolled up: with cost_basis fifo one by one, else each asset's as one. The text is empty where
-- the books keep the figure in two parts (dollars that were not worth one, the cash of open contracts): the number is always there.
CREATE VIEW v_lots AS
SELECT account_id, currency, quantity, CASE WHEN quantity IS NULL THEN counted ELSE CAST(quantity AS DOUBLE PRECISION) END AS quantity_number,
       CASE WHEN is_par AND pooled IS NOT NULL THEN NULL WHEN is_par THEN quantity WHEN pooled = '?' THEN NULL ELSE coalesce(pooled, '0') END AS cost_usd,
       CASE WHEN pooled = '?' THEN NULL WHEN is_par THEN counted + coalesce(CAST(pooled AS DOUBLE PRECISION), 0) ELSE coalesce(CAST(pooled AS DOUBLE PRECISION), 0) END AS cost_usd_number,
       CAST(NULL AS TEXT) AS opened_at, CAST(NULL AS BIGINT) AS opened_at_us, 'pool' AS brought_by, CAST(NULL AS TEXT) AS record_id, date
FROM (
    SELECT b.account_id, b.currency, c.date, CAST(nullif(c.state, '') AS json) ->> 'lots' AS pooled,
           CASE WHEN CAST(nullif(c.state, '') AS json) ->> 'open_cash' IS NULL THEN c.closing END AS quantity,
           CAST(c.closing AS DOUBLE PRECISION) - coalesce(CAST(CAST(nullif(c.state, '') AS json) ->> 'open_cash' AS DOUBLE PRECISION), 0) AS counted,
           b.currency = 'USD' OR EXISTS (SELECT 1 FROM rollup_accounts p, json_array_elements_text(CAST(p.usd_like AS json)) d WHERE p.account_id = b.account_id AND d = b.currency)
               AS is_par
    FROM balances b
    JOIN asset_closes c ON c.account_id = b.account_id AND c.asset = b.currency
         AND c.date = (SELECT max(n.date) FROM asset_closes n WHERE n.account_id = b.account_id AND n.asset = b.currency)
    WHERE b.kind = 'currency'
) AS pools
WHERE counted <> 0 AND coalesce(pooled, '') NOT LIKE '[%'
UNION ALL
SELECT account_id, currency, quantity, CAST(quantity AS DOUBLE PRECISION), cost, CAST(cost AS DOUBLE PRECISION),
       instant_text(opened_at), opened_at, brought_by, record_id, date
FROM (
    SELECT b.account_id, b.currency, l.opened_at, l.brought_by, f.record_id, c.date,
           CASE WHEN l.date = k.first ->> 0 AND l.number = CAST(k.first ->> 1 AS BIGINT)
                THEN k.first ->> 3 ELSE l.quantity END AS quantity,
           CASE WHEN l.date = k.first ->> 0 AND l.number = CAST(k.first ->> 1 AS BIGINT)
                THEN k.first ->> 4 ELSE l.cost END AS cost
    FROM balances b
    JOIN asset_closes c ON c.account_id = b.account_id AND c.asset = b.currency
         AND c.date = (SELECT max(n.date) FROM asset_closes n WHERE n.account_id = b.account_id AND n.asset = b.currency)
    CROSS JOIN LATERAL (SELECT CASE WHEN CAST(nullif(c.state, '') AS json) ->> 'lots' LIKE '[%' THEN CAST(CAST(nullif(c.state, '') AS json) ->> 'lots' AS json) END AS first) k
    JOIN lots l ON l.account_id = b.account_id AND l.asset = b.currency
         AND (l.date, l.number) >= (k.first ->> 0, CAST(k.first ->> 1 AS BIGINT))
    LEFT JOIN facts f ON f.fact_no = l.fact_no
    WHERE b.kind = 'currency' AND k.first IS NOT NULL
) AS single;

-- What was held on each day that has a row of figures, in units and in USD at the rates of its close; a contract counts as what it is worth by its
-- last price, and the cash of an open one with its currency, so that the USD of a day add up to what the books are worth.
CREATE VIEW v_exposure AS
SELECT account_id, date, currency, kind, units, borrowed, CAST(units AS DOUBLE PRECISION) - CAST(borrowed AS DOUBLE PRECISION) AS units_number,
       (CAST(units AS DOUBLE PRECISION) - CAST(borrowed AS DOUBLE PRECISION)) * unit * CASE
           WHEN name = 'USD' THEN 1.0
           WHEN said_at IS NOT NULL AND (told_at IS NULL OR said_at > told_at OR (said_at = told_at AND carried = 0)) THEN said
           WHEN told_at IS NOT NULL THEN told
           ELSE (SELECT 1.0 FROM rollup_accounts p, json_array_elements_text(CAST(p.usd_like AS json)) d WHERE p.account_id = held.account_id AND d = name)
           END AS usd_number
FROM (
    SELECT r.account_id, r.date, b.currency, b.kind, c.closing AS units, c.debt AS borrowed,
           CASE b.kind WHEN 'contract' THEN v.settle ELSE b.currency END AS name,
           CASE b.kind WHEN 'contract' THEN CAST(v.value AS DOUBLE PRECISION) / nullif(CAST(v.per AS DOUBLE PRECISION), 0) ELSE 1.0 END AS unit,
           s.observed_at AS said_at, CAST(s.usd_rate AS DOUBLE PRECISION) AS said,
           t.at AS told_at, CAST(t.rate AS DOUBLE PRECISION) / nullif(CAST(t.per AS DOUBLE PRECISION), 0) AS told, t.carried
    FROM rollup_rows r
    JOIN balances b ON b.account_id = r.account_id
    JOIN asset_closes c ON c.account_id = r.account_id AND c.asset = CASE b.kind WHEN 'contract' THEN 'contract ' || b.currency ELSE b.currency END
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
