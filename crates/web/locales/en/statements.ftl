# Statements, alerts and anomalies.
