"""The API's own housekeeping, for the beat schedule."""

from celery import shared_task

from flint.api import idempotency


@shared_task(acks_late=True)
def purge_idempotency_records() -> int:
    """Forget old answers; once an hour is often enough."""
    return idempotency.purge_idempotency_records()
