"""The network's time: what happens by itself once it is due. Moved by a task in a live sandbox, by hand in a test."""

from collections.abc import Callable
from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from payments.processors.sandbox import balance, disputes, network, operations, payouts
from payments.processors.sandbox.models import SandboxDispute, SandboxPayment, SandboxPayout, SandboxRefund


def advance(at: datetime, environment_id: str | None = None) -> int:
    """
    Let everything happen that was due by ``at``, each thing at its own due time, and return how many did.

    Bank debits end or are returned, holds lapse, slow refunds arrive or bounce, disputes that nobody answered are
    lost, what was taken becomes available and is paid out, and operation ids older than a day are forgotten.
    """
    moved = _each_due(SandboxPayment.objects.all(), at, environment_id, _move_payment)
    moved += _each_due(SandboxRefund.objects.all(), at, environment_id, _move_refund)
    moved += _each_due(SandboxDispute.objects.all(), at, environment_id, _move_dispute)
    balance.become_available(at, environment_id)
    moved += payouts.pay_out_daily(at, environment_id)
    moved += _each_due(SandboxPayout.objects.all(), at, environment_id, _move_payout)
    operations.forget(at, environment_id)
    return moved


def _each_due(rows: QuerySet, at: datetime, environment_id: str | None, move: Callable[[str, datetime], bool]) -> int:
    due = rows.filter(due_at__lte=at)
    if environment_id is not None:
        due = due.filter(environment_id=environment_id)
    moved = 0
    # What has happened may be followed by something that is due as well, until nothing moves any more.
    while step := sum(move(each, at) for each in list(due.order_by("due_at").values_list("pk", flat=True))):
        moved += step
    return moved


def _move_payment(reference: str, at: datetime) -> bool:
    with transaction.atomic(durable=True):
        payment = SandboxPayment.objects.select_for_update().get(reference=reference)
        due_at = payment.due_at
        if due_at is None or due_at > at:
            return False
        match payment.due_outcome:
            case "authorization_expired":
                network.cancel(payment, reason="authorization_expired", at=due_at)
            case "succeeded":
                network.approve(payment, at=due_at)
            case code if code in disputes.RETURN_REASONS:
                payment.expect("", None)
                payment.save()
                disputes.return_debit(payment, code=code, at=due_at)
            case code:
                network.decline(payment, code=code, at=due_at)
        return True


def _move_refund(reference: str, at: datetime) -> bool:
    with transaction.atomic(durable=True):
        # The payment's row is the one door, so it is locked before the refund is read.
        payment = SandboxPayment.objects.select_for_update(of=("self",)).get(refunds__reference=reference)
        refund = SandboxRefund.objects.get(reference=reference)
        if refund.due_at is None or refund.due_at > at:
            return False
        if refund.due_outcome == "succeeded":
            network.succeed_refund(payment, refund, at=refund.due_at)
        else:
            network.fail_refund(payment, refund, reason=refund.due_outcome, at=refund.due_at)
        return True


def _move_dispute(reference: str, at: datetime) -> bool:
    with transaction.atomic(durable=True):
        payment = SandboxPayment.objects.select_for_update(of=("self",)).get(disputes__reference=reference)
        dispute = disputes.lock(payment.environment_id, reference)
        if dispute.due_at is None or dispute.due_at > at:
            return False
        disputes.run_out(dispute, at=dispute.due_at)
        return True


def _move_payout(reference: str, at: datetime) -> bool:
    with transaction.atomic(durable=True):
        payout = SandboxPayout.objects.select_for_update().get(reference=reference)
        if payout.due_at is None or payout.due_at > at:
            return False
        payouts.go_on(payout, at=payout.due_at)
        return True
