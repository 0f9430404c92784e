"""Invoices in the admin: the list, and the page of one with all that happened to it and what can be done about it."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import F, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html

from flint.admin import EnvironmentFilter, ReadOnlyAdmin, badge, environment_badge, moment, staff_actor, words
from flint.errors import FlintError
from flint.events.models import Event
from flint.merchants.staff import Right, access_of
from flint.money import Money
from invoices.admin.registry import InvoiceAction, invoice_actions, invoice_sections
from invoices.api.credit_notes.views import as_file
from invoices.documents import pdf_of
from invoices.links import link_of
from invoices.models import Invoice
from invoices.models.invoices import ASKING
from invoices.reading import standing_of
from invoices.selectors import is_overdue, with_outstanding
from orders.admin.words import describe
from orders.models import Customer

MOST_EVENTS = 200


class WorkFilter(admin.SimpleListFilter):
    """Keeps to what asks for money, or is late."""

    title = "what is asked for"
    parameter_name = "work"

    def lookups(self, request: HttpRequest, model_admin: ReadOnlyAdmin) -> list[tuple[str, str]]:
        return [("overdue", "Overdue"), ("asking", "Asks for money"), ("not_sent", "Could not be issued by itself")]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        match self.value():
            case "overdue":
                return queryset.filter(is_overdue(at=timezone.now()))
            case "asking":
                return queryset.filter(status__in=ASKING)
            case "not_sent":
                return queryset.filter(NOT_ISSUED)
        return queryset


NOT_ISSUED = Q(status="draft") & ~Q(issue_error="")


def _late(invoice: Invoice) -> str:
    """Show what an invoice stands at, and that something of it is late."""
    return format_html('<span class="fl-badges">{}{}</span>', badge(invoice.status), badge("failed", "Overdue"))


@admin.register(Invoice)
class InvoiceAdmin(ReadOnlyAdmin):
    """Finds an invoice, shows it whole, and lets staff act on it."""

    icon = "request_quote"
    rank = 2
    list_display = ("what", "status_column", "customer_column", "total", "outstanding_column", "due", "order_column")
    list_display += ("created", "environment_column")
    list_display_links = ("what",)
    list_filter = (WorkFilter, "status", "collection_mode", "created_at", EnvironmentFilter)
    list_select_related = ("order__customer", "customer", "environment__merchant")
    search_fields = ("number",)
    search_help_text = "Number, id, order, customer, email, reference"

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return with_outstanding(super().get_queryset(request)).prefetch_related("schedule_entries")

    def get_search_results(self, request: HttpRequest, queryset: QuerySet, search_term: str) -> tuple[QuerySet, bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        theirs = access_of(request.user).environment_ids(self.right)
        customers = Customer.objects.filter(environment_id__in=theirs).filter(
            Q(email__icontains=term) | Q(name__icontains=term)
        )
        found = (
            Q(number__iexact=term)
            | Q(id=term)
            | Q(order_id=term)
            | Q(order__order_number__iexact=term)
            | Q(recipient_email__iexact=term)
            | Q(external_reference_id=term)
            | Q(reference=term)
            | Q(po_number=term)
            | Q(customer_id__in=list(customers.order_by("-id").values_list("id", flat=True)[:1_000]))
        )
        return queryset.filter(found), False

    def waiting(self, request: HttpRequest) -> list[tuple[str, int, str]]:
        theirs = self.get_queryset(request).order_by()
        late = theirs.filter(is_overdue(at=timezone.now())).count()
        return [
            ("invoices are overdue", late, "work=overdue"),
            ("invoices could not be issued by themselves", theirs.filter(NOT_ISSUED).count(), "work=not_sent"),
        ]

    def extra_urls(self) -> list[URLPattern]:
        document = self.admin_site.admin_view(self.document_view)
        return [
            path("<str:object_id>/document/", document, name="invoices_invoice_document"),
            *self._action_urls(),
        ]

    def document_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show the document of an issued invoice."""
        invoice = self.find(request, object_id)
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        try:
            return as_file(pdf_of(invoice), name=invoice.number)
        except FlintError as refusal:
            messages.error(request, refusal.message)
            return HttpResponseRedirect(reverse("admin:invoices_invoice_change", args=[invoice.id]))

    def _action_urls(self) -> list[URLPattern]:
        return [
            path(
                f"<str:object_id>/{action.name}/",
                self.admin_site.admin_view(self._serving(action)),
                name=f"invoices_invoice_{action.name}",
            )
            for action in invoice_actions
        ]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict | None = None
    ) -> HttpResponse:
        """Show an invoice. There is no form behind it, but buttons for who may act."""
        invoice = self.find(request, object_id)
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        context = {
            **page_of(invoice),
            "buttons": self._buttons(request, invoice),
            "link": link_of(invoice) if self._may(request, Right.SEND_MESSAGES, invoice) else "",
            "sections": [{"template": each.template, **each.load(invoice)} for each in invoice_sections],
        }
        return self._answer(request, invoice, "admin/invoices/invoice.html", context)

    def _buttons(self, request: HttpRequest, invoice: Invoice) -> list[dict[str, str]]:
        return [
            {"label": action.label, "url": self._url(invoice, action)}
            for action in invoice_actions
            if self._may(request, action.right, invoice) and action.is_offered(invoice)
        ]

    def _may(self, request: HttpRequest, right: Right, invoice: Invoice) -> bool:
        return access_of(request.user).may(right, invoice.environment_id)

    def _url(self, invoice: Invoice, action: InvoiceAction) -> str:
        return reverse(f"admin:invoices_invoice_{action.name}", args=[invoice.id])

    def _serving(self, action: InvoiceAction):
        def view(request: HttpRequest, object_id: str) -> HttpResponse:
            """Show what the act would do, then have the service do it. A refusal comes back on the form."""
            invoice = self.find(request, object_id)
            self.refuse_unless(request, action.right, invoice)
            if request.method not in ("GET", "HEAD", "POST"):
                return HttpResponseNotAllowed(["GET", "HEAD", "POST"])
            form = action.form(request.POST or None, invoice=invoice) if action.form else None
            problem = ""
            if request.method == "POST" and (form is None or form.is_valid()):
                seen = request.POST.get("version", "")
                version = int(seen) if seen.isascii() and seen.isdigit() and len(seen) < 18 else 0
                data = {**(form.cleaned_data if form else {}), "expected_version": version}
                try:
                    done = action.act(invoice, data, staff_actor(request, invoice.environment_id))
                except FlintError as refusal:
                    problem = refusal.message
                else:
                    messages.success(request, done)
                    return HttpResponseRedirect(reverse("admin:invoices_invoice_change", args=[invoice.id]))
            context = {"action": action, "preview": action.preview(invoice), "form": form, "problem": problem}
            status = 400 if request.method == "POST" else 200
            return self._answer(request, invoice, "admin/invoices/act.html", context, status=status)

        return view

    def _answer(
        self, request: HttpRequest, invoice: Invoice, template: str, context: dict[str, Any], *, status: int = 200
    ) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": f"Invoice {invoice}",
            "original": invoice,
            "invoice": invoice,
            "order": invoice.order,
            "zone": invoice.environment.merchant.reporting_timezone,
            **context,
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, template, context, status=status)

    @admin.display(description="Invoice", ordering=F("sequence"))
    def what(self, invoice: Invoice) -> str:
        return str(invoice)

    @admin.display(description="Status")
    def status_column(self, invoice: Invoice) -> str:
        return _late(invoice) if standing_of(invoice).asked.is_overdue else badge(invoice.status)

    @admin.display(description="Customer")
    def customer_column(self, invoice: Invoice) -> str:
        customer = invoice.customer if invoice.issued_at else invoice.order.customer
        return str(customer) if customer else invoice.recipient_email or "–"

    @admin.display(description="Total")
    def total(self, invoice: Invoice) -> str:
        return invoice.money(standing_of(invoice).amounts.total).text()

    @admin.display(description="Outstanding", ordering="outstanding")
    def outstanding_column(self, invoice: Invoice) -> str:
        return invoice.money(invoice.outstanding).text()

    @admin.display(description="Due", ordering="due_at")
    def due(self, invoice: Invoice) -> str:
        return moment(invoice.due_at, invoice.timezone)

    @admin.display(description="Order")
    def order_column(self, invoice: Invoice) -> str:
        url = reverse("admin:orders_order_change", args=[invoice.order_id])
        return format_html('<a class="fl-link" href="{}">{}</a>', url, invoice.order)


def page_of(invoice: Invoice) -> dict[str, Any]:
    """Return what the page of an invoice shows, apart from what other rooms add."""
    standing = standing_of(invoice)
    amounts, asked, money = standing.amounts, standing.asked, invoice.money
    figures = [
        ("Billed", money(amounts.total)),
        *([("Late fees", money(amounts.late_fee))] if amounts.late_fee else []),
        ("Paid", money(amounts.paid)),
        *([("Credited", money(amounts.credit))] if amounts.credit else []),
        *([("Refunded", money(amounts.refunded))] if amounts.refunded else []),
        *([("Charged back", money(amounts.charged_back))] if amounts.charged_back else []),
        *([("Written off", money(amounts.written_off))] if amounts.written_off else []),
        ("Due now", money(asked.currently_due)),
    ]
    return {
        "badge": _late(invoice) if asked.is_overdue else badge(invoice.status),
        "environment_badge": environment_badge(invoice.environment),
        "figures": figures,
        "outstanding": money(amounts.outstanding),
        "facts": _facts(invoice),
        "lines": _lines(invoice),
        "entries": [
            {
                "kind": words(each.entry.kind),
                "due_at": each.entry.due_at,
                "badge": badge(ENTRY_BADGES.get(each.status, "plain"), words(each.status)),
                "total": money(each.filled.total),
                "settled": money(each.filled.settled),
                "outstanding": money(each.filled.outstanding),
            }
            for each in asked.entries
        ],
        "fees": [
            {
                "at": each.fee.assessed_at,
                "amount": money(each.fee.amount),
                "waived": money(each.fee.waived_amount),
                "paid": money(each.paid),
                "outstanding": money(each.filled.outstanding),
                "reason": each.fee.waiver_reason,
            }
            for each in asked.fees
        ],
        "deliveries": [
            {
                "row": row,
                "badge": badge(DELIVERY_BADGES[row.status], words(row.status)),
                "kind": words(row.delivery_type),
            }
            for row in invoice.deliveries.order_by("-created_at", "-id")[:50]
        ],
        "history": [
            {"event": event, "text": describe(event), "who": event.actor_label or words(event.actor_kind)}
            for event in Event.objects.filter(
                order_id=invoice.order_id, subject_type="invoice", subject_id=invoice.id
            ).order_by("-sequence")[:MOST_EVENTS]
        ],
    }


ENTRY_BADGES = {"satisfied": "paid", "overdue": "failed", "due": "pending", "partially_satisfied": "partially_paid"}
DELIVERY_BADGES = {"sent": "succeeded", "failed": "failed", "pending": "pending", "suppressed": "plain"}


def _facts(invoice: Invoice) -> list[tuple[str, Any]]:
    customer = invoice.customer if invoice.issued_at else invoice.order.customer
    zone = invoice.timezone
    facts = [
        ("Id", invoice.id),
        ("Customer", customer or "–"),
        ("Sent to", ", ".join(filter(None, [invoice.recipient_email, *invoice.cc_emails])) or "–"),
        ("Delivery", words(invoice.delivery_mode) if invoice.delivery_mode else ""),
        ("Collection", words(invoice.collection_mode)),
        ("Payment term", (invoice.terms_snapshot or {}).get("name") or invoice.payment_term or ""),
        ("Issued", moment(invoice.issued_at, zone) if invoice.issued_at else ""),
        ("Due", moment(invoice.due_at, zone) if invoice.due_at else ""),
        ("To be issued", moment(invoice.scheduled_send_at, zone) if invoice.scheduled_send_at else ""),
        ("Not issued because of", words(invoice.issue_error).lower() if invoice.issue_error else ""),
        ("First seen by the buyer", moment(invoice.viewed_at, zone) if invoice.viewed_at else ""),
        ("Paid", moment(invoice.paid_at, zone) if invoice.paid_at else ""),
        ("Voided", moment(invoice.voided_at, zone) if invoice.voided_at else ""),
        ("Written off", moment(invoice.uncollectible_at, zone) if invoice.uncollectible_at else ""),
        ("Reminders", "paused" if invoice.reminders_paused_at else ""),
        ("Purchase order", invoice.po_number),
        ("Reference", invoice.reference),
        ("Memo", invoice.memo),
        ("Days begin and end in", invoice.timezone),
        ("Version", invoice.version),
    ]
    return [(name, value) for name, value in facts if value not in ("", None)]


def _lines(invoice: Invoice) -> list[dict[str, Any]]:
    """Return what is billed: as it was frozen, and for a draft as the order has it now."""
    if invoice.snapshot is None:
        parts = [*invoice.order.line_items.all(), *invoice.order.charges.all()]
        return [
            {"name": part.name, "quantity": getattr(part, "quantity", 1), "total": invoice.money(part.total_amount)}
            for part in parts
        ]
    shown = [*invoice.snapshot["line_items"], *invoice.snapshot["charges"]]
    return [
        {
            "name": row["name"],
            "quantity": row.get("quantity", 1),
            "total": Money(row["total_money"]["amount"], row["total_money"]["currency"]),
        }
        for row in shown
    ]
