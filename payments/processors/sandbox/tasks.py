"""The network's own jobs: let time pass, and send what is waiting."""

from celery import shared_task
from django.utils import timezone

from payments.processors.sandbox import clock, notices


@shared_task(acks_late=True)
def advance() -> None:
    """Let everything happen that is due by now."""
    clock.advance(timezone.now())


@shared_task(acks_late=True)
def deliver_notices(*, environment_id: str | None = None) -> None:
    """Send the notices that are due, of one environment or of all."""
    notices.deliver(timezone.now(), environment_id=environment_id)
