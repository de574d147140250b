"""Runtime drivers: where a charger's simulator runs (this machine, Docker, AWS ECS)."""
