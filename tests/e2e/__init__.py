"""Whole gateways, real chargers, real CSMSs; nothing is faked here."""
