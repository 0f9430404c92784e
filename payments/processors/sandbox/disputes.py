"""
What a buyer's bank does with a payment that was taken: ask about it, take it back, give it back, decide.

Every function works inside the caller's transaction on a payment that the caller has locked; :func:`lock` does so for
a dispute. As with real networks, the status and the money are told apart and move apart.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import django_fsm as fsm

from flint.money import Money
from payments.processors.base import Refused
from payments.processors.sandbox import balance, notices
from payments.processors.sandbox.booking import Kind, book
from payments.processors.sandbox.models import SandboxDispute, SandboxPayment

Status = SandboxDispute.Status

EVIDENCE_FOR = timedelta(days=14)
"""How long a merchant has to answer. Who does not, loses; a mere question is closed."""

CASE_TYPES = ("inquiry", "chargeback", "compliance", "resolution", "block", "bank_return", "other")
REASONS = (
    "fraudulent",
    "duplicate",
    "product_not_received",
    "product_unacceptable",
    "credit_not_processed",
    "subscription_canceled",
    "unrecognized",
    "general",
    "insufficient_funds",
    "incorrect_account_details",
    "debit_not_authorized",
    "bank_cannot_process",
    "check_returned",
    "customer_initiated",
    "noncompliant",
    "bank_account_closed",
    "bank_account_not_found",
    "bank_debit_not_authorized",
    "bank_account_restricted",
    "other",
)

RETURN_REASONS = {
    "R01": "insufficient_funds",
    "R02": "bank_account_closed",
    "R03": "bank_account_not_found",
    "R04": "incorrect_account_details",
    "R05": "bank_debit_not_authorized",
    "R07": "bank_debit_not_authorized",
    "R08": "customer_initiated",
    "R09": "insufficient_funds",
    "R10": "bank_debit_not_authorized",
    "R16": "bank_account_restricted",
    "R20": "bank_account_restricted",
    "R29": "bank_debit_not_authorized",
}
"""Why a bank returns a debit that had succeeded, by the return codes of bank debits in the United States."""


def lock(environment_id: str, reference: str) -> SandboxDispute:
    """
    Return a dispute of the environment with its payment locked.

    :raises Refused: ``not_found``.
    """
    found = SandboxPayment.objects.select_for_update(of=("self",)).filter(
        environment_id=environment_id, disputes__reference=reference
    )
    payment = found.order_by("pk").first()
    if payment is None:
        raise Refused("not_found", f"There is no dispute {reference}.")
    # The payment's row is the one door, so it is locked before the dispute is read.
    dispute = SandboxDispute.objects.get(reference=reference)
    dispute.payment = payment
    return dispute


def open_dispute(
    payment: SandboxPayment,
    *,
    money: Money,
    at: datetime,
    reason: str = "general",
    case_type: str = "chargeback",
    withdraws: bool = True,
) -> SandboxDispute:
    """
    Take a payment back, or ask about it, for any amount: the network does not look at what is left of it.

    An inquiry withdraws nothing. A bank return is lost as soon as it is known. ``withdraws`` is whether the money goes
    at once; otherwise :func:`withdraw` takes it later.

    :raises Refused: ``invalid_state`` when nothing was taken, ``amount_too_small``, ``currency_mismatch``.
    :raises ValueError: if there is no such reason or case type.
    """
    if reason not in REASONS or case_type not in CASE_TYPES:
        raise ValueError(f"{reason} and {case_type} are not both known")
    if payment.status != payment.Status.SUCCEEDED:
        raise Refused("invalid_state", f"A payment that is {payment.status} took no money to dispute.")
    _check(payment, money)
    status = {"inquiry": Status.WARNING_NEEDS_RESPONSE, "bank_return": Status.LOST}.get(
        case_type, Status.NEEDS_RESPONSE
    )
    due_at = None if status == Status.LOST else at + EVIDENCE_FOR
    dispute = SandboxDispute(
        environment_id=payment.environment_id,
        payment=payment,
        amount=money.amount,
        currency=money.currency,
        status=status,
        reason=reason,
        case_type=case_type,
        evidence_due_at=due_at,
        due_at=due_at,
        created_at=at,
    )
    dispute.save(force_insert=True)
    notices.write_about_dispute(dispute, "dispute.created", at=at)
    if withdraws and case_type != "inquiry":
        withdraw(dispute, money=money, at=at)
    if status == Status.LOST:
        notices.write_about_dispute(dispute, "dispute.closed", at=at)
    return dispute


def return_debit(payment: SandboxPayment, *, code: str, at: datetime) -> SandboxDispute:
    """
    Have the buyer's bank return a debit that had succeeded, by its return code.

    :raises Refused: ``invalid_state`` if it is not a bank debit, or took nothing.
    :raises ValueError: if there is no such code.
    """
    if code not in RETURN_REASONS:
        raise ValueError(f"{code} is not a known return code")
    if payment.source_type != "ach_debit":
        raise Refused("invalid_state", "Only a bank debit can be returned; a card is charged back.")
    money = Money(payment.captured_amount, payment.currency)
    return open_dispute(payment, money=money, reason=RETURN_REASONS[code], case_type="bank_return", at=at)


def withdraw(dispute: SandboxDispute, *, money: Money, at: datetime) -> None:
    """
    Take money from the merchant, any amount, also a second time; and a fee if none is taken.

    :raises Refused: ``amount_too_small``, ``currency_mismatch``.
    """
    _check(dispute.payment, money)
    dispute.withdrawn_amount += money.amount
    fee = 0 if dispute.fee_amount else balance.dispute_fee(dispute)
    dispute.fee_amount += fee
    book(dispute.payment, Kind.DISPUTE, money.amount, at, dispute=dispute, fee_amount=fee)
    _tell(dispute, "dispute.funds_withdrawn", at)


def reinstate(dispute: SandboxDispute, *, money: Money, at: datetime) -> None:
    """
    Give some of the money back, whatever was decided, and the fee once it was all.

    :raises Refused: ``amount_too_large`` above what is withdrawn, ``amount_too_small``, ``currency_mismatch``.
    """
    _check(dispute.payment, money, at_most=dispute.withdrawn_amount)
    dispute.withdrawn_amount -= money.amount
    fee = 0 if dispute.withdrawn_amount else dispute.fee_amount
    dispute.fee_amount -= fee
    book(dispute.payment, Kind.DISPUTE_REVERSAL, money.amount, at, dispute=dispute, fee_amount=-fee)
    _tell(dispute, "dispute.funds_reinstated", at)


def correct(dispute: SandboxDispute, *, money: Money, at: datetime) -> None:
    """
    Change what is disputed. No money moves by that.

    :raises Refused: ``amount_too_small``, ``currency_mismatch``.
    """
    _check(dispute.payment, money)
    dispute.amount = money.amount
    _tell(dispute, "dispute.updated", at)


def escalate(dispute: SandboxDispute, *, at: datetime) -> None:
    """
    Make a dispute of a question, and take the money.

    :raises Refused: ``invalid_state`` if it is no open question.
    """
    with _refusing(dispute):
        dispute.escalate(due_at=at + EVIDENCE_FOR)
    _tell(dispute, "dispute.updated", at)
    withdraw(dispute, money=Money(dispute.amount, dispute.currency), at=at)


def submit_evidence(dispute: SandboxDispute, *, at: datetime) -> None:
    """
    Hand in the merchant's answer; the bank looks at it until it is won, lost or closed.

    :raises Refused: ``invalid_state`` once it was decided.
    """
    with _refusing(dispute):
        if dispute.status == Status.WARNING_NEEDS_RESPONSE:
            dispute.answer()
        else:
            dispute.contest()
    _tell(dispute, "dispute.updated", at)


def win(dispute: SandboxDispute, *, at: datetime) -> None:
    """
    Decide for the merchant and give back what is withdrawn. A lost dispute can still be won.

    :raises Refused: ``invalid_state``.
    """
    with _refusing(dispute):
        dispute.win()
    _close(dispute, at)


def lose(dispute: SandboxDispute, *, at: datetime) -> None:
    """
    Decide for the buyer. The money stays away, and is taken now if none of it was.

    :raises Refused: ``invalid_state``.
    """
    with _refusing(dispute):
        dispute.lose()
    _tell(dispute, "dispute.closed", at)
    if not dispute.withdrawn_amount:
        withdraw(dispute, money=Money(dispute.amount, dispute.currency), at=at)


def close_warning(dispute: SandboxDispute, *, at: datetime) -> None:
    """
    Ask no more.

    :raises Refused: ``invalid_state`` if it is no open question.
    """
    with _refusing(dispute):
        dispute.drop()
    _close(dispute, at)


def prevent(dispute: SandboxDispute, *, at: datetime) -> None:
    """
    Settle it before it is decided, and give back what is withdrawn.

    :raises Refused: ``invalid_state`` once it was decided.
    """
    with _refusing(dispute):
        dispute.prevent()
    _close(dispute, at)


def run_out(dispute: SandboxDispute, *, at: datetime) -> None:
    """Apply that nobody answered in time."""
    if dispute.status == Status.WARNING_NEEDS_RESPONSE:
        close_warning(dispute, at=at)
    else:
        lose(dispute, at=at)


def _close(dispute: SandboxDispute, at: datetime) -> None:
    _tell(dispute, "dispute.closed", at)
    if dispute.withdrawn_amount:
        reinstate(dispute, money=Money(dispute.withdrawn_amount, dispute.currency), at=at)


def _check(payment: SandboxPayment, money: Money, *, at_most: int | None = None) -> None:
    if money.currency != payment.currency:
        raise Refused("currency_mismatch", f"The payment is in {payment.currency}.")
    if money.amount <= 0:
        raise Refused("amount_too_small")
    if at_most is not None and money.amount > at_most:
        raise Refused("amount_too_large", f"At most {Money(at_most, payment.currency)} is withdrawn.")


@contextmanager
def _refusing(dispute: SandboxDispute) -> Iterator[None]:
    try:
        yield
    except fsm.TransitionNotAllowed:
        raise Refused("invalid_state", f"This cannot be done to a dispute that is {dispute.status}.") from None


def _tell(dispute: SandboxDispute, type: str, at: datetime) -> None:
    dispute.save()
    notices.write_about_dispute(dispute, type, at=at)
