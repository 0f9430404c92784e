"""Asserting on an order's books: its columns, its ledger, its history and the processor must tell the same."""

from django.db import connection

from flint.testing.processors import network_of
from orders.models import Order
from payments.models import PaymentIntent

AMOUNTS = {
    "total": "total_amount",
    "paid": "paid_amount",
    "refunded": "refunded_amount",
    "refund_pending": "refund_pending_amount",
    "credit": "credit_amount",
    "charged_back": "charged_back_amount",
    "balance": "balance_amount",
    "outstanding": "outstanding_amount",
}


def check_guard() -> None:
    """Have the database check every order touched so far, as it would at commit."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")


def assert_books(order: Order | str, *, processor: bool = True, **expected: int | str) -> Order:
    """
    Assert an order's amounts (minor units) and statuses, and that its ledger, history and processor agree with them.

    ``processor=False`` leaves out the comparison with the processor's own books, for when something is in flight.
    """
    order = Order.objects.get(pk=order if isinstance(order, str) else order.pk)
    found = {name: getattr(order, AMOUNTS.get(name, name)) for name in expected}
    assert found == expected
    check_guard()
    accounts = balances(order)
    assert accounts.get("receivable", 0) == order.balance_amount
    assert sum(accounts.values()) == 0
    last = order.events.order_by("-sequence").first()
    assert (last.sequence, last.balance_amount) == (order.event_count, order.balance_amount)
    assert [event.sequence for event in order.events.order_by("sequence")] == list(range(1, order.event_count + 1))
    if processor:
        legs = PaymentIntent.objects.filter(order=order)
        network = network_of(order.environment_id)
        at_processor = sum(network.effects(payment_intent_id=leg.id).net for leg in legs)
        elsewhere = accounts.get("cash", 0) + accounts.get("dispute_losses", 0)
        assert at_processor == order.net_collected_amount - elsewhere
    return order


def balances(order: Order) -> dict[str, int]:
    """Fold an order's ledger: debits less credits, by account. Written apart from the code under test."""
    accounts: dict[str, int] = {}
    for entry in order.entries.all():
        accounts[entry.debit] = accounts.get(entry.debit, 0) + entry.amount
        accounts[entry.credit] = accounts.get(entry.credit, 0) - entry.amount
    return accounts
