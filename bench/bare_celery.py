"""A Celery application without a task: the floor of worker, beat and Flower (`bench.bare_stack`)."""

from __future__ import annotations

import os

from celery import Celery

app = Celery("bare", broker=os.environ["BARE_BROKER"])
app.conf.update(task_ignore_result=True, worker_send_task_events=True)
