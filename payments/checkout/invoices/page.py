"""What the page of an invoice shows: worked out from the invoice and its order as they are at that moment."""

import zoneinfo
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any

from flint.languages import Language, phrase
from flint.messages.kinds import Row
from invoices.amounts import InvoiceAmounts
from invoices.asking import Asked, EntryStanding
from invoices.documents.wording import CHANGES, KINDS
from invoices.models import Invoice
from invoices.models.credit_notes import CreditNoteStatus
from invoices.models.invoices import CollectionMode, S
from invoices.reading import standing_of
from payments.checkout.invoices.access import Visit
from payments.checkout.invoices.history import history_of
from payments.models import PaymentAttempt
from payments.models.attempts import A
from payments.services.invoices.parts import part_of_invoice

ENTRY_WORDS = {
    "satisfied": phrase("Paid"),
    "overdue": phrase("Overdue"),
    "due": phrase("Due now"),
    "partially_satisfied": phrase("Partly paid"),
    "pending": phrase("Later"),
}
CLOSED = {S.PAID: "paid", S.CREDITED: "settled", S.VOID: "ended", S.UNCOLLECTIBLE: "ended"}
"""The mark of an invoice that asks for nothing any more."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One part of a schedule, in words."""

    label: str
    due: str
    money: str
    status: str
    is_late: bool


@dataclass(slots=True)
class InvoicePage:
    """One state of the page: ``state`` is the mark, ``title`` and ``words`` say it, and ``pay`` is on the button."""

    invoice: Invoice
    language: Language
    zone: tzinfo
    state: str
    title: str
    words: str = ""
    pay: str = ""
    goes_on: bool = False
    headline_label: str = ""
    headline: str = ""
    facts: Sequence[Row] = ()
    lines: Sequence[Row] = ()
    sums: Sequence[Row] = ()
    entries: Sequence[Entry] = ()
    credit_notes: Sequence[Any] = ()
    history: Sequence[Row] = ()
    remit_to: Sequence[str] = ()

    @property
    def mark(self) -> str:
        """What can be told apart of the state by a script: as long as it stays the same, so does the page."""
        return f"{self.state} {self.invoice.version} {self.headline}"

    @property
    def watches(self) -> bool:
        """Whether something from outside may change it soon."""
        return self.state in ("processing", "debit")


def page_of(visit: Visit, language: Language) -> InvoicePage:
    """Return the page of an invoice as it is now."""
    invoice, order = visit.invoice, visit.invoice.order
    zone = zoneinfo.ZoneInfo(invoice.timezone)
    standing = standing_of(invoice, visit.at)
    page = InvoicePage(invoice, language, zone, "open", "")
    amounts, asked = standing.amounts, standing.asked
    if invoice.is_asking:
        _asking(page, visit, amounts, asked)
    else:
        _closed(page, amounts)
    page.facts = _facts(page)
    page.lines, page.sums = _lines(page), _sums(page, amounts, asked)
    page.entries = [_entry(page, each) for each in asked.entries]
    notes = invoice.credit_notes.filter(status=CreditNoteStatus.ISSUED).order_by("sequence")
    page.credit_notes = [
        {"id": note.id, "number": note.number, "money": language.money(note.money(note.total_amount))} for note in notes
    ]
    page.history = history_of(invoice, order, language, zone)
    return page


def _asking(page: InvoicePage, visit: Visit, amounts: InvoiceAmounts, asked: Asked) -> None:
    """Say what an invoice asks for, and whether it can be paid now."""
    invoice, order, say = page.invoice, visit.invoice.order, page.language.say
    page.headline_label, page.headline = say("Still owed"), _money(page, asked.outstanding)
    if order.is_collecting:
        _under_way(page, order.active_attempt_id)
        return
    if order.is_collection_blocked or order.status != "open":
        page.state = "blocked"
        page.title = say("This invoice cannot be paid right now")
        page.words = say("Nothing was charged. The merchant has to put something right first; please ask them.")
        return
    if invoice.collection_mode == CollectionMode.EXTERNAL:
        page.state, page.title = "held", say("Please pay this invoice by bank transfer")
        page.words = say("Name the invoice number, so that your payment is recognised.")
        page.remit_to = [str(invoice.environment.merchant), *_address(invoice.remit_to_address)]
        return
    part = part_of_invoice(invoice, order, at=visit.at)
    amount = _money(page, part.amount)
    page.headline_label = say("To pay now") if asked.currently_due else say("Next part")
    page.headline = amount
    page.pay = say("Pay {amount}", amount=amount)
    page.title, page.words = _why(page, asked, amounts)


def _why(page: InvoicePage, asked: Asked, amounts: InvoiceAmounts) -> tuple[str, str]:
    """Return the title and the words of an invoice that can be paid: overdue, due by a day, or asked for in parts."""
    invoice, say = page.invoice, page.language.say
    following = asked.next_entry
    due_at = following.entry.due_at if following else invoice.due_at
    if asked.is_overdue:
        return say("This invoice is overdue"), (say("It was due on {day}.", day=_day(page, due_at)) if due_at else "")
    title = say("A part of this invoice is paid") if amounts.net_paid else say("This invoice is open")
    if following and asked.currently_due:
        return title, say("The next part is due on {day}.", day=_day(page, due_at))
    if following:
        return title, say("Nothing is due before {day}. You can pay the next part already.", day=_day(page, due_at))
    return title, say("It is due on {day}.", day=_day(page, due_at)) if due_at else ""


def _under_way(page: InvoicePage, attempt_id: str) -> None:
    """Say that a payment is under way: with a bank that takes days, or in a checkout that can be gone on with."""
    say = page.language.say
    attempt = PaymentAttempt.objects.get(id=attempt_id)
    waits_for_bank = attempt.status == A.PROCESSING and attempt.operations.filter(result="processing").exists()
    if waits_for_bank:
        page.state, page.title = "debit", say("Your bank is processing the payment")
        page.words = say("That takes up to four working days. You can close this page; please do not pay again.")
        return
    page.state, page.title = "processing", say("A payment of this invoice is under way")
    page.words = say("This page follows by itself; please do not pay again.")
    session = attempt.checkout_session
    page.goes_on = session is not None and session.is_open and session.surface == "hosted"


def _closed(page: InvoicePage, amounts: InvoiceAmounts) -> None:
    """Say why an invoice asks for nothing any more."""
    invoice, say = page.invoice, page.language.say
    page.state = CLOSED[invoice.status]
    if invoice.status == S.PAID:
        page.title = say("Thank you, this invoice is paid")
        page.headline_label, page.headline = say("Paid"), _money(page, amounts.paid)
    elif invoice.status == S.CREDITED:
        page.title = say("This invoice is settled by a credit note")
        page.headline_label, page.headline = say("Still owed"), _money(page, 0)
    elif invoice.status == S.VOID:
        page.title = say("This invoice was withdrawn")
        page.words = say("You do not have to pay anything on it.")
        page.headline_label, page.headline = say("Still owed"), _money(page, 0)
    else:
        page.title = say("This invoice is closed")
        page.words = say("Nothing can be paid on it here any more. The merchant helps you with any question.")


def _facts(page: InvoicePage) -> list[Row]:
    """Return what the invoice is known by."""
    invoice, say = page.invoice, page.language.say
    snapshot = invoice.snapshot
    rows = [Row(say("Invoice"), invoice.number)]
    rows.append(Row(say("Issued on"), _day(page, invoice.issued_at)))
    if invoice.due_at and not page.entries:
        rows.append(Row(say("Due on"), _day(page, invoice.due_at)))
    for label, value in (
        (say("Billed to"), snapshot.get("customer_display_name")),
        (say("Your order number"), invoice.po_number),
        (say("Reference"), invoice.reference),
        (say("Order"), invoice.order.order_number),
    ):
        if value:
            rows.append(Row(label, value))
    return rows


def _lines(page: InvoicePage) -> list[Row]:
    """Return what is billed, as it was frozen."""
    invoice, language = page.invoice, page.language
    rows = []
    for line in invoice.snapshot.get("line_items", []):
        quantity, each = line["quantity"], _frozen(page, line["unit_price_money"])
        name = language.say(CHANGES) if line["name"] == CHANGES else line["name"]
        rows.append(Row(name, _frozen(page, line["subtotal_money"]), f"{quantity} × {each}" if quantity != 1 else ""))
    return rows + [Row(charge["name"], _frozen(page, charge["applied_money"])) for charge in _charges(invoice)]


def _charges(invoice: Invoice) -> list[dict[str, Any]]:
    return invoice.snapshot.get("charges", [])


def _sums(page: InvoicePage, amounts: InvoiceAmounts, asked: Asked) -> list[Row]:
    """Return how what is billed comes to what is owed now."""
    say, priced = page.language.say, page.invoice.snapshot["pricing_amounts"]

    def row(label: str, amount: int, **options: Any) -> list[Row]:
        return [Row(label, _money(page, amount), **options)] if amount else []

    included = page.invoice.snapshot["document"]["inclusive_tax_money"]["amount"]
    rows = [
        *row(say("Discount"), -priced["discount_money"]["amount"]),
        *row(say("Tax"), priced["tax_money"]["amount"] + included, detail=say("included") if included else ""),
        *row(say("Tip"), priced["requested_tip_money"]["amount"]),
        Row(say("Total"), _money(page, amounts.total), is_strong=True),
        *row(say("Late fees"), amounts.late_fee),
        *row(say("Paid so far"), -amounts.paid),
        *row(say("Refunded"), amounts.refunded),
        *row(say("Taken back by your bank"), amounts.charged_back),
        *row(say("Credited"), -amounts.credit),
    ]
    if asked.outstanding and len(rows) > 1:
        rows.append(Row(say("Still owed"), _money(page, asked.outstanding), is_strong=True))
    return rows


def _entry(page: InvoicePage, part: EntryStanding) -> Entry:
    say, filled = page.language.say, part.filled
    return Entry(
        label=say(KINDS[part.entry.kind]),
        due=_day(page, part.entry.due_at),
        money=_money(page, filled.total),
        status=say(ENTRY_WORDS[part.status]),
        is_late=part.is_overdue,
    )


def _money(page: InvoicePage, amount: int) -> str:
    return page.language.money(page.invoice.money(amount))


def _frozen(page: InvoicePage, money: dict[str, Any]) -> str:
    return _money(page, money["amount"])


def _day(page: InvoicePage, moment: datetime) -> str:
    return page.language.date(moment, page.zone)


def _address(address: dict[str, str] | None) -> list[str]:
    """Return an address line by line."""
    if not address:
        return []
    town = " ".join(filter(None, (address.get("postal_code"), address.get("city"), address.get("state"))))
    return [line for line in (address.get("line1"), address.get("line2"), town, address.get("country")) if line]
