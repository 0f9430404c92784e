"""Customers in the admin."""

from django.contrib import admin
from django.db.models import QuerySet
from django.db.models.functions import Lower
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from flint.admin import EnvironmentFilter, ReadOnlyAdmin
from flint.api.addresses import in_one_line
from orders.models import Customer

NOTHING = "–"


@admin.register(Customer)
class CustomerAdmin(ReadOnlyAdmin):
    """Who buys, and a way to their orders."""

    icon = "person"
    list_display = ("email", "name", "phone", "created", "environment_column")
    list_filter = (EnvironmentFilter,)
    list_select_related = ("environment__merchant",)
    search_fields = ("email",)
    search_help_text = "Email, name or id"
    fields = ("id", "email", "name", "phone", "external_reference_id", "is_verified", "tax_exempt", "internal_note")
    fields += ("billing", "tax_identity_told", "orders_link", "created")
    readonly_fields = fields

    def get_search_results(self, request: HttpRequest, queryset: QuerySet, search_term: str) -> tuple[QuerySet, bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        if term.startswith("cus_"):
            return queryset.filter(id=term), False
        if "@" in term:
            return queryset.alias(lower=Lower("email")).filter(lower__startswith=term.lower()), False
        return queryset.filter(name__istartswith=term), False

    @admin.display(description="Billing address")
    def billing(self, customer: Customer) -> str:
        return in_one_line(customer.billing_address) or NOTHING

    @admin.display(description="Tax identity")
    def tax_identity_told(self, customer: Customer) -> str:
        identity = customer.tax_identity or {}
        numbers = [f"{each['type']} {each['value']}" for each in identity.get("tax_ids", [])]
        parts = [identity.get("legal_name", ""), in_one_line(identity.get("registered_address")), *numbers]
        return ", ".join(part for part in parts if part) or NOTHING

    @admin.display(description="Orders")
    def orders_link(self, customer: Customer) -> str:
        return format_html(
            '<a class="fl-link" href="{}?q={}">Orders of {}</a>',
            reverse("admin:orders_order_changelist"),
            customer.email,
            customer,
        )
