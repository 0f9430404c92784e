"""Explaining a refund that was found at the processor: a form on its page."""

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import reverse

from flint.admin import staff_actor
from flint.errors import FlintError
from flint.merchants.staff import Right, access_of
from refunds import services
from refunds.models import Reason, Refund
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
