"""The processor's balance in the admin: every movement of it, and each payout with what it consists of."""

from dataclasses import dataclass

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html

from flint.admin import EnvironmentFilter, ReadOnlyAdmin, badge, badges, environment_badge, moment, words
from flint.merchants.staff import Right
from flint.money import Money
from orders.admin.registry import event_words
from orders.admin.words import money_of
from orders.models import Order
from payments.models import BalanceTransaction, Payout
from payments.services.payouts import entries_total

MOST_LINES = 1_000
"""How many lines of a payout a page shows; the report has them all."""


def order_of(movement: BalanceTransaction) -> Order | None:
    """Return the order to link to; the hidden one of a payment without an order is nobody's to see."""
    return None if movement.order is None or movement.order.is_hidden else movement.order


def explain(movement: BalanceTransaction) -> str:
    """Say what a movement was, in a sentence."""
    order = order_of(movement)
    of_order = f" for order {order.order_number}" if order else ""
    if movement.source_kind and not movement.related_id:
        return f"{words(movement.type)} that nothing here accounts for"
    if movement.adjustment_amount and movement.related_id:
        return f"{words(movement.type)}{of_order}, of another amount than was booked here"
    if movement.type == "refund" and movement.amount > 0:
        return f"Refund{of_order} that came back"
    return f"{words(movement.type)}{of_order}"


def related_link(movement: BalanceTransaction) -> str:
    """Link to what is behind a movement, where it has a page."""
    name = movement.related_type.replace("_", "")
    meta = next((model._meta for model in admin.site._registry if model._meta.model_name == name), None)
    if not meta:
        return movement.related_id
    url = reverse(f"admin:{meta.app_label}_{name}_change", args=[movement.related_id])
    return format_html('<a class="fl-link" href="{}">{}</a>', url, movement.related_id)


@dataclass
class Line:
    """One line of a payout."""

    movement: BalanceTransaction
    text: str
    order: Order | None


@admin.register(Payout)
class PayoutAdmin(ReadOnlyAdmin):
    """What reached the bank, and what it consists of."""

    right = Right.READ_BALANCE
    group = "Money"
    icon = "account_balance"
    rank = 1
    ordering = ("-made_at", "-id")
    list_display = ("made", "amount_column", "statuses", "arrives", "lines", "initiated_by", "environment_column")
    list_filter = ("status", "currency", "initiated_by", EnvironmentFilter)
    list_select_related = ("environment__merchant",)
    search_fields = ("id", "reference")
    search_help_text = "Payout id, or the processor's reference"

    def get_search_results(self, request, queryset, search_term):
        term = search_term.strip()
        found = queryset.filter(id=term) | queryset.filter(reference=term) if term else queryset
        return found, False

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict | None = None
    ) -> HttpResponse:
        """Show a payout with its lines and their sum. There is no form behind it."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        payout = self.find(request, object_id)
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        movements = payout.entries.select_related("order").order_by("occurred_at", "id")
        lines = [Line(each, explain(each), order_of(each)) for each in movements[: MOST_LINES + 1]]
        total = Money(entries_total(payout), payout.currency)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": f"Payout of {payout.money}",
            "original": payout,
            "payout": payout,
            "zone": payout.environment.merchant.reporting_timezone,
            "badges": _badges(payout),
            "environment_badge": environment_badge(payout.environment),
            "lines": lines[:MOST_LINES],
            "has_more": len(lines) > MOST_LINES,
            "total": total,
            "difference": payout.money - total,
            "failure": payout.failure_message or (words(payout.failure_code) if payout.failure_code else ""),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "admin/payments/payout.html", context)

    @admin.display(description="Made", ordering="made_at")
    def made(self, payout: Payout) -> str:
        return moment(payout.made_at, payout.environment.merchant.reporting_timezone)

    @admin.display(description="Amount")
    def amount_column(self, payout: Payout) -> str:
        return payout.money.text()

    @admin.display(description="Status")
    def statuses(self, payout: Payout) -> str:
        return _badges(payout)

    @admin.display(description="At the bank")
    def arrives(self, payout: Payout) -> str:
        return moment(payout.paid_at or payout.arrives_at, payout.environment.merchant.reporting_timezone)

    @admin.display(description="Lines")
    def lines(self, payout: Payout) -> str:
        if payout.entries_complete_at:
            return "Complete"
        return "Not complete yet" if payout.is_automatic else "Not told by the processor"


def _badges(payout: Payout) -> str:
    reversal = [payout.reversal_status] if payout.reversal_status != "none" else []
    return badges(payout.status, *reversal)


class ExplainedFilter(admin.SimpleListFilter):
    """Keeps to the movements that somebody ought to look at."""

    title = "explanation"
    parameter_name = "explained"

    def lookups(self, request, model_admin):
        return [("no", "Unexplained"), ("yes", "Explained")]

    def queryset(self, request, queryset):
        return queryset.filter(is_explained=self.value() == "yes") if self.value() else queryset


@admin.register(BalanceTransaction)
class BalanceTransactionAdmin(ReadOnlyAdmin):
    """Every movement of the balance that the processor keeps."""

    right = Right.READ_BALANCE
    group = "Money"
    icon = "swap_vert"
    title = "Balance transactions"
    rank = 2
    ordering = ("-occurred_at", "-id")
    list_display = ("occurred", "what", "order_column", "amount_column", "fee", "net", "status_badge")
    list_display += ("environment_column",)
    list_display_links = ("occurred",)
    list_filter = ("type", "status", "currency", ExplainedFilter, EnvironmentFilter)
    list_select_related = ("order", "environment__merchant")
    search_fields = ("id", "reference")
    search_help_text = "Id, the processor's reference, or the id of the payment, refund or payout"
    fields = ("id", "what", "order_column", "related", "amount_column", "fee", "net", "adjustment", "status_badge")
    fields += ("occurred", "available", "payout_column", "processor", "reference", "source", "description")
    readonly_fields = fields

    def get_search_results(self, request, queryset, search_term):
        term = search_term.strip()
        if not term:
            return queryset, False
        found = [queryset.filter(**{column: term}) for column in ("id", "reference", "source_reference", "related_id")]
        return found[0] | found[1] | found[2] | found[3], False

    @admin.display(description="Occurred", ordering="occurred_at")
    def occurred(self, movement: BalanceTransaction) -> str:
        return moment(movement.occurred_at, movement.environment.merchant.reporting_timezone)

    @admin.display(description="Available")
    def available(self, movement: BalanceTransaction) -> str:
        return moment(movement.available_at, movement.environment.merchant.reporting_timezone)

    @admin.display(description="What")
    def what(self, movement: BalanceTransaction) -> str:
        return explain(movement)

    @admin.display(description="Status")
    def status_badge(self, movement: BalanceTransaction) -> str:
        if movement.is_explained:
            return badge("succeeded" if movement.status == "available" else "pending", words(movement.status))
        return badge("unmatched", "Unexplained") if movement.booked_at else badge("pending", "Being looked for")

    @admin.display(description="Order")
    def order_column(self, movement: BalanceTransaction) -> str:
        order = order_of(movement)
        if order is None:
            return "–"
        url = reverse("admin:orders_order_change", args=[order.id])
        return format_html('<a class="fl-link" href="{}">{}</a>', url, order)

    @admin.display(description="Amount")
    def amount_column(self, movement: BalanceTransaction) -> str:
        return movement.money.text()

    @admin.display(description="Fee")
    def fee(self, movement: BalanceTransaction) -> str:
        return movement.fee_money.text()

    @admin.display(description="Net")
    def net(self, movement: BalanceTransaction) -> str:
        return movement.net_money.text()

    @admin.display(description="Booked as adjustment")
    def adjustment(self, movement: BalanceTransaction) -> str:
        return Money(movement.adjustment_amount, movement.currency).text()

    @admin.display(description="Behind it")
    def related(self, movement: BalanceTransaction) -> str:
        return related_link(movement) or "–"

    @admin.display(description="Paid out by")
    def payout_column(self, movement: BalanceTransaction) -> str:
        if not movement.payout_id:
            return "–"
        url = reverse("admin:payments_payout_change", args=[movement.payout_id])
        return format_html('<a class="fl-link" href="{}">{}</a>', url, movement.payout_id)

    @admin.display(description="At the processor")
    def source(self, movement: BalanceTransaction) -> str:
        return " ".join(filter(None, (movement.source_kind, movement.source_reference))) or "–"


event_words.update(
    {
        "payment.fee_charged": lambda event: (
            f"Processor fee {'given back' if event.data.get('amount', 0) < 0 else 'charged'}"
        ),
        "payment.exchanged": lambda event: (
            f"{money_of(event, 'amount')} settled as "
            f"{Money(event.data['settled_minor_units'], event.data['settled_currency'])}"
        ),
    }
)
