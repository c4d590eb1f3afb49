-- Every number of inputs counts inputs, not jobs. Moments are milliseconds since 1970.

-- One run. Small, because every finished job rewrites it; what was asked lies apart.
CREATE TABLE snapshot (
    k            INTEGER PRIMARY KEY AUTOINCREMENT,
    id           TEXT NOT NULL UNIQUE,
    state        TEXT NOT NULL,
    dataset      TEXT NOT NULL,
    origin       TEXT NOT NULL,
    express      INTEGER NOT NULL,
    limit_total  INTEGER,
    limit_root   INTEGER,
    shows_errors INTEGER NOT NULL,
    inputs       INTEGER NOT NULL DEFAULT 0,
    settled      INTEGER NOT NULL DEFAULT 0,
    waiting      INTEGER NOT NULL DEFAULT 0,
    leased       INTEGER NOT NULL DEFAULT 0,
    given        INTEGER NOT NULL DEFAULT 0,
    found        INTEGER NOT NULL DEFAULT 0,
    records      INTEGER NOT NULL DEFAULT 0,
    errors       INTEGER NOT NULL DEFAULT 0,
    plain_bytes  INTEGER NOT NULL DEFAULT 0,
    error_codes  TEXT NOT NULL DEFAULT '{}',
    -- Sequence number of the next segment.
    next_seq     INTEGER NOT NULL DEFAULT 0,
    -- Fair turns: the virtual time at which the run is served next.
    turn         INTEGER NOT NULL DEFAULT 0,
    -- When its next job can be claimed; null while none can. Not null only in state running.
    ready_at     INTEGER,
    -- While starting: the highest root of its slices so far, and what they are: 0 = one root each, ascending;
    -- 1 = one root each, in any order; 2 = slices of several roots.
    top_root     INTEGER NOT NULL DEFAULT -1,
    root_order   INTEGER NOT NULL DEFAULT 0,
    message      TEXT,
    created_at   INTEGER NOT NULL,
    finished_at  INTEGER,
    deadline     INTEGER
) STRICT;
CREATE INDEX snapshot_turn ON snapshot (turn, ready_at) WHERE ready_at IS NOT NULL;
CREATE INDEX snapshot_turn_express ON snapshot (turn, ready_at) WHERE ready_at IS NOT NULL AND express = 1;
CREATE INDEX snapshot_ready ON snapshot (express, ready_at) WHERE ready_at IS NOT NULL;
CREATE INDEX snapshot_deadline ON snapshot (deadline) WHERE state = 'running' AND deadline IS NOT NULL;
CREATE INDEX snapshot_starting ON snapshot (created_at) WHERE state = 'starting';
CREATE INDEX snapshot_live ON snapshot (dataset) WHERE finished_at IS NULL;
CREATE INDEX snapshot_created ON snapshot (created_at);
CREATE INDEX snapshot_ended ON snapshot (finished_at) WHERE finished_at IS NOT NULL AND state <> 'expired';

-- The trigger as JSON.
CREATE TABLE asked (
    snapshot INTEGER PRIMARY KEY,
    trigger  TEXT NOT NULL
) STRICT;

-- Virtual time of the run served last: where a new run starts, and what a run that had nothing to do catches up to.
CREATE TABLE turn (
    only INTEGER PRIMARY KEY CHECK (only = 0),
    v    INTEGER NOT NULL
) STRICT;
INSERT INTO turn VALUES (0, 0);

-- Keys of records in the order first seen.
CREATE TABLE extra_column (
    snapshot INTEGER NOT NULL,
    name     TEXT NOT NULL,
    n        INTEGER NOT NULL,
    PRIMARY KEY (snapshot, name)
) STRICT, WITHOUT ROWID;

-- The jobs of one run for one host.
CREATE TABLE lane (
    k         INTEGER PRIMARY KEY AUTOINCREMENT,
    snapshot  INTEGER NOT NULL,
    host      TEXT NOT NULL,
    -- Leased jobs.
    leased    INTEGER NOT NULL DEFAULT 0,
    -- When it was last claimed from: lanes take turns.
    served_at INTEGER NOT NULL DEFAULT 0,
    -- When its next waiting job may be claimed; null without one.
    ready_at  INTEGER,
    UNIQUE (snapshot, host)
) STRICT;
CREATE INDEX lane_ready ON lane (snapshot, ready_at) WHERE ready_at IS NOT NULL AND leased < 2;

-- State: 0 parked behind another job of its root, 1 waiting, 2 leased, 3 finished by its holder, 4 settled by the
-- store (stopped, limit met, split).
CREATE TABLE job (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    snapshot    INTEGER NOT NULL,
    lane        INTEGER NOT NULL,
    state       INTEGER NOT NULL,
    due         INTEGER NOT NULL,
    n           INTEGER NOT NULL,
    root        INTEGER NOT NULL,
    -- 0: the caller's rows; 1: made from other jobs.
    derived     INTEGER NOT NULL,
    lost        INTEGER NOT NULL DEFAULT 0,
    epoch       INTEGER NOT NULL DEFAULT 0,
    lease_until INTEGER,
    node        TEXT,
    -- The job that the holder went on with when it finished this one.
    next        INTEGER
) STRICT;
CREATE INDEX job_waiting ON job (lane, due, id) WHERE state = 1;
CREATE INDEX job_parked ON job (snapshot, root, due, id) WHERE state = 0;
CREATE INDEX job_leased ON job (lease_until) WHERE state = 2;
CREATE INDEX job_of ON job (snapshot, derived, id);

-- The inputs of a job (disk.rs). Apart, so that moving a job does not rewrite them.
CREATE TABLE slice (
    job  INTEGER PRIMARY KEY,
    blob BLOB NOT NULL
) STRICT;

-- Records by root, in runs with a limit per input.
CREATE TABLE root (
    snapshot INTEGER NOT NULL,
    root     INTEGER NOT NULL,
    records  INTEGER NOT NULL,
    PRIMARY KEY (snapshot, root)
) STRICT, WITHOUT ROWID;

-- What was led to in a run: the first 16 bytes of SHA-256 over kind and row.
CREATE TABLE seen (
    snapshot INTEGER NOT NULL,
    hash     BLOB NOT NULL,
    PRIMARY KEY (snapshot, hash)
) STRICT, WITHOUT ROWID;

-- Rows: a file in the bucket (key), or the inputs of a job as error rows (job, code, at).
CREATE TABLE segment (
    snapshot     INTEGER NOT NULL,
    seq          INTEGER NOT NULL,
    key          TEXT,
    job          INTEGER,
    code         TEXT,
    at           INTEGER,
    records      INTEGER NOT NULL,
    errors       INTEGER NOT NULL,
    record_bytes INTEGER NOT NULL,
    error_bytes  INTEGER NOT NULL,
    plain_bytes  INTEGER NOT NULL,
    first_record INTEGER NOT NULL,
    first_error  INTEGER NOT NULL,
    PRIMARY KEY (snapshot, seq)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX segment_key ON segment (key) WHERE key IS NOT NULL;

CREATE TABLE delivery (
    k             INTEGER PRIMARY KEY AUTOINCREMENT,
    id            TEXT NOT NULL UNIQUE,
    snapshot      INTEGER NOT NULL,
    -- rows, notice, delivery_notice
    kind          TEXT NOT NULL,
    cargo         TEXT NOT NULL,
    -- Rows of a part, if parts are sent while the run lasts.
    batch         INTEGER,
    state         TEXT NOT NULL,
    due           INTEGER NOT NULL,
    parts_done    INTEGER NOT NULL DEFAULT 0,
    failures      INTEGER NOT NULL DEFAULT 0,
    failing_since INTEGER,
    last_error    TEXT,
    created_at    INTEGER NOT NULL,
    epoch         INTEGER NOT NULL DEFAULT 0,
    lease_until   INTEGER,
    node          TEXT
) STRICT;
CREATE INDEX delivery_due ON delivery (due, k) WHERE state = 'waiting';
CREATE INDEX delivery_leased ON delivery (lease_until) WHERE state = 'leased';
CREATE INDEX delivery_of ON delivery (snapshot, state);

CREATE TABLE delivered_file (
    delivery INTEGER NOT NULL,
    part     INTEGER NOT NULL,
    filename TEXT NOT NULL,
    at       INTEGER NOT NULL,
    rows     INTEGER NOT NULL,
    PRIMARY KEY (delivery, part)
) STRICT, WITHOUT ROWID;

CREATE TABLE idempotency (
    token    TEXT NOT NULL,
    key      TEXT NOT NULL,
    digest   BLOB NOT NULL,
    snapshot TEXT NOT NULL,
    at       INTEGER NOT NULL,
    PRIMARY KEY (token, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_at ON idempotency (at);

CREATE TABLE token (
    k          INTEGER PRIMARY KEY AUTOINCREMENT,
    id         TEXT NOT NULL UNIQUE,
    name       TEXT NOT NULL,
    hash       BLOB NOT NULL UNIQUE,
    datasets   TEXT,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER
) STRICT;

-- Runs whose rows in other tables are deleted little by little: 0 = what only a live run needs, 1 = everything but
-- segments in the bucket.
CREATE TABLE trash (
    snapshot   INTEGER PRIMARY KEY,
    everything INTEGER NOT NULL
) STRICT;

-- Expired runs that still have segments in the bucket.
CREATE TABLE unforgotten (
    snapshot INTEGER PRIMARY KEY
) STRICT;
