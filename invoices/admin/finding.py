"""How invoices and credit notes are found from any page of the admin: by what is printed on them."""

from collections.abc import Iterable

from django.http import HttpRequest

from flint.admin import badges
from flint.finding import MOST, Hit, finds, page_of
from flint.merchants.staff import Right
from invoices.models import CreditNote, Invoice


@finds("Invoices", Right.READ_SALES, more="invoices_invoice")
def invoices(term: str, environment_ids: list[str], request: HttpRequest) -> Iterable[Hit]:
    rows = Invoice.objects.filter(environment_id__in=environment_ids, number__startswith=term.upper())
    for invoice in rows.order_by("-id")[: MOST + 1]:
        detail = invoice.money(invoice.total_amount).text()
        yield Hit(invoice.number, page_of("invoices_invoice", invoice.id), detail, badges(invoice.status))


@finds("Credit notes", Right.READ_SALES, more="invoices_creditnote")
def credit_notes(term: str, environment_ids: list[str], request: HttpRequest) -> Iterable[Hit]:
    rows = CreditNote.objects.filter(environment_id__in=environment_ids, number__startswith=term.upper())
    for note in rows.order_by("-id")[: MOST + 1]:
        detail = note.money(note.total_amount).text()
        yield Hit(note.number, page_of("invoices_creditnote", note.id), detail, badges(note.status))
