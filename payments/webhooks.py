"""What is told of payments: of their legs, of the order that they pay, of sessions, saved cards and payouts."""

from typing import Any

from flint.api.serializers import shared
from flint.events.models import Event
from flint.events.webhooks import Fact, tells
from flint.money import Money
from orders.webhooks import BASE, READ, base_of, lines_of, order_after
from payments import balances
from payments.api.balances import BalanceTransactionOutput, PayoutOutput
from payments.models import CheckoutSession, PaymentIntent

INTENT_ID = "pi_01J9Z6W2V7Q0M3T8K4B5N6P7R8"
TEN = {"amount": 1000, "currency": "EUR"}
NOTHING = {"amount": 0, "currency": "EUR"}

# The order that is paid

BRINGS_MONEY = ("payment.settled", "invoice.manual_payment_recorded")

PAID = {
    "order_id": BASE["order_id"],
    "status": "open",
    "payment_status": "paid",
    "total_money": TEN,
    "paid_money": TEN,
    "outstanding_money": NOTHING,
    "order_payment_intent_ids": [INTENT_ID],
    "line_items": [
        {"order_line_item_id": "oli_01J9Z6W2V7Q0M3T8K4B5N6P7R8", "name": "Tea", "quantity": 1, "total_money": TEN}
    ],
}
PARTLY = {**PAID, "payment_status": "partially_paid", "paid_money": {"amount": 400, "currency": "EUR"}}
PARTLY |= {"outstanding_money": {"amount": 600, "currency": "EUR"}}


@tells("order.paid", on=BRINGS_MONEY, resource="order", scope=READ, sample=PAID)
def paid(fact: Fact) -> dict | None:
    return _paid(fact, "paid")


@tells("order.partially_paid", on=BRINGS_MONEY, resource="order", scope=READ, sample=PARTLY)
def partially_paid(fact: Fact) -> dict | None:
    return _paid(fact, "partially_paid")


def _paid(fact: Fact, status: str) -> dict[str, Any] | None:
    """Tell of an order that is paid so far by what came in; not of what came in on one that owed nothing any more."""
    order = order_after(fact)
    if order is None or order.payment_status != status or _was_paid_before(fact.event):
        return None
    return {
        "order_id": order.id,
        "status": str(order.status),
        "payment_status": status,
        "total_money": order.money(order.total_amount),
        "paid_money": order.money(order.paid_amount),
        "outstanding_money": order.outstanding_money,
        "order_payment_intent_ids": order.payment_intent_ids,
        "line_items": lines_of(order),
    }


def _was_paid_before(event: Event) -> bool:
    owed_before = event.balance_amount - event.balance_delta_amount
    return owed_before <= 0 and event.balance_delta_amount != 0


HELD = {**BASE, "payment_intent_id": INTENT_ID, "amount_money": TEN}


@tells("order.payment_authorized", on="payment.authorized", resource="order", scope=READ, sample=HELD)
def payment_authorized(fact: Fact) -> dict | None:
    return _of_leg(fact)


@tells("order.payment_captured", on="payment.settled", resource="order", scope=READ, sample=HELD)
def payment_captured(fact: Fact) -> dict | None:
    """Only money that was held first is captured; all other is just paid."""
    leg = _leg_of(fact)
    return _of_leg(fact) if leg is not None and leg.capture_method == "manual" else None


@tells(
    "order.payment_authorization_canceled",
    on="payment.authorization_canceled",
    resource="order",
    scope=READ,
    sample=HELD,
)
def authorization_canceled(fact: Fact) -> dict | None:
    return _of_leg(fact)


@tells(
    "order.payment_authorization_expired",
    on="payment.authorization_expired",
    resource="order",
    scope=READ,
    sample=HELD,
)
def authorization_expired(fact: Fact) -> dict | None:
    return _of_leg(fact)


def _of_leg(fact: Fact) -> dict[str, Any] | None:
    order = order_after(fact)
    if order is None:
        return None
    amount = Money(fact.event.data["amount"], fact.event.currency)
    return {**base_of(order), "payment_intent_id": fact.event.subject_id, "amount_money": amount}


# Payment intents

INTENT = {"payment_intent_id": INTENT_ID, "amount_money": TEN, "order_id": BASE["order_id"]}

INTENTS = {
    "requires_action": ("requires_action", ("payment.requires_action",)),
    "requires_capture": ("requires_capture", ("payment.authorized",)),
    "processing": ("processing", ("payment.processing",)),
    "succeeded": ("succeeded", ("payment.settled",)),
    "payment_failed": ("requires_payment_method", ("payment.failed",)),
    "canceled": ("canceled", ("payment.canceled", "payment.authorization_canceled", "payment.authorization_expired")),
}
"""The status that each type tells, and what it is told of. The status is that of the moment, whatever came later."""


def _tell_intent(word: str, status: str, causes: tuple[str, ...]) -> None:
    sample = {"payment_intent": {**INTENT, "status": status}}

    @tells(
        f"payment_intent.{word}",
        on=causes,
        resource="payment_intent",
        scope="payments.payment_intents.read",
        sample=sample,
    )
    def told(fact: Fact) -> dict | None:
        leg = _leg_of(fact)
        if leg is None:
            return None
        expired = fact.event.type == "payment.authorization_expired"
        shown = {
            "payment_intent_id": leg.id,
            "status": "expired" if expired else status,
            "amount_money": leg.money,
            "order_id": None if leg.is_standalone else leg.order_id,
            "customer_id": leg.order.customer_id,
            "cancellation_reason": leg.cancellation_reason if word == "canceled" else None,
        }
        return {"payment_intent": {name: value for name, value in shown.items() if value}}


for _word, (_status, _causes) in INTENTS.items():
    _tell_intent(_word, _status, _causes)


def _leg_of(fact: Fact) -> PaymentIntent | None:
    """Return the leg that a fact is about; None where it is about an attempt that had none, as one of nothing."""
    if fact.event.subject_type != PaymentIntent._meta.model_name:
        return None
    return fact.once("leg", fact.event.subject_id, lambda key: _legs(fact).get(id=key))


def _legs(fact: Fact):
    return PaymentIntent.objects.of(fact.actor).select_related("order")


# Checkout sessions

SESSION_READ = "checkouts.checkout_sessions.read"
SESSION = {
    "checkout_session_id": "cs_01J9Z6W2V7Q0M3T8K4B5N6P7R8",
    "reason": "api",
    "order_id": BASE["order_id"],
    "resource_updated_at": "2026-09-07T12:00:00.000Z",
}
REASONS = {"completed": "payment_succeeded", "closed": "api", "expired": "expired", "invalidated": "order_mutated"}


def _tell_session(word: str, reason: str) -> None:
    sample = {**SESSION, "status": "paid" if word == "completed" else word, "reason": reason}

    @tells(
        f"checkout_session.{word}",
        on=f"checkout_session.{word}",
        resource="checkout_session",
        scope=SESSION_READ,
        sample=sample,
    )
    def told(fact: Fact) -> dict:
        session = fact.once("session", fact.event.subject_id, lambda key: _sessions(fact).get(id=key))
        shown = {
            "checkout_session_id": session.id,
            "status": fact.event.data["status"],
            "reason": fact.event.data["reason"],
            "resource_updated_at": session.updated_at,
            "order_id": session.order_id,
            "invoice_id": session.invoice_id,
            "payment_link_id": session.payment_link_id,
            "expired_at": session.ended_at if word == "expired" else None,
            "superseding_checkout_session_id": session.superseded_by_id,
        }
        return {name: value for name, value in shown.items() if value}


for _word, _reason in REASONS.items():
    _tell_session(_word, _reason)


def _sessions(fact: Fact):
    return CheckoutSession.objects.of(fact.actor)


# Saved payment methods: their events hold all that is told of them, since a removed one is emptied.

METHOD_READ = "payments.payment_methods.read"
METHOD = {
    "payment_method_id": "pm_01J9Z6W2V7Q0M3T8K4B5N6P7R8",
    "customer_id": "cus_01J9Z6W2V7Q0M3T8K4B5N6P7R8",
}
STAMP = {"resource_updated_at": "2026-09-07T12:00:00.000Z"}


def _method(fact: Fact, *members: str) -> dict[str, Any]:
    found = {name: fact.event.data.get(name) for name in ("customer_id", *members)}
    kept = {name: value for name, value in found.items() if value not in (None, "")}
    return {"payment_method_id": fact.event.subject_id, **kept}


@tells(
    "payment_method.saved",
    on="payment_method.saved",
    resource="payment_method",
    scope=METHOD_READ,
    sample={**METHOD, **STAMP, "status": "active", "usage": "off_session", "card_brand": "visa", "card_last4": "4242"},
)
def method_saved(fact: Fact) -> dict:
    card = ("card_brand", "card_last4", "card_exp_month", "card_exp_year", "card_wallet")
    return {**_method(fact, "status", "usage", *card), "resource_updated_at": fact.event.created_at}


@tells(
    "payment_method.failed",
    on="payment_method.failed",
    resource="payment_method",
    scope=METHOD_READ,
    sample={**METHOD, **STAMP, "status": "failed", "failure_code": "card_declined"},
)
def method_failed(fact: Fact) -> dict:
    members = _method(fact, "status", "failure_code", "failure_message")
    return {**members, "resource_updated_at": fact.event.created_at}


@tells(
    "payment_method.removed",
    on="payment_method.removed",
    resource="payment_method",
    scope=METHOD_READ,
    sample=METHOD,
)
def method_removed(fact: Fact) -> dict:
    return _method(fact)


# What the processor keeps and pays out

PAYOUT_READ = "money_movement.payouts.read"
PAYOUT = {
    "payout_id": "po_01J9Z6W2V7Q0M3T8K4B5N6P7R8",
    "status": "paid",
    "amount_money": TEN,
    "currency": "EUR",
    **STAMP,
}
MOVEMENT = {
    "balance_transaction_id": "btx_01J9Z6W2V7Q0M3T8K4B5N6P7R8",
    "type": "payment",
    "status": "pending",
    "currency": "EUR",
    "amount_money": TEN,
    "fee_money": NOTHING,
    "net_money": TEN,
    "occurred_at": "2026-09-07T12:00:00.000Z",
    **STAMP,
}


def _tell_payout(word: str) -> None:
    @tells(f"payout.{word}", on=f"payout.{word}", resource="payout", scope=PAYOUT_READ, sample=PAYOUT)
    def told(fact: Fact) -> dict:
        payout = fact.once("payout", fact.event.subject_id, lambda key: balances.payouts(fact.actor).get(id=key))
        return {**shared(PayoutOutput).to_representation(payout), "resource_updated_at": payout.updated_at}


for _word in ("created", "updated", "paid", "failed", "canceled", "reversed"):
    _tell_payout(_word)


def _tell_movement(word: str) -> None:
    @tells(
        f"balance_transaction.{word}",
        on=f"balance_transaction.{word}",
        resource="balance_transaction",
        scope="money_movement.balance_transactions.read",
        sample=MOVEMENT,
    )
    def told(fact: Fact) -> dict:
        row = fact.once("movement", fact.event.subject_id, lambda key: balances.readable(fact.actor).get(id=key))
        return {**shared(BalanceTransactionOutput).to_representation(row), "resource_updated_at": row.updated_at}


for _word in ("created", "updated"):
    _tell_movement(_word)
