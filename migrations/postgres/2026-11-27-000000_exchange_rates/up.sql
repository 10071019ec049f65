-- The mid rates of NBP's table A for one US dollar, and which of them each stored day keeps.

-- The tables as they were published, never changed afterwards. They are the calendar as well: a day without a row,
-- within the days that are known, is a day on which NBP published none.
CREATE TABLE nbp_rates (
    effective_date DATE NOT NULL PRIMARY KEY,
    -- NNN/A/NBP/YYYY.
    table_no TEXT NOT NULL,
    -- In steps of 0.0001 PLN. The bound keeps amounts in PLN exact in the database's 64-bit integers.
    mid BIGINT NOT NULL CHECK (mid > 0 AND mid < 1000000),
    fetched_at BIGINT NOT NULL
);

-- Of which days, from the first to the last one without a gap, it is known whether NBP published a table.
CREATE TABLE nbp_calendar (
    id BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    known_from DATE,
    known_through DATE,
    CHECK ((known_from IS NULL) = (known_through IS NULL))
);

INSERT INTO nbp_calendar (id, known_from, known_through) VALUES (1, NULL, NULL);

-- The rate by which the day is shown in PLN; null until the day is over and its table is known, then never changed.
ALTER TABLE client_daily_usage ADD COLUMN usd_pln_rate BIGINT CHECK (usd_pln_rate > 0 AND usd_pln_rate < 1000000);
ALTER TABLE client_daily_usage ADD COLUMN rate_table_no TEXT;
ALTER TABLE client_daily_usage ADD COLUMN rate_effective_date DATE;

-- The few days that wait for their rate.
CREATE INDEX idx_daily_without_rate ON client_daily_usage (client_org_id, usage_date) WHERE usd_pln_rate IS NULL;

-- Which table gives a day its rate: same_day_or_before or before_day.
ALTER TABLE client_organizations ADD COLUMN day_rate_policy TEXT NOT NULL DEFAULT 'same_day_or_before';
-- Which table gives a statement its rate: before_period_end or before_issue_day.
ALTER TABLE client_organizations ADD COLUMN statement_rate_policy TEXT NOT NULL DEFAULT 'before_period_end';
