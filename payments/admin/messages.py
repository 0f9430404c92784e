"""The buttons on the order page that send its buyer a message."""

from collections.abc import Callable

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from flint.admin import staff_actor
from flint.errors import FlintError
from flint.merchants.staff import Right
from flint.messages.kinds import label_of
from flint.messages.models import Message
from orders.admin.registry import OrderAction, order_actions
from orders.models import Order
from payments.messages import asking
from payments.messages.queueing import address_typed
from payments.messages.receipts import is_available


def _sending(send: Callable[..., Message], *, title: str, explanation: str):
    """Return a view that asks where a message goes, and has it sent. A refusal comes back on the form."""

    def view(request: HttpRequest, order: Order) -> HttpResponse:
        if request.method not in ("GET", "HEAD", "POST"):
            return HttpResponseNotAllowed(["GET", "HEAD", "POST"])
        email = request.POST.get("email", "").strip() if request.method == "POST" else address_typed(order)
        problem = ""
        if request.method == "POST":
            try:
                if not email:
                    raise asking.InvalidRecipient("Enter an address.")
                sent = send(order_id=order.id, email=email, actor=staff_actor(request, order.environment_id))
            except FlintError as refusal:
                problem = refusal.message
            else:
                messages.success(request, f"{label_of(sent.kind)} goes to {email}.")
                return HttpResponseRedirect(reverse("admin:orders_order_change", args=[order.id]))
        context = {
            **admin.site.each_context(request),
            "opts": Order._meta,
            "title": f"{title}, order {order.order_number}",
            "heading": title,
            "explanation": explanation,
            "original": order,
            "order": order,
            "email": email,
            "problem": problem,
            "outstanding": order.outstanding_money,
        }
        request.current_app = admin.site.name
        status = 400 if problem else 200
        return TemplateResponse(request, "admin/payments/message_form.html", context, status=status)

    return view


order_actions.extend(
    [
        OrderAction(
            name="receipt",
            label="Send receipt",
            icon="receipt",
            right=Right.SEND_MESSAGES,
            view=_sending(
                asking.send_receipt,
                title="Send receipt",
                explanation="The buyer gets an email with what was bought and paid, and a link to see it again.",
            ),
            is_offered=is_available,
        ),
        OrderAction(
            name="pay_link",
            label="Send pay link by email",
            icon="forward_to_inbox",
            right=Right.SEND_MESSAGES,
            view=_sending(
                asking.send_pay_link,
                title="Send pay link by email",
                explanation="The buyer gets a link that always asks for what is still owed, and never for more.",
            ),
            is_offered=lambda order: order.status == "open" and order.outstanding_amount > 0 and not order.is_hidden,
        ),
    ]
)
