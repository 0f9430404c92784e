"""Payment terms in the admin: shown, made and archived."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from flint.admin import EnvironmentFilter, ReadOnlyAdmin, badge, staff_actor
from flint.api import wire
from flint.errors import FlintError
from flint.merchants.staff import Right, access_of, environments_of
from flint.money import Money
from invoices.admin.registry import StaffForm
from invoices.models import InvoicePaymentTerm
from invoices.services import terms

WHEN = {
    "on_receipt": "On the day of issue",
    "net_days": "So many days after issue",
    "day_of_month": "On a day of the month",
    "day_of_next_month": "On a day of the next month",
    "days_after_month_end": "So many days after the month ends",
}


def calculation_text(calculation: dict[str, Any]) -> str:
    """Say when invoices of a term are due."""
    days, day = calculation.get("days"), calculation.get("day")
    match calculation["type"]:
        case "net_days":
            return f"{days} day{'' if days == 1 else 's'} after issue"
        case "day_of_month":
            return f"on day {day} of the month"
        case "day_of_next_month":
            return f"on day {day} of the next month"
        case "days_after_month_end":
            return f"{days} day{'' if days == 1 else 's'} after the month ends"
    return "on the day of issue"


def fee_text(policy: dict[str, Any] | None) -> str:
    """Say what being late costs."""
    if not policy:
        return "none"
    if policy["type"] == "fixed":
        amount = str(Money(policy["amount_money"]["amount"], policy["amount_money"]["currency"]))
    else:
        amount = f"{wire.percent_text(policy['percent'])} % of what is overdue"
    how = "by itself" if policy.get("application_mode") == "automatic" else "when somebody charges it"
    return f"{amount}, {policy['grace_period_days']} days after the due date, {how}"


class TermForm(StaffForm):
    """A new payment term. Late fees are agreed over the API."""

    name = forms.CharField(label="Name", max_length=255)
    type = forms.ChoiceField(label="Due", choices=list(WHEN.items()))
    number = forms.IntegerField(
        label="Days, or day of the month",
        required=False,
        min_value=0,
        max_value=3_650,
        help_text="Not for all of them.",
    )

    def clean(self) -> dict[str, Any]:
        data = super().clean()
        kind, number = data.get("type", ""), data.get("number")
        if kind == "on_receipt":
            data["calculation"] = {"type": kind}
            return data
        if number is None:
            raise forms.ValidationError("Say how many days, or which day of the month.")
        is_day = kind.startswith("day_of")
        if is_day and not 1 <= number <= 31:
            raise forms.ValidationError("A day of the month is from 1 to 31.")
        data["calculation"] = {"type": kind, "day" if is_day else "days": number}
        return data


@admin.register(InvoicePaymentTerm)
class PaymentTermAdmin(ReadOnlyAdmin):
    """When invoices are due, and what being late costs."""

    icon = "event"
    title = "Payment terms"
    rank = 6
    list_display = ("name", "status_badge", "when", "late_fee", "created", "environment_column")
    list_display_links = ("name",)
    list_filter = ("status", EnvironmentFilter)
    list_select_related = ("environment__merchant",)
    search_fields = ("name", "id")
    fields = ("name", "id", "status_badge", "when", "late_fee", "external_reference_id", "version", "created")
    readonly_fields = fields
    change_form_outer_before_template = "admin/invoices/term_buttons.html"
    list_before_template = "admin/invoices/term_new_button.html"

    def extra_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("<str:environment_id>/new/", view(self.new_view), name="invoices_invoicepaymentterm_new"),
            path("<str:object_id>/archive/", view(self.archive_view), name="invoices_invoicepaymentterm_archive"),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict | None = None) -> HttpResponse:
        """List the terms, with the button that makes one for who may."""
        offers = [
            {"environment": each, "url": reverse("admin:invoices_invoicepaymentterm_new", args=[each.id])}
            for each in environments_of(request.user, Right.CHOOSE_INVOICE_SETTINGS)
        ]
        more = {"offers": offers}
        return super().changelist_view(request, {**(extra_context or {}), **more})

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict | None = None
    ) -> HttpResponse:
        """Show a term, with the button that takes it out of use."""
        term = self.find(request, object_id)
        may = access_of(request.user).may(Right.CHOOSE_INVOICE_SETTINGS, term.environment_id)
        url = reverse("admin:invoices_invoicepaymentterm_archive", args=[term.id])
        more = {"archive_url": url if may and term.status == "active" else "", "version": term.version}
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **more})

    def new_view(self, request: HttpRequest, environment_id: str) -> HttpResponse:
        """Make a term in an environment where the user may."""
        access = access_of(request.user)
        if environment_id not in access.environment_ids(Right.CHOOSE_INVOICE_SETTINGS):
            if access.may(self.right, environment_id):
                raise PermissionDenied
            raise Http404
        if request.method not in ("GET", "HEAD", "POST"):
            return HttpResponseNotAllowed(["GET", "HEAD", "POST"])
        form = TermForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            data = {"name": form.cleaned_data["name"], "calculation": form.cleaned_data["calculation"]}
            term = terms.create_term(data=data, actor=staff_actor(request, environment_id))
            messages.success(request, "The payment term is made.")
            return HttpResponseRedirect(reverse("admin:invoices_invoicepaymentterm_change", args=[term.id]))
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "New payment term",
            "form": form,
        }
        request.current_app = self.admin_site.name
        status = 400 if request.method == "POST" else 200
        return TemplateResponse(request, "admin/invoices/term_new.html", context, status=status)

    def archive_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Take a term out of use."""
        term = self.find(request, object_id)
        self.refuse_unless(request, Right.CHOOSE_INVOICE_SETTINGS, term)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        try:
            terms.archive_term(term_id=term.id, actor=staff_actor(request, term.environment_id))
        except FlintError as refusal:
            messages.error(request, refusal.message)
        else:
            messages.success(request, "The payment term is archived.")
        return HttpResponseRedirect(reverse("admin:invoices_invoicepaymentterm_change", args=[term.id]))

    @admin.display(description="Status")
    def status_badge(self, term: InvoicePaymentTerm) -> str:
        return badge(term.status)

    @admin.display(description="Due")
    def when(self, term: InvoicePaymentTerm) -> str:
        return calculation_text(term.calculation)

    @admin.display(description="Late fee")
    def late_fee(self, term: InvoicePaymentTerm) -> str:
        return fee_text(term.late_fee_policy)
