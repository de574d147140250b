"""The hands of the gateway: Celery steps, the durable engine and the runtime drivers."""
