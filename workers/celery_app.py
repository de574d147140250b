"""The Celery application: broker, queues, limits. `celery -A workers.celery_app worker` works.

Every choice here follows from one rule: rows are the truth, messages are hints. So messages are acknowledged
early (a late acknowledgement makes a second sender), results are not kept, and a broker that is away is waited
for. Senders of hints have their own, impatient connection (`app.queue`).
"""

from __future__ import annotations

from celery import Celery
from kombu.entity import Queue

from app.jobs import QUEUE_HOUSEKEEPING, QUEUE_STEPS, QUEUE_SWEPT
from app.settings import load_settings

settings = load_settings()


def make_transport_options(broker_url: str) -> dict[str, object]:
    """Patient options of consumers; the transports name them differently."""
    if broker_url.startswith("amqp"):
        return {"confirm_publish": True}
    return {
        "visibility_timeout": 300,
        "socket_keepalive": True,
        "socket_connect_timeout": 5,
        "socket_timeout": 30,
        "health_check_interval": 10,
        # Queues are asked in the order in which they are declared: what was lost goes first.
        "queue_order_strategy": "priority",
    }


app = Celery("gateway", broker=settings.broker_url, include=["workers.tasks"])
app.conf.update(
    broker_transport_options=make_transport_options(settings.broker_url),
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    broker_heartbeat=30,
    task_queues=[Queue(QUEUE_SWEPT), Queue(QUEUE_STEPS), Queue(QUEUE_HOUSEKEEPING)],
    task_default_queue=QUEUE_STEPS,
    task_routes={"housekeeping.*": {"queue": QUEUE_HOUSEKEEPING}},
    task_serializer="json",
    accept_content=["json"],
    task_acks_late=False,
    task_ignore_result=True,
    task_store_errors_even_if_ignored=False,
    task_publish_retry=False,
    task_send_sent_event=False,
    task_track_started=True,
    worker_send_task_events=True,
    worker_consumer="workers.consumer:Consumer",
    worker_prefetch_multiplier=1,
    worker_disable_prefetch=settings.broker_url.startswith(("redis", "rediss")),
    worker_concurrency=settings.worker_concurrency,
    worker_pool="prefork",
    worker_soft_shutdown_timeout=5.0,
    worker_enable_remote_control=True,
    worker_cancel_long_running_tasks_on_connection_loss=False,
    worker_hijack_root_logger=False,
    beat_scheduler="celery.beat:Scheduler",
    beat_schedule={
        "housekeeping": {"task": "housekeeping.tidy", "schedule": 300.0, "args": ()},
    },
)
