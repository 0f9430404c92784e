"""Payments in the admin: their part of the order page, and a page each."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html

from flint.admin import EnvironmentFilter, ReadOnlyAdmin, badge, words
from flint.events.models import Event
from flint.merchants.staff import Right
from flint.money import Money
from orders.admin.order import CurrencyFilter
from orders.admin.registry import Figure, Section, SectionContent, event_words, order_searches, order_sections
from orders.admin.words import money_of
from orders.models import Order
from payments.admin.figures import OutcomeFilter
from payments.admin.unanswered import WorkFilter, ask_context, ask_view, waiting
from payments.models import PaymentIntent, PaymentOperation

BRANDS = {"amex": "American Express", "jcb": "JCB", "unionpay": "UnionPay", "diners": "Diners Club"}
DOTS = "••••"
# What `PaymentOperation.action` holds belongs to the buyer alone: it is never even read for the admin.
SECRET = ("action", "command_key", "command_digest")


def source_text(leg: PaymentIntent) -> str:
    """Say what somebody paid with, as a receipt would."""
    name = leg.source_bank_name or BRANDS.get(leg.source_brand, leg.source_brand.capitalize())
    if leg.source_last4:
        return f"{name or words(leg.source_type)} {DOTS} {leg.source_last4}"
    return name or "Not paid with anything yet"


def error_text(code: str, message: str) -> str:
    """Say what went wrong, in a sentence."""
    return message or (f"{words(code)}." if code else "")


def _operations() -> QuerySet[PaymentOperation]:
    return PaymentOperation.objects.defer(*SECRET).order_by("created_at", "id")


def _load(order: Order) -> SectionContent:
    legs = PaymentIntent.objects.filter(order_id=order.id).order_by("created_at", "id")
    legs = list(legs.prefetch_related(Prefetch("operations", queryset=_operations(), to_attr="calls")))
    held = sum(leg.capturable_amount for leg in legs)
    expiries = [leg.authorization_expires_at for leg in legs if leg.capturable_amount and leg.authorization_expires_at]
    until = f"until {min(expiries):%d %b}" if expiries else "not taken yet"
    figures = [Figure("Held", order.money(held), tone="warn", hint=until)] if held else []
    return SectionContent(context={"legs": [_leg(leg) for leg in legs]}, figures=figures)


def _leg(leg: PaymentIntent) -> dict[str, Any]:
    amounts = [
        ("Captured", leg.captured_amount),
        ("Held", leg.capturable_amount),
        ("Released", leg.released_amount),
        ("Refunded", leg.refunded_amount),
        ("Refund on its way", leg.refund_pending_amount),
        ("Charged back", leg.charged_back_amount),
    ]
    told = [("Processor fee", leg.processing_fee_money), ("Net of the fee", leg.merchant_net_money)]
    return {
        "id": leg.id,
        "money": leg.money,
        "source": source_text(leg),
        "badge": _badge(leg),
        "when": leg.created_at,
        "amounts": [(name, Money(amount, leg.currency)) for name, amount in amounts if amount]
        + [(name, money) for name, money in told if money is not None],
        "hold_until": leg.authorization_expires_at if leg.capturable_amount else None,
        "error": error_text(leg.error_code, leg.error_message),
        "tries": [_try(call) for call in leg.calls],
    }


def _badge(leg: PaymentIntent) -> str:
    """Show the status; a leg that was declined and may be tried again says so."""
    if leg.status == "requires_payment_method" and leg.error_code:
        return badge("failed", "Declined")
    return badge(leg.status)


KINDS = {"confirm": "Payment", "capture": "Capture", "cancel": "Cancellation"}


def _try(call: PaymentOperation) -> dict[str, str]:
    if call.is_unanswered:
        result = "no answer from the processor yet"
    elif call.error_code and not call.captured_amount:
        result = words(call.error_code).lower()
    else:
        result = words(call.result).lower() or "done"
    amount = f" of {call.money}" if call.kind != "cancel" else ""
    return {"text": f"{KINDS[call.kind]}{amount}: {result}", "reference": call.reference}


order_sections.append(Section(template="admin/payments/section.html", load=_load))


def by_payment(term: str, environment_ids: list[str]) -> QuerySet | None:
    """Match the order of a payment by the payment's id, or by the last four digits of what it was paid with."""
    legs = PaymentIntent.objects.filter(environment_id__in=environment_ids).order_by()
    if term.lower().startswith("pi_"):
        return legs.filter(id=f"pi_{term[3:].upper()}").values("order_id")
    if len(term) == 4 and term.isascii() and term.isdigit():
        return legs.filter(source_last4=term).values("order_id")
    return None


def by_processor_id(term: str, environment_ids: list[str]) -> QuerySet | None:
    """Match the order of a payment by the processor's own id of it."""
    if "_" not in term:
        return None
    tries = PaymentOperation.objects.filter(environment_id__in=environment_ids, kind="confirm", reference=term)
    return tries.order_by().values("payment_intent__order_id")


order_searches += [by_payment, by_processor_id]


def _settled(event: Event) -> str:
    if not event.data.get("amount"):
        return "Settled: nothing was owed"
    text = "Payment received"
    if surplus := money_of(event, "surplus_amount"):
        text += f", {surplus} more than was owed"
    if released := money_of(event, "released_amount"):
        text += f", {released} of the hold let go"
    return text


def _canceled(what: str):
    def write(event: Event) -> str:
        reason = event.data.get("reason", "")
        return f"{what}: {words(reason).lower()}" if reason and not reason.endswith("canceled") else what

    return write


event_words.update(
    {
        "payment_intent.created": lambda event: "Payment prepared",
        "payment_intent.updated": lambda event: "Payment changed",
        "payment.started": lambda event: "Payment started",
        "payment.requires_action": lambda event: "The buyer is asked to confirm the payment (3-D Secure)",
        "payment.processing": lambda event: "Payment under way; the money has yet to come",
        "payment.authorized": lambda event: "Money held, not taken yet",
        "payment.settled": _settled,
        "payment.failed": lambda event: f"Payment declined: {words(event.data.get('code', '')).lower()}",
        "payment.canceled": _canceled("Payment canceled"),
        "payment.authorization_canceled": _canceled("Hold let go"),
        "payment.authorization_expired": lambda event: "Hold expired before it was taken",
    }
)


def order_link(order: Order) -> str:
    """Link to the page of an order."""
    url = reverse("admin:orders_order_change", args=[order.pk])
    text = f"{order} (payment without an order)" if order.is_hidden else order
    return format_html('<a class="fl-link" href="{}">{}</a>', url, text)


@admin.register(PaymentIntent)
class PaymentIntentAdmin(ReadOnlyAdmin):
    """One payment. Secrets of the buyer and raw answers of the processor are not among what it shows."""

    icon = "credit_card"
    title = "Payments"
    rank = 2
    list_display = ("source", "status_badge", "order_column", "amount_column", "captured", "refunded", "created")
    list_display += ("environment_column",)
    list_filter = (WorkFilter, OutcomeFilter, "status", CurrencyFilter, "created_at", EnvironmentFilter)
    list_select_related = ("order", "environment__merchant")
    search_fields = ("id",)
    search_help_text = "Payment id or last four digits"
    change_form_outer_before_template = "admin/payments/ask_button.html"
    fields = ("id", "order_column", "status_badge", "source", "amount_column", "held", "captured", "released")
    fields += ("refunded", "error", "processor", "capture_method", "tries", "created")
    readonly_fields = fields

    def get_search_results(self, request: HttpRequest, queryset: QuerySet, search_term: str) -> tuple[QuerySet, bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        return queryset.filter(source_last4=term) if len(term) == 4 else queryset.filter(id=term), False

    def waiting(self, request: HttpRequest) -> list[tuple[str, int, str]]:
        return waiting(self.get_queryset(request))

    def extra_urls(self) -> list[URLPattern]:
        ask = self.admin_site.admin_view(self.ask_view)
        return [path("<str:object_id>/ask/", ask, name="payments_paymentintent_ask")]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict | None = None
    ) -> HttpResponse:
        """Show a payment, with a button to ask about it where nobody knows its outcome."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        more = ask_context(request, self.find(request, object_id))
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **more})

    def ask_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask the processor what became of a payment."""
        leg = self.find(request, object_id)
        self.refuse_unless(request, Right.HANDLE_NOTICES, leg)
        return ask_view(request, leg)

    @admin.display(description="Paid with")
    def source(self, leg: PaymentIntent) -> str:
        return source_text(leg)

    @admin.display(description="Status")
    def status_badge(self, leg: PaymentIntent) -> str:
        return _badge(leg)

    @admin.display(description="Order")
    def order_column(self, leg: PaymentIntent) -> str:
        return order_link(leg.order)

    @admin.display(description="Amount")
    def amount_column(self, leg: PaymentIntent) -> str:
        return leg.money.text()

    @admin.display(description="Held")
    def held(self, leg: PaymentIntent) -> str:
        return Money(leg.capturable_amount, leg.currency).text()

    @admin.display(description="Captured")
    def captured(self, leg: PaymentIntent) -> str:
        return Money(leg.captured_amount, leg.currency).text()

    @admin.display(description="Released")
    def released(self, leg: PaymentIntent) -> str:
        return Money(leg.released_amount, leg.currency).text()

    @admin.display(description="Refunded")
    def refunded(self, leg: PaymentIntent) -> str:
        return Money(leg.refunded_amount, leg.currency).text()

    @admin.display(description="Error")
    def error(self, leg: PaymentIntent) -> str:
        return error_text(leg.error_code, leg.error_message) or "–"

    @admin.display(description="Calls to the processor")
    def tries(self, leg: PaymentIntent) -> str:
        shown = [_try(call) for call in _operations().filter(payment_intent_id=leg.id)]
        return "\n".join(" · ".join(filter(None, (each["text"], each["reference"]))) for each in shown) or "–"
