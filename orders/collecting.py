"""
What the rooms to the right tell about an order's payment in progress. Orders refuse edits while one is open, and say
which; ``payments`` registers how to describe it.
"""

from collections.abc import Callable
from typing import Any

from flint.actors import Actor
from flint.errors import Conflict
from orders.models import Order


class OrderPaymentAttemptActive(Conflict):
    code = "ORDER_PAYMENT_ATTEMPT_ACTIVE"
    message = "A payment of this order is in progress. Wait for it, resume it, or cancel it first."


_changed: list[Callable[[Order, Actor], None]] = []


def when_changed(tell: Callable[[Order, Actor], None]) -> Callable[[Order, Actor], None]:
    """Register who is told that a locked order's worth was changed, before it is saved, and by whom."""
    _changed.append(tell)
    return tell


def tell_changed(order: Order, actor: Actor) -> None:
    """Tell that a locked order was changed; what it brings about commits with the change."""
    for tell in _changed:
        tell(order, actor)


_customer_holds: list[Callable[[Order], None]] = []


def holds_customer(refuse: Callable[[Order], None]) -> Callable[[Order], None]:
    """Register what refuses that a locked order is handed to another customer while it is being collected."""
    _customer_holds.append(refuse)
    return refuse


def refuse_customer_change(order: Order) -> None:
    """Raise what the rooms to the right have against another customer for a locked order."""
    for refuse in _customer_holds:
        refuse(order)


_handed: list[Callable[[Order], None]] = []


def when_handed(follow: Callable[[Order], None]) -> Callable[[Order], None]:
    """Register who is told that a locked order was handed to another customer, before it is saved."""
    _handed.append(follow)
    return follow


def tell_handed(order: Order) -> None:
    """Tell that a locked order has another customer."""
    for follow in _handed:
        follow(order)


_buyer_checks: list[Callable[[Order, Actor], None]] = []


def admits_buyers(refuse: Callable[[Order, Actor], None]) -> Callable[[Order, Actor], None]:
    """Register what refuses a buyer who may no longer act on a locked order: its checkout may just have ended."""
    _buyer_checks.append(refuse)
    return refuse


def refuse_former_buyer(order: Order, actor: Actor) -> None:
    """Raise if the actor is a buyer whose checkout of a locked order is over; others pass."""
    if not actor.is_buyer:
        return
    for refuse in _buyer_checks:
        refuse(order, actor)


class InvoiceLockedOrderFinancials(Conflict):
    code = "INVOICE_LOCKED_ORDER_FINANCIALS"
    message = "An issued invoice bills the order as it is. Void the invoice first, or correct it with a credit note."


class OrderCollectionAlreadyActive(Conflict):
    code = "ORDER_COLLECTION_ALREADY_ACTIVE"
    message = "An issued invoice collects what the order owes. Collect through the invoice, or void it first."


def refuse_under_invoice(order: Order) -> None:
    """:raises InvoiceLockedOrderFinancials: if an invoice that still asks for money bills a locked order."""
    if order.is_under_invoice:
        raise InvoiceLockedOrderFinancials(invoice_id=order.invoice_id)


def refuse_beside_invoice(order: Order, *, invoice_id: str | None = None) -> None:
    """
    Refuse to collect a locked order past the invoice that asks for its money.

    :param invoice_id: the invoice that the collection is for, if any.
    :raises OrderCollectionAlreadyActive: with the invoice's id.
    """
    if order.is_under_invoice and invoice_id != order.invoice_id:
        raise OrderCollectionAlreadyActive(invoice_id=order.invoice_id)


_billing_holds: list[Callable[[Order], None]] = []


def holds_billing(refuse: Callable[[Order], None]) -> Callable[[Order], None]:
    """Register what refuses that a locked order is billed by an invoice while it is being collected another way."""
    _billing_holds.append(refuse)
    return refuse


def refuse_to_bill(order: Order) -> None:
    """Raise what the rooms to the right have against billing a locked order now; the caller saves the order."""
    for refuse in _billing_holds:
        refuse(order)


class OrderNotPayable(Conflict):
    code = "ORDER_NOT_PAYABLE"
    message = "A dispute took back what was paid. Staff decide first whether it is collected again or written off."


_describe: list[Callable[[Order], dict[str, Any]]] = []


def describes_active_attempt(describe: Callable[[Order], dict[str, Any]]) -> Callable[[Order], dict[str, Any]]:
    """Register the function that gives the error facts of an order's open attempt."""
    _describe.append(describe)
    return describe


def refuse_while_collecting(order: Order) -> None:
    """
    Raise if a payment attempt is open on a locked order.

    :raises OrderPaymentAttemptActive: with the attempt's id, status and whether it can be resumed.
    """
    if not order.is_collecting:
        return
    facts: dict[str, Any] = {"order_payment_attempt_id": order.active_attempt_id}
    for describe in _describe:
        facts |= describe(order)
    raise OrderPaymentAttemptActive(**facts)


def refuse_blocked(order: Order) -> None:
    """:raises OrderNotPayable: if staff must first decide on what a dispute took back from a locked order."""
    if order.is_collection_blocked:
        raise OrderNotPayable(reason="payment_disputed", current_money=order.outstanding_money)
