-- What members and models of an organization may cost in a calendar month, and what is held back for
-- generations whose cost is not known yet. The organization's own limit is in client_organizations.

CREATE TABLE usage_limits (
    client_org_id TEXT NOT NULL REFERENCES client_organizations (id),
    -- member or model, and which: a user id, or the name of a model without a variant.
    scope TEXT NOT NULL,
    subject TEXT NOT NULL,
    -- Nano-dollars of client price. With 0 nothing may be bought.
    monthly_limit BIGINT NOT NULL CHECK (monthly_limit >= 0),
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (client_org_id, scope, subject)
);

-- Nano-dollars of client price that the limits count until the cost is known. Null where the organization
-- had no limit when the call began.
ALTER TABLE pending_generations ADD COLUMN reservation BIGINT CHECK (reservation >= 0);

CREATE INDEX idx_pending_reserved ON pending_generations (client_org_id, generation_date)
WHERE reservation IS NOT NULL;
