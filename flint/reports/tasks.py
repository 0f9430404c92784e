"""Tasks: hints that a report waits. The pending row is the truth, and the sweep finds what a lost task left."""

from celery import shared_task


@shared_task(name="flint.reports.tasks.run_report", acks_late=True)
def run_report(*, report_id: str) -> None:
    from flint.reports.services import run_report

    run_report(report_id)


@shared_task(name="flint.reports.tasks.sweep")
def sweep() -> int:
    from flint.reports.services import sweep

    return sweep()


@shared_task(name="flint.reports.tasks.erase_expired", acks_late=True)
def erase_expired() -> int:
    from flint.reports.services import erase_expired

    return erase_expired()
