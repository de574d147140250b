"""State and HTTP of the charger gateway: what was ordered, who asked, what is true now."""
