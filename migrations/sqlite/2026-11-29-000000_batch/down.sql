DROP TABLE usage_anomalies;
DROP TABLE day_validations;
DROP TABLE batch_steps;
DROP TABLE batch_runs;
DROP TABLE batch_lease;
