"""
Working the lines of a credit note out: what each takes back of its invoice, with its shares of discount and tax.

Taken in steps, over however many notes, the pieces of a line sum to the line: the last one takes the rest.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from invoices.documents.sources import Source, sources_of
from invoices.models import CreditNote, CreditNoteLine, Invoice
from invoices.models.credit_notes import N
from invoices.models.invoices import STANDING
from invoices.services.credit_notes import refusals
from orders.splitting import Makeup, line_units


@dataclass(frozen=True, slots=True)
class Left:
    """What other notes left of something that an invoice bills."""

    makeup: Makeup
    units: int


class Creditable:
    """What can still be credited of an invoice whose order is locked: what the notes that stand have not taken."""

    def __init__(self, invoice: Invoice):
        """:raises InvoiceNotCreditable: if it is a draft, or void, or nothing of it is left."""
        if invoice.issued_at is None or invoice.status not in STANDING:
            raise refusals.InvoiceNotCreditable(current_status=str(invoice.status))
        self.invoice = invoice
        self.sources = {source.id: source for source in sources_of(invoice.snapshot)}
        taken: dict[str, Makeup] = defaultdict(Makeup)
        units: dict[str, int] = defaultdict(int)
        standing = CreditNoteLine.objects.filter(note__invoice_id=invoice.id, note__status=N.ISSUED)
        for line in standing.order_by("note__sequence", "position"):
            taken[line.invoice_line_item_id] += makeup_of_line(line)
            units[line.invoice_line_item_id] += line.quantity or 0
        self.left = {
            source.id: Left(makeup_of(source) - taken[source.id], (source.quantity or 0) - units[source.id])
            for source in self.sources.values()
        }
        self.amount = invoice.total_amount - sum(makeup.total for makeup in taken.values())
        if self.amount <= 0:
            raise refusals.InvoiceNotCreditable("The invoice is credited in full already.")

    def lines(self, wanted: Sequence[Mapping[str, Any]], *, kept: Collection[str] = ()) -> list[CreditNoteLine]:
        """
        Return unsaved lines for what a request wants credited.

        :param kept: ids of the lines that the draft has already; a line that names one keeps it.
        :raises InvalidCreditNoteLine: if one names what the invoice does not bill, or names it twice.
        :raises CreditNoteAmountExceedsCreditable: if one, or all together, take more than is left.
        :raises CreditNoteCurrencyMismatch: if an amount is of another currency.
        """
        lines: list[CreditNoteLine] = []
        for index, each in enumerate(wanted):
            param = f"credit_note_lines[{index}]"
            source = self.sources.get(each["invoice_line_item_id"])
            if source is None or any(line.invoice_line_item_id == source.id for line in lines):
                raise refusals.InvalidCreditNoteLine(param=f"{param}.invoice_line_item_id")
            line = self._line(source, each["correction"], param)
            line.position = index
            if (line_id := each.get("credit_note_line_id")) is not None:
                if line_id not in kept or any(other.id == line_id for other in lines):
                    raise refusals.InvalidCreditNoteLine(param=f"{param}.credit_note_line_id")
                line.id = line_id
            lines.append(line)
        total = sum(line.total_amount for line in lines)
        if total > self.amount:
            raise refusals.CreditNoteAmountExceedsCreditable(
                param="credit_note_lines", maximum_money=self.invoice.money(self.amount)
            )
        return lines

    def _line(self, source: Source, correction: Mapping[str, Any], param: str) -> CreditNoteLine:
        left = self.left[source.id]
        if left.makeup.total <= 0:
            raise refusals.CreditNoteAmountExceedsCreditable(
                "Nothing of this line is left to credit.", param=param, maximum_money=self.invoice.money(0)
            )
        units = None
        if correction["type"] == "quantity":
            units = correction["quantity"]
            amount = self._worth_of(source, units, left, f"{param}.correction.quantity")
        else:
            money = correction["amount_money"]
            if money.currency != self.invoice.currency:
                raise refusals.CreditNoteCurrencyMismatch(param=f"{param}.correction.amount_money.currency")
            amount = money.amount
            if amount > left.makeup.total:
                raise refusals.CreditNoteAmountExceedsCreditable(
                    param=f"{param}.correction.amount_money", maximum_money=self.invoice.money(left.makeup.total)
                )
        taken = left.makeup.take(amount)
        kept = {"type": "quantity", "quantity": units} if units else {"type": "amount", "amount": amount}
        return CreditNoteLine(
            environment_id=self.invoice.environment_id,
            invoice_line_item_id=source.id,
            description=source.name,
            correction=kept,
            quantity=units,
            subtotal_amount=taken.subtotal,
            discount_amount=taken.discount,
            tax_amount=taken.all_tax,
            total_amount=taken.total,
        )

    def _worth_of(self, source: Source, units: int, left: Left, param: str) -> int:
        if source.quantity is None:
            raise refusals.InvalidCreditNoteLine("Only lines of the invoice have units. Send an amount.", param=param)
        if units > left.units:
            raise refusals.CreditNoteAmountExceedsCreditable(
                "The line has fewer units than that left to credit.", param=param, limit=left.units
            )
        if units == left.units:
            return left.makeup.total
        worth = line_units(source.total, source.quantity, source.quantity - left.units, units)
        return min(worth, left.makeup.total)


def wanted_again(lines: Sequence[CreditNoteLine], note: CreditNote) -> list[dict[str, Any]]:
    """Return what stored lines ask for, in a request's words, to be worked out anew."""
    wanted = []
    for line in lines:
        correction = dict(line.correction)
        if correction["type"] == "amount":
            correction["amount_money"] = note.money(correction.pop("amount"))
        wanted.append(
            {
                "invoice_line_item_id": line.invoice_line_item_id,
                "correction": correction,
                "credit_note_line_id": line.id,
            }
        )
    return wanted


def makeup_of(source: Source) -> Makeup:
    """Return what something that was billed is made of."""
    return Makeup(source.subtotal, source.discount, source.tax - source.inclusive_tax, source.inclusive_tax)


def makeup_of_line(line: CreditNoteLine) -> Makeup:
    """Return what a line of a note is made of. Tax that its sum does not show on top is in its price."""
    on_top = line.total_amount - line.subtotal_amount + line.discount_amount
    return Makeup(line.subtotal_amount, line.discount_amount, on_top, line.tax_amount - on_top)
