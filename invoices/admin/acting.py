"""What staff can do about an invoice: each act previewed, then done by the same service as over the API."""

from collections.abc import Mapping
from datetime import UTC, datetime, time
from typing import Any

from django import forms
from django.utils import timezone

from flint.actors import Actor
from flint.merchants.staff import Right
from flint.money import Money
from flint.typed import money_typed, typed
from invoices.admin import late
from invoices.admin.registry import InvoiceAction, Preview, StaffForm, invoice_actions
from invoices.models import Invoice
from invoices.models.invoices import DeliveryMode
from invoices.reading import standing_of
from invoices.services import fees, manual, reminding, sending, voiding, writing_off
from invoices.services.issuing import issue_invoice
from orders.services.manual_payments import recorded_amount


class IssueForm(StaffForm):
    """How the invoice reaches its buyer."""

    delivery_mode = forms.ChoiceField(
        label="Delivery",
        choices=[
            ("merchant_default", "As the merchant has chosen"),
            (DeliveryMode.EMAIL, "Email it now"),
            (DeliveryMode.CALLER_MANAGED, "Send nothing: it is handed over another way"),
        ],
    )


class MoneyForm(StaffForm):
    """An amount that came in, or did not, with what is known of it."""

    amount = forms.CharField(label="Amount", max_length=20)
    received_on = forms.DateField(
        label="Received on", required=False, widget=forms.DateInput(attrs={"type": "date"}), help_text="Today if empty."
    )
    note = forms.CharField(label="Note", max_length=500, required=False)

    def __init__(self, *args: Any, invoice: Invoice, **kwargs: Any):
        kwargs["initial"] = {"amount": typed(self.suggested(invoice))} | kwargs.get("initial", {})
        super().__init__(*args, invoice=invoice, **kwargs)

    def suggested(self, invoice: Invoice) -> Money:
        """Return what most probably came in: all of it."""
        return invoice.money(standing_of(invoice).amounts.outstanding)

    def clean_amount(self) -> Money:
        return money_typed(self.cleaned_data["amount"], self.invoice.currency)

    def clean_received_on(self) -> datetime | None:
        day = self.cleaned_data["received_on"]
        if day is None:
            return None
        if day > timezone.now().date():
            raise forms.ValidationError("That day is yet to come.")
        return datetime.combine(day, time(12), tzinfo=UTC)


class ReversalForm(MoneyForm):
    """An amount that was recorded and did not come in."""

    received_on = None

    def suggested(self, invoice: Invoice) -> Money:
        return invoice.money(recorded_amount(invoice.order, invoice_id=invoice.id))


class ReasonForm(StaffForm):
    """Why."""

    reason = forms.CharField(label="Why", max_length=500, help_text="The buyer is not told.")


def _amounts(invoice: Invoice) -> list[tuple[str, Any]]:
    amounts = standing_of(invoice).amounts
    return [
        ("Invoice", str(invoice)),
        ("Billed", invoice.money(amounts.total + amounts.late_fee)),
        ("Outstanding", invoice.money(amounts.outstanding)),
    ]


def _preview(text: str):
    return lambda invoice: Preview(text, _amounts(invoice))


def _asks(invoice: Invoice) -> bool:
    return invoice.is_asking


# Issue


def _before_issue(invoice: Invoice) -> Preview:
    to = invoice.recipient_email or (invoice.order.customer.email if invoice.order.customer else "") or "nobody known"
    facts = [
        ("Bills", invoice.money(standing_of(invoice).amounts.total)),
        ("Asks for", invoice.money(standing_of(invoice).amounts.outstanding)),
        ("Goes to", to),
        ("Due", invoice.payment_term or invoice.due_at or "at no particular time"),
    ]
    return Preview(
        "The draft gets the next number and is frozen as it is. From then on the order is collected through it alone, "
        "and what it bills stays as it is.",
        facts,
    )


def _issue(invoice: Invoice, data: Mapping[str, Any], actor: Actor) -> str:
    issued = issue_invoice(
        invoice_id=invoice.id,
        delivery_mode=data["delivery_mode"],
        expected_version=data["expected_version"],
        actor=actor,
    )
    sent = f" It is emailed to {issued.delivery.to_email}." if issued.delivery else ""
    return f"Invoice {issued.invoice.number} is issued.{sent}"


# Take back, give up


def _void(invoice: Invoice, data: Mapping[str, Any], actor: Actor) -> str:
    voiding.void_invoice(invoice_id=invoice.id, expected_version=data["expected_version"], actor=actor)
    return "The invoice is void. Its order is free again."


def _write_off(invoice: Invoice, data: Mapping[str, Any], actor: Actor) -> str:
    done = writing_off.mark_uncollectible(invoice_id=invoice.id, expected_version=data["expected_version"], actor=actor)
    return f"{done.money(done.written_off_amount)} is written off."


# Money by hand


def _record(invoice: Invoice, data: Mapping[str, Any], actor: Actor) -> str:
    manual.record_manual_payment(invoice_id=invoice.id, **_typed(data), actor=actor)
    return f"{data['amount']} is recorded."


def _reverse(invoice: Invoice, data: Mapping[str, Any], actor: Actor) -> str:
    manual.reverse_manual_payment(invoice_id=invoice.id, **_typed(data), actor=actor)
    return f"{data['amount']} is taken back. The invoice asks for it again."


def _typed(data: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "money": data["amount"],
        "received_at": data.get("received_on"),
        "note": data["note"],
        "expected_version": data["expected_version"],
    }


def _has_manual(invoice: Invoice) -> bool:
    return invoice.status in manual.REVERSIBLE and recorded_amount(invoice.order, invoice_id=invoice.id) > 0


# Emails


def _send(invoice: Invoice, data: Mapping[str, Any], actor: Actor) -> str:
    delivery = sending.send_again(invoice_id=invoice.id, expected_version=data["expected_version"], actor=actor)
    return f"The invoice goes to {delivery.to_email} again."


def _remind(invoice: Invoice, data: Mapping[str, Any], actor: Actor) -> str:
    reminded = reminding.send_reminder(invoice_id=invoice.id, actor=actor)
    return f"A reminder goes to {reminded.delivery.to_email}."


# Late fees


def _assess(invoice: Invoice, data: Mapping[str, Any], actor: Actor) -> str:
    fees.assess_late_fee(invoice_id=invoice.id, actor=actor)
    return "The late fee is charged."


def _waive(invoice: Invoice, data: Mapping[str, Any], actor: Actor) -> str:
    unpaid = [each.fee for each in standing_of(invoice).asked.fees if each.filled.outstanding]
    if not unpaid:
        raise fees.InvoiceLateFeeNotFound
    fees.waive_late_fee(invoice_id=invoice.id, late_fee_id=unpaid[0].id, reason_message=data["reason"], actor=actor)
    return f"{invoice.money(unpaid[0].amount)} of late fee is waived as far as it was not paid."


def _has_unpaid_fee(invoice: Invoice) -> bool:
    return invoice.is_asking and any(each.filled.outstanding for each in standing_of(invoice).asked.fees)


def _may_be_charged(invoice: Invoice) -> bool:
    standing = standing_of(invoice)
    return invoice.is_asking and bool(fees.assessable(invoice, standing.asked, at=standing.at))


invoice_actions += [
    InvoiceAction(
        name="issue",
        label="Issue",
        right=Right.ISSUE_INVOICE,
        is_offered=lambda invoice: invoice.status == "draft",
        preview=_before_issue,
        act=_issue,
        form=IssueForm,
    ),
    InvoiceAction(
        name="record_payment",
        label="Record a payment",
        right=Right.RECORD_PAYMENT,
        is_offered=_asks,
        preview=_preview("Money that came in outside Flint counts as paid at once. A checkout that is open ends."),
        act=_record,
        form=MoneyForm,
    ),
    InvoiceAction(
        name="reverse_payment",
        label="Take a payment back",
        right=Right.RECORD_PAYMENT,
        is_offered=_has_manual,
        preview=_preview("What was recorded by hand did not come in after all. The invoice asks for it again."),
        act=_reverse,
        form=ReversalForm,
    ),
    InvoiceAction(
        name="remind",
        label="Send a reminder",
        right=Right.SEND_MESSAGES,
        is_offered=_asks,
        preview=_preview("A reminder is emailed now, whatever the rules say and even while they are paused."),
        act=_remind,
    ),
    InvoiceAction(
        name="send",
        label="Send again",
        right=Right.SEND_MESSAGES,
        is_offered=lambda invoice: invoice.is_asking and invoice.delivery_mode == DeliveryMode.EMAIL,
        preview=_preview("The invoice is emailed once more, with its document and its link."),
        act=_send,
    ),
    InvoiceAction(
        name="late_fee",
        label="Charge the late fee",
        right=Right.ISSUE_INVOICE,
        is_offered=_may_be_charged,
        preview=late.before_late_fee,
        act=_assess,
    ),
    InvoiceAction(
        name="waive_fee",
        label="Waive a late fee",
        right=Right.ISSUE_INVOICE,
        is_offered=_has_unpaid_fee,
        preview=late.before_waiver,
        act=_waive,
        form=ReasonForm,
    ),
    InvoiceAction(
        name="write_off",
        label="Write off",
        right=Right.WRITE_OFF_INVOICE,
        is_offered=_asks,
        preview=_preview("Nobody asks for the rest any more. It counts as written off, not as paid, for good."),
        act=_write_off,
    ),
    InvoiceAction(
        name="void",
        label="Void",
        right=Right.ISSUE_INVOICE,
        is_offered=lambda invoice: invoice.status == "draft" or invoice.is_asking,
        preview=_preview("The invoice is taken back, and keeps its number. Its order can be changed and paid again."),
        act=_void,
    ),
]
invoice_actions += late.reminder_actions
