"""Which invoices and activities to list, and how to show one."""

from datetime import UTC, datetime

from django.db.models import F, Q, QuerySet, Value
from django.db.models.functions import Coalesce
from django.utils import timezone

from flint.api.fields import EnumField, ExternalReferenceField, IdField, StrictString, TimestampField
from flint.api.queries import CreatedFilter, Expand, Flag, ListQuery, Query, Several
from invoices.api.activities import ACTIVITY_TYPES, told_as
from invoices.models.invoices import ASKING, InvoiceStatus
from invoices.selectors import is_overdue, with_outstanding
from orders.models import Customer

MOST_CUSTOMERS = 1_000
NEVER = datetime(9999, 1, 1, tzinfo=UTC)
"""Where an invoice that is due at no time stands among those that are."""


class ReadInvoiceQuery(Query):
    """How to show an invoice."""

    expand = Expand(["customer", "order"])


class InvoiceQuery(CreatedFilter, ListQuery):
    """Which invoices to list."""

    refusals = ("INVALID_DUE_RANGE",)
    sorts = {
        "created_at": "created_at",
        "updated_at": "updated_at",
        "due_at": "due",
        "invoice_number": "counted",
        "outstanding_money": "outstanding",
    }

    status = Several(InvoiceStatus.values, code="INVALID_INVOICE_STATUS", lookup="status__in")
    customer_id = IdField("cus", required=False, lookup="customer_id")
    order_id = IdField("ord", required=False, lookup="order_id")
    external_reference_id = ExternalReferenceField(required=False, lookup="external_reference_id")
    due_after = TimestampField(required=False, code="INVALID_DUE_AFTER", lookup="due_at__gte")
    due_before = TimestampField(required=False, code="INVALID_DUE_BEFORE", lookup="due_at__lt")
    is_overdue = Flag()
    has_amount_due = Flag()
    query = StrictString(required=False, code="INVALID_QUERY")

    def validate(self, attrs):
        if "due_after" in attrs and "due_before" in attrs and attrs["due_after"] > attrs["due_before"]:
            self.refuse("INVALID_DUE_RANGE", "due_after is not after due_before.", "due_after")
        return super().validate(attrs)

    def apply(self, rows: QuerySet) -> QuerySet:
        rows = super().apply(rows)
        column = self.sort[0]
        if column == "outstanding" or "is_overdue" in self.values:
            rows = with_outstanding(rows)
        if column == "due":
            rows = rows.annotate(due=Coalesce(F("due_at"), Value(NEVER)))
        if column == "counted":
            rows = rows.annotate(counted=Coalesce(F("sequence"), Value(0)))
        if "is_overdue" in self.values:
            late = is_overdue(at=timezone.now())
            rows = rows.filter(late) if self.values["is_overdue"] else rows.exclude(late)
        if "has_amount_due" in self.values:
            asks = Q(status__in=ASKING)
            rows = rows.filter(asks) if self.values["has_amount_due"] else rows.exclude(asks)
        return rows.filter(self._searched()) if "query" in self.values else rows

    def _searched(self) -> Q:
        """
        Match a number, an id or a reference as a whole, or a part of the customer's name or email address.

        The customers are looked up first, so that every alternative can be answered from an index of invoices.
        """
        text = self.values["query"].strip()
        customers = (
            Customer.objects.filter(environment_id=self.environment_id)
            .filter(Q(email__icontains=text) | Q(name__icontains=text))
            .order_by("-created_at", "-id")
            .values_list("id", flat=True)[:MOST_CUSTOMERS]
        )
        return (
            Q(number__in={text, text.upper()})
            | Q(id__in={text, _as_id(text)})
            | Q(external_reference_id=text)
            | Q(reference=text)
            | Q(po_number=text)
            | Q(recipient_email__iexact=text)
            | Q(customer_id__in=list(customers))
        )


def _as_id(text: str) -> str:
    prefix, _, body = text.partition("_")
    return f"{prefix.lower()}_{body.upper()}"


class InvoiceActivityQuery(ListQuery):
    """Which part of an invoice's history to list."""

    default_sort = "sequence"

    sort_direction = EnumField(["asc", "desc"], required=False, code="INVALID_SORT_DIRECTION")
    type = Several(ACTIVITY_TYPES, code="INVALID_ACTIVITY_TYPE")

    def apply(self, rows: QuerySet) -> QuerySet:
        return super().apply(rows).filter(told_as(self.values.get("type", ACTIVITY_TYPES)))


class DeliveryQuery(ListQuery):
    """Which emails of an invoice to list."""
