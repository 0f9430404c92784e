"""Credit notes in the admin: drafted from their invoice, and a page each with what can be done about one."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html

from flint.admin import EnvironmentFilter, ReadOnlyAdmin, badge, environment_badge, moment, staff_actor, words
from flint.errors import FlintError
from flint.events.models import Event
from flint.merchants.staff import access_of
from invoices.admin.registry import InvoiceSection, invoice_sections
from invoices.api.credit_notes.views import as_file
from invoices.documents import pdf_of_credit_note
from invoices.models import CreditNote, Invoice
from invoices.notes import with_amounts
from orders.admin.registry import event_words
from orders.admin.words import describe, money_of
from refunds.admin.crediting import NoteAction, note_actions
from refunds.models import Refund

BADGES = {"draft": "plain", "issued": "active", "void": "plain"}
MOST_EVENTS = 200


def _badge(note: CreditNote) -> str:
    return badge(BADGES[note.status], words(note.status))


def _load(invoice: Invoice) -> dict[str, Any]:
    notes = with_amounts(invoice.credit_notes.order_by("created_at", "id"))
    return {
        "notes": [
            {
                "note": note,
                "badge": _badge(note),
                "reason": words(note.reason),
                "total": note.money(note.amounts.total),
                "left": note.money(note.amounts.available),
            }
            for note in notes
        ]
    }


invoice_sections.append(InvoiceSection(template="admin/refunds/credit_notes.html", load=_load))


def _numbered(what: str):
    return lambda event: f"Credit note {event.data.get('number', '')} {what}: {money_of(event, 'amount')}"


def _changed(event: Event) -> str:
    if status := event.data.get("status"):
        return f"Refund by credit note: {words(status).lower()}"
    changed = ", ".join(words(name).lower() for name in event.data.get("changed", []))
    return f"Credit note draft changed: {changed}"


event_words.update(
    {
        "credit_note.created": lambda event: f"Credit note drafted: {money_of(event, 'amount')}",
        "credit_note.updated": _changed,
        "credit_note.issued": _numbered("issued"),
        "credit_note.voided": _numbered("voided"),
        "credit_note.allocation_created": lambda event: f"Credit applied to the invoice: {money_of(event, 'amount')}",
        "credit_note.allocation_reversed": lambda event: (
            f"Credit taken off the invoice again: {money_of(event, 'amount')}"
        ),
    }
)


@admin.register(CreditNote)
class CreditNoteAdmin(ReadOnlyAdmin):
    """Finds a credit note, shows what became of it, and lets staff use it."""

    icon = "assignment_return"
    rank = 3
    list_display = ("what", "status_column", "reason_column", "total", "available", "invoice_column", "created")
    list_display += ("environment_column",)
    list_display_links = ("what",)
    list_filter = ("status", "reason", "created_at", EnvironmentFilter)
    list_select_related = ("invoice", "order", "environment__merchant")
    search_fields = ("number",)
    search_help_text = "Number, id, invoice, reference"

    def get_search_results(self, request: HttpRequest, queryset: QuerySet, search_term: str) -> tuple[QuerySet, bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        found = Q(number__iexact=term) | Q(id=term) | Q(external_reference_id=term)
        return queryset.filter(found | Q(invoice__number__iexact=term) | Q(invoice_id=term)), False

    def extra_urls(self) -> list[URLPattern]:
        acts = [
            path(
                f"<str:object_id>/{action.name}/",
                self.admin_site.admin_view(self._serving(action)),
                name=f"invoices_creditnote_{action.name}",
            )
            for action in note_actions
        ]
        document = self.admin_site.admin_view(self.document_view)
        return [*acts, path("<str:object_id>/document/", document, name="invoices_creditnote_document")]

    def document_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show the document of an issued note."""
        note = self.find(request, object_id)
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        try:
            return as_file(pdf_of_credit_note(note), name=note.number)
        except FlintError as refusal:
            messages.error(request, refusal.message)
            return HttpResponseRedirect(reverse("admin:invoices_creditnote_change", args=[note.id]))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict | None = None
    ) -> HttpResponse:
        """Show a note. There is no form behind it, but buttons for who may act."""
        note = self.find(request, object_id)
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        with_amounts([note])
        may = access_of(request.user).may
        buttons = [
            {"label": action.label, "url": reverse(f"admin:invoices_creditnote_{action.name}", args=[note.id])}
            for action in note_actions
            if may(action.right, note.environment_id) and action.is_offered(note)
        ]
        return self._answer(request, note, "admin/refunds/credit_note.html", {**_page_of(note), "buttons": buttons})

    def _serving(self, action: NoteAction):
        def view(request: HttpRequest, object_id: str) -> HttpResponse:
            """Show what the act would do, then have the service do it. A refusal comes back on the form."""
            note = self.find(request, object_id)
            self.refuse_unless(request, action.right, note)
            if request.method not in ("GET", "HEAD", "POST"):
                return HttpResponseNotAllowed(["GET", "HEAD", "POST"])
            with_amounts([note])
            form = action.form(request.POST or None, note=note)
            problem = ""
            if request.method == "POST" and form.is_valid():
                try:
                    actor = staff_actor(request, note.environment_id, form.command(action.name))
                    done = action.act(note, form.cleaned_data, actor)
                except FlintError as refusal:
                    problem = refusal.message
                else:
                    messages.success(request, done)
                    return HttpResponseRedirect(reverse("admin:invoices_creditnote_change", args=[note.id]))
            context = {"action": action, "text": action.text, "facts": _figures(note), "form": form}
            status = 400 if request.method == "POST" else 200
            page = "admin/refunds/credit_note_act.html"
            return self._answer(request, note, page, {**context, "problem": problem}, status=status)

        return view

    def _answer(
        self, request: HttpRequest, note: CreditNote, template: str, context: dict[str, Any], *, status: int = 200
    ) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": f"Credit note {note}",
            "original": note,
            "note": note,
            "zone": note.environment.merchant.reporting_timezone,
            **context,
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, template, context, status=status)

    @admin.display(description="Credit note", ordering="sequence")
    def what(self, note: CreditNote) -> str:
        return str(note)

    @admin.display(description="Status")
    def status_column(self, note: CreditNote) -> str:
        return _badge(note)

    @admin.display(description="Reason")
    def reason_column(self, note: CreditNote) -> str:
        return words(note.reason)

    @admin.display(description="Total")
    def total(self, note: CreditNote) -> str:
        return note.money(note.total_amount).text()

    @admin.display(description="Still to use")
    def available(self, note: CreditNote) -> str:
        return note.money(note.amounts.available).text() if hasattr(note, "amounts") else "–"

    @admin.display(description="Invoice")
    def invoice_column(self, note: CreditNote) -> str:
        url = reverse("admin:invoices_invoice_change", args=[note.invoice_id])
        return format_html('<a class="fl-link" href="{}">{}</a>', url, note.invoice)

    def get_changelist_instance(self, request: HttpRequest):
        """Give the notes of a page what they stand at: two statements for all of them."""
        listed = super().get_changelist_instance(request)
        listed.result_list = with_amounts(listed.result_list)
        return listed


def _figures(note: CreditNote) -> list[tuple[str, Any]]:
    amounts, money = note.amounts, note.money
    return [
        ("Credit note", money(amounts.total)),
        ("Applied to the invoice", money(amounts.allocated)),
        ("Refunded", money(amounts.returned.refunded)),
        *([("On its way back", money(amounts.returned.pending))] if amounts.returned.pending else []),
        ("Still to use", money(amounts.available)),
    ]


def _page_of(note: CreditNote) -> dict[str, Any]:
    facts = [
        ("Id", note.id),
        ("Reason", words(note.reason)),
        ("Issued", moment(note.issued_at, note.environment.merchant.reporting_timezone) if note.issued_at else ""),
        ("Voided", moment(note.voided_at, note.environment.merchant.reporting_timezone) if note.voided_at else ""),
        ("Memo", note.memo),
        ("Reference", note.external_reference_id),
        ("Version", note.version),
    ]
    history = Event.objects.filter(order_id=note.order_id, subject_type="creditnote", subject_id=note.id)
    return {
        "badge": _badge(note),
        "environment_badge": environment_badge(note.environment),
        "figures": _figures(note),
        "facts": [(name, value) for name, value in facts if value not in ("", None)],
        "lines": [
            {
                "name": line.description,
                "quantity": line.quantity if line.quantity is not None else "–",
                "discount": note.money(line.discount_amount),
                "tax": note.money(line.tax_amount),
                "total": note.money(line.total_amount),
            }
            for line in note.lines.order_by("position")
        ],
        "allocations": [
            {"row": row, "money": note.money(row.amount)} for row in note.allocations.order_by("-created_at", "-id")
        ],
        "refunds": [
            {"row": row, "badge": badge(row.status)}
            for row in Refund.objects.filter(credit_note_id=note.id).order_by("-created_at", "-id")
        ],
        "history": [
            {"event": event, "text": describe(event), "who": event.actor_label or words(event.actor_kind)}
            for event in history.order_by("-sequence")[:MOST_EVENTS]
        ],
    }
