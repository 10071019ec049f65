-- Who may do what, and who did: accounts, sessions and the audit log; what a gateway key may be; and
-- whose the ids are that nobody knew when they were used.

-- People who sign in with a password of ours.
CREATE TABLE accounts (
    id TEXT NOT NULL PRIMARY KEY,
    -- In lower case.
    email TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    -- Argon2id in the PHC format. Null until the owner has chosen a password.
    password_hash TEXT,
    -- reseller, admin or member; only a reseller has no organization.
    role TEXT NOT NULL,
    client_org_id TEXT REFERENCES client_organizations (id),
    user_id TEXT,
    is_active INTEGER NOT NULL CHECK (is_active IN (0, 1)),
    -- Wrong passwords since the last right one, when the last was, and until when no password is looked at.
    failed_attempts INTEGER NOT NULL,
    last_failed_at INTEGER,
    locked_until INTEGER,
    last_sign_in_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    CHECK ((role = 'reseller') = (client_org_id IS NULL))
) STRICT;

CREATE INDEX idx_accounts_client ON accounts (client_org_id, email);

-- Signed-in browsers.
CREATE TABLE sessions (
    -- Hex SHA-256 of the cookie.
    token_hash TEXT NOT NULL PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    -- password, link or open_webui.
    kind TEXT NOT NULL,
    -- Null where the person has no account of ours.
    account_id TEXT REFERENCES accounts (id),
    role TEXT NOT NULL,
    client_org_id TEXT REFERENCES client_organizations (id),
    user_id TEXT,
    -- The session token of Open WebUI, sealed, which is asked about again and again.
    sealed_token TEXT,
    expires_at INTEGER NOT NULL,
    revoked_at INTEGER,
    last_seen_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE INDEX idx_sessions_account ON sessions (account_id);
CREATE INDEX idx_sessions_expires ON sessions (expires_at);
CREATE INDEX idx_sessions_user ON sessions (client_org_id, user_id);

-- Links that sign in once, such as that of the first start.
CREATE TABLE sign_in_links (
    -- Hex SHA-256 of the token in the link.
    token_hash TEXT NOT NULL PRIMARY KEY,
    account_id TEXT REFERENCES accounts (id),
    role TEXT NOT NULL,
    client_org_id TEXT REFERENCES client_organizations (id),
    user_id TEXT,
    expires_at INTEGER NOT NULL,
    used_at INTEGER,
    created_at INTEGER NOT NULL
) STRICT;

-- Who changed what, when, from where, with which result. Each row holds a hash of itself and of the row
-- before it, so that none can be changed or taken out unnoticed.
CREATE TABLE audit_log (
    seq INTEGER NOT NULL PRIMARY KEY,
    created_at INTEGER NOT NULL,
    -- system, command_line, reseller_token, account, api_token, open_webui, link or stranger, and which.
    actor_kind TEXT NOT NULL,
    actor_id TEXT NOT NULL,
    -- The address that the request came from, and the id of the request.
    remote TEXT,
    request_id TEXT,
    -- Whose data it is about; null where it is about no organization.
    client_org_id TEXT,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    -- `ok`, or the stable code of the refusal.
    result TEXT NOT NULL,
    -- A JSON object; never a secret.
    details TEXT NOT NULL,
    -- Hex SHA-256 of the previous row's hash and of this row's other columns.
    hash TEXT NOT NULL
) STRICT;

CREATE INDEX idx_audit_log_client ON audit_log (client_org_id, seq);

-- The end of the chain, so that a log that was cut short is noticed and writers follow one another.
CREATE TABLE audit_head (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    seq INTEGER NOT NULL,
    hash TEXT NOT NULL
) STRICT;

INSERT INTO audit_head (id, seq, hash) VALUES (1, 0, '');

-- Ids that foreign sources use for a member, beside the one that we send to OpenRouter.
CREATE TABLE external_users (
    client_org_id TEXT NOT NULL REFERENCES client_organizations (id),
    external_user_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (client_org_id, external_user_id)
) STRICT;

-- Whether the key is Open WebUI's, which shows an error in a stream only in a form of its own.
ALTER TABLE gateway_keys ADD COLUMN is_open_webui INTEGER NOT NULL DEFAULT 0 CHECK (is_open_webui IN (0, 1));
-- What the caller's `X-OpenWebUI-User-Jwt` is signed with, sealed. With one, plain headers are refused.
ALTER TABLE gateway_keys ADD COLUMN identity_secret TEXT;
-- Null means that only each member's rate is limited.
ALTER TABLE gateway_keys ADD COLUMN requests_per_minute INTEGER CHECK (requests_per_minute > 0);

ALTER TABLE api_tokens ADD COLUMN last_used_at INTEGER;
-- `full`, or `read` for a token that changes nothing.
ALTER TABLE api_tokens ADD COLUMN scope TEXT NOT NULL DEFAULT 'full';
-- Whose account made it, itself or by another token; null where nobody's did. It ends with that account.
ALTER TABLE api_tokens ADD COLUMN created_by TEXT REFERENCES accounts (id);
CREATE INDEX idx_api_tokens_created_by ON api_tokens (created_by);

-- Which organizations have mapped somebody to an id that does not tell its organization.
CREATE INDEX idx_mapping_openrouter_user ON user_client_mapping (openrouter_user_id);

-- What the client says the call was for, such as `title_generation`.
ALTER TABLE processed_generations ADD COLUMN task TEXT;
ALTER TABLE pending_generations ADD COLUMN task TEXT;

-- Sent to OpenRouter as HTTP-Referer.
ALTER TABLE client_organizations ADD COLUMN site_url TEXT;

-- Exports read the ledger in pages by day and id, each of which goes on where the one before ended.
DROP INDEX idx_processed_client_date;
CREATE INDEX idx_processed_client_date ON processed_generations (client_org_id, generation_date, id);
