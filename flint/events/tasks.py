"""The events' own work: counting them, and telling merchants of them. The rows are the truth, tasks are hints."""

from celery import shared_task


@shared_task(name="flint.events.tasks.tally_events")
def tally_events() -> int:
    """Count what has happened, for metrics."""
    from flint.events import tallying

    return tallying.tally_events()


@shared_task(name="flint.events.tasks.publish", acks_late=True)
def publish(*, environment_id: str) -> int:
    """Tell what happened in one environment."""
    from flint.events.webhooks import publishing

    return publishing.publish(environment_id)


@shared_task(name="flint.events.tasks.publish_waiting")
def publish_waiting() -> int:
    """Tell what no task has told."""
    from flint.events.webhooks import publishing

    return publishing.publish_waiting()


@shared_task(name="flint.events.tasks.deliver", acks_late=True)
def deliver(*, delivery_id: str) -> None:
    """Try to deliver one event to one endpoint, and what stood back from its door."""
    from flint.events.webhooks import sending

    sending.deliver_and_go_on(delivery_id)


@shared_task(name="flint.events.tasks.sweep_deliveries")
def sweep_deliveries() -> int:
    """Start what is due: retries, and whatever lost its task or its worker."""
    from flint.events.webhooks import sending

    return sending.sweep()


@shared_task(name="flint.events.tasks.erase_payloads", acks_late=True)
def erase_payloads() -> int:
    """Erase what events told once it has been kept long enough, and stop telling where nobody listens any more."""
    from flint.events.webhooks import keeping

    return keeping.erase_payloads() + keeping.close_feeds()
