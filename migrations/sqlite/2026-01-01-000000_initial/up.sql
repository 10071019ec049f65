-- Conventions: money is a whole number of nano-dollars, a markup rate is in parts per million, times
-- are Unix seconds, dates are an organization's own calendar days. Every tenant table's key begins
-- with client_org_id. STRICT makes an overflowing sum an error instead of a rounded REAL.

CREATE TABLE global_settings (
    id TEXT NOT NULL PRIMARY KEY CHECK (id = 'global'),
    openrouter_provisioning_key TEXT,
    default_markup_rate INTEGER NOT NULL CHECK (default_markup_rate > 0),
    billing_currency TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

-- Which default rate held from when on.
CREATE TABLE default_markup_rates (
    valid_from INTEGER NOT NULL PRIMARY KEY,
    markup_rate INTEGER NOT NULL CHECK (markup_rate > 0)
) STRICT;

CREATE TABLE client_organizations (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    -- Encrypted; the fingerprint finds it again, the last four characters show it.
    openrouter_api_key TEXT,
    openrouter_api_key_fingerprint TEXT UNIQUE,
    openrouter_api_key_last4 TEXT,
    -- The id of the key in OpenRouter's management API.
    openrouter_key_hash TEXT,
    -- Encrypted; signs what is posted to the usage webhook. Null means that no signature is asked for.
    webhook_secret TEXT,
    -- Null means the global default.
    markup_rate INTEGER CHECK (markup_rate > 0),
    -- Null means no limit.
    monthly_limit INTEGER CHECK (monthly_limit >= 0),
    billing_email TEXT,
    timezone TEXT NOT NULL,
    drain_on_disconnect INTEGER NOT NULL CHECK (drain_on_disconnect IN (0, 1)),
    is_active INTEGER NOT NULL CHECK (is_active IN (0, 1)),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE INDEX idx_organizations_active ON client_organizations (is_active);

-- Which rate held from when on. A null rate stands for the default rate of the time in question.
CREATE TABLE organization_markup_rates (
    client_org_id TEXT NOT NULL REFERENCES client_organizations (id),
    valid_from INTEGER NOT NULL,
    markup_rate INTEGER CHECK (markup_rate > 0),
    PRIMARY KEY (client_org_id, valid_from)
) STRICT;

CREATE TABLE members (
    client_org_id TEXT NOT NULL REFERENCES client_organizations (id),
    user_id TEXT NOT NULL,
    name TEXT,
    email TEXT,
    role TEXT NOT NULL,
    source TEXT NOT NULL,
    is_active INTEGER NOT NULL CHECK (is_active IN (0, 1)),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (client_org_id, user_id)
) STRICT;

CREATE TABLE user_client_mapping (
    client_org_id TEXT NOT NULL REFERENCES client_organizations (id),
    user_id TEXT NOT NULL,
    openrouter_user_id TEXT NOT NULL,
    is_active INTEGER NOT NULL CHECK (is_active IN (0, 1)),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (client_org_id, user_id),
    UNIQUE (client_org_id, openrouter_user_id)
) STRICT;

CREATE INDEX idx_mapping_user ON user_client_mapping (user_id);

CREATE TABLE gateway_keys (
    client_org_id TEXT NOT NULL REFERENCES client_organizations (id),
    id TEXT NOT NULL,
    key_hash TEXT NOT NULL,
    key_prefix TEXT NOT NULL,
    name TEXT NOT NULL,
    -- Null means the key belongs to the organization as a whole.
    user_id TEXT,
    is_trusted_client INTEGER NOT NULL CHECK (is_trusted_client IN (0, 1)),
    expires_at INTEGER,
    revoked_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (client_org_id, id),
    UNIQUE (client_org_id, key_hash)
) STRICT;

CREATE TABLE api_tokens (
    id TEXT NOT NULL PRIMARY KEY,
    token_hash TEXT NOT NULL UNIQUE,
    token_prefix TEXT NOT NULL,
    name TEXT NOT NULL,
    -- reseller, admin or member; only a reseller's token has no organization.
    role TEXT NOT NULL,
    client_org_id TEXT REFERENCES client_organizations (id),
    user_id TEXT,
    expires_at INTEGER,
    revoked_at INTEGER,
    created_at INTEGER NOT NULL,
    CHECK ((role = 'reseller') = (client_org_id IS NULL))
) STRICT;

-- One row that every change made to organizations, keys, mappings and settings increases. A running
-- gateway compares it to know when to load them again. A member first seen in a call is no such change.
CREATE TABLE directory_revision (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    revision INTEGER NOT NULL
) STRICT;

INSERT INTO directory_revision (id, revision) VALUES (1, 0);

-- The ledger: one row per generation. No foreign key on purpose: recording what was used must never
-- fail because of the state of a settings row.
CREATE TABLE processed_generations (
    client_org_id TEXT NOT NULL,
    id TEXT NOT NULL,
    generation_date TEXT NOT NULL,
    processed_at INTEGER NOT NULL,
    -- What OpenRouter charged.
    total_cost INTEGER NOT NULL,
    total_tokens INTEGER NOT NULL,
    -- What the client is charged, and the rate that made it.
    markup_cost INTEGER NOT NULL,
    markup_rate INTEGER NOT NULL CHECK (markup_rate > 0),
    -- The upstream's own text of the cost.
    cost_text TEXT NOT NULL,
    user_id TEXT NOT NULL,
    openrouter_user_id TEXT NOT NULL,
    model_name TEXT NOT NULL,
    requested_model TEXT,
    serving_provider TEXT,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cached_tokens INTEGER,
    cache_write_tokens INTEGER,
    reasoning_tokens INTEGER,
    is_byok INTEGER NOT NULL CHECK (is_byok IN (0, 1)),
    -- A token count is not the native one; the cost is exact all the same.
    tokens_estimated INTEGER NOT NULL CHECK (tokens_estimated IN (0, 1)),
    streamed INTEGER NOT NULL CHECK (streamed IN (0, 1)),
    source TEXT NOT NULL,
    -- Who told the two token counts: another one where the source had only an estimate.
    tokens_source TEXT NOT NULL,
    gateway_key_id TEXT,
    started_at INTEGER NOT NULL,
    PRIMARY KEY (client_org_id, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX idx_processed_client_date ON processed_generations (client_org_id, generation_date);
CREATE INDEX idx_processed_at ON processed_generations (processed_at);

-- Reports that differ from what was booked, and pending generations that a person dismissed.
CREATE TABLE generation_audit (
    client_org_id TEXT NOT NULL,
    generation_id TEXT NOT NULL,
    -- A hash of what was reported, so that the same report leaves one row however often it comes.
    id TEXT NOT NULL,
    -- corrected, refused or dismissed.
    action TEXT NOT NULL,
    -- Why a person dismissed it.
    reason TEXT,
    -- What the ledger had before. Null where nothing was booked.
    booked_source TEXT,
    booked_tokens_source TEXT,
    booked_cost INTEGER,
    booked_input_tokens INTEGER,
    booked_output_tokens INTEGER,
    booked_tokens_estimated INTEGER CHECK (booked_tokens_estimated IN (0, 1)),
    booked_model_name TEXT,
    booked_user_id TEXT,
    booked_date TEXT,
    booked_markup_rate INTEGER,
    -- What the report says. Null where nothing was reported.
    reported_source TEXT,
    reported_cost INTEGER,
    reported_input_tokens INTEGER,
    reported_output_tokens INTEGER,
    reported_tokens_estimated INTEGER CHECK (reported_tokens_estimated IN (0, 1)),
    reported_model_name TEXT,
    reported_user_id TEXT,
    reported_date TEXT,
    reported_markup_rate INTEGER,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (client_org_id, generation_id, id)
) STRICT;

CREATE INDEX idx_audit_created ON generation_audit (created_at);
CREATE INDEX idx_audit_client_created ON generation_audit (client_org_id, created_at);

-- Generations that were started and whose exact cost is not known yet.
CREATE TABLE pending_generations (
    client_org_id TEXT NOT NULL,
    id TEXT NOT NULL,
    generation_date TEXT NOT NULL,
    user_id TEXT NOT NULL,
    openrouter_user_id TEXT NOT NULL,
    requested_model TEXT,
    markup_rate INTEGER NOT NULL CHECK (markup_rate > 0),
    streamed INTEGER NOT NULL CHECK (streamed IN (0, 1)),
    gateway_key_id TEXT,
    started_at INTEGER NOT NULL,
    -- Why the cost is not known: client_gone, upstream_cut, no_usage, ...
    reason TEXT NOT NULL,
    -- pending or unresolved.
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    next_attempt_at INTEGER NOT NULL,
    last_error TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (client_org_id, id)
) STRICT;

CREATE INDEX idx_pending_due ON pending_generations (state, next_attempt_at);

-- Calls that upstream refused or failed and did not charge. They are no generations.
CREATE TABLE failed_calls (
    client_org_id TEXT NOT NULL,
    id TEXT NOT NULL,
    usage_date TEXT NOT NULL,
    user_id TEXT NOT NULL,
    requested_model TEXT,
    -- HTTP status of the upstream, or 0 where there was no answer.
    status INTEGER NOT NULL,
    reason TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (client_org_id, id)
) STRICT;

CREATE INDEX idx_failed_client_date ON failed_calls (client_org_id, usage_date);

CREATE TABLE client_daily_usage (
    client_org_id TEXT NOT NULL,
    usage_date TEXT NOT NULL,
    total_tokens INTEGER NOT NULL,
    total_requests INTEGER NOT NULL,
    raw_cost INTEGER NOT NULL,
    markup_cost INTEGER NOT NULL,
    -- Both derived from the two tables below, in the transaction that changes them.
    primary_model TEXT,
    unique_users INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    -- Ten million US dollars a day: 900 such days still fit a sum's 64 bits. What would go beyond is left for a
    -- person to look at, so that nobody's absurd reports break the sums of the whole fleet.
    CHECK (total_tokens <= 1000000000000000 AND raw_cost <= 10000000000000000 AND markup_cost <= 10000000000000000),
    PRIMARY KEY (client_org_id, usage_date)
) STRICT, WITHOUT ROWID;

CREATE TABLE client_user_daily_usage (
    client_org_id TEXT NOT NULL,
    usage_date TEXT NOT NULL,
    user_id TEXT NOT NULL,
    openrouter_user_id TEXT NOT NULL,
    total_tokens INTEGER NOT NULL,
    total_requests INTEGER NOT NULL,
    raw_cost INTEGER NOT NULL,
    markup_cost INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (client_org_id, usage_date, user_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX idx_user_daily_client_user_date ON client_user_daily_usage (client_org_id, user_id, usage_date);

CREATE TABLE client_model_daily_usage (
    client_org_id TEXT NOT NULL,
    usage_date TEXT NOT NULL,
    model_name TEXT NOT NULL,
    provider TEXT,
    total_tokens INTEGER NOT NULL,
    total_requests INTEGER NOT NULL,
    raw_cost INTEGER NOT NULL,
    markup_cost INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (client_org_id, usage_date, model_name)
) STRICT, WITHOUT ROWID;

CREATE INDEX idx_model_daily_client_model_date ON client_model_daily_usage (client_org_id, model_name, usage_date);

-- OpenRouter's own figures of each provider key and UTC day, beside ours.
CREATE TABLE provider_key_usage (
    client_org_id TEXT NOT NULL,
    usage_date TEXT NOT NULL,
    -- Hex SHA-256 of the key, and its last four characters.
    key_fingerprint TEXT NOT NULL,
    key_last4 TEXT NOT NULL,
    -- What was charged to the key before the day, and on the day up to the last reading.
    opening_total INTEGER NOT NULL,
    latest_daily INTEGER NOT NULL,
    -- What was charged on the whole day; null until the next day was read.
    billed INTEGER,
    -- The ledger's cost of the organization's calls that began on the day, with whatever key; null where
    -- the ledger was cleaned up before it was added up.
    captured INTEGER,
    read_at INTEGER NOT NULL,
    PRIMARY KEY (client_org_id, usage_date, key_fingerprint)
) STRICT, WITHOUT ROWID;

CREATE TABLE processed_generation_cleanup_log (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    cleanup_date TEXT NOT NULL,
    cutoff_date TEXT NOT NULL,
    days_retained INTEGER NOT NULL,
    records_before INTEGER NOT NULL,
    records_deleted INTEGER NOT NULL,
    records_remaining INTEGER NOT NULL,
    old_tokens_removed INTEGER NOT NULL,
    old_cost_removed INTEGER NOT NULL,
    storage_saved_bytes INTEGER NOT NULL,
    cleanup_duration_ms INTEGER NOT NULL,
    success INTEGER NOT NULL CHECK (success IN (0, 1)),
    error_message TEXT,
    created_at INTEGER NOT NULL
) STRICT;

CREATE INDEX idx_cleanup_log_date ON processed_generation_cleanup_log (cleanup_date);
