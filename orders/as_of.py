"""
Orders as they stood: put together from the versions of their rows that the database kept (``orders.keeping``).

What comes back looks like an order read by ``orders.selectors`` at that moment and is shown by the same serializers.
The rooms to the right register what they put on it, so nothing here imports to the right.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from django.db import DEFAULT_DB_ALIAS, models, transaction
from django.db.models import DateTimeField, Func

from flint.actors import Actor
from flint.errors import InvalidInput, NotFound
from flint.events.models import Event
from orders.models import Charge, Discount, LineItem, Order, RowVersion, TaxBreakdown

M = TypeVar("M", bound=models.Model)


class InvalidAsOf(InvalidInput):
    code = "INVALID_AS_OF"
    message = "This moment has not come yet; nobody knows how the order will stand then."


class OrderNotCreatedYet(NotFound):
    code = "ORDER_NOT_CREATED_YET"
    message = "The order did not exist at that moment."


class Rows:
    """The rows of an order at a moment, as unsaved copies. To be read and shown; they are never to be saved."""

    def __init__(self, columns: Mapping[str, Mapping[str, dict[str, Any]]]):
        self._columns = columns

    def of(self, model: type[M]) -> list[M]:
        """Return the rows of a table, oldest first."""
        kept = self._columns.get(model._meta.label_lower, {})
        rows = [_row(model, columns) for columns in kept.values()]
        return sorted(rows, key=lambda row: (row.created_at, row.pk))


Restorer = Callable[[Order, Rows], None]

_restorers: list[Restorer] = []


def restores(restore: Restorer) -> Restorer:
    """Register a function that puts on an order, from the rows of a moment, what its room shows of it."""
    _restorers.append(restore)
    return restore


def read_order_as_of(order_id: str, *, at: datetime, actor: Actor) -> Order:
    """
    Return an order with everything there was to show of it at a moment; three statements, whatever its history.

    The order is locked while it is read: a change that is just being committed may be dated before this moment, and
    the same question must always have the same answer.

    :raises OrderNotFound: if it is absent or foreign. :raises OrderNotCreatedYet: if it did not exist then.
    :raises InvalidAsOf: if the moment is yet to come.
    """
    clock = Func(function="clock_timestamp", output_field=DateTimeField())
    with transaction.atomic():
        now = Order.objects.of(actor).select_related("environment").annotate(clock=clock).lock(id=order_id)
        if at > now.clock:
            raise InvalidAsOf(param="as_of")
        rows = Rows(_columns(order_id, at))
    found = rows.of(Order)
    if not found:
        raise OrderNotCreatedYet()
    (order,) = found
    order.environment = now.environment
    for restore in _restorers:
        restore(order, rows)
    return order


def read_order_after(event: Event) -> Order:
    """
    Return an order as it was right after an event: with all that the event's transaction changed, and nothing later.

    One statement. For telling others what happened, long after if need be.
    """
    columns: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    moment = None
    versions = RowVersion.objects.filter(order_id=event.order_id).order_by("id")
    label = Order._meta.label_lower
    for model, row_id, changes, at in versions.values_list("model", "row_id", "changes", "recorded_at").iterator():
        if moment is not None and at != moment:
            break
        _take(columns, model, row_id, changes)
        if model == label and columns[label][row_id]["event_count"] >= event.sequence:
            moment = at
    rows = Rows(columns)
    (order,) = rows.of(Order)
    for restore in _restorers:
        restore(order, rows)
    return order


@restores
def restore_parts(order: Order, rows: Rows) -> None:
    """Put on an order what it was made of."""
    parts = {"line_items": LineItem, "charges": Charge, "discounts": Discount, "tax_breakdowns": TaxBreakdown}
    order._prefetched_objects_cache = {
        name: sorted(rows.of(model), key=lambda part: part.position) for name, model in parts.items()
    }


def _columns(order_id: str, at: datetime) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the columns that each row had, by model and id: every change up to the moment, one upon the other."""
    columns: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    versions = RowVersion.objects.filter(order_id=order_id, recorded_at__lte=at).order_by("id")
    for model, row_id, changes in versions.values_list("model", "row_id", "changes"):
        _take(columns, model, row_id, changes)
    return columns


def _take(columns: Mapping[str, dict], model: str, row_id: str, changes: dict[str, Any] | None) -> None:
    if changes is None:
        columns[model].pop(row_id, None)
    else:
        columns[model].setdefault(row_id, {}).update(changes)


def _row(model: type[M], columns: Mapping[str, Any]) -> M:
    """Return a row as the database would have given it. A column that was added since, or is not kept, is empty."""
    fields = model._meta.concrete_fields
    values = [
        field.to_python(columns[field.column]) if field.column in columns else field.get_default() for field in fields
    ]
    return model.from_db(DEFAULT_DB_ALIAS, [field.attname for field in fields], values)
