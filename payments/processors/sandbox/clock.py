"""The network's time: what happens by itself once it is due. Moved by a task in a live sandbox, by hand in a test."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from payments.processors.sandbox import balance, disputes, network, operations, payouts
from payments.processors.sandbox.models import SandboxDispute, SandboxPayment, SandboxPayout, SandboxRefund


@dataclass(frozen=True, slots=True)
class Tick:
    """How far time goes, and what the clock shows meanwhile."""

    at: datetime
    now: datetime

    def comes_to(self, due_at: datetime | None) -> bool:
        """Tell whether something is due."""
        return due_at is not None and due_at <= self.at

    def moment(self, due_at: datetime) -> datetime:
        """Return when something that is due happens."""
        return min(due_at, self.now)


def advance(at: datetime, environment_id: str | None = None, *, now: datetime | None = None) -> int:
    """
    Let everything happen that was due by ``at``, each thing at its own due time, and return how many did.

    Bank debits end or are returned, holds lapse, slow refunds arrive or bounce, disputes that nobody answered are
    lost, what was taken becomes available and is paid out, and operation ids older than a day are forgotten. With
    ``now``, what is due later than that happens already, at that moment: nothing is written into the future.
    """
    tick = Tick(at, now or at)
    moved = _each_due(SandboxPayment.objects.all(), tick, environment_id, _move_payment)
    moved += _each_due(SandboxRefund.objects.all(), tick, environment_id, _move_refund)
    moved += _each_due(SandboxDispute.objects.all(), tick, environment_id, _move_dispute)
    balance.become_available(at, environment_id)
    moved += payouts.pay_out_daily(at, environment_id, now=tick.now)
    moved += _each_due(SandboxPayout.objects.all(), tick, environment_id, _move_payout)
    operations.forget(tick.now, environment_id)
    return moved


def _each_due(rows: QuerySet, tick: Tick, environment_id: str | None, move: Callable[[str, Tick], bool]) -> int:
    due = rows.filter(due_at__lte=tick.at)
    if environment_id is not None:
        due = due.filter(environment_id=environment_id)
    moved = 0
    # What has happened may be followed by something that is due as well, until nothing moves any more.
    while step := sum(move(each, tick) for each in list(due.order_by("due_at").values_list("pk", flat=True))):
        moved += step
    return moved


def _move_payment(reference: str, tick: Tick) -> bool:
    with transaction.atomic(durable=True):
        payment = SandboxPayment.objects.select_for_update().get(reference=reference)
        if not tick.comes_to(payment.due_at):
            return False
        at = tick.moment(payment.due_at)
        match payment.due_outcome:
            case "authorization_expired":
                network.cancel(payment, reason="authorization_expired", at=at)
            case "succeeded":
                network.approve(payment, at=at)
            case code if code in disputes.RETURN_REASONS:
                payment.expect("", None)
                payment.save()
                disputes.return_debit(payment, code=code, at=at)
            case code:
                network.decline(payment, code=code, at=at)
        return True


def _move_refund(reference: str, tick: Tick) -> bool:
    with transaction.atomic(durable=True):
        # The payment's row is the one door, so it is locked before the refund is read.
        payment = SandboxPayment.objects.select_for_update(of=("self",)).get(refunds__reference=reference)
        refund = SandboxRefund.objects.get(reference=reference)
        if not tick.comes_to(refund.due_at):
            return False
        at = tick.moment(refund.due_at)
        if refund.due_outcome == "succeeded":
            network.succeed_refund(payment, refund, at=at)
        else:
            network.fail_refund(payment, refund, reason=refund.due_outcome, at=at)
        return True


def _move_dispute(reference: str, tick: Tick) -> bool:
    with transaction.atomic(durable=True):
        payment = SandboxPayment.objects.select_for_update(of=("self",)).get(disputes__reference=reference)
        dispute = disputes.lock(payment.environment_id, reference)
        if not tick.comes_to(dispute.due_at):
            return False
        disputes.run_out(dispute, at=tick.moment(dispute.due_at))
        return True


def _move_payout(reference: str, tick: Tick) -> bool:
    with transaction.atomic(durable=True):
        payout = SandboxPayout.objects.select_for_update().get(reference=reference)
        if not tick.comes_to(payout.due_at):
            return False
        payouts.go_on(payout, at=tick.moment(payout.due_at))
        return True
