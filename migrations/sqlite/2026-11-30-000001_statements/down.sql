DROP TABLE statement_numbers;
DROP TABLE statement_series;
DROP TABLE statement_usage;
DROP TABLE statements;
DROP TABLE billing_profiles;
DROP TABLE billing_settings;
