"""What staff can do with credit notes: each act shown with its amounts first, then done by the service of the API."""

import hashlib
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django import forms

from flint.actors import Actor, Command
from flint.merchants.staff import Right
from flint.money import Money
from flint.typed import money_typed, typed
from invoices.admin.registry import InvoiceAction, Preview, invoice_actions
from invoices.amounts import amounts_of
from invoices.documents.sources import Source, sources_of
from invoices.models import CreditNote, Invoice
from invoices.models.credit_notes import CreditNoteReason, N
from invoices.models.invoices import STANDING
from invoices.reading import standing_of
from invoices.services import credit_notes
from refunds.models import Reason
from refunds.services import refund_credit_note


@dataclass(frozen=True)
class NoteAction:
    """A button on a credit note's page, and the form behind it, at a URL of its own."""

    name: str
    label: str
    right: Right
    is_offered: Callable[[CreditNote], bool]
    text: str
    act: Callable[[CreditNote, Mapping[str, Any], Actor], str]
    form: Callable[..., "NoteForm"]


class NoteForm(forms.Form):
    """Names the wish, so that sent twice it is one, and the version that was shown."""

    token = forms.UUIDField(widget=forms.HiddenInput)
    expected_version = forms.IntegerField(widget=forms.HiddenInput, min_value=1)

    def __init__(self, *args: Any, note: CreditNote, **kwargs: Any):
        initial = {"token": uuid.uuid4(), "expected_version": note.version, **self.suggested(note)}
        super().__init__(*args, initial=initial, **kwargs)
        self.note = note

    def suggested(self, note: CreditNote) -> dict[str, Any]:
        """Return what is filled in already."""
        return {}

    def command(self, verb: str) -> Command:
        """Return the name of this wish, and a digest of what it asks."""
        digest = hashlib.sha256(f"{verb} {self.note.id} {sorted(self.data.items())}".encode()).hexdigest()
        return Command(key=str(self.cleaned_data["token"]), digest=digest)


class AmountForm(NoteForm):
    """How much of the credit."""

    amount = forms.CharField(label="Amount", max_length=20)

    def suggested(self, note: CreditNote) -> dict[str, Any]:
        owed = amounts_of(note.invoice, note.order).outstanding
        return {"amount": typed(note.money(min(owed, note.amounts.available)))}

    def clean_amount(self) -> Money:
        return money_typed(self.cleaned_data["amount"], self.note.currency)


class RefundForm(AmountForm):
    """How much goes back, and why."""

    reason = forms.ChoiceField(label="Why", choices=Reason.choices)
    reason_message = forms.CharField(label="Note", required=False, max_length=500)

    def suggested(self, note: CreditNote) -> dict[str, Any]:
        return {"amount": typed(note.money(note.amounts.available))}


class CreditForm(forms.Form):
    """What of an invoice is taken back: units of its lines, amounts of what else it bills."""

    reason = forms.ChoiceField(label="Why", choices=CreditNoteReason.choices, help_text="Printed on the document.")
    memo = forms.CharField(
        label="Memo", required=False, max_length=4096, help_text="Printed on the document.", widget=forms.Textarea
    )

    def __init__(self, *args: Any, invoice: Invoice, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.sources = sources_of(invoice.snapshot or {}) if invoice.snapshot else []
        self.currency = invoice.currency
        for index, source in enumerate(self.sources):
            self.fields[f"what_{index}"] = self._field(source)

    def _field(self, source: Source) -> forms.Field:
        worth = Money(source.total, self.currency)
        if source.quantity is None:
            help_text = f"An amount, of {worth}."
            return forms.CharField(label=source.name or "Tip", required=False, max_length=20, help_text=help_text)
        help_text = f"Units, of {source.quantity} billed for {worth}."
        return forms.IntegerField(
            label=source.name, required=False, min_value=0, max_value=source.quantity, help_text=help_text
        )

    def clean(self) -> dict[str, Any]:
        data = super().clean()
        lines = []
        for index, source in enumerate(self.sources):
            name = f"what_{index}"
            if not (wanted := data.get(name)):
                continue
            if source.quantity is not None:
                correction = {"type": "quantity", "quantity": wanted}
            else:
                try:
                    correction = {"type": "amount", "amount_money": money_typed(wanted, self.currency)}
                except forms.ValidationError as error:
                    self.add_error(name, error)
                    continue
            lines.append({"invoice_line_item_id": source.id, "correction": correction})
        if not lines and not self.errors:
            raise forms.ValidationError("Say what of the invoice is taken back.")
        return {**data, "credit_note_lines": lines}


def _draft(invoice: Invoice, data: Mapping[str, Any], actor: Actor) -> str:
    wanted = {name: data[name] for name in ("reason", "memo", "credit_note_lines")}
    note = credit_notes.create_credit_note(data={"invoice_id": invoice.id, **wanted}, actor=actor)
    return f"A credit note over {note.money(note.total_amount)} is drafted. Issue it on its own page."


def _before_draft(invoice: Invoice) -> Preview:
    amounts = standing_of(invoice).amounts
    facts = [
        ("Billed", invoice.money(amounts.total)),
        ("Credited already", invoice.money(amounts.credit)),
        ("Outstanding", invoice.money(amounts.outstanding)),
    ]
    return Preview("A draft takes nothing back yet; discount and tax are worked out from the invoice.", facts)


invoice_actions.append(
    InvoiceAction(
        name="credit",
        label="Credit",
        right=Right.ISSUE_INVOICE,
        is_offered=lambda invoice: invoice.status in STANDING,
        preview=_before_draft,
        act=_draft,
        form=CreditForm,
    )
)


def _issue(note: CreditNote, data: Mapping[str, Any], actor: Actor) -> str:
    issued = credit_notes.issue_credit_note(note.id, expected_version=data["expected_version"], actor=actor)
    return f"Credit note {issued.number} is issued over {issued.money(issued.total_amount)}."


def _allocate(note: CreditNote, data: Mapping[str, Any], actor: Actor) -> str:
    made = credit_notes.allocate(note.id, money=data["amount"], expected_version=data["expected_version"], actor=actor)
    again = " by this form before; nothing more was" if made.is_repeat else ""
    return f"{note.money(made.allocation.amount)} was applied to the invoice{again}."


def _reverse(note: CreditNote, data: Mapping[str, Any], actor: Actor) -> str:
    last = note.allocations.filter(reversed_at__isnull=True).order_by("-created_at", "-id").first()
    made = credit_notes.reverse_allocation(
        note.id, last.id if last else "", expected_version=data["expected_version"], actor=actor
    )
    return f"{note.money(made.allocation.amount)} is owed on the invoice again."


def _refund(note: CreditNote, data: Mapping[str, Any], actor: Actor) -> str:
    wanted = {"reason": data["reason"], "amount_money": data["amount"]}
    if data["reason_message"]:
        wanted["reason_message"] = data["reason_message"]
    made = refund_credit_note(note.id, data=wanted, expected_version=data["expected_version"], actor=actor)
    if made.is_repeat:
        return f"This form had been sent before, and refunded {made.refund.money} then. Nothing more was refunded."
    return f"{made.refund.money} goes back to the customer. The processor is being asked."


def _void(note: CreditNote, data: Mapping[str, Any], actor: Actor) -> str:
    credit_notes.void_credit_note(note.id, expected_version=data["expected_version"], actor=actor)
    return "The credit note is void. It keeps its number."


def _owes(note: CreditNote) -> bool:
    return amounts_of(note.invoice, note.order).outstanding > 0


note_actions = [
    NoteAction(
        name="issue",
        label="Issue",
        right=Right.ISSUE_INVOICE,
        is_offered=lambda note: note.status == N.DRAFT,
        text="The note gets the next number and never changes again. Nothing is credited before it is used.",
        act=_issue,
        form=NoteForm,
    ),
    NoteAction(
        name="allocate",
        label="Apply to the invoice",
        right=Right.ISSUE_INVOICE,
        is_offered=lambda note: note.amounts.available > 0 and _owes(note),
        text="So much less of the invoice is owed from now on.",
        act=_allocate,
        form=AmountForm,
    ),
    NoteAction(
        name="refund",
        label="Refund",
        right=Right.REFUND,
        is_offered=lambda note: note.amounts.available > 0 and not _owes(note),
        text="So much goes back to the customer through the payments of the invoice.",
        act=_refund,
        form=RefundForm,
    ),
    NoteAction(
        name="reverse",
        label="Take off again",
        right=Right.ISSUE_INVOICE,
        is_offered=lambda note: note.amounts.allocated > 0,
        text="What was last applied to the invoice is owed on it again, and the note has it to use.",
        act=_reverse,
        form=NoteForm,
    ),
    NoteAction(
        name="void",
        label="Void",
        right=Right.ISSUE_INVOICE,
        is_offered=lambda note: note.status == N.ISSUED and note.amounts.available == note.amounts.total,
        text="The note is taken back for good, and keeps its number.",
        act=_void,
        form=NoteForm,
    ),
]
