"""What is told of orders and customers. A hidden order, that of a payment without one, is told by its payment alone."""

from typing import Any

from flint.api.serializers import shared
from flint.events.webhooks import Fact, tells
from orders.api.serializers.customers import CustomerOutput
from orders.api.serializers.parts import OrderLineItemOutput, introduce
from orders.as_of import read_order_after
from orders.models import Customer, Order

READ = "commerce.orders.read"

EDITS = (
    "order.updated",
    "order.tax_updated",
    "order.line_item_added",
    "order.line_item_updated",
    "order.line_item_removed",
    "order.charge_added",
    "order.charge_updated",
    "order.charge_removed",
    "order.discount_applied",
    "order.discount_removed",
    "order.requested_tip_added",
    "order.requested_tip_updated",
    "order.requested_tip_removed",
)

ORDER_ID = "ord_01J9Z6W2V7Q0M3T8K4B5N6P7R8"
BASE = {
    "order_id": ORDER_ID,
    "order_number": "7K2QX-M4D9P",
    "status": "open",
    "payment_status": "unpaid",
    "refund_status": "none",
    "resource_updated_at": "2026-09-07T12:00:00.000Z",
}

LINE_MEMBERS = (
    "order_line_item_id",
    "name",
    "quantity",
    "unit_price_money",
    "base_subtotal_money",
    "modifier_total_money",
    "subtotal_money",
    "discount_money",
    "tax_money",
    "total_money",
)
"""What is told of a line: no more of it than the contract's strict payload has."""


def order_after(fact: Fact) -> Order | None:
    """Return the order as it was right after a fact; None for a hidden one, of which nothing is told."""
    order = _read_after(fact)
    return None if order.is_hidden else order


def _read_after(fact: Fact) -> Order:
    return fact.once("order_after", fact.event.id, lambda _: read_order_after(fact.event))


def base_of(order: Order) -> dict[str, Any]:
    """Return the contract's base order."""
    base = {
        "order_id": order.id,
        "order_number": order.order_number,
        "status": str(order.status),
        "payment_status": str(order.payment_status),
        "refund_status": str(order.refund_status),
        "resource_updated_at": order.updated_at,
    }
    return base | ({"customer_id": order.customer_id} if order.customer_id else {})


def lines_of(order: Order) -> list[dict[str, Any]]:
    """Return the lines of an order as paid events show them."""
    introduce(order)
    lines = [shared(OrderLineItemOutput).to_representation(line) for line in order.line_items.all()]
    return [{name: line[name] for name in LINE_MEMBERS if name in line} for line in lines]


@tells("order.created", on="order.created", resource="order", scope=READ, sample={**BASE, "origin": "api"})
def created(fact: Fact) -> dict | None:
    order = order_after(fact)
    return order and {**base_of(order), "origin": str(order.origin)}


def one_change(fact: Fact) -> str:
    """Name what the events of one change of an order have in common: of what it came to is told once."""
    return f"{fact.event.order_id} {_read_after(fact).event_count}"


@tells("order.updated", on=EDITS, resource="order", scope=READ, sample=BASE, fact=one_change)
def updated(fact: Fact) -> dict | None:
    order = order_after(fact)
    return order and base_of(order)


@tells("order.closed", on="order.closed", resource="order", scope=READ, sample={**BASE, "status": "closed"})
def closed(fact: Fact) -> dict | None:
    order = order_after(fact)
    return order and base_of(order)


CUSTOMER = {"customer_id": "cus_01J9Z6W2V7Q0M3T8K4B5N6P7R8", "email": "ada@buyer.example", "version": 1}
CUSTOMER |= {"resource_updated_at": "2026-09-07T12:00:00.000Z"}


@tells("customer.created", on="customer.created", resource="customer", scope="customers.read", sample=CUSTOMER)
def customer_created(fact: Fact) -> dict:
    return customer_of(fact)


@tells("customer.updated", on="customer.updated", resource="customer", scope="customers.read", sample=CUSTOMER)
def customer_updated(fact: Fact) -> dict:
    return customer_of(fact)


def customer_of(fact: Fact) -> dict[str, Any]:
    """Return the customer that a fact is about, as the API shows it now; ``version`` says how new that is."""
    customer = fact.once("customer", fact.event.subject_id, lambda key: _customers(fact).find(id=key))
    shown = shared(CustomerOutput).to_representation(customer)
    shown.pop("internal_note", None)
    return {**shown, "resource_updated_at": customer.updated_at}


def _customers(fact: Fact):
    return Customer.objects.of(fact.actor).select_related("environment")
