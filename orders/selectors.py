"""
Reading orders, whole: with their parts, and with what the rooms to the right show of them.

Those rooms register what they add, so that an order is read with a fixed number of statements however many are asked
for, and nothing here imports to the right.
"""

from collections.abc import Callable, Sequence

from django.db.models import QuerySet
from django.db.models.expressions import BaseExpression

from flint.actors import Actor
from orders.models import Order
from orders.services.pricing import Parts

_annotations: dict[str, BaseExpression] = {}
_attachments: list[Callable[[Sequence[Order], bool], None]] = []


def shows(**annotations: BaseExpression) -> None:
    """Register columns that every read of orders carries, such as the ids of a room's own rows."""
    _annotations.update(annotations)


def attaches(attach: Callable[[Sequence[Order], bool], None]) -> Callable[[Sequence[Order], bool], None]:
    """
    Register a function that sets further attributes on orders just read, for all of them in a few statements.

    Its second argument says whether a single order is read, with all there is to show.
    """
    _attachments.append(attach)
    return attach


_narrowings: list[Callable[[Order, Actor], None]] = []


def narrows(narrow: Callable[[Order, Actor], None]) -> Callable[[Order, Actor], None]:
    """Register a function that takes off an order just read for a buyer what that one is not to see."""
    _narrowings.append(narrow)
    return narrow


def readable(actor: Actor) -> QuerySet[Order]:
    """Return the actor's orders with customer and parts, to be read and shown; not locked, not for changing."""
    return _whole(Order.objects.of(actor))


def _whole(rows: QuerySet[Order]) -> QuerySet[Order]:
    return (
        rows.select_related("customer", "environment")
        .prefetch_related("line_items", "charges", "discounts", "tax_breakdowns")
        .annotate(**_annotations)
    )


def read_order_behind(order_id: str, *, actor: Actor) -> Order:
    """Return one order as :func:`read_order`, hidden ones included: for who comes from what was made for it."""
    order = _whole(Order.objects.behind(actor)).find(id=order_id)
    attach([order], single=True)
    return order


def attach(orders: Sequence[Order], *, single: bool = False) -> Sequence[Order]:
    """Set on orders what the rooms to the right show of them."""
    for add in _attachments:
        add(orders, single)
    return orders


def read_order(order_id: str, *, actor: Actor) -> Order:
    """
    Return one order with everything there is to show of it to the actor.

    :raises OrderNotFound: if it is absent or foreign.
    """
    order = readable(actor).find(id=order_id)
    attach([order], single=True)
    if actor.is_buyer:
        for narrow in _narrowings:
            narrow(order, actor)
    return order


def as_created(order: Order, parts: Parts) -> Order:
    """Dress an order that was created a moment ago like one read afresh, without reading anything."""
    order._prefetched_objects_cache = {
        "line_items": parts.lines,
        "charges": parts.charges,
        "discounts": parts.discounts,
        "tax_breakdowns": parts.taxes,
    }
    for name in _annotations:
        setattr(order, name, [])
    attach([order], single=True)
    return order
