"""
One edit of an order: lock it, change its parts in memory, price it, save what changed, remember it, commit.

Every verb that changes what an order is worth goes through :func:`editing`, so that parts, amounts, statuses, ledger
and history can only move together.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import models, transaction
from django.utils import timezone

from flint.actors import Actor
from flint.errors import Conflict
from flint.events import services as events
from orders import collecting, ledger
from orders.models import Charge, Discount, LineItem, Order, TaxBreakdown
from orders.services import pricing


class OrderClosed(Conflict):
    code = "ORDER_CLOSED"
    message = "The order is closed; its amounts can no longer change."


class Edit:
    """An edit under way on a locked order. Verbs add, change or remove parts and tell what they did."""

    def __init__(self, order: Order, parts: pricing.Parts, actor: Actor):
        self.order = order
        self.parts = parts
        self.actor = actor
        self.sold_before = pricing.sale_of(order, parts)
        self._before = {row.pk: _values(row) for row in _rows(parts)}
        self._told: list[tuple[str, models.Model, dict[str, Any]]] = []
        self._gone: list[models.Model] = []
        order.order_revision += 1

    def tell(self, type: str, subject: models.Model | None = None, **data: Any) -> None:
        """Say what was done; it becomes an event once the amounts are known."""
        self._told.append((type, subject or self.order, data))

    def remove(self, row: LineItem | Charge | Discount | TaxBreakdown) -> None:
        """Take a part off the order, with the taxes on it."""
        owned = self.parts.taxes_of(row) if isinstance(row, LineItem | Charge) else []
        for part in [*owned, row]:
            _list_of(self.parts, part).remove(part)
            self._gone.append(part)

    def add(self, row: LineItem | Charge | Discount | TaxBreakdown) -> None:
        """Put a part on the order, after those already there."""
        rows = _list_of(self.parts, row)
        row.environment_id = self.order.environment_id
        row.order_id = self.order.id
        row.position = rows[-1].position + 1 if rows else 0
        if hasattr(row, "added_revision"):
            row.added_revision = self.order.order_revision
        rows.append(row)

    def commit(self, *postings: ledger.Posting) -> None:
        """
        Price, save, remember. The order itself is written last and once, with the counts of what it remembers.

        ``postings`` are movements beside the change of what is sold, such as a write-off.
        """
        pricing.reprice(self.order, self.parts)
        self._save_parts()
        self._post(postings)
        is_new = self.order._state.adding
        if not is_new:
            collecting.tell_changed(self.order, self.actor)
        self.order.save(force_insert=is_new)

    def _save_parts(self) -> None:
        # Deleted through the table: an instance that is deleted itself forgets its id, which the history still needs.
        for model in (TaxBreakdown, Discount, Charge, LineItem):
            if ids := [row.pk for row in self._gone if isinstance(row, model) and row.pk in self._before]:
                model.objects.filter(pk__in=ids).delete()
        now = timezone.now()
        for model, rows in _by_table(self.parts):
            new = [row for row in rows if row.pk not in self._before]
            changed = [row for row in rows if row.pk in self._before and _values(row) != self._before[row.pk]]
            for row in changed:
                row.updated_at = now
                if isinstance(row, LineItem):
                    row.version += 1
            if new:
                model.objects.bulk_create(new)
            if changed:
                columns = [f.name for f in model._meta.concrete_fields if not f.primary_key and f.name != "created_at"]
                model.objects.bulk_update(changed, columns)

    def _post(self, postings: Sequence[ledger.Posting]) -> None:
        recorded = [
            events.record(self.order, type, subject=subject, actor=self.actor, **data)
            for type, subject, data in self._told
        ]
        # The first of them is the one whose amounts after it differ from those before.
        sold = pricing.sale_of(self.order, self.parts)
        changed = pricing.sale_postings(self.sold_before, sold, recorded[0].id)
        ledger.post(self.order, recorded[0], [*changed, *postings])


@contextmanager
def editing(order_id: str, *, actor: Actor, revision: int | None = None, for_invoice: bool = False) -> Iterator[Edit]:
    """
    Open an edit of an order's worth; what the block did is priced, saved and remembered when it ends.

    :raises OrderNotFound: if the order is absent or foreign.
    :raises OrderClosed: if its amounts are final.
    :raises OrderPaymentAttemptActive: if a payment is in progress.
    :param for_invoice: the invoice that bills the order changes it itself, to add a late fee or to waive one.
    :raises InvoiceLockedOrderFinancials: if an invoice bills the order as it is.
    :raises OrderChangedRefreshRequired: if ``revision`` is given and stale.
    """
    with transaction.atomic():
        # Whoever comes by an invoice may come to an order that was made for it, and that no key sees by itself.
        orders = Order.objects.behind(actor) if for_invoice else Order.objects.of(actor)
        order = orders.lock(id=order_id)
        collecting.refuse_former_buyer(order, actor)
        refuse_stale(order, revision)
        if not for_invoice:
            refuse_closed(order)
            collecting.refuse_while_collecting(order)
            collecting.refuse_under_invoice(order)
        with editing_locked(order, actor=actor) as edit:
            yield edit


@contextmanager
def editing_locked(order: Order, *, actor: Actor) -> Iterator[Edit]:
    """
    Open an edit of an order that is locked already, for its invoice, which is its only collector then.

    :raises OrderClosed: if its amounts are final. :raises OrderPaymentAttemptActive: if a payment is in progress.
    """
    refuse_closed(order)
    collecting.refuse_while_collecting(order)
    edit = Edit(order, pricing.load(order), actor)
    yield edit
    edit.commit()


class OrderChangedRefreshRequired(Conflict):
    code = "ORDER_CHANGED_REFRESH_REQUIRED"
    message = "The order has changed since you read it. Read it again and decide anew."


def refuse_closed(order: Order) -> None:
    """:raises OrderClosed: if a locked order is no longer open."""
    if order.status != "open":
        raise OrderClosed(current_status=order.status)


def refuse_stale(order: Order, revision: int | None) -> None:
    """:raises OrderChangedRefreshRequired: if the caller's revision of a locked order is not the current one."""
    if revision is not None and revision != order.order_revision:
        raise OrderChangedRefreshRequired(param="order_revision", current_version=order.order_revision)


def _values(row: models.Model) -> dict[str, Any]:
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}


def _by_table(parts: pricing.Parts) -> list[tuple[type[models.Model], list]]:
    return [
        (LineItem, parts.lines),
        (Charge, parts.charges),
        (Discount, parts.discounts),
        (TaxBreakdown, parts.taxes),
    ]


def _rows(parts: pricing.Parts) -> list[models.Model]:
    return [row for _, rows in _by_table(parts) for row in rows]


def _list_of(parts: pricing.Parts, row: models.Model) -> list:
    return next(rows for model, rows in _by_table(parts) if isinstance(row, model))
