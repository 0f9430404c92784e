"""Which orders, customers and activities to list."""

from django.db.models import F, Q, QuerySet
from django.db.models.functions import Greatest

from flint.api.fields import EmailField, EnumField, ExternalReferenceField, IdField, StrictString, TimestampField
from flint.api.queries import AmountFilter, CreatedFilter, Expand, ListQuery, Query, Several, UpdatedFilter
from orders.api.activities import ACTIVITY_TYPES, event_types_of
from orders.models import Customer
from orders.models.orders import Origin, PaymentStatus, RefundStatus, Status

MOST_CUSTOMERS = 1_000
"""How many customers a search for orders looks at; who searches for less than a name finds too much anyway."""

OUTSTANDING = Greatest(
    F("total_amount") - F("credit_amount") - F("paid_amount") + F("refunded_amount") + F("charged_back_amount"), 0
)


class ReadOrderQuery(Query):
    """How to show an order."""

    expand = Expand(["customer", "payment_intents"])
    as_of = TimestampField(required=False, code="INVALID_AS_OF")


class OrderQuery(CreatedFilter, UpdatedFilter, AmountFilter, ListQuery):
    """Which orders to list."""

    sorts = {
        "created_at": "created_at",
        "updated_at": "updated_at",
        "outstanding_money": "outstanding",
        "total": "total_amount",
    }

    status = EnumField(Status.values, required=False, code="INVALID_ORDER_STATUS", lookup="status")
    payment_status = Several(PaymentStatus.values, code="INVALID_PAYMENT_STATUS", lookup="payment_status__in")
    refund_status = Several(RefundStatus.values, code="INVALID_REFUND_STATUS", lookup="refund_status__in")
    order_number = StrictString(required=False, lookup="order_number__iexact")
    external_reference_id = ExternalReferenceField(required=False, lookup="external_reference_id")
    origin = EnumField(Origin.values, required=False, code="INVALID_ORIGIN", lookup="origin")
    customer_id = IdField("cus", required=False, lookup="customer_id")
    currency = StrictString(required=False, pattern="[A-Z]{3}", code="INVALID_CURRENCY", lookup="currency")
    query = StrictString(required=False, code="INVALID_QUERY")

    def apply(self, rows: QuerySet) -> QuerySet:
        rows = super().apply(rows)
        if self.sort[0] == "outstanding":
            rows = rows.annotate(outstanding=OUTSTANDING)
        return rows.filter(self._searched()) if "query" in self.values else rows

    def _searched(self) -> Q:
        """
        Match an order's number, id, reference or contact email as a whole, or a part of its customer's name or email.

        The customers are looked up first, so that every alternative can be answered from an index of orders.
        """
        text = self.values["query"].strip()
        customers = (
            Customer.objects.filter(environment_id=self.environment_id)
            .filter(Q(email__icontains=text) | Q(name__icontains=text))
            .order_by("-created_at", "-id")
            .values_list("id", flat=True)[:MOST_CUSTOMERS]
        )
        return (
            Q(order_number=text.upper())
            | Q(id__in={text, _as_id(text)})
            | Q(external_reference_id__in={text, text.upper(), text.lower()})
            | Q(contact_email__iexact=text)
            | Q(customer_id__in=list(customers))
        )


def _as_id(text: str) -> str:
    prefix, _, body = text.partition("_")
    return f"{prefix.lower()}_{body.upper()}"


class ActivityQuery(ListQuery):
    """Which part of an order's history to list."""

    default_sort = "sequence"

    sort_direction = EnumField(["asc", "desc"], required=False, code="INVALID_SORT_DIRECTION")
    type = Several(ACTIVITY_TYPES, code="INVALID_ACTIVITY_TYPE")

    def apply(self, rows: QuerySet) -> QuerySet:
        rows = super().apply(rows)
        return rows.filter(type__in=event_types_of(self.values["type"])) if "type" in self.values else rows


class ReadCustomerQuery(Query):
    """How to show a customer."""

    expand = Expand(["default_payment_method", "receivables"])


class CustomerQuery(CreatedFilter, UpdatedFilter, ListQuery):
    """Which customers to list."""

    expand = Expand(["receivables"])
    sorts = {"created_at": "created_at", "updated_at": "updated_at", "name": "name", "email": "email"}

    email = EmailField(required=False, lookup="email__iexact")
    external_reference_id = ExternalReferenceField(required=False, lookup="external_reference_id")
    query = StrictString(required=False, code="INVALID_QUERY")

    def apply(self, rows: QuerySet) -> QuerySet:
        rows = super().apply(rows)
        if "query" not in self.values:
            return rows
        text = self.values["query"].strip()
        return rows.filter(
            Q(name__icontains=text) | Q(email__icontains=text) | Q(external_reference_id=text) | Q(id=text)
        )
