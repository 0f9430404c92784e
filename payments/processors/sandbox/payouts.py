"""
What the network pays to the merchant's bank.

Every night at midnight UTC, what became available before goes out as one automatic payout per currency, unless that is
nothing or less; then it waits for a better night. A payout made by hand takes any amount that is available. Both leave
for the bank after an hour, until when they can be called back, and arrive a day after they were made.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import django_fsm as fsm
from django.db import transaction
from django.db.models import Sum
from django.db.models.functions import TruncDate

from flint.ids import new_id
from flint.money import Money
from payments.processors.base import Refused
from payments.processors.sandbox import balance, notices
from payments.processors.sandbox.accounts import account_of
from payments.processors.sandbox.models import SandboxAccount, SandboxBalanceTransaction, SandboxPayout

SENT_AFTER = timedelta(hours=1)
ARRIVES_AFTER = timedelta(days=1)

Type = SandboxBalanceTransaction.Type

FAILURES = {
    "account_closed": "The bank account has been closed.",
    "no_account": "The bank account could not be located.",
    "debit_not_authorized": "The bank does not take payments to this account.",
    "could_not_process": "The bank could not process this payout.",
}
"""Why a bank sends a payout back."""


def pay_out_daily(at: datetime, environment_id: str | None = None, *, now: datetime | None = None) -> int:
    """Make the automatic payouts of every midnight up to ``at``, none later than ``now``, and return how many."""
    waiting = SandboxBalanceTransaction.objects.filter(
        settled_by__isnull=True, status=balance.Status.AVAILABLE, available_at__lt=_midnight(at)
    )
    if environment_id is not None:
        waiting = waiting.filter(environment_id=environment_id)
    by_hand = SandboxAccount.objects.filter(pays_out_daily=False).values("environment_id")
    days = (
        waiting.exclude(environment_id__in=by_hand)
        .order_by()
        .values_list("environment_id", "currency", TruncDate("available_at", tzinfo=UTC))
        .distinct()
    )
    now = now or at
    return sum(
        _pay_out(environment, currency, _midnight_after(day), now) for environment, currency, day in sorted(days)
    )


def pay_out(environment_id: str, *, money: Money, at: datetime, description: str = "") -> SandboxPayout:
    """
    Pay out by hand, in the caller's transaction.

    :raises Refused: ``amount_too_small``, or ``insufficient_available_balance`` above what is available.
    """
    _lock_account(environment_id)
    if money.amount <= 0:
        raise Refused("amount_too_small")
    kept = {state.currency: state.available_amount for state in balance.balances(environment_id)}
    if money.amount > kept.get(money.currency, 0):
        raise Refused("insufficient_available_balance", "There is not as much available.")
    made = _make(environment_id, money, at=at, is_automatic=False, description=description)
    _tell(made, "payout.created", at)
    return made


def lock(environment_id: str, reference: str) -> SandboxPayout:
    """
    Return a payout of the environment, locked.

    :raises Refused: ``not_found``.
    """
    try:
        return SandboxPayout.objects.select_for_update().get(environment_id=environment_id, reference=reference)
    except SandboxPayout.DoesNotExist:
        raise Refused("not_found", f"There is no payout {reference}.") from None


def go_on(payout: SandboxPayout, *, at: datetime) -> None:
    """Let a payout leave for the bank, or arrive there."""
    with _refusing(payout):
        if payout.status == payout.Status.PENDING:
            payout.send()
        else:
            payout.arrive()
    _tell(payout, "payout.paid" if payout.status == payout.Status.PAID else "payout.updated", at)


def fail(payout: SandboxPayout, *, code: str, at: datetime) -> None:
    """
    Have the bank send the money back, even after it took it; it is available again.

    :raises Refused: ``invalid_state`` if it came back before.
    """
    with _refusing(payout):
        payout.fail(code=code, message=FAILURES[code])
    balance.move_for_payout(payout, Type.PAYOUT_FAILURE, payout.amount, at=at)
    _tell(payout, "payout.failed", at)


def cancel(payout: SandboxPayout, *, at: datetime) -> None:
    """
    Call a payout back before it left; the money is available again.

    :raises Refused: ``invalid_state`` once it has left.
    """
    with _refusing(payout):
        payout.cancel()
    balance.move_for_payout(payout, Type.PAYOUT_CANCELLATION, payout.amount, at=at)
    _tell(payout, "payout.canceled", at)


def _pay_out(environment_id: str, currency: str, midnight: datetime, now: datetime) -> bool:
    """Settle all that was available before midnight by one payout, if there is something to pay out."""
    at = min(midnight, now)
    with transaction.atomic(durable=True):
        # Everybody who takes from the balance locks the account, so nothing is paid out twice.
        if not _lock_account(environment_id).pays_out_daily:
            return False
        waiting = balance.unsettled(environment_id).filter(
            currency=currency, status=balance.Status.AVAILABLE, available_at__lt=midnight
        )
        # Settled first and summed up after: what somebody books in between is in neither. The foreign key to the
        # payout, which follows, is checked at commit.
        reference = new_id("sbo")
        waiting.update(settled_by_id=reference)
        settled = SandboxBalanceTransaction.objects.filter(settled_by_id=reference)
        amount = settled.aggregate(sum=Sum("net_amount"))["sum"] or 0
        if amount <= 0:
            transaction.set_rollback(True)
            return False
        made = _make(environment_id, Money(amount, currency), at=at, is_automatic=True, reference=reference)
        _tell(made, "payout.created", at)
    return True


def _make(environment_id: str, money: Money, *, at: datetime, is_automatic: bool, **facts: Any) -> SandboxPayout:
    made = SandboxPayout(
        environment_id=environment_id,
        amount=money.amount,
        currency=money.currency,
        is_automatic=is_automatic,
        arrives_at=at + ARRIVES_AFTER,
        due_at=at + SENT_AFTER,
        created_at=at,
        **facts,
    )
    made.save(force_insert=True)
    balance.move_for_payout(made, Type.PAYOUT, -money.amount, at=at)
    return made


def _lock_account(environment_id: str) -> SandboxAccount:
    account_of(environment_id)
    return SandboxAccount.objects.select_for_update().get(environment_id=environment_id)


@contextmanager
def _refusing(payout: SandboxPayout) -> Iterator[None]:
    try:
        yield
    except fsm.TransitionNotAllowed:
        raise Refused("invalid_state", f"This cannot be done to a payout that is {payout.status}.") from None


def _tell(payout: SandboxPayout, type: str, at: datetime) -> None:
    payout.save()
    notices.write_about_payout(payout, type, at=at)


def _midnight(at: datetime) -> datetime:
    return datetime.combine(at.astimezone(UTC).date(), time.min, UTC)


def _midnight_after(day: date) -> datetime:
    return datetime.combine(day + timedelta(days=1), time.min, UTC)
