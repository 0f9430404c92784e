"""Work on refunds: the filter that lists it, and the forms that end it, where one failed or was never answered."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.contrib import admin, messages
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone

from flint.admin import staff_actor, words
from flint.celery import after_commit
from flint.errors import FlintError
from flint.merchants.staff import Right, access_of
from refunds import services, tasks
from refunds.models import UNDONE, UNSETTLED, Refund, RefundLeg, RefundOrigin
from refunds.services.handling import MAX_NOTE

ANSWERED_WITHIN = timedelta(hours=1)
"""How long a processor may leave a refund unanswered before staff hear of it."""

NEXT_STEPS = {
    "insufficient_available_balance": "Put money into the processor's balance, then try again.",
    "insufficient_funds": "Put money into the processor's balance, then try again.",
    "expired_or_canceled_card": "The card takes no money any more. Pay the customer in another way.",
    "lost_or_stolen_card": "The card takes no money any more. Pay the customer in another way.",
    "payment_disputed": "A dispute took over. The customer gets the money by the dispute, not by a refund.",
    "declined": "The bank refused. Try again once, or pay the customer in another way.",
}
ANY_STEP = "Look at the processor why, then try again, or pay the customer in another way."


class WorkFilter(admin.SimpleListFilter):
    """Keeps to what waits for somebody."""

    title = "what is left to do"
    parameter_name = "work"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            ("explain", "To be explained"),
            ("failed", "Failed, to be dealt with"),
            ("unanswered", "Without an answer"),
            ("processor", "Made at the processor"),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        match self.value():
            case "explain":
                return unexplained(queryset)
            case "failed":
                return undone(queryset)
            case "unanswered":
                return unanswered(queryset, timezone.now())
            case "processor":
                return queryset.filter(origin=RefundOrigin.PROCESSOR)
        return queryset


def unexplained(refunds: QuerySet) -> QuerySet:
    return refunds.filter(origin=RefundOrigin.PROCESSOR, explained_at__isnull=True)


def undone(refunds: QuerySet) -> QuerySet:
    return refunds.filter(status__in=UNDONE, handled_at__isnull=True)


def unanswered(refunds: QuerySet, now: datetime) -> QuerySet:
    """Keep to refunds of which a part was due to be answered and never was, whether or not it was ever sent."""
    silent = RefundLeg.objects.filter(
        refund_id=OuterRef("id"),
        status__in=UNSETTLED,
        answered_at__isnull=True,
        created_at__lt=now - ANSWERED_WITHIN,
        refund__origin__in=[RefundOrigin.FLINT, RefundOrigin.SURPLUS],
    )
    return refunds.filter(Exists(silent))


def waiting(refunds: QuerySet) -> list[tuple[str, int, str]]:
    """Return what the start page says of refunds."""
    rows = refunds.order_by()
    return [
        ("refunds made at the processor wait to be explained", unexplained(rows).count(), "work=explain"),
        ("failed refunds wait to be dealt with", undone(rows).count(), "work=failed"),
        (
            "refunds have had no answer for more than an hour",
            unanswered(rows, timezone.now()).count(),
            "work=unanswered",
        ),
    ]


def next_step(refund: Refund) -> str:
    """Say what to do about a refund that failed."""
    return NEXT_STEPS.get(refund.failure_reason, ANY_STEP)


def work_context(request: HttpRequest, refund: Refund) -> dict[str, Any]:
    """Return what the forms below a refund need; nothing where nothing is to be done, or not by this user."""
    if not access_of(request.user).may(Right.REFUND, refund.environment_id):
        return {}
    shown: dict[str, Any] = {"max_note": MAX_NOTE}
    if refund.is_undone:
        names = ("try_again", "paid_outside", "set_aside")
        shown["undone"] = {name: reverse(f"admin:refunds_refund_{name}", args=[refund.id]) for name in names}
        shown["next_step"] = next_step(refund)
        shown["why"] = words(refund.failure_reason)
    elif refund.status in UNSETTLED and unanswered(Refund.objects.filter(id=refund.id), timezone.now()).exists():
        shown["ask_url"] = reverse("admin:refunds_refund_ask", args=[refund.id])
    return shown


def try_again_view(request: HttpRequest, refund: Refund) -> HttpResponse:
    """Promise what failed once more."""
    return _act(
        request,
        refund,
        lambda actor: services.try_again(refund.id, actor=actor),
        "It is being tried again as a new refund.",
    )


def paid_outside_view(request: HttpRequest, refund: Refund) -> HttpResponse:
    """Note that the customer was paid in another way."""
    note = request.POST.get("note", "")
    return _act(
        request,
        refund,
        lambda actor: services.note_paid_outside(refund.id, note=note, actor=actor),
        "It is noted that the customer was paid in another way.",
    )


def set_aside_view(request: HttpRequest, refund: Refund) -> HttpResponse:
    """Take a failed refund off the list."""
    note = request.POST.get("note", "")
    return _act(
        request,
        refund,
        lambda actor: services.set_aside(refund.id, note=note, actor=actor),
        "The failed refund is set aside.",
    )


def ask_view(request: HttpRequest, refund: Refund) -> HttpResponse:
    """Have the processor asked, or told, once more; what was sent is never sent twice."""

    def ask(actor: Any) -> None:
        for leg_id in refund.legs.filter(status__in=UNSETTLED).order_by("position").values_list("id", flat=True):
            after_commit(tasks.send_refund, refund_leg_id=leg_id, environment_id=refund.environment_id)

    return _act(request, refund, ask, "The processor is being asked.")


def _act(request: HttpRequest, refund: Refund, act: Callable[[Any], Any], told: str) -> HttpResponse:
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    try:
        made = act(staff_actor(request, refund.environment_id))
    except FlintError as refusal:
        messages.error(request, refusal.message)
        made = None
    else:
        messages.success(request, told)
    shown = made if isinstance(made, Refund) else refund
    return HttpResponseRedirect(reverse("admin:refunds_refund_change", args=[shown.id]))
