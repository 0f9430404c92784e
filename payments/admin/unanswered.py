"""Payments of which nobody knows what a call to the processor came to, beyond its deadline: a list, and a button."""

from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone

from flint.celery import after_commit
from flint.merchants.staff import Right, access_of
from payments import tasks
from payments.models import PaymentIntent, PaymentOperation
from payments.services.asking import UNKNOWN_DEADLINE


class WorkFilter(admin.SimpleListFilter):
    """Keeps to payments whose outcome is unknown for too long."""

    title = "what is left to do"
    parameter_name = "work"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("unanswered", "Without an answer")]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        return unanswered(queryset, timezone.now()) if self.value() else queryset


def unanswered(legs: QuerySet, now: datetime) -> QuerySet:
    """Keep to payments with a call that the processor has said nothing of; one that it has named is on its way."""
    silent = PaymentOperation.objects.filter(
        payment_intent_id=OuterRef("id"), answered_at__isnull=True, reference="", created_at__lt=now - UNKNOWN_DEADLINE
    )
    return legs.filter(Exists(silent))


def waiting(legs: QuerySet) -> list[tuple[str, int, str]]:
    """Return what the start page says of payments."""
    count = unanswered(legs.order_by(), timezone.now()).count()
    return [("payments have an unknown outcome beyond its deadline", count, "work=unanswered")]


def ask_context(request: HttpRequest, leg: PaymentIntent) -> dict[str, Any]:
    """Return what the button below a payment needs; nothing where there is nothing to ask, or not for this user."""
    if not access_of(request.user).may(Right.HANDLE_NOTICES, leg.environment_id):
        return {}
    if not unanswered(PaymentIntent.objects.filter(id=leg.id), timezone.now()).exists():
        return {}
    return {"ask_url": reverse("admin:payments_paymentintent_ask", args=[leg.id])}


def ask_view(request: HttpRequest, leg: PaymentIntent) -> HttpResponse:
    """Have the processor asked now. To ask repeats nothing."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    calls = PaymentOperation.objects.filter(payment_intent_id=leg.id, answered_at__isnull=True)
    for operation_id in calls.order_by("id").values_list("id", flat=True):
        after_commit(tasks.ask_about_operation, operation_id=operation_id, environment_id=leg.environment_id)
    messages.success(request, "The processor is being asked.")
    return HttpResponseRedirect(reverse("admin:payments_paymentintent_change", args=[leg.id]))
