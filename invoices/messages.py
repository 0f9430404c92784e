"""What messages about invoices say, in the buyer's language."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from zoneinfo import ZoneInfo

from django.utils import timezone

from flint.languages import Language, phrase
from flint.merchants.settings import section_of
from flint.messages.kinds import Attachment, Letter, Row, Unneeded, says
from flint.messages.models import Message
from invoices.amounts import InvoiceAmounts, amounts_of
from invoices.asking import Asked, asked_of
from invoices.documents import pdf_of
from invoices.due import day_of
from invoices.links import link_of
from invoices.models import Invoice, InvoiceDelivery
from invoices.models.invoices import CollectionMode, S

QUESTIONS = phrase("If you have a question, answer this message or write to {address}.")
PARTS = {"deposit": phrase("Deposit"), "installment": phrase("Instalment"), "balance": phrase("Balance")}


@says("invoice", label="Invoice", setting="invoices")
def invoice(message: Message, language: Language) -> Letter:
    """Hand over the invoice: what it asks for, by when, and the document itself."""
    told = Told(message, language)
    if told.invoice.status == S.VOID:
        raise Unneeded("void")
    say, number = language.say, told.invoice.number
    amount = told.money(told.asked.outstanding)
    text = [say("{merchant} sends you invoice {number}.", merchant=told.merchant, number=number)]
    if not told.asked.outstanding:
        text.append(say("It is paid. There is nothing for you to do."))
    elif told.invoice.collection_mode == CollectionMode.AUTOMATIC and told.due_at:
        text.append(say("It will be charged to your saved payment method on {date}.", date=told.date(told.due_at)))
    if told.invoice.memo:
        text.append(told.invoice.memo)
    return told.letter(
        subject=say("Invoice {number} from {merchant}: {amount}", number=number, merchant=told.merchant, amount=amount),
        heading=say("Invoice {number}", number=number),
        text=text,
    )


@says("invoice_reminder", label="Invoice reminder", setting="invoice_reminders")
def invoice_reminder(message: Message, language: Language) -> Letter:
    """Remind of what is still to be paid: of what is late, else of what is due, else of what is due next."""
    told = Told(message, language)
    if not told.asked.outstanding:
        raise Unneeded("nothing_owed")
    say, number, asked = language.say, told.invoice.number, told.asked
    next_entry = asked.next_entry
    amount = told.money(
        asked.overdue or asked.currently_due or (next_entry.filled.outstanding if next_entry else asked.outstanding)
    )
    date = told.date(told.due_at) if told.due_at else ""
    if asked.is_overdue:
        subject = say("Invoice {number} is overdue", number=number)
        heading = say("{amount} is overdue", amount=amount)
        text = say("We have not received {amount} of invoice {number} yet.", amount=amount, number=number)
        if date:
            text += " " + say("It was due on {date}.", date=date)
    elif told.is_today:
        subject = say("Invoice {number} is due today", number=number)
        heading = say("{amount} is due today", amount=amount)
        text = say("Today is the day to pay {amount} of invoice {number}.", amount=amount, number=number)
    else:
        subject = say("Reminder of invoice {number}", number=number)
        heading = say("{amount} to pay", amount=amount)
        text = say("{amount} of invoice {number} is still to be paid.", amount=amount, number=number)
        if date and told.invoice.collection_mode == CollectionMode.AUTOMATIC:
            text += " " + say("It will be charged to your saved payment method on {date}.", date=date)
        elif date:
            text += " " + say("It is due on {date}.", date=date)
    return told.letter(
        subject=subject,
        heading=heading,
        text=[text],
        before=[say("If you have paid already, there is nothing to do.")],
    )


class Told:
    """An invoice as a message about it tells of it, at the moment of sending."""

    def __init__(self, message: Message, language: Language):
        delivery = InvoiceDelivery.objects.select_related("invoice").get(id=message.source_id)
        self.language = language
        self.at: datetime = message.taken_at or timezone.now()
        self.order = message.order
        self.merchant = message.environment.merchant
        self.invoice: Invoice = delivery.invoice
        self.zone = ZoneInfo(self.invoice.timezone)
        self.amounts: InvoiceAmounts = amounts_of(self.invoice, self.order)
        self.asked: Asked = asked_of(self.invoice, self.amounts, at=self.at)

    @property
    def due_at(self) -> datetime | None:
        """When the part is due that is to be paid next, else the invoice, if ever."""
        entry = self.asked.next_entry
        return entry.entry.due_at if entry else self.invoice.due_at

    @property
    def is_today(self) -> bool:
        """Whether that is due on the day of the message."""
        zone = self.invoice.timezone
        return self.due_at is not None and day_of(self.due_at, zone) == day_of(self.at, zone)

    def money(self, amount: int) -> str:
        return self.language.money(self.invoice.money(amount))

    def date(self, moment: datetime) -> str:
        return self.language.date(moment, self.zone)

    def letter(self, *, subject: str, heading: str, text: Sequence[str], before: Sequence[str] = ()) -> Letter:
        """Put a letter together: what all of them have below their first words."""
        say, support = self.language.say, self.merchant.support_email or self.merchant.email
        replies = section_of(self.invoice.environment_id, "invoices")["reply_to_email"] or ""
        return Letter(
            subject=subject,
            heading=heading,
            text=text,
            lines=self._parts(),
            sums=self._sums(),
            facts=self._facts(),
            button=self._button(),
            url=link_of(self.invoice),
            closing=[*before, say(QUESTIONS, address=replies or support)],
            attachments=[Attachment(f"{self.invoice.number}.pdf", "application/pdf", partial(pdf_of, self.invoice))],
            reply_to=replies,
        )

    def _button(self) -> str:
        say = self.language.say
        is_paid_here = self.asked.outstanding and self.invoice.collection_mode != CollectionMode.EXTERNAL
        return say("Show and pay the invoice") if is_paid_here else say("Show the invoice")

    def _parts(self) -> list[Row]:
        say, rows = self.language.say, []
        for each in self.asked.entries:
            left, due_at = each.filled.outstanding, each.entry.due_at
            if not left:
                detail = say("paid")
            else:
                detail = say("due on {date}", date=self.date(due_at)) if due_at else ""
            rows.append(Row(say(PARTS[each.entry.kind]), self.money(each.filled.total), detail=detail))
        return rows

    def _sums(self) -> list[Row]:
        say, amounts, asked = self.language.say, self.amounts, self.asked
        settled = amounts.total + amounts.late_fee - asked.outstanding
        rows = [Row(say("Total"), self.money(amounts.total))]
        if amounts.late_fee:
            rows.append(Row(say("Late fee"), self.money(amounts.late_fee)))
        if settled > 0:
            rows.append(Row(say("Paid and credited"), self.money(-settled)))
        rows.append(Row(say("To pay"), self.money(asked.outstanding), is_strong=True))
        return rows

    def _facts(self) -> list[Row]:
        say = self.language.say
        rows = [Row(say("Invoice"), self.invoice.number)]
        if self.invoice.issued_at:
            rows.append(Row(say("Date of issue"), self.date(self.invoice.issued_at)))
        if self.due_at and self.asked.outstanding:
            rows.append(Row(say("Due"), self.date(self.due_at)))
        if self.invoice.po_number:
            rows.append(Row(say("Your reference"), self.invoice.po_number))
        rows.append(Row(say("Order"), self.order.order_number))
        return rows
