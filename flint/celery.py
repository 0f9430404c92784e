"""
Work after the commit: the Celery app, the beat schedule, and :func:`after_commit`, the only way to start a task.

A task is a hint, the pending row is the truth: a message may be lost or come twice, and the sweeps find what is left.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import celery
import structlog
from celery.signals import setup_logging
from django.conf import settings
from django.db import connection, transaction

from flint import observing

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flint.settings")

log = structlog.get_logger(__name__)

SWEEPS = {
    "payments.tasks.sweep": 10,
    "payments.tasks.handle_waiting_notices": 10,
    "payments.tasks.sync_balances": 60,
    "payments.tasks.expire_sessions": 15,
    "payments.tasks.cancel_abandoned": 300,
    "payments.tasks.remind_abandoned": 60,
    "payments.tasks.erase_contacts": 600,
    "flint.messages.tasks.send_messages": 15,
    "flint.messages.tasks.erase_addresses": 3600,
    "invoices.tasks.sweep": 15,
    "refunds.tasks.sweep": 10,
    "refunds.tasks.sweep_disputes": 60,
    "refunds.tasks.sweep_surplus": 60,
    "payments.tasks.start_reconciling": 60,
    "payments.processors.sandbox.tasks.advance": 5,
    "payments.processors.sandbox.tasks.deliver_notices": 5,
    "flint.api.tasks.purge_idempotency_records": 3600,
    "payments.tasks.purge_notices": 3600,
    "flint.events.tasks.tally_events": 15,
    "flint.reports.tasks.sweep": 5,
    "orders.tasks.sweep_periods": 5,
    "flint.reports.tasks.erase_expired": 3600,
    "flint.events.tasks.publish_waiting": 5,
    "flint.events.tasks.sweep_deliveries": 5,
    "flint.events.tasks.erase_payloads": 3600,
}
# A message whose worker was killed comes back after this time, so no retry may wait longer.
REDELIVERY_SECONDS = 15
SILENCE_SECONDS = 5

BROKERS = {
    "postgresql": {
        "visibility_timeout": REDELIVERY_SECONDS,
        "wait_time_seconds": 0,
        "polling_interval": 0.1,
        "init_extension": False,
    },
    "redis": {
        "visibility_timeout": REDELIVERY_SECONDS,
        # Kombu's defaults look for lost messages every hundred seconds only.
        "unacked_restore_interval": 2,
        "unacked_restore_throttle": 1,
        "socket_connect_timeout": 1,
        "socket_timeout": 2,
        "socket_keepalive": True,
    },
}


class Task(celery.Task):
    """A task whose retries come back sooner than its message would by itself."""

    retry_backoff_max = REDELIVERY_SECONDS // 2


def _broker() -> dict:
    url = settings.BROKER_URL
    kind = url.split(":")[0].replace("rediss", "redis")
    # One try, at once: whoever publishes has a customer waiting.
    options = {"max_retries": 0, "interval_start": 0, "connect_retries_timeout": 1, **BROKERS.get(kind, {})}
    if kind == "postgresql":
        return {
            "broker_url": "pgmq://database",
            "broker_transport": "flint.broker:Transport",
            "broker_transport_options": options,
        }
    return {"broker_url": url, "broker_transport_options": options}


app = celery.Celery("flint", task_cls=Task)
app.conf.update(
    **_broker(),
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    broker_connection_timeout=1,
    task_serializer="json",
    accept_content=["json"],
    task_ignore_result=True,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_publish_retry=False,
    worker_prefetch_multiplier=1,
    worker_enable_remote_control=False,
    worker_hijack_root_logger=False,
    worker_redirect_stdouts=False,
    timezone="UTC",
    # The schedule lives in memory: sweeps need no record of when they ran last.
    beat_scheduler="celery.beat:Scheduler",
    beat_max_loop_interval=5,
    # One that no worker took in time is not worth taking any more: the next one is due.
    beat_schedule={
        name: {"task": name, "schedule": seconds, "options": {"expires": seconds}} for name, seconds in SWEEPS.items()
    },
)
app.autodiscover_tasks()


@setup_logging.connect
def keep_logging(**kwargs) -> None:
    """Leave logging as the settings made it."""


def after_commit(task: celery.Task, **kwargs) -> None:
    """
    Start a task when the open transaction commits, at once outside of one.

    Never raises and hardly waits: with the broker down the task is left to the sweep.
    """
    transaction.on_commit(partial(send, task, kwargs), robust=True)


def refuse_inside_transaction() -> None:
    """
    Raise if a transaction is open: a call to somebody else's server never holds a lock, and no rollback undoes it.

    The wrapper that a test case puts around itself does not count.
    """
    if any(not getattr(block, "_from_testcase", False) for block in connection.atomic_blocks):
        raise RuntimeError("somebody else's server was called inside a transaction")


def after_commit_once(task: celery.Task, **kwargs) -> None:
    """Start a task as :func:`after_commit` does, but once when the same transaction asks for it again."""
    wish = (task.name, kwargs)
    # One made in a savepoint counts while that is open; later it might be of another transaction, and twice is no harm.
    still_open = set(connection.savepoint_ids)
    if any(getattr(known, "wish", None) == wish and ids <= still_open for ids, known, _ in connection.run_on_commit):
        return

    def start() -> None:
        send(task, kwargs)

    start.wish = wish
    transaction.on_commit(start, robust=True)


def send(task: celery.Task, kwargs: dict) -> None:
    """Hand a task to whoever takes them at the moment: the broker, or :func:`collecting`."""
    _deliver(task, kwargs)


@contextmanager
def collecting() -> Iterator[list[tuple[celery.Task, dict]]]:
    """Collect what any thread sends as ``(task, kwargs)`` instead of delivering it: the one seam for tests."""
    global _deliver
    collected: list[tuple[celery.Task, dict]] = []
    before, _deliver = _deliver, lambda task, kwargs: collected.append((task, kwargs))
    try:
        yield collected
    finally:
        _deliver = before


class Publisher:
    """Publishes to the broker: one bounded try, and none for a few seconds after a failed one."""

    def __init__(self):
        self.lost = 0
        self.silent_until = 0.0
        self.lock = threading.Lock()

    def __call__(self, task: celery.Task, kwargs: dict) -> None:
        if time.monotonic() < self.silent_until:
            self._count(task, "silent")
            return
        try:
            task.apply_async(kwargs=kwargs, retry=False, headers=observing.headers())
        except Exception as error:  # noqa: BLE001 - the fact is committed; whatever ails the broker must not undo it.
            self.silent_until = time.monotonic() + SILENCE_SECONDS
            self._count(task, type(error).__name__)

    def _count(self, task: celery.Task, reason: str) -> None:
        from flint import metrics

        metrics.tasks_lost.inc()
        with self.lock:
            self.lost += 1
        log.warning("task_left_to_the_sweep", task=task.name, reason=reason, lost=self.lost)


publish = Publisher()
_deliver: Callable[[celery.Task, dict], None] = publish


def broker_answers() -> bool:
    """
    Tell that the broker can be reached, by a new connection.

    :raises Exception: whatever kept it from answering.
    """
    with app.connection_for_write() as connection:
        connection.ensure_connection(max_retries=1, timeout=1)
    return True
