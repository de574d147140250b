"""The durable engine: claims, steps, and those who keep runs moving."""
