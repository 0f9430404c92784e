"""Explaining a refund that was found at the processor: a form on its page, and the filter that is the work list."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import reverse

from flint.admin import staff_actor
from flint.errors import FlintError
from flint.merchants.staff import Right, access_of
from refunds import services
from refunds.models import Reason, Refund, RefundOrigin
from refunds.services.explaining import MAX_MESSAGE

EFFECTS = (
    ("credit", "The customer owes it no more: something was given back or let off"),
    ("reopen", "A correction of the payment: the customer owes it again"),
)


class ExplainForm(forms.Form):
    """Why the money went back, and what that means for what is owed."""

    reason = forms.ChoiceField(choices=[("", "Choose a reason"), *((each.value, each.label) for each in Reason)])
    reason_message = forms.CharField(required=False, max_length=MAX_MESSAGE, strip=True)
    balance_effect = forms.ChoiceField(choices=EFFECTS)


class ExplainFilter(admin.SimpleListFilter):
    """Keeps to what was found at the processor and waits for an explanation."""

    title = "what is left to do"
    parameter_name = "work"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("explain", "To be explained"), ("processor", "Made at the processor")]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        if not self.value():
            return queryset
        found = queryset.filter(origin=RefundOrigin.PROCESSOR)
        return found.filter(explained_at__isnull=True) if self.value() == "explain" else found


def waiting(refunds: QuerySet) -> list[tuple[str, int, str]]:
    """Return what the start page says of refunds that wait for an explanation."""
    count = refunds.order_by().filter(origin=RefundOrigin.PROCESSOR, explained_at__isnull=True).count()
    return [("refunds made at the processor wait to be explained", count, "work=explain")]


def explain_context(request: HttpRequest, refund: Refund) -> dict[str, Any]:
    """Return what the form below a refund needs; nothing where there is nothing to explain, or not by this user."""
    if not (refund.is_unexplained and access_of(request.user).may(Right.REFUND, refund.environment_id)):
        return {}
    return {
        "explain_url": reverse("admin:refunds_refund_explain", args=[refund.id]),
        "reasons": [(each.value, each.label) for each in Reason],
        "effects": EFFECTS,
        "max_message": MAX_MESSAGE,
    }


def explain_view(request: HttpRequest, refund: Refund) -> HttpResponse:
    """Record an explanation; a refusal is told, and nothing has changed."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    form = ExplainForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Choose a reason, and say what it means for what is owed.")
    else:
        try:
            services.explain_refund(refund.id, actor=staff_actor(request, refund.environment_id), **form.cleaned_data)
        except FlintError as refusal:
            messages.error(request, refusal.message)
        else:
            messages.success(request, "The refund is explained.")
    return HttpResponseRedirect(reverse("admin:refunds_refund_change", args=[refund.id]))
