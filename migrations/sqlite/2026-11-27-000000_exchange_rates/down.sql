ALTER TABLE client_organizations DROP COLUMN statement_rate_policy;
ALTER TABLE client_organizations DROP COLUMN day_rate_policy;
DROP INDEX idx_daily_without_rate;
ALTER TABLE client_daily_usage DROP COLUMN rate_effective_date;
ALTER TABLE client_daily_usage DROP COLUMN rate_table_no;
ALTER TABLE client_daily_usage DROP COLUMN usd_pln_rate;
DROP TABLE nbp_calendar;
DROP TABLE nbp_rates;
