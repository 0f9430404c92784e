"""Refunds in the admin: their part of the order page, a page each, and the button that makes one."""

import uuid
from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from flint.admin import EnvironmentFilter, ReadOnlyAdmin, badge, staff_actor, words
from flint.errors import FlintError
from flint.events.models import Event
from flint.merchants.staff import Right
from flint.money import Money
from flint.typed import typed
from orders.admin.registry import (
    OrderAction,
    Section,
    SectionContent,
    event_words,
    order_actions,
    order_searches,
    order_sections,
)
from orders.models import Order
from payments.admin import order_link, source_text
from payments.models import PaymentIntent
from refunds import services
from refunds.admin import working
from refunds.admin.explaining import explain_context, explain_view
from refunds.forms import RefundForm
from refunds.models import UNDONE, Refund, RefundAllocation, RefundLeg, RefundOrigin


def _load(order: Order) -> SectionContent:
    allocations = RefundAllocation.objects.select_related("line_item", "charge", "tax_breakdown").order_by("position")
    legs = RefundLeg.objects.select_related("payment_intent").order_by("position")
    legs = legs.prefetch_related(Prefetch("allocations", queryset=allocations, to_attr="shown"))
    refunds = Refund.objects.filter(order_id=order.id).order_by("created_at", "id")
    refunds = refunds.prefetch_related(Prefetch("legs", queryset=legs, to_attr="shown"))
    return SectionContent(context={"refunds": [_refund(refund) for refund in refunds]})


def _refund(refund: Refund) -> dict[str, Any]:
    return {
        "id": refund.id,
        "title": words(refund.reason) if refund.reason else "Refund",
        "badge": badge(refund.status),
        "created_at": refund.created_at,
        "money": refund.money,
        "message": refund.reason_message,
        "origin": _origin(refund),
        "parts": _parts(refund),
        "effect": _effect(refund),
        "legs": [_leg(leg) for leg in refund.shown],
    }


def _parts(refund: Refund) -> str:
    """Say what the refund is for: each part once, over all payments that it goes back to."""
    amounts: dict[str, list] = {}
    for leg in refund.shown:
        for row in [] if leg.is_correction else leg.shown:
            part = row.line_item or row.charge or row.tax_breakdown
            entry = amounts.setdefault(part.id if part else "tip", [str(part).strip() if part else "Tip", 0, 0])
            entry[1] += row.quantity
            entry[2] += row.amount
    return ", ".join(
        f"{f'{units} × ' if units else ''}{name} {Money(amount, refund.currency)}"
        for name, units, amount in amounts.values()
    )


def _origin(refund: Refund) -> str:
    if refund.origin == RefundOrigin.SURPLUS:
        return "Made of what was paid beyond what was owed."
    if refund.origin != RefundOrigin.PROCESSOR:
        return ""
    return "Made at the processor, to be explained." if refund.is_unexplained else "Made at the processor."


def _effect(refund: Refund) -> str:
    if refund.balance_effect == "reopen":
        return "A correction of the payment: the customer owes it again."
    if refund.surplus_amount:
        return f"{Money(refund.surplus_amount, refund.currency)} of it had been collected beyond what was owed."
    return ""


def _leg(leg: RefundLeg) -> dict[str, Any]:
    return {
        "text": f"To {source_text(leg.payment_intent)}",
        "badge": badge(leg.status),
        "money": leg.money,
        "reference": leg.reference,
        "failure": f"Failed: {words(leg.failure_reason).lower()}." if leg.failure_reason else "",
    }


order_sections.append(Section(template="admin/refunds/section.html", load=_load))


def by_refund(term: str, environment_ids: list[str]) -> QuerySet | None:
    """Match the order of a refund by the refund's id, ours or the processor's."""
    if not term.lower().startswith("ref_"):
        legs = RefundLeg.objects.filter(environment_id__in=environment_ids, reference=term) if "_" in term else None
        return legs.order_by().values("refund__order_id") if legs is not None else None
    refunds = Refund.objects.filter(environment_id__in=environment_ids, id=f"ref_{term[4:].upper()}")
    return refunds.order_by().values("order_id")


order_searches.append(by_refund)


def _because(what: str):
    def write(event: Event) -> str:
        reason = event.data.get("reason")
        return f"{what}: {words(reason).lower()}" if reason else what

    return write


def _failed(event: Event) -> str:
    late = " after it had been reported as done" if event.data.get("was_done") else ""
    return _because(f"Refund failed{late}")(event)


def _created(event: Event) -> str:
    found = event.data.get("origin") == RefundOrigin.PROCESSOR
    return _because("Refund found that was made at the processor" if found else "Refund promised")(event)


def _explained(event: Event) -> str:
    owed = ", and the customer owes it again" if event.data.get("balance_effect") == "reopen" else ""
    return f"{_because('Refund explained')(event)}{owed}"


HANDLED = {
    "tried_again": "Failed refund tried again",
    "paid_outside": "Failed refund noted as paid outside",
    "set_aside": "Failed refund set aside",
}


def _handled(event: Event) -> str:
    text = event.data.get("text")
    what = HANDLED.get(event.data.get("handling", ""), "Failed refund dealt with")
    return f"{what}: {text}" if text else what


event_words.update(
    {
        "refund.created": _created,
        "refund.explained": _explained,
        "refund.succeeded": lambda event: "Refund paid out",
        "refund.failed": _failed,
        "refund.handled": _handled,
        "refund.updated": lambda event: "Refund changed: metadata",
    }
)


def refund_view(request: HttpRequest, order: Order) -> HttpResponse:
    """Ask how much goes back, then have the service promise it. A refusal comes back on the form, nothing changed."""
    lines = list(order.line_items.order_by("position"))
    if request.method in ("GET", "HEAD"):
        return _form_page(request, order, RefundForm(initial={"token": uuid.uuid4()}, order=order, lines=lines))
    if request.method != "POST":
        return HttpResponseNotAllowed(["GET", "HEAD", "POST"])
    form = RefundForm(request.POST, order=order, lines=lines)
    if not form.is_valid():
        return _form_page(request, order, form, status=400)
    actor = staff_actor(request, order.environment_id, form.command())
    try:
        refund = services.create_refund(data=form.request(), actor=actor)
    except FlintError as refusal:
        form.add_error(None, _in_words(refusal))
        return _form_page(request, order, form, status=400)
    _tell(request, refund, actor.request_id)
    return HttpResponseRedirect(reverse("admin:orders_order_change", args=[order.id]))


def _tell(request: HttpRequest, refund: Refund, request_id: str) -> None:
    made_now = Event.objects.filter(
        order_id=refund.order_id, type="refund.created", subject_id=refund.id, request_id=request_id
    )
    if made_now.exists():
        messages.success(request, f"{refund.money} goes back to the customer. The processor is being asked.")
    else:
        messages.warning(
            request, f"This form had been sent before, and refunded {refund.money} then. Nothing more was refunded."
        )


def _in_words(refusal: FlintError) -> str:
    most = refusal.facts.get("maximum_money")
    if isinstance(most, Money):
        return f"{refusal.message} At most {most} can go back."
    left = refusal.facts.get("limit")
    return f"{refusal.message} Only {left} are left." if isinstance(left, int) else refusal.message


def _form_page(request: HttpRequest, order: Order, form: RefundForm, *, status: int = 200) -> HttpResponse:
    payments = PaymentIntent.objects.filter(order_id=order.id, captured_amount__gt=0).order_by("-captured_at", "-id")
    context = {
        **admin.site.each_context(request),
        "opts": Order._meta,
        "title": f"Refund on order {order.order_number}",
        "original": order,
        "order": order,
        "form": form,
        "token": form["token"].value(),
        "refundable": order.refundable_money,
        "pending": order.money(order.refund_pending_amount),
        "typed_refundable": typed(order.refundable_money),
        "lines": [
            {
                "line": line,
                "field": form[form.name_of(line)],
                "left": order.money(line.remaining_amount),
            }
            for line in form.lines
        ],
        "payments": [
            (source_text(leg), Money(leg.refundable_amount, leg.currency)) for leg in payments if leg.refundable_amount
        ],
    }
    request.current_app = admin.site.name
    return TemplateResponse(request, "admin/refunds/refund_form.html", context, status=status)


order_actions.append(
    OrderAction(
        name="refund",
        label="Refund",
        icon="undo",
        right=Right.REFUND,
        view=refund_view,
        is_offered=lambda order: order.refundable_amount > 0,
    )
)


@admin.register(Refund)
class RefundAdmin(ReadOnlyAdmin):
    """One refund and where it goes."""

    icon = "undo"
    rank = 3
    list_display = ("amount_column", "status_badge", "order_column", "reason_column", "created", "environment_column")
    list_filter = (working.WorkFilter, "status", "reason", "created_at", EnvironmentFilter)
    list_select_related = ("order", "environment__merchant")
    search_fields = ("id",)
    search_help_text = "Refund id"
    fields = ("id", "order_column", "status_badge", "amount_column", "reason_column", "reason_message")
    fields += ("origin_column", "balance_effect", "failure", "handled", "legs", "external_reference_id", "created")
    readonly_fields = fields
    change_form_outer_before_template = "admin/refunds/work.html"

    def extra_urls(self) -> list[URLPattern]:
        views = {
            "explain": (explain_view, "explain"),
            "try-again": (working.try_again_view, "try_again"),
            "paid-outside": (working.paid_outside_view, "paid_outside"),
            "set-aside": (working.set_aside_view, "set_aside"),
            "ask": (working.ask_view, "ask"),
        }
        return [
            path(
                f"<str:object_id>/{where}/",
                self.admin_site.admin_view(self._serving(view)),
                name=f"refunds_refund_{name}",
            )
            for where, (view, name) in views.items()
        ]

    def waiting(self, request: HttpRequest) -> list[tuple[str, int, str]]:
        return working.waiting(self.get_queryset(request))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict | None = None
    ) -> HttpResponse:
        """Show a refund, with the forms that end what is left to do about it."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        refund = self.find(request, object_id)
        more = {**explain_context(request, refund), **working.work_context(request, refund)}
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **more})

    def _serving(self, act: Callable[[HttpRequest, Refund], HttpResponse]) -> Callable[..., HttpResponse]:
        def view(request: HttpRequest, object_id: str) -> HttpResponse:
            refund = self.find(request, object_id)
            self.refuse_unless(request, Right.REFUND, refund)
            return act(request, refund)

        return view

    def get_search_results(self, request: HttpRequest, queryset: QuerySet, search_term: str) -> tuple[QuerySet, bool]:
        term = search_term.strip()
        return queryset.filter(id=term) if term else queryset, False

    @admin.display(description="Amount")
    def amount_column(self, refund: Refund) -> str:
        return refund.money.text()

    @admin.display(description="Status")
    def status_badge(self, refund: Refund) -> str:
        return badge(refund.status)

    @admin.display(description="Order")
    def order_column(self, refund: Refund) -> str:
        return order_link(refund.order)

    @admin.display(description="Reason")
    def reason_column(self, refund: Refund) -> str:
        return words(refund.reason) if refund.reason else "–"

    @admin.display(description="Origin")
    def origin_column(self, refund: Refund) -> str:
        return _origin(refund) or "Asked for here"

    @admin.display(description="Failure")
    def failure(self, refund: Refund) -> str:
        return words(refund.failure_reason) if refund.failure_reason else "–"

    @admin.display(description="Dealt with")
    def handled(self, refund: Refund) -> str:
        if refund.status not in UNDONE:
            return "–"
        if refund.handled_at is None:
            return "Not yet"
        again = f" as {refund.tried_again_as_id}" if refund.tried_again_as_id else ""
        return f"{words(refund.handling)}{again}"

    @admin.display(description="Goes back to")
    def legs(self, refund: Refund) -> str:
        rows = RefundLeg.objects.filter(refund_id=refund.id).select_related("payment_intent").order_by("position")
        return "\n".join(
            f"{source_text(leg.payment_intent)} {leg.money}: {words(leg.status).lower()} {leg.reference}".rstrip()
            for leg in rows
        )
