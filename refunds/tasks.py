"""Tasks: hints that there is work. The pending leg is the truth, and the sweep finds what a lost task would do."""

from celery import shared_task

from flint import actors


@shared_task(name="refunds.tasks.send_refund", acks_late=True)
def send_refund(*, refund_leg_id: str, environment_id: str) -> None:
    from refunds.services import send_refund

    send_refund(refund_leg_id, actor=actors.system(environment_id))


@shared_task(name="refunds.tasks.sweep")
def sweep() -> int:
    from refunds.services import sweep

    return sweep()


@shared_task(name="refunds.tasks.sweep_surplus")
def sweep_surplus() -> int:
    from refunds.services import sweep_surplus

    return sweep_surplus()


@shared_task(name="refunds.tasks.sweep_disputes")
def sweep_disputes() -> int:
    from refunds.services import disputes

    return disputes.sweep()
