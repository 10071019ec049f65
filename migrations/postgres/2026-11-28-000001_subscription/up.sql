-- What a seat costs, and the months that are over, as they were billed. Amounts are in grosz.

-- Such as `1-3:7900,4-9:6900,10-19:5900,20+:5400`: how many users, and grosz for each of them a month. Null means
-- the built-in tiers.
ALTER TABLE global_settings ADD COLUMN subscription_tiers TEXT;
-- Such as `admin,member`: the roles of members who need a seat. Null means the built-in ones.
ALTER TABLE global_settings ADD COLUMN billable_roles TEXT;

-- A month of an organization, once it is over. A row is written once and never changed.
CREATE TABLE subscription_months (
    client_org_id TEXT NOT NULL REFERENCES client_organizations (id),
    -- The first day of the month.
    month DATE NOT NULL,
    -- The tiers by which it was billed, in the form of the settings.
    tiers TEXT NOT NULL,
    total_users BIGINT NOT NULL CHECK (total_users >= 0),
    price_per_user BIGINT NOT NULL CHECK (price_per_user >= 0),
    -- The sum of the lines.
    total_cost BIGINT NOT NULL CHECK (total_cost >= 0),
    frozen_at BIGINT NOT NULL,
    PRIMARY KEY (client_org_id, month)
);

-- One user of such a month.
CREATE TABLE subscription_lines (
    client_org_id TEXT NOT NULL,
    month DATE NOT NULL,
    user_id TEXT NOT NULL,
    user_name TEXT,
    user_email TEXT,
    -- The organization's day on which the user was added; null where nobody knows.
    added_on DATE,
    -- For how many days of the month.
    days_charged BIGINT NOT NULL CHECK (days_charged BETWEEN 1 AND 31),
    cost BIGINT NOT NULL CHECK (cost >= 0),
    PRIMARY KEY (client_org_id, month, user_id),
    FOREIGN KEY (client_org_id, month) REFERENCES subscription_months (client_org_id, month)
);
