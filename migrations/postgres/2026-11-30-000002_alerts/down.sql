DROP TABLE alert_deliveries;
DROP TABLE alerts;
DROP TABLE alert_destinations;
