"""
What the card network does with a payment or refund: move it, book the movement, and write the notice.

A hold is captured once and the rest let go, as cards do without an agreement on more; several captures of one hold
are not offered.

Every function works inside the caller's transaction on a row the caller has locked. The adapter, the clock, the
buyer's page and the dashboard are four ways in; this is where they all end.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Literal

import django_fsm as fsm

from flint.money import Money
from payments.processors.base import Refused
from payments.processors.sandbox import balance, disputes, keeping, notices, tokens
from payments.processors.sandbox.accounts import account_of
from payments.processors.sandbox.booking import Kind, book
from payments.processors.sandbox.models import SandboxPayment, SandboxRefund

HOLD_FOR = timedelta(days=7)
SLOW_RAIL = timedelta(seconds=5)
"""How long the sandbox's bank debits and slow refunds take."""
RETURNED_AFTER = timedelta(days=4)
"""How long a bank takes to return a debit that had succeeded."""


def lock_payment(environment_id: str, reference: str) -> SandboxPayment:
    """
    Return a payment of the environment, locked.

    :raises Refused: ``not_found``.
    """
    try:
        return SandboxPayment.objects.select_for_update().get(environment_id=environment_id, reference=reference)
    except SandboxPayment.DoesNotExist:
        raise Refused("not_found", f"There is no payment {reference}.") from None


def lock_refund(environment_id: str, reference: str) -> tuple[SandboxPayment, SandboxRefund]:
    """
    Return a refund of the environment with its payment, which is locked: it is the one door to both.

    :raises Refused: ``not_found``.
    """
    found = SandboxPayment.objects.select_for_update(of=("self",)).filter(
        environment_id=environment_id, refunds__reference=reference
    )
    payment = found.order_by("pk").first()
    if payment is None:
        raise Refused("not_found", f"There is no refund {reference}.")
    return payment, SandboxRefund.objects.get(reference=reference)


def lock_payment_by_secret(client_secret: str) -> SandboxPayment | None:
    """Return the payment that a client secret opens, locked, or None."""
    return SandboxPayment.objects.select_for_update().filter(client_secret=client_secret).order_by("pk").first()


def start_payment(
    *,
    environment_id: str,
    money: Money,
    capture_method: Literal["automatic", "manual"],
    token: str,
    at: datetime,
    operation_id: str = "",
    payment_intent_id: str = "",
    order_id: str = "",
    return_url: str = "",
    is_kept: bool = False,
    is_off_session: bool = False,
    keep_for: str = "",
) -> SandboxPayment:
    """
    Make a payment and try it once. ``is_kept`` tells a card that the buyer left here with their authentication,
    ``is_off_session`` that they are not there to authenticate now. ``keep_for`` has the card kept once it has paid.

    :raises Refused: ``invalid_payment_source``, ``amount_too_small``, or ``payment_method_unavailable`` for a hold
        on a bank account.
    """
    name, source = tokens.find_source(environment_id, token)
    behaviour = tokens.BEHAVIOURS[name]
    if money.amount <= 0:
        raise Refused("amount_too_small")
    if behaviour.is_bank and capture_method == "manual":
        raise Refused("payment_method_unavailable", "A bank account cannot be held, only debited.")
    payment = SandboxPayment(
        environment_id=environment_id,
        operation_id=operation_id,
        payment_intent_id=payment_intent_id,
        order_id=order_id,
        amount=money.amount,
        currency=money.currency,
        capture_method=capture_method,
        behaviour=name,
        source_type=source.type,
        brand=source.brand,
        last4=source.last4,
        bank_name=source.bank_name,
        account_type=source.account_type,
        return_url=return_url,
        keep_for="" if behaviour.is_bank else keep_for,
        **dict(zip(("exp_month", "exp_year"), tokens.expiry_of(environment_id, token, at), strict=True)),
        created_at=at,
    )
    payment.save(force_insert=True)
    match behaviour.outcome:
        case "approve" | "approve_part":
            approve(payment, at=at)
        case "decline":
            decline(payment, code=behaviour.code, at=at)
        case "authenticate" if is_kept and name == tokens.AUTHENTICATES_ONCE:
            approve(payment, at=at)
        case "authenticate" if is_off_session:
            decline(payment, code="authentication_required", at=at)
        case "authenticate":
            payment.ask_buyer()
            _tell_payment(payment, "payment.requires_action", at)
        case "debit" | "debit_stays":
            due_at = at + SLOW_RAIL if behaviour.outcome == "debit" else None
            payment.start_debit(outcome=behaviour.code or "succeeded", at=due_at)
            _tell_payment(payment, "payment.processing", at)
    return payment


def approve(payment: SandboxPayment, *, at: datetime) -> None:
    """Say yes: hold the money, or take it at once. One test card is good for four fifths of what is asked."""
    is_part = tokens.BEHAVIOURS[payment.behaviour].outcome == "approve_part"
    amount = max(1, payment.amount * 4 // 5) if is_part else payment.amount
    if payment.capture_method == "manual":
        payment.hold(amount=amount, until=at + HOLD_FOR)
        book(payment, Kind.AUTHORIZATION, amount, at)
        _tell_payment(payment, "payment.authorized", at)
    else:
        _take(payment, amount, at)


def decline(payment: SandboxPayment, *, code: str, at: datetime) -> None:
    """Say no, with a reason."""
    payment.decline(code=code, message=tokens.MESSAGES[code])
    _tell_payment(payment, "payment.failed", at)


def capture(payment: SandboxPayment, *, money: Money, at: datetime) -> None:
    """
    Take some or all of a hold and let the rest go.

    :raises Refused: ``invalid_state`` when nothing is held any more, ``amount_too_large``, ``amount_too_small``,
        ``currency_mismatch``.
    """
    if not payment.is_held(at):
        raise Refused("invalid_state", f"A payment that is {payment.status} has no hold to capture.")
    _check(payment, money, at_most=payment.authorized_amount)
    _take(payment, money.amount, at)
    if rest := payment.authorized_amount - money.amount:
        book(payment, Kind.RELEASE, rest, at)


def cancel(payment: SandboxPayment, *, reason: str, at: datetime) -> None:
    """
    Let a payment go, and its hold. One that was let go before stays as it is.

    :raises Refused: ``invalid_state`` once money was taken or is under way.
    """
    if payment.status == payment.Status.CANCELED:
        return
    with _refusing(payment):
        payment.let_go(reason=reason)
    if payment.authorized_amount:
        book(payment, Kind.RELEASE, payment.authorized_amount, at)
    _tell_payment(payment, "payment.canceled", at)


def authenticate(payment: SandboxPayment, *, passed: bool, at: datetime) -> None:
    """Apply what the buyer did on the 3-D Secure page. Once it was applied, or is not asked for, nothing happens."""
    if payment.status != payment.Status.REQUIRES_ACTION:
        return
    if passed:
        approve(payment, at=at)
    else:
        decline(payment, code="authentication_required", at=at)


def refund(
    payment: SandboxPayment,
    *,
    money: Money,
    at: datetime,
    reason: str = "",
    operation_id: str = "",
    refund_id: str = "",
) -> SandboxRefund:
    """
    Give money back: at once, or in a while when the source is slow.

    :raises Refused: ``invalid_state`` when nothing was taken, ``amount_too_large`` above what is left of it,
        ``amount_too_small``, ``currency_mismatch``, or ``insufficient_available_balance`` for the card that refuses.
    """
    behaviour = tokens.BEHAVIOURS[payment.behaviour]
    if payment.status != payment.Status.SUCCEEDED:
        raise Refused("invalid_state", f"A payment that is {payment.status} took no money to give back.")
    is_capped = not account_of(payment.environment_id).allow_over_refund
    _check(payment, money, at_most=payment.refundable_amount if is_capped else None)
    if behaviour.refund == "refuse":
        raise Refused("insufficient_available_balance", "The balance cannot fund this refund.")
    made = SandboxRefund(
        environment_id=payment.environment_id,
        payment=payment,
        operation_id=operation_id,
        refund_id=refund_id,
        amount=money.amount,
        currency=money.currency,
        reason=reason,
        created_at=at,
    )
    made.save(force_insert=True)
    payment.refunded_amount += money.amount
    payment.save()
    if behaviour.refund == "pend":
        made.expect("succeeded", at + SLOW_RAIL)
        _tell_refund(made, "refund.created", at)
    else:
        succeed_refund(payment, made, at=at)
    if behaviour.refund == "fail_later":
        made.expect("expired_or_canceled_card", at + SLOW_RAIL)
        made.save()
    return made


def succeed_refund(payment: SandboxPayment, made: SandboxRefund, *, at: datetime) -> None:
    """Send the money on its way."""
    made.succeed()
    book(payment, Kind.REFUND, made.amount, at, refund=made)
    _tell_refund(made, "refund.succeeded", at)


def fail_refund(payment: SandboxPayment, made: SandboxRefund, *, reason: str, at: datetime) -> None:
    """
    Take back money that could not be handed over; it may be refunded again.

    :raises Refused: ``invalid_state`` if it failed before.
    """
    had_left = made.status == made.Status.SUCCEEDED
    with _refusing(made):
        made.fail(reason=reason)
    payment.refunded_amount -= made.amount
    payment.save()
    if had_left:
        book(payment, Kind.REFUND_FAILED, made.amount, at, refund=made)
    _tell_refund(made, "refund.failed", at)


def _take(payment: SandboxPayment, amount: int, at: datetime) -> None:
    payment.take(amount=amount)
    if payment.keep_for:
        keeping.keep_card_of(payment)
    book(payment, Kind.CHARGE, amount, at, fee_amount=balance.payment_fee(amount, payment.currency))
    _tell_payment(payment, "payment.succeeded", at)
    match tokens.BEHAVIOURS[payment.behaviour].dispute:
        case ("bank_return", code):
            payment.expect(code, at + RETURNED_AFTER)
            payment.save()
        case (case_type, reason):
            money = Money(amount, payment.currency)
            disputes.open_dispute(payment, money=money, reason=reason, case_type=case_type, at=at)


def _check(payment: SandboxPayment, money: Money, *, at_most: int | None) -> None:
    if money.currency != payment.currency:
        raise Refused("currency_mismatch", f"The payment is in {payment.currency}.")
    if money.amount <= 0:
        raise Refused("amount_too_small")
    if at_most is not None and money.amount > at_most:
        raise Refused("amount_too_large", f"At most {Money(at_most, payment.currency)} is left.")


@contextmanager
def _refusing(row: SandboxPayment | SandboxRefund) -> Iterator[None]:
    try:
        yield
    except fsm.TransitionNotAllowed:
        name = "payment" if isinstance(row, SandboxPayment) else "refund"
        raise Refused("invalid_state", f"This cannot be done to a {name} that is {row.status}.") from None


def _tell_payment(payment: SandboxPayment, type: str, at: datetime) -> None:
    payment.save()
    notices.write_about_payment(payment, type, at=at)


def _tell_refund(made: SandboxRefund, type: str, at: datetime) -> None:
    made.save()
    notices.write_about_refund(made, type, at=at)
