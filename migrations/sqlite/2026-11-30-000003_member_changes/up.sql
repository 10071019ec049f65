-- What a member was until a change of its role or activity. With the member's row this tells the state of
-- any past instant, by which seats of a month that is over are billed. A row is written once.
CREATE TABLE member_changes (
    client_org_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    changed_at INTEGER NOT NULL,
    was_role TEXT NOT NULL,
    was_active INTEGER NOT NULL CHECK (was_active IN (0, 1)),
    PRIMARY KEY (client_org_id, user_id, changed_at),
    FOREIGN KEY (client_org_id, user_id) REFERENCES members (client_org_id, user_id)
) STRICT;

-- The same of organizations: whether one was active until a change of that.
CREATE TABLE organization_changes (
    client_org_id TEXT NOT NULL REFERENCES client_organizations (id),
    changed_at INTEGER NOT NULL,
    was_active INTEGER NOT NULL CHECK (was_active IN (0, 1)),
    PRIMARY KEY (client_org_id, changed_at)
) STRICT;
