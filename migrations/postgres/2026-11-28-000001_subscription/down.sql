DROP TABLE subscription_lines;
DROP TABLE subscription_months;
ALTER TABLE global_settings DROP COLUMN billable_roles;
ALTER TABLE global_settings DROP COLUMN subscription_tiers;
