"""Tasks: hints that there is work. The rows are the truth, and the sweep finds what a lost task would have done."""

from celery import shared_task

from flint import actors


@shared_task(name="payments.tasks.handle_notice", acks_late=True)
def handle_notice(*, notice_id: str) -> None:
    from payments import inbound

    inbound.handle(notice_id)


@shared_task(name="payments.tasks.handle_waiting_notices")
def handle_waiting_notices() -> int:
    from payments import inbound

    return inbound.handle_waiting()


@shared_task(name="payments.tasks.purge_notices", acks_late=True)
def purge_notices() -> int:
    from payments.services.notices import purge_notices

    return purge_notices()


@shared_task(name="payments.tasks.sweep")
def sweep() -> int:
    from payments.services.sweeping import sweep

    return sweep()


@shared_task(name="payments.tasks.ask_about_operation", acks_late=True)
def ask_about_operation(*, operation_id: str, environment_id: str) -> None:
    from payments.models import PaymentOperation
    from payments.services.asking import ask_about_operation

    actor = actors.system(environment_id)
    operation = PaymentOperation.objects.of(actor).select_related("payment_intent").find(id=operation_id)
    ask_about_operation(operation, actor=actor)


@shared_task(name="payments.tasks.expire_sessions")
def expire_sessions() -> int:
    from payments.services.sessions.ending import expire_due_sessions

    return expire_due_sessions()


@shared_task(name="payments.tasks.cancel_abandoned")
def cancel_abandoned() -> int:
    from payments.services.sessions.abandoning import cancel_abandoned

    return cancel_abandoned()


@shared_task(name="payments.tasks.remind_abandoned")
def remind_abandoned() -> int:
    from payments.services.sessions.reminding import remind_abandoned

    return remind_abandoned()


@shared_task(name="payments.tasks.erase_contacts")
def erase_contacts() -> int:
    from payments.services.sessions.erasing import erase_contacts

    return erase_contacts()


@shared_task(name="payments.tasks.release_stray_hold", acks_late=True)
def release_stray_hold(*, operation_id: str, environment_id: str) -> None:
    from payments.services.closing import release_stray_hold

    release_stray_hold(operation_id, actor=actors.system(environment_id))


@shared_task(name="payments.tasks.detach_method", acks_late=True)
def detach_method(*, payment_method_id: str, environment_id: str) -> None:
    from payments.services.methods import detach

    detach(payment_method_id, actor=actors.system(environment_id))


@shared_task(name="payments.tasks.reconcile", acks_late=True)
def reconcile(*, run_id: str) -> None:
    from payments.reconciling.runs import carry_out

    carry_out(run_id)


@shared_task(name="payments.tasks.start_reconciling")
def start_reconciling() -> int:
    from payments.reconciling.runs import start_due

    return start_due()


@shared_task(name="payments.tasks.sync_balances")
def sync_balances() -> None:
    from payments.services.balance_sync import sync_due

    sync_due()


@shared_task(name="payments.tasks.sync_balance", acks_late=True)
def sync_balance(*, environment_id: str) -> None:
    from payments.services.balance_sync import sync_balance

    sync_balance(environment_id)


@shared_task(name="payments.tasks.check_payout", acks_late=True)
def check_payout(*, payout_id: str, environment_id: str) -> None:
    from payments.services.payouts import check_payout

    check_payout(payout_id, actor=actors.system(environment_id))
