"""The order list and the page of one order."""

from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html

from flint.admin import EnvironmentFilter, ReadOnlyAdmin, badges, staff_actor
from flint.errors import FlintError
from flint.finding import find_view
from flint.merchants.staff import Right, access_of
from orders import services
from orders.admin import finding, words  # noqa: F401 - describes the events of orders
from orders.admin.moments import as_it_stood, moment_of
from orders.admin.owing import OWED_LABELS, owed
from orders.admin.page import hidden_badge, page_of
from orders.admin.registry import OrderAction, order_actions
from orders.admin.searching import matching
from orders.models import Order
from orders.models.orders import OVER_COLLECTED, Status
from orders.services.notes import MAX_NOTE_LENGTH

RECENT = 1000


class CurrencyFilter(admin.SimpleListFilter):
    """Offers the currencies of the newest orders: asking all orders for theirs would read them all."""

    title = "currency"
    parameter_name = "currency"

    def lookups(self, request: HttpRequest, model_admin: ReadOnlyAdmin) -> list[tuple[str, str]]:
        recent = model_admin.get_queryset(request).order_by("-id").values_list("currency", flat=True)[:RECENT]
        chosen = request.GET.get(self.parameter_name, "")[:3].upper()
        return [(code, code) for code in sorted({*recent, chosen} - {""})]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        return queryset.filter(currency=self.value()) if self.value() else queryset


class HiddenFilter(admin.SimpleListFilter):
    """Tells what was sold by an order from payments that were taken without one."""

    title = "kind"
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: ReadOnlyAdmin) -> list[tuple[str, str]]:
        return [("order", "Orders"), ("payment", "Payments without an order")]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        return queryset.filter(is_hidden=self.value() == "payment") if self.value() else queryset


class WorkFilter(admin.SimpleListFilter):
    """Keeps to orders that hold money nobody owed. What came in on a closed order is late; it closed owing nothing."""

    title = "what is left to do"
    parameter_name = "work"

    def lookups(self, request: HttpRequest, model_admin: ReadOnlyAdmin) -> list[tuple[str, str]]:
        return [("over_collected", "Paid too much"), ("late", "Paid after it was closed"), *OWED_LABELS.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        if self.value() in OWED_LABELS:
            return owed(queryset, self.value())
        if self.value() not in ("over_collected", "late"):
            return queryset
        return over_collected(queryset, is_late=self.value() == "late")


def over_collected(orders: QuerySet, *, is_late: bool) -> QuerySet:
    """Keep to orders that collected more than they are owed, after they were closed or before."""
    return orders.filter(OVER_COLLECTED, status=Status.CLOSED if is_late else Status.OPEN)


@admin.register(Order)
class OrderAdmin(ReadOnlyAdmin):
    """Finds an order, shows it whole, and lets staff act on it by the buttons that rooms registered."""

    icon = "receipt_long"
    rank = 1
    list_display = ("number", "statuses", "customer_name", "total", "paid", "refunded", "outstanding", "created")
    list_display += ("environment_column",)
    list_display_links = ("number",)
    list_filter = (
        WorkFilter,
        "status",
        "payment_status",
        "refund_status",
        HiddenFilter,
        CurrencyFilter,
        "created_at",
        EnvironmentFilter,
    )
    list_select_related = ("customer", "environment__merchant")
    search_fields = ("order_number",)
    search_help_text = "Number, id, email, name, reference, payment, refund, last four digits"

    def get_search_results(self, request: HttpRequest, queryset: QuerySet, search_term: str) -> tuple[QuerySet, bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        found = matching(term, access_of(request.user).environment_ids(self.right))
        return queryset.filter(id__in=found) if found is not None else queryset.none(), False

    def waiting(self, request: HttpRequest) -> list[tuple[str, int, str]]:
        rows = self.get_queryset(request).order_by()
        return [
            ("open orders were paid too much", over_collected(rows, is_late=False).count(), "work=over_collected"),
            ("orders were paid after they were closed", over_collected(rows, is_late=True).count(), "work=late"),
        ]

    def extra_urls(self) -> list[URLPattern]:
        return [
            path("find/", self.admin_site.admin_view(find_view), name="orders_order_find"),
            path("<str:object_id>/note/", self.admin_site.admin_view(self.note_view), name="orders_order_note"),
            *(
                path(
                    f"<str:object_id>/{action.name}/",
                    self.admin_site.admin_view(self._serving(action)),
                    name=f"orders_order_{action.name}",
                )
                for action in order_actions
            ),
        ]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict | None = None
    ) -> HttpResponse:
        """Show an order, as it is or as it stood at the moment ``as_of``. There is no form behind it."""
        order = self.find(request, object_id)
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        text = request.GET.get("as_of")
        if not text:
            return self._page(request, order)
        try:
            at = moment_of(text, order.environment.merchant.reporting_timezone)
            stood = as_it_stood(order, at=at, actor=staff_actor(request, order.environment_id))
        except FlintError as refusal:
            messages.error(request, refusal.message)
            return self._page(request, order, status=400)
        return self._page(request, stood, at=at)

    def note_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Add a note; a refused one comes back to be corrected."""
        order = self.find(request, object_id)
        self.refuse_unless(request, Right.ADD_NOTE, order)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        # Browsers send two characters for a line's end, which would count against the limit.
        text = request.POST.get("text", "").replace("\r\n", "\n")
        try:
            services.add_note(order_id=order.id, text=text, actor=staff_actor(request, order.environment_id))
        except FlintError as refusal:
            return self._page(request, order, note_text=text, note_error=refusal.message, status=400)
        messages.success(request, "The note is in the history.")
        return HttpResponseRedirect(reverse("admin:orders_order_change", args=[order.id]))

    def _serving(self, action: OrderAction):
        def view(request: HttpRequest, object_id: str) -> HttpResponse:
            order = self.find(request, object_id)
            self.refuse_unless(request, action.right, order)
            return action.view(request, order)

        return view

    def _page(
        self, request: HttpRequest, order: Order, *, status: int = 200, at: datetime | None = None, **more: Any
    ) -> HttpResponse:
        access = access_of(request.user)
        may_add_note = at is None and access.may(Right.ADD_NOTE, order.environment_id)
        buttons = [
            {"label": each.label, "icon": each.icon, "url": reverse(f"admin:orders_order_{each.name}", args=[order.id])}
            for each in ([] if at else order_actions)
            if access.may(each.right, order.environment_id) and each.is_offered(order)
        ]
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": f"{'Payment' if order.is_hidden else 'Order'} {order.order_number}",
            "original": order,
            "buttons": buttons,
            "may_add_note": may_add_note,
            "note_limit": MAX_NOTE_LENGTH,
            **page_of(
                order,
                actor=staff_actor(request, order.environment_id),
                history_page=request.GET.get("history", ""),
                at=at,
            ),
            **more,
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "admin/orders/order.html", context, status=status)

    @admin.display(description="Order")
    def number(self, order: Order) -> str:
        return order.order_number

    @admin.display(description="Status")
    def statuses(self, order: Order) -> str:
        refund = [order.refund_status] if order.refund_status != "none" else []
        shown = badges(order.status, order.payment_status, *refund)
        return format_html("{}{}", hidden_badge(order), shown) if order.is_hidden else shown

    @admin.display(description="Customer")
    def customer_name(self, order: Order) -> str:
        return str(order.customer) if order.customer else order.contact_email or "–"

    @admin.display(description="Total")
    def total(self, order: Order) -> str:
        return order.money(order.total_amount).text()

    @admin.display(description="Paid")
    def paid(self, order: Order) -> str:
        return order.money(order.paid_amount).text()

    @admin.display(description="Refunded")
    def refunded(self, order: Order) -> str:
        return order.money(order.refunded_amount).text()

    @admin.display(description="Outstanding")
    def outstanding(self, order: Order) -> str:
        return order.outstanding_money.text()
