"""
Which invoices: what they ask for, in the database's own words, so that lists filter and sort by it.

The formulas are those of ``invoices.amounts`` and ``invoices.asking``; a test holds them against each other.
"""

from collections import defaultdict
from datetime import datetime

from django.db.models import BigIntegerField, Case, Exists, F, OuterRef, Q, QuerySet, Subquery, Sum, Value, When
from django.db.models.functions import Coalesce, Greatest
from django.utils import timezone

from flint.money import Money
from invoices.models import Invoice, InvoiceLateFee, InvoiceScheduleEntry
from invoices.models.invoices import ASKING, STANDING
from orders.models import Customer

BIG = BigIntegerField()
BALANCE = (
    F("order__total_amount")
    - F("order__credit_amount")
    - F("order__paid_amount")
    + F("order__refunded_amount")
    + F("order__charged_back_amount")
)


def _summed(rows: QuerySet, by: str, amount) -> Coalesce:
    """Return the sum over other rows as an expression; zero where there are none."""
    sums = rows.order_by().values(by).annotate(sum=Sum(amount)).values("sum")
    return Coalesce(Subquery(sums, output_field=BIG), Value(0), output_field=BIG)


def _billed() -> Coalesce:
    """What the standing invoices of an invoice's order bill, late fees included."""
    standing = {"order_id": OuterRef("order_id"), "status__in": [str(status) for status in STANDING]}
    documents = _summed(Invoice.objects.filter(**standing), "order_id", "total_amount")
    fees = InvoiceLateFee.objects.filter(**{f"invoice__{name}": value for name, value in standing.items()})
    return documents + _summed(fees, "invoice__order_id", F("amount") - F("waived_amount"))


def outstanding() -> Case:
    """What an invoice still asks for; of a draft what its order owes."""
    owed = Greatest(BALANCE, Value(0), output_field=BIG)
    asked = Greatest(owed - (F("order__total_amount") - _billed()), Value(0), output_field=BIG)
    return Case(
        When(status="draft", then=owed),
        When(status__in=[str(status) for status in ASKING], then=asked),
        default=Value(0),
        output_field=BIG,
    )


def is_overdue(*, at: datetime) -> Q:
    """
    Whether something should have come in by a moment that did not.

    Without a schedule that goes by the invoice's own due date, with one by the dates of its entries alone.
    """
    entries = InvoiceScheduleEntry.objects.filter(invoice_id=OuterRef("pk"))
    not_yet = _summed(entries.filter(Q(due_at__isnull=True) | Q(due_at__gte=at)), "invoice_id", "total_amount")
    is_asking = Q(status__in=[str(status) for status in ASKING])
    by_entries = Q(Exists(entries)) & Q(outstanding__gt=not_yet)
    return is_asking & (by_entries | ~Exists(entries) & Q(due_at__lt=at))


def with_outstanding(rows: QuerySet[Invoice]) -> QuerySet[Invoice]:
    """Return the invoices with what each asks for, as ``outstanding``."""
    return rows.annotate(outstanding=outstanding())


def receivables_of(customer: Customer, *, at: datetime | None = None) -> list[tuple[Money, Money]]:
    """
    Return what a customer's invoices ask for, and how much of that is overdue, for each currency; nothing where
    nothing is asked for.

    In one statement, whatever their number, and a second one where some are paid in parts.
    """
    return receivables([customer], at=at).get(customer.pk, [])


def receivables(customers: list[Customer], *, at: datetime | None = None) -> dict[str, list[tuple[Money, Money]]]:
    """Return what :func:`receivables_of` does for several customers, by id; in no more statements."""
    at = at or timezone.now()
    asking = with_outstanding(
        Invoice.objects.filter(customer_id__in=[each.pk for each in customers], status__in=ASKING)
    ).prefetch_related("schedule_entries")
    sums: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for invoice in asking.order_by("currency", "id"):
        found = sums[invoice.customer_id, invoice.currency]
        found[0] += invoice.outstanding
        found[1] += max(invoice.outstanding - _not_yet_overdue(invoice, at), 0)
    balances: dict[str, list[tuple[Money, Money]]] = defaultdict(list)
    for (customer_id, currency), (owed, overdue) in sums.items():
        balances[customer_id].append((Money(owed, currency), Money(overdue, currency)))
    return dict(balances)


def _not_yet_overdue(invoice: Invoice, at: datetime) -> int:
    entries = list(invoice.schedule_entries.all())
    if entries:
        return sum(entry.total_amount for entry in entries if entry.due_at is None or entry.due_at >= at)
    return invoice.outstanding if invoice.due_at is None or invoice.due_at >= at else 0
