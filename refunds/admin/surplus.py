"""The button that gives back what an order was paid beyond what it is owed."""

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from flint.admin import staff_actor
from flint.errors import FlintError
from flint.merchants.staff import Right
from orders.admin.registry import OrderAction, order_actions
from orders.models import Order
from refunds import services


def surplus_view(request: HttpRequest, order: Order) -> HttpResponse:
    """Ask once more, then have the service work out how much that is and promise it."""
    if request.method in ("GET", "HEAD"):
        context = {
            **admin.site.each_context(request),
            "opts": Order._meta,
            "title": f"Paid too much on order {order.order_number}",
            "original": order,
            "order": order,
            "surplus": order.money(max(-order.balance_amount, 0)),
        }
        request.current_app = admin.site.name
        return TemplateResponse(request, "admin/refunds/surplus.html", context)
    if request.method != "POST":
        return HttpResponseNotAllowed(["GET", "HEAD", "POST"])
    try:
        refund = services.refund_surplus(order.id, actor=staff_actor(request, order.environment_id))
    except FlintError as refusal:
        messages.error(request, refusal.message)
    else:
        messages.success(request, f"{refund.money} goes back to the customer. The processor is being asked.")
    return HttpResponseRedirect(reverse("admin:orders_order_change", args=[order.id]))


order_actions.append(
    OrderAction(
        name="surplus",
        label="Refund what was paid too much",
        icon="currency_exchange",
        right=Right.REFUND,
        view=surplus_view,
        is_offered=lambda order: order.balance_amount < 0,
    )
)
