-- Alerts: what was noticed, who wants to hear of it, and what became of each delivery.

CREATE TABLE alert_destinations (
    id TEXT NOT NULL PRIMARY KEY,
    -- Whose alerts go there; null is the reseller, who gets those of all organizations.
    client_org_id TEXT REFERENCES client_organizations (id),
    -- webhook or email, and the URL or the address.
    channel TEXT NOT NULL,
    target TEXT NOT NULL,
    -- What people call it.
    name TEXT NOT NULL,
    -- pl or en, for e-mail.
    language TEXT NOT NULL,
    wants_limits INTEGER NOT NULL CHECK (wants_limits IN (0, 1)),
    wants_anomalies INTEGER NOT NULL CHECK (wants_anomalies IN (0, 1)),
    -- Nothing goes to an inactive one; what waits for it waits on.
    is_active INTEGER NOT NULL CHECK (is_active IN (0, 1)),
    -- When the receiver said that it is gone (410), which made it inactive.
    gone_at INTEGER,
    -- What webhooks are signed with, sealed; and the secret before it, which signs too until the instant.
    secret TEXT,
    previous_secret TEXT,
    previous_until INTEGER,
    removed_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    -- How many replays there were in the hour from then on.
    replays_from INTEGER,
    replays INTEGER NOT NULL DEFAULT 0,
    CHECK ((channel = 'webhook') = (secret IS NOT NULL))
) STRICT;

CREATE INDEX idx_alert_destinations_client ON alert_destinations (client_org_id);

CREATE TABLE alerts (
    client_org_id TEXT NOT NULL,
    -- A UUID, which receivers know it by.
    id TEXT NOT NULL,
    -- limit_reached, anomaly or test.
    kind TEXT NOT NULL,
    -- organization, member or model, and which of them; the organization has no subject.
    scope TEXT NOT NULL,
    subject TEXT NOT NULL,
    -- What people called the subject and the organization then.
    subject_name TEXT,
    organization_name TEXT NOT NULL,
    -- The organization's local month as YYYY-MM, or its local day.
    period TEXT NOT NULL,
    -- Percent of the limit; 0 where there is none.
    threshold INTEGER NOT NULL,
    -- spend (nano-dollars of the client's price) or requests.
    measure TEXT NOT NULL,
    -- The figure; the limit, or from where on it stands out; and the usual figure.
    value INTEGER NOT NULL,
    bound INTEGER NOT NULL,
    typical INTEGER,
    -- The JSON that webhooks get, kept so that a replay sends the same bytes.
    body TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (client_org_id, id),
    -- Raised once, by whichever process comes first.
    UNIQUE (client_org_id, kind, scope, subject, period, measure, threshold)
) STRICT;

CREATE INDEX idx_alerts_created ON alerts (created_at, id);
CREATE INDEX idx_alerts_client_created ON alerts (client_org_id, created_at, id);

CREATE TABLE alert_deliveries (
    client_org_id TEXT NOT NULL,
    id TEXT NOT NULL,
    alert_id TEXT NOT NULL,
    destination_id TEXT NOT NULL REFERENCES alert_destinations (id),
    -- That of the destination.
    channel TEXT NOT NULL,
    -- waiting, delivered or failed.
    state TEXT NOT NULL,
    -- How often it was begun in all, and how often since it was raised or replayed.
    attempts INTEGER NOT NULL,
    tries INTEGER NOT NULL,
    next_attempt_at INTEGER NOT NULL,
    -- In whose hands it is, and until when unless they say what became of it.
    claim TEXT,
    claimed_until INTEGER,
    last_attempt_at INTEGER,
    -- The HTTP or SMTP status of the last attempt, and what was wrong.
    last_status INTEGER,
    last_error TEXT,
    delivered_at INTEGER,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (client_org_id, id),
    UNIQUE (client_org_id, alert_id, destination_id),
    FOREIGN KEY (client_org_id, alert_id) REFERENCES alerts (client_org_id, id)
) STRICT;

CREATE INDEX idx_alert_deliveries_due ON alert_deliveries (state, next_attempt_at);
CREATE INDEX idx_alert_deliveries_created ON alert_deliveries (created_at, id);
CREATE INDEX idx_alert_deliveries_destination ON alert_deliveries (destination_id, state);
