"""The ledger in the admin: its entries as they are, and what those that are shown come to."""

from typing import Any

from django.contrib import admin
from django.db.models import BigIntegerField, Case, F, QuerySet, Sum, When
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html

from flint.admin import EnvironmentFilter, ReadOnlyAdmin, words
from flint.money import Money
from orders.admin.order import CurrencyFilter
from orders.models import LedgerEntry

FLOWS = {
    "collected": ("Collected", ("capture", "manual_payment"), ("manual_payment_reversed",)),
    "refunded": ("Refunded", ("refund",), ("refund_reversed",)),
    "disputed": ("Taken by disputes", ("dispute_withdrawn",), ("dispute_reinstated",)),
}
"""What money does: its name, the kinds of entries that do it, and those that undo it."""


def of_flow(entries: QuerySet, flow: str) -> QuerySet:
    """Keep to the entries of one flow, with ``signed``: the amount, below zero where it undoes another."""
    _, does, undoes = FLOWS[flow]
    signed = Case(When(kind__in=undoes, then=-F("amount")), default=F("amount"), output_field=BigIntegerField())
    return entries.filter(kind__in=(*does, *undoes)).annotate(signed=signed)


class FlowFilter(admin.SimpleListFilter):
    """Keeps to what came in, went back or was taken."""

    title = "what happened"
    parameter_name = "flow"

    def lookups(self, request: HttpRequest, model_admin: ReadOnlyAdmin) -> list[tuple[str, str]]:
        return [(name, label) for name, (label, _, _) in FLOWS.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        return of_flow(queryset, self.value()) if self.value() in FLOWS else queryset


@admin.register(LedgerEntry)
class LedgerEntryAdmin(ReadOnlyAdmin):
    """Every movement between two accounts. It can be read, and nothing else."""

    icon = "menu_book"
    group = "Reports"
    title = "Ledger"
    rank = 8
    list_display = ("created", "what", "debit", "credit", "amount_column", "order_column", "environment_column")
    list_filter = (FlowFilter, "kind", CurrencyFilter, "created_at", EnvironmentFilter)
    list_select_related = ("order", "environment__merchant")
    list_before_template = "admin/orders/ledger_sum.html"
    fields = ("id", "what", "debit", "credit", "amount_column", "order_column", "sequence", "source_id", "event_id")
    fields += ("created",)
    readonly_fields = fields

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        response = super().changelist_view(request, extra_context)
        shown = getattr(response, "context_data", None) and response.context_data.get("cl")
        if shown and request.GET.get(FlowFilter.parameter_name) in FLOWS and shown.params.get("currency"):
            total = shown.queryset.order_by().aggregate(sum=Sum("signed"))["sum"] or 0
            response.context_data["ledger_sum"] = Money(total, shown.params["currency"]).text()
        return response

    @admin.display(description="What")
    def what(self, entry: LedgerEntry) -> str:
        return words(entry.kind)

    @admin.display(description="Amount")
    def amount_column(self, entry: LedgerEntry) -> str:
        return entry.money.text()

    @admin.display(description="Order")
    def order_column(self, entry: LedgerEntry) -> str:
        if entry.order is None:
            return "–"
        url = reverse("admin:orders_order_change", args=[entry.order_id])
        return format_html('<a class="fl-link" href="{}">{}</a>', url, entry.order)
