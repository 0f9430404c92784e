"""Saved cards in the admin: whose they are and what became of them. Tokens of the processor are never read for it."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import mark_safe

from flint.admin import EnvironmentFilter, ReadOnlyAdmin, badge, moment, words
from flint.events.models import Event
from payments.admin.payments import BRANDS, DOTS, error_text
from payments.models import PaymentMethod

TOLD = {
    "payment_method.created": "Begun to be saved",
    "payment_method.saved": "Saved",
    "payment_method.failed": "Not saved",
    "payment_method.preferred": "Made the customer's default",
    "payment_method.expired": "Expired",
    "payment_method.removed": "Removed",
}


@admin.register(PaymentMethod)
class PaymentMethodAdmin(ReadOnlyAdmin):
    """One saved card, with its history."""

    icon = "wallet"
    title = "Saved cards"
    list_display = (
        "card",
        "status_badge",
        "customer_column",
        "runs_out",
        "usage_text",
        "created",
        "environment_column",
    )
    list_display_links = ("card",)
    list_filter = ("status", "usage", "created_at", EnvironmentFilter)
    list_select_related = ("customer", "environment__merchant")
    search_fields = ("id",)
    search_help_text = "Payment method id, customer id or last four digits"
    fields = ("id", "card", "status_badge", "customer_column", "is_default", "runs_out", "usage_text", "processor")
    fields += ("error", "history", "created")
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).defer("reference", "customer_reference")

    def get_search_results(self, request: HttpRequest, queryset: QuerySet, search_term: str) -> tuple[QuerySet, bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        if term.startswith("cus_"):
            return queryset.filter(customer_id=term), False
        return queryset.filter(last4=term) if len(term) == 4 else queryset.filter(id=term), False

    @admin.display(description="Card")
    def card(self, method: PaymentMethod) -> str:
        if not method.last4:
            return "No card yet"
        return f"{BRANDS.get(method.brand, method.brand.capitalize())} {DOTS} {method.last4}"

    @admin.display(description="Status")
    def status_badge(self, method: PaymentMethod) -> str:
        return badge(method.status)

    @admin.display(description="Customer")
    def customer_column(self, method: PaymentMethod) -> str:
        url = reverse("admin:orders_customer_change", args=[method.customer_id])
        return format_html('<a class="fl-link" href="{}">{}</a>', url, method.customer)

    @admin.display(description="Default of the customer", boolean=True)
    def is_default(self, method: PaymentMethod) -> bool:
        return method.customer.default_payment_method_id == method.id

    @admin.display(description="Runs out")
    def runs_out(self, method: PaymentMethod) -> str:
        return f"{method.exp_month:02}/{method.exp_year}" if method.exp_year else "–"

    @admin.display(description="May be charged")
    def usage_text(self, method: PaymentMethod) -> str:
        return "Without the customer" if method.usage == "off_session" else "In checkouts the customer completes"

    @admin.display(description="Error")
    def error(self, method: PaymentMethod) -> str:
        setup = getattr(method, "setup", None)
        return (setup and error_text(setup.error_code, setup.error_message)) or "–"

    @admin.display(description="History")
    def history(self, method: PaymentMethod) -> str:
        zone = method.environment.merchant.reporting_timezone
        rows = Event.objects.filter(environment_id=method.environment_id, subject_id=method.id).order_by("id")
        lines = [format_html("{} · {} · {}", moment(row.created_at, zone), _told(row), row.actor_label) for row in rows]
        return format_html_join(mark_safe("<br>"), "{}", ((line,) for line in lines)) or "–"


def _told(event: Event) -> str:
    """Say what happened; of a card that was not saved, also why."""
    text = TOLD.get(event.type, words(event.type))
    return f"{text}: {words(event.data['failure_code']).lower()}" if "failure_code" in event.data else text
