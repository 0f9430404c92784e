"""The events' own housekeeping, for the beat schedule."""

from celery import shared_task

from flint.events import tallying


@shared_task(name="flint.events.tasks.tally_events")
def tally_events() -> int:
    """Count what has happened, for metrics."""
    return tallying.tally_events()
