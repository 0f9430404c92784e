"""Payment links in the admin, and the button that makes an address for what one order still owes."""

from typing import Any

import segno
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join

from flint.admin import EnvironmentFilter, ReadOnlyAdmin, badge, staff_actor
from flint.errors import FlintError
from flint.merchants.staff import Right, access_of
from flint.money import Money
from orders.admin.registry import OrderAction, order_actions
from orders.models import Order
from payments.models import PayLink, PaymentLink
from payments.models.links import LinkStatus, money_in
from payments.services.links.changing import update_link
from payments.services.links.recovery import create_pay_link


def qr_image(url: str) -> str:
    """Return a drawing of an address as an image for a page."""
    picture = segno.make(url, micro=False).svg_data_uri(scale=4, light="#fff")
    return format_html('<img src="{}" alt="QR code of {}" width="180" height="180">', picture, url)


@admin.register(PaymentLink)
class PaymentLinkAdmin(ReadOnlyAdmin):
    """What buyers may order by themselves, how often they did, and a button to take it out of use."""

    icon = "qr_code_2"
    title = "Payment links"
    rank = 4
    list_display = ("name", "status_badge", "offer", "completions", "address", "created", "environment_column")
    list_display_links = ("name",)
    list_filter = ("status", "payment_link_type", "created_at", EnvironmentFilter)
    list_select_related = ("environment__merchant",)
    search_fields = ("id", "name")
    search_help_text = "Name, id, or the end of the short address"
    fields = ("name", "id", "status_badge", "description", "offer", "asked", "completions", "inactive_message")
    fields += ("version", "address", "qr", "orders", "created")
    readonly_fields = fields
    change_form_outer_before_template = "admin/payments/link_buttons.html"

    def extra_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.switch_view)
        return [path("<str:object_id>/switch/", view, name="payments_paymentlink_switch")]

    def get_search_results(self, request: HttpRequest, queryset: QuerySet, search_term: str) -> tuple[QuerySet, bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        if term.startswith("plink_"):
            return queryset.filter(id=term), False
        return queryset.filter(name__icontains=term) | queryset.filter(short=term.lower()), False

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict | None = None
    ) -> HttpResponse:
        """Show a link, with the button that the user may press."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        link = self.find(request, object_id)
        more = {
            "may_switch": access_of(request.user).may(Right.SWITCH_LINK, link.environment_id),
            "is_active": link.is_active,
            "switch_url": reverse("admin:payments_paymentlink_switch", args=[link.id]),
        }
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **more})

    def switch_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Take a link out of use, or put it back."""
        link = self.find(request, object_id)
        self.refuse_unless(request, Right.SWITCH_LINK, link)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        status = LinkStatus.ACTIVE if request.POST.get("to") == LinkStatus.ACTIVE else LinkStatus.INACTIVE
        try:
            update_link(
                payment_link_id=link.id, data={"status": status}, actor=staff_actor(request, link.environment_id)
            )
        except FlintError as refusal:
            messages.error(request, refusal.message)
        else:
            messages.success(request, f"The link is {status.label.lower()} now.")
        return HttpResponseRedirect(reverse("admin:payments_paymentlink_change", args=[link.id]))

    @admin.display(description="Status")
    def status_badge(self, link: PaymentLink) -> str:
        return badge("closed", "Full") if link.is_active and link.is_full else badge(link.status)

    @admin.display(description="Offers")
    def offer(self, link: PaymentLink) -> str:
        if link.is_donation:
            return "A donation; the buyer names the amount"
        return format_html_join(", ", "{}", ((_line_text(line),) for line in link.line_items))

    @admin.display(description="Asks for")
    def asked(self, link: PaymentLink) -> str:
        return ", ".join(field["label"] for field in link.custom_fields) or "–"

    @admin.display(description="Paid")
    def completions(self, link: PaymentLink) -> str:
        most = f" of at most {link.max_completions}" if link.max_completions else ""
        return f"{link.completed_count}{most}"

    @admin.display(description="Address")
    def address(self, link: PaymentLink) -> str:
        return format_html('<a class="fl-link" href="{}" rel="noopener" target="_blank">{}</a>', link.url, link.url)

    @admin.display(description="QR code")
    def qr(self, link: PaymentLink) -> str:
        return qr_image(link.url)

    @admin.display(description="Newest orders")
    def orders(self, link: PaymentLink) -> str:
        made = link.made.select_related("order").order_by("-id")[:20]
        rows = ((reverse("admin:orders_order_change", args=[each.order_id]), each.order, each.order) for each in made)
        shown = [(url, order, order.payment_status.replace("_", " ")) for url, order, _ in rows]
        return format_html_join(", ", '<a class="fl-link" href="{}">{}</a> ({})', shown) or "None yet"


def _line_text(line: dict[str, Any]) -> str:
    price: Money | None = money_in(line, "unit_price_money")
    amount = "an amount of the buyer's own" if line.get("allow_unit_price_adjustment") else str(price)
    count = "any number" if line.get("allow_quantity_adjustment") else str(line["quantity"])
    return f"{count} × {line['name']} at {amount}"


def pay_link_view(request: HttpRequest, order: Order) -> HttpResponse:
    """Show the newest address by which the order is paid, to be copied or held up; make one when asked to."""
    refused = ""
    if request.method == "POST":
        try:
            create_pay_link(order_id=order.id, actor=staff_actor(request, order.environment_id))
        except FlintError as refusal:
            refused = refusal.message
        else:
            messages.success(request, "The link is made. It asks for what is owed whenever it is opened.")
            return HttpResponseRedirect(request.path)
    link = PayLink.objects.filter(order_id=order.id).order_by("-created_at", "-id").first()
    context = {
        **admin.site.each_context(request),
        "opts": Order._meta,
        "title": f"Pay link of order {order.order_number}",
        "original": order,
        "order": order,
        "zone": order.environment.merchant.reporting_timezone,
        "outstanding": order.outstanding_money,
        "can_be_paid": _can_be_paid(order),
        "link": link,
        "qr": qr_image(link.url) if link else "",
        "refused": refused,
    }
    request.current_app = admin.site.name
    return TemplateResponse(request, "admin/payments/pay_link.html", context, status=400 if refused else 200)


def _can_be_paid(order: Order) -> bool:
    return order.status == "open" and order.outstanding_amount > 0 and not order.is_hidden


order_actions.append(
    OrderAction(
        name="pay_address",
        label="Pay link",
        icon="qr_code_2",
        right=Right.SEND_MESSAGES,
        view=pay_link_view,
        is_offered=_can_be_paid,
    )
)
