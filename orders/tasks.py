"""Tasks: hints that a month is being closed. The row is the truth, and the sweep goes on with it."""

from celery import shared_task


@shared_task(name="orders.tasks.finish_close", acks_late=True)
def finish_close(*, period_id: str) -> None:
    from orders.services.periods import finish_close

    finish_close(period_id)


@shared_task(name="orders.tasks.sweep_periods")
def sweep_periods() -> int:
    from orders.services.periods import sweep_periods

    return sweep_periods()
