DROP TABLE client_monthly_usage;
