"""
Payments that a merchant takes without an order. The record of money is an order here as everywhere: each has a hidden
one, with a single line worth what is asked for, and is that order's only leg. So whatever holds for legs holds for it.
"""

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from flint.actors import Actor
from flint.api.metadata import merge
from flint.errors import Conflict, InvalidInput
from flint.events import services as events
from flint.money import Money
from orders.collecting import OrderPaymentAttemptActive
from orders.models import Customer, Order
from orders.services import create_order, parts, pricing
from orders.services.editing import Edit, OrderClosed
from orders.services.pricing import InvalidTipAmount
from payments.models import PaymentIntent
from payments.models.intents import CONFIRMABLE, S
from payments.services import closing
from payments.services.asking import ask_about_attempt
from payments.services.pay import collect
from payments.services.reaching import OrderPaymentFlowRequired
from payments.services.sources import PaymentSourceRequired
from payments.services.starting import OrderPaymentLegAlreadySettled, PaymentAlreadyCanceled, processor_name

CREDENTIALS = {
    "payment_source_token": "token",
    "confirmation_token": "confirmation_token",
    "payment_method_id": "payment_method_id",
}
"""What a confirmation may pay with, and what an order's own payment calls the same."""


class PaymentReturnUrlRequired(InvalidInput):
    code = "PAYMENT_RETURN_URL_REQUIRED"
    message = "A buyer who pays by a redirect has to come back somewhere. Send a 'payment_return_url'."


class TransactionPurposeRequired(InvalidInput):
    code = "TRANSACTION_PURPOSE_REQUIRED"
    message = "A bank debit needs its 'transaction_purpose'."


class TransactionPurposeNotApplicable(InvalidInput):
    code = "TRANSACTION_PURPOSE_NOT_APPLICABLE"
    message = "Only a bank debit has a 'transaction_purpose'."


class PaymentCaptureMethodNotAllowed(InvalidInput):
    code = "PAYMENT_CAPTURE_METHOD_NOT_ALLOWED"
    message = "A bank account cannot be held, only debited. Capture automatically, or allow cards alone."


class AmountNotUpdatable(Conflict):
    code = "AMOUNT_NOT_UPDATABLE"
    message = "The amount and the tip only change while the payment intent waits for a payment method."


class CustomerNotUpdatable(Conflict):
    code = "CUSTOMER_NOT_UPDATABLE"
    message = "The customer only changes while the payment intent waits for a payment method."


class ReceiptEmailNotUpdatable(Conflict):
    code = "RECEIPT_EMAIL_NOT_UPDATABLE"
    message = "The payment intent belongs to an order, which knows where its receipt goes."


class PaymentIntentCannotBeUpdated(Conflict):
    code = "PAYMENT_INTENT_CANNOT_BE_UPDATED"
    message = "The payment intent has ended."


class PaymentAlreadySucceeded(Conflict):
    code = "PAYMENT_ALREADY_SUCCEEDED"
    message = "The payment intent has collected its money already."


class PaymentExpired(Conflict):
    code = "PAYMENT_EXPIRED"
    message = "The payment intent has expired. Create another one."


class PaymentAttemptRequiresCapture(Conflict):
    code = "PAYMENT_ATTEMPT_REQUIRES_CAPTURE"
    message = "The money is held already. Capture it or cancel."


class PaymentConfirmInProgress(Conflict):
    code = "PAYMENT_CONFIRM_IN_PROGRESS"
    message = "The payment intent is being paid. Confirm without a credential to go on, or cancel it."
    retryable = True


class CannotCancelSucceededPayment(Conflict):
    code = "CANNOT_CANCEL_SUCCEEDED_PAYMENT"
    message = "The payment has succeeded. Refund it instead."


def create_intent(*, data: Mapping[str, Any], actor: Actor) -> PaymentIntent:
    """
    Create a standalone payment intent and the hidden order behind it. ``data`` is a validated request.

    :raises CustomerNotFound: if the customer is absent or foreign.
    :raises InvalidTipAmount, CurrencyMismatch: if the tip is no part of the amount.
    :raises PaymentReturnUrlRequired, PaymentCaptureMethodNotAllowed, TransactionPurposeRequired,
        TransactionPurposeNotApplicable: by the options. :raises ProcessorNotConfigured: if nobody could collect it.
    """
    _refuse_options(data)
    money: Money = data["amount_money"]
    with transaction.atomic():
        processor = processor_name(actor)
        tip = _tip_within(money, data.get("tip_money"))
        order = _hidden_order(money, tip, data, actor)
        leg = PaymentIntent(
            environment_id=order.environment_id,
            order=order,
            is_staged=True,
            amount=money.amount,
            currency=money.currency,
            tip_amount=tip,
            capture_method=data.get("capture_method", "automatic"),
            payment_options=list(dict.fromkeys(data["payment_options"])),
            payment_return_url=data.get("payment_return_url", ""),
            external_reference_id=data.get("external_reference_id", ""),
            metadata=data.get("metadata", {}),
            receipt_email=data.get("receipt_email", ""),
            transaction_purpose=data.get("transaction_purpose", ""),
            processor=processor,
        )
        leg.save(force_insert=True)
        events.record(order, "payment_intent.created", subject=leg, actor=actor, amount=leg.amount)
        order.contact_email = leg.receipt_email
        order.order_revision += 1
        order.save(update_fields=["contact_email", "event_count", "order_revision", "updated_at"])
    return leg


def update_intent(*, payment_intent_id: str, data: Mapping[str, Any], actor: Actor) -> PaymentIntent:
    """
    Change what ``data`` names and nothing else. A leg of an order only has its reference and metadata changed.

    :raises PaymentIntentCannotBeUpdated: once it has ended.
    :raises AmountNotUpdatable, CustomerNotUpdatable, ReceiptEmailNotUpdatable: if that stays as it is now.
    :raises InvalidTipAmount, CurrencyMismatch, CustomerNotFound: by what was sent.
    """
    with transaction.atomic():
        found = PaymentIntent.objects.of(actor).find(id=payment_intent_id)
        order = Order.objects.behind(actor).lock(id=found.order_id)
        leg = PaymentIntent.objects.select_related("environment").get(id=found.id)
        leg.order = order
        _refuse_update(leg, data)
        edit = None
        if "amount_money" in data or "tip_money" in data:
            edit = Edit(order, pricing.load(order), actor)
            _change_amounts(edit, leg, data)
        if "customer_id" in data:
            order.customer = Customer.objects.of(actor).find(id=data["customer_id"])
        if "external_reference_id" in data:
            leg.external_reference_id = data["external_reference_id"] or ""
        if "receipt_email" in data:
            leg.receipt_email = order.contact_email = data["receipt_email"] or ""
        if "metadata" in data:
            leg.metadata = merge(leg.metadata, data["metadata"])
        leg.save()
        if edit:
            edit.tell("payment_intent.updated", leg, changed=sorted(data))
            edit.commit()
        else:
            order.order_revision += 1
            events.record(order, "payment_intent.updated", subject=leg, actor=actor, changed=sorted(data))
            order.save()
    return leg


def confirm_intent(*, payment_intent_id: str, data: Mapping[str, Any], actor: Actor) -> PaymentIntent:
    """
    Pay a standalone payment intent, or, without any credential, go on paying it. A decline is an ordinary result.

    :raises PaymentIntentNotFound, OrderPaymentFlowRequired: if it is absent, foreign, or an order's.
    :raises PaymentAlreadySucceeded, PaymentAlreadyCanceled, PaymentExpired: if it has ended.
    :raises PaymentConfirmInProgress, PaymentAttemptRequiresCapture: if it is being paid already.
    :raises PaymentSourceRequired: and the other refusals of ``sources``, by what it is to be paid with.
    """
    credential = {name: data[ours] for ours, name in CREDENTIALS.items() if ours in data}
    if not credential:
        return _resumed(payment_intent_id, actor)
    wanted = {
        "action": "confirm_payment_intents",
        "payment_intents": [{"payment_intent_id": payment_intent_id, **credential}],
        "buyer_device": data.get("buyer_device", ""),
    }
    try:
        collect(order_id=None, data=wanted, actor=actor)
    except (OrderPaymentAttemptActive, OrderPaymentLegAlreadySettled, OrderClosed):
        leg = _found(payment_intent_id, actor)
        _refuse_ended(leg)
        if leg.status == S.REQUIRES_CAPTURE:
            raise PaymentAttemptRequiresCapture(current_status=leg.status) from None
        raise PaymentConfirmInProgress(current_status=leg.status) from None
    return _found(payment_intent_id, actor)


def capture_intent(*, payment_intent_id: str, data: Mapping[str, Any], actor: Actor) -> PaymentIntent:
    """
    Take all or part of a standalone payment intent's hold.

    :raises OrderPaymentFlowRequired: if it is an order's. Else as :func:`~payments.services.closing.capture`.
    """
    return closing.capture(order_id=None, payment_intent_id=payment_intent_id, data=data, actor=actor).payment_intent


def cancel_intent(*, payment_intent_id: str, data: Mapping[str, Any], actor: Actor) -> PaymentIntent:
    """
    Let a standalone payment intent go; nothing is owed on its account from then on.

    :raises OrderPaymentFlowRequired: if it is an order's. :raises CannotCancelSucceededPayment: if it has its money.
        Else as :func:`~payments.services.closing.cancel_leg`.
    """
    try:
        closed = closing.cancel_leg(order_id=None, payment_intent_id=payment_intent_id, data=data, actor=actor)
    except OrderPaymentLegAlreadySettled:
        raise CannotCancelSucceededPayment(current_status=S.SUCCEEDED.value) from None
    return closed.payment_intent


def _hidden_order(money: Money, tip: int, data: Mapping[str, Any], actor: Actor) -> Order:
    """Create the record of a payment: one line for what is paid, and the tip on top."""
    line = {"name": "Payment", "unit_price_money": Money(money.amount - tip, money.currency)}
    wanted: dict[str, Any] = {"line_items": [line]}
    if "customer_id" in data:
        wanted["customer_id"] = data["customer_id"]
    if tip:
        wanted["requested_tip"] = {"amount_money": Money(tip, money.currency)}
    try:
        return create_order(actor=actor, data=wanted, is_hidden=True)[0]
    except InvalidTipAmount as refusal:
        raise InvalidTipAmount(param="tip_money", **refusal.facts) from None


def _tip_within(money: Money, tip: Money | None) -> int:
    """Return the tip's minor units; it is a part of the amount."""
    if tip is None:
        return 0
    if tip.currency != money.currency:
        raise parts.CurrencyMismatch(param="tip_money.currency")
    if tip.amount > money.amount:
        raise InvalidTipAmount(
            "The tip is a part of the amount and cannot be more.", param="tip_money", maximum_money=money
        )
    return tip.amount


def _refuse_update(leg: PaymentIntent, data: Mapping[str, Any]) -> None:
    if leg.is_final:
        raise PaymentIntentCannotBeUpdated(current_status=leg.status)
    is_open = leg.is_standalone and leg.status in CONFIRMABLE
    for name in ("amount_money", "tip_money"):
        if name in data and not is_open:
            raise AmountNotUpdatable(param=name, current_status=leg.status)
    if "customer_id" in data and not is_open:
        raise CustomerNotUpdatable(param="customer_id", current_status=leg.status)
    if "receipt_email" in data and not leg.is_standalone:
        raise ReceiptEmailNotUpdatable(param="receipt_email")


def _change_amounts(edit: Edit, leg: PaymentIntent, data: Mapping[str, Any]) -> None:
    """Have the hidden order ask for the new amount, of which the tip is a part."""
    order = edit.order
    amount = parts.amount_in(order, data.get("amount_money", leg.money), "amount_money")
    leg.tip_amount = _tip_within(order.money(amount), data.get("tip_money", order.money(leg.tip_amount)))
    leg.amount = amount
    (line,) = edit.parts.lines
    line.unit_price_amount = amount - leg.tip_amount
    parts.set_tip(order, {"amount_money": order.money(leg.tip_amount)} if leg.tip_amount else None)


def _resumed(payment_intent_id: str, actor: Actor) -> PaymentIntent:
    """Return a payment intent as it is now, after asking about what was under way."""
    leg = _found(payment_intent_id, actor)
    if not leg.is_standalone:
        raise OrderPaymentFlowRequired
    if leg.order.active_attempt_id:
        ask_about_attempt(leg.order.active_attempt_id, actor=actor)
        return _found(payment_intent_id, actor)
    if leg.status in CONFIRMABLE and not leg.operations.filter(kind="confirm").exists():
        raise PaymentSourceRequired
    if leg.status != S.SUCCEEDED:
        _refuse_ended(leg)
    return leg


def _refuse_ended(leg: PaymentIntent) -> None:
    if leg.status == S.SUCCEEDED:
        raise PaymentAlreadySucceeded(current_status=leg.status)
    if leg.status == S.CANCELED:
        raise PaymentAlreadyCanceled(current_status=leg.status)
    if leg.status == S.EXPIRED:
        raise PaymentExpired(current_status=leg.status)


def _found(payment_intent_id: str, actor: Actor) -> PaymentIntent:
    return PaymentIntent.objects.of(actor).select_related(*closing.SHOWN).find(id=payment_intent_id)


def _refuse_options(data: Mapping[str, Any]) -> None:
    """Refuse options that do not go together."""
    options = data["payment_options"]
    if "affirm" in options and "payment_return_url" not in data:
        raise PaymentReturnUrlRequired(param="payment_return_url")
    if "ach_debit" in options and data.get("capture_method") == "manual":
        raise PaymentCaptureMethodNotAllowed(param="capture_method")
    if "ach_debit" in options and "transaction_purpose" not in data:
        raise TransactionPurposeRequired(param="transaction_purpose")
    if "ach_debit" not in options and "transaction_purpose" in data:
        raise TransactionPurposeNotApplicable(param="transaction_purpose")
