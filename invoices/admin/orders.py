"""The order page's part for invoices: those of the order, and the button that drafts one."""

from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from flint.admin import badge, staff_actor
from flint.errors import FlintError
from flint.merchants.staff import Right
from invoices.models import Invoice
from invoices.services.drafting import create_invoice
from orders.admin.registry import OrderAction, Section, SectionContent, order_actions, order_sections
from orders.models import Order


def _load(order: Order) -> SectionContent:
    rows = Invoice.objects.filter(order_id=order.id).order_by("created_at", "id")
    shown: list[dict[str, Any]] = [
        {
            "id": row.id,
            "name": str(row),
            "badge": badge(row.status),
            "issued_at": row.issued_at,
            "due_at": row.due_at,
            "total": row.money(row.total_amount) if row.issued_at else None,
        }
        for row in rows
    ]
    return SectionContent(context={"invoices": shown})


order_sections.append(Section(template="admin/invoices/section.html", load=_load))


def draft_view(request: HttpRequest, order: Order) -> HttpResponse:
    """Say what a draft would be, and make one when asked to."""
    refused = ""
    if request.method == "POST":
        try:
            invoice = create_invoice(data={"order_id": order.id}, actor=staff_actor(request, order.environment_id))
        except FlintError as refusal:
            refused = refusal.message
        else:
            messages.success(request, "The draft is made. Look at it, then issue it.")
            return HttpResponseRedirect(reverse("admin:invoices_invoice_change", args=[invoice.id]))
    context = {
        **admin.site.each_context(request),
        "opts": Order._meta,
        "title": f"Invoice for order {order.order_number}",
        "original": order,
        "order": order,
        "outstanding": order.outstanding_money,
        "refused": refused,
    }
    request.current_app = admin.site.name
    return TemplateResponse(request, "admin/invoices/draft.html", context, status=400 if refused else 200)


def _can_be_billed(order: Order) -> bool:
    return (
        order.status == "open" and order.outstanding_amount > 0 and not order.is_hidden and not order.is_under_invoice
    )


order_actions.append(
    OrderAction(
        name="invoice",
        label="Invoice",
        icon="request_quote",
        right=Right.ISSUE_INVOICE,
        view=draft_view,
        is_offered=_can_be_billed,
    )
)
