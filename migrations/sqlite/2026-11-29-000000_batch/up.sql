-- The daily run: who may do it, what was done, which days are known to be right, and what stands out.

-- One row: who does the daily run now, and until when unless renewed. The token grows with each holder, so
-- that a former one is known by it.
CREATE TABLE batch_lease (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    -- Null while nobody has it.
    holder TEXT,
    token INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;

INSERT INTO batch_lease (id, holder, token, expires_at) VALUES (1, NULL, 0, 0);

CREATE TABLE batch_runs (
    id TEXT NOT NULL PRIMARY KEY,
    -- The last day that the run is about.
    processing_date TEXT NOT NULL,
    -- schedule, catch_up, api or command_line.
    started_by TEXT NOT NULL,
    -- Whether days that were validated before are validated again.
    is_forced INTEGER NOT NULL CHECK (is_forced IN (0, 1)),
    -- running, succeeded or failed. One that runs and whose process is gone is taken up by another.
    status TEXT NOT NULL,
    -- The process that worked on it last.
    process TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    finished_at INTEGER,
    -- Which required steps failed.
    error TEXT
) STRICT;

CREATE INDEX idx_batch_runs_date ON batch_runs (processing_date);
CREATE INDEX idx_batch_runs_status ON batch_runs (status);

CREATE TABLE batch_steps (
    run_id TEXT NOT NULL REFERENCES batch_runs (id),
    position INTEGER NOT NULL,
    name TEXT NOT NULL,
    -- Whether the run fails with it.
    is_required INTEGER NOT NULL CHECK (is_required IN (0, 1)),
    -- waiting, running, succeeded or failed.
    status TEXT NOT NULL,
    -- How often it was begun: more than once where a process died in it.
    attempts INTEGER NOT NULL,
    -- The process that began it last.
    process TEXT,
    started_at INTEGER,
    finished_at INTEGER,
    duration_ms INTEGER,
    -- How far it is, in whatever it counts; a total of null is not known yet.
    done INTEGER NOT NULL,
    total INTEGER,
    -- A JSON object with its result.
    details TEXT NOT NULL,
    error TEXT,
    PRIMARY KEY (run_id, position)
) STRICT;

-- Days whose daily rows were found equal to the ledger, or made so.
CREATE TABLE day_validations (
    client_org_id TEXT NOT NULL,
    usage_date TEXT NOT NULL,
    validated_at INTEGER NOT NULL,
    -- Rows and derived figures that were made right, in all validations together.
    corrections INTEGER NOT NULL,
    -- What the organization's row of the day said then; null where there was none. Usage that came later
    -- makes it differ, and the day is validated again.
    seen TEXT,
    PRIMARY KEY (client_org_id, usage_date)
) STRICT, WITHOUT ROWID;

-- Days on which a member or a model stands far outside its own history.
CREATE TABLE usage_anomalies (
    client_org_id TEXT NOT NULL,
    usage_date TEXT NOT NULL,
    -- member or model, and which.
    subject_kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    -- spend (nano-dollars of the client's price) or requests.
    measure TEXT NOT NULL,
    -- The day's figure, and the median and the median absolute deviation of the days before.
    value INTEGER NOT NULL,
    median INTEGER NOT NULL,
    deviation INTEGER NOT NULL,
    -- From which figure on the day would have stood out.
    threshold INTEGER NOT NULL,
    history_days INTEGER NOT NULL,
    -- What OpenRouter charged for the subject on the day.
    raw_cost INTEGER NOT NULL,
    detected_at INTEGER NOT NULL,
    acknowledged_at INTEGER,
    acknowledged_by TEXT,
    note TEXT,
    PRIMARY KEY (client_org_id, usage_date, subject_kind, subject, measure)
) STRICT, WITHOUT ROWID;

CREATE INDEX idx_anomalies_detected ON usage_anomalies (detected_at);
