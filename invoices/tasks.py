"""Tasks: hints that there is work. Each invoice says when the clock is to look at it; a sweep finds them."""

from celery import shared_task


@shared_task(name="invoices.tasks.sweep")
def sweep() -> int:
    from invoices.services.clock import sweep

    return sweep()
