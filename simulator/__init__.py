"""The charger: a simulator that speaks OCPP 1.6 and 2.0.1; it imports nothing of the gateway."""
