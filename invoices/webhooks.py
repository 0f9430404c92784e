"""What is told of invoices and credit notes, as the contract has it: each shows what it is about as it is now."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from flint.api.serializers import shared
from flint.events.webhooks import Fact, tells
from flint.money import Money
from invoices import notes
from invoices.api.credit_notes.outputs import CreditNoteAllocationOutput, CreditNoteOutput
from invoices.api.outputs import InvoiceOutput
from invoices.models import CreditNoteAllocation, Invoice
from invoices.reading import read_invoice, standing_of

READ, NOTE_READ = "commerce.invoices.read", "commerce.credit_notes.read"
INVOICE_ID, NOTE_ID = "inv_01J9Z6W2V7Q0M3T8K4B5N6P7R8", "cn_01J9Z6W2V7Q0M3T8K4B5N6P7R8"
ATTEMPT_ID = "opa_01J9Z6W2V7Q0M3T8K4B5N6P7R8"
MOMENT = "2026-09-07T12:00:00.000Z"
TEN, NOTHING = {"amount": 1000, "currency": "EUR"}, {"amount": 0, "currency": "EUR"}

OF_THE_BASE = (
    "invoice_id",
    "version",
    "status",
    "order_id",
    "customer_id",
    "invoice_number",
    "issued_at",
    "outstanding_money",
    "refund_status",
    "collection_mode",
    "delivery_mode",
)
BASE = {
    "invoice_id": INVOICE_ID,
    "version": 1,
    "status": "draft",
    "order_id": "ord_01J9Z6W2V7Q0M3T8K4B5N6P7R8",
    "outstanding_money": TEN,
    "refund_status": "none",
    "resource_updated_at": MOMENT,
}
ISSUED = {
    **BASE,
    "version": 2,
    "status": "open",
    "invoice_number": "INV-000001",
    "issued_at": MOMENT,
    "collection_mode": "buyer_initiated",
    "delivery_mode": "email",
}
ATTEMPT = {**ISSUED, "invoice_payment_attempt_id": ATTEMPT_ID}


def invoice_of(fact: Fact) -> Invoice:
    """Return the invoice that a fact is about, as it is now."""
    return fact.once("invoice", fact.event.subject_id, lambda key: read_invoice(key, actor=fact.actor))


def base_of(fact: Fact) -> dict[str, Any]:
    """Return the contract's base invoice."""
    invoice = invoice_of(fact)
    shown = shared(InvoiceOutput).to_representation(invoice)
    return {name: shown[name] for name in OF_THE_BASE if name in shown} | {"resource_updated_at": invoice.updated_at}


def _money(fact: Fact, name: str = "amount") -> Money:
    return Money(abs(fact.event.data[name]), fact.event.currency)


def _datum(fact: Fact, *names: str) -> dict[str, Any]:
    return {name: fact.event.data[name] for name in names if fact.event.data.get(name)}


def _nothing(fact: Fact) -> dict[str, Any]:
    return {}


def _tell(
    word: str,
    *causes: str,
    sample: Mapping[str, Any],
    more: Callable[[Fact], Mapping[str, Any]] = _nothing,
) -> None:
    """Declare one type of event of an invoice: the base, and what the type adds to it."""

    @tells(
        f"invoice.{word}",
        on=causes or (f"invoice.{word}",),
        resource="invoice",
        resource_id=lambda fact: fact.event.subject_id,
        scope=READ,
        sample=sample,
    )
    def told(fact: Fact) -> dict[str, Any]:
        return base_of(fact) | more(fact)


def _due(fact: Fact) -> dict[str, Any]:
    due_at = fact.event.data.get("due_at")
    told = {"due_at": datetime.fromisoformat(due_at)} if due_at else {}
    return told | _datum(fact, "invoice_schedule_entry_id")


def _late_fee_due(fact: Fact) -> dict[str, Any]:
    invoice = invoice_of(fact)
    policy = (invoice.terms_snapshot or {}).get("late_fee_policy")
    fee = {"late_fee_money": _money(fact), "late_fee_policy": policy}
    entry_id = fact.event.data.get("invoice_schedule_entry_id")
    parts = {each.entry.id: each.filled.outstanding for each in standing_of(invoice).asked.entries}
    overdue = parts.get(entry_id, standing_of(invoice).amounts.outstanding)
    return _due(fact) | fee | {"base_outstanding_money": invoice.money(overdue)}


def _late_fee(fact: Fact) -> dict[str, Any]:
    invoice, fee_id = invoice_of(fact), fact.event.data["invoice_late_fee_id"]
    left = sum(each.filled.outstanding for each in standing_of(invoice).asked.fees if each.fee.id == fee_id)
    told = _datum(fact, "invoice_late_fee_id", "invoice_schedule_entry_id")
    return told | {"amount_money": _money(fact), "outstanding_money": invoice.money(left)}


def _credited(fact: Fact) -> dict[str, Any]:
    return {"credit_money": _money(fact), "closed_at": invoice_of(fact).closed_at}


def _written_off(fact: Fact) -> dict[str, Any]:
    money = {"written_off_money": _money(fact, "written_off_amount")}
    return money | {"uncollectible_at": invoice_of(fact).uncollectible_at}


def _attempt(fact: Fact) -> dict[str, Any]:
    return _datum(fact, "invoice_payment_attempt_id") | {"expected_amount_money": _money(fact)}


def _processing(fact: Fact) -> dict[str, Any]:
    told = _attempt(fact) | _datum(fact, "payment_rail")
    return told | {"payment_attempt_status": "processing", "payment_attempt_updated_at": fact.event.created_at}


def _failed(fact: Fact) -> dict[str, Any]:
    code = fact.event.data.get("code")
    return _attempt(fact) | ({"failure_code": code} if code else {})


def _paid(fact: Fact) -> dict[str, Any]:
    """Say what came in, and through which payment, where it came through one."""
    told = {"amount_money": _money(fact)}
    if fact.event.data.get("because") == "payment.settled":
        told["payment_intent_id"] = fact.event.data["because_id"]
    return told


_tell("created", sample=BASE)
_tell("updated", "invoice.updated", "invoice.viewed", "invoice.link_regenerated", sample=ISSUED)
_tell("issued", sample=ISSUED)
_tell("issue_failed", sample={**BASE, "error_code": "ORDER_ALREADY_PAID"}, more=lambda fact: _datum(fact, "error_code"))
_tell("sent", sample=ISSUED)
_tell("delivery_succeeded", sample=ISSUED)
_tell("delivery_failed", sample=ISSUED)
_tell("partially_paid", sample={**ISSUED, "status": "partially_paid", "amount_money": TEN}, more=_paid)
_tell("paid", sample={**ISSUED, "status": "paid", "outstanding_money": NOTHING, "amount_money": TEN}, more=_paid)
_tell(
    "payment_processing",
    sample={
        **ATTEMPT,
        "payment_attempt_status": "processing",
        "payment_attempt_updated_at": MOMENT,
        "payment_rail": "ach_debit",
        "expected_amount_money": TEN,
    },
    more=_processing,
)
_tell("payment_failed", sample={**ATTEMPT, "expected_amount_money": TEN}, more=_failed)
_tell("payment_attempt_canceled", sample={**ATTEMPT, "expected_amount_money": TEN}, more=_failed)
_tell("payment_attempt_expired", sample={**ATTEMPT, "expected_amount_money": TEN}, more=_failed)
_tell("manual_payment_recorded", sample=ISSUED)
_tell("manual_payment_reversed", sample=ISSUED)
_tell("partially_refunded", sample={**ISSUED, "refund_status": "partially_refunded"})
_tell("refunded", sample={**ISSUED, "refund_status": "refunded"})
_tell(
    "credited",
    sample={**ISSUED, "status": "credited", "outstanding_money": NOTHING, "credit_money": TEN, "closed_at": MOMENT},
    more=_credited,
)
_tell("voided", sample={**ISSUED, "status": "void"})
_tell(
    "marked_uncollectible",
    sample={**ISSUED, "status": "uncollectible", "written_off_money": TEN, "uncollectible_at": MOMENT},
    more=_written_off,
)
_tell("overdue", sample={**ISSUED, "due_at": MOMENT}, more=_due)
_tell("reminder_due", sample={**ISSUED, "due_at": MOMENT}, more=_due)
_tell(
    "late_fee_due",
    sample={
        **ISSUED,
        "due_at": MOMENT,
        "late_fee_money": TEN,
        "base_outstanding_money": TEN,
        "late_fee_policy": {"type": "fixed", "amount_money": TEN, "grace_period_days": 0},
    },
    more=_late_fee_due,
)
FEE = {**ISSUED, "invoice_late_fee_id": "ilf_01J9Z6W2V7Q0M3T8K4B5N6P7R8", "amount_money": TEN, "outstanding_money": TEN}
_tell("late_fee_assessed", sample=FEE, more=_late_fee)
_tell("late_fee_waived", sample={**FEE, "outstanding_money": NOTHING}, more=_late_fee)


# Credit notes

NOTE = {
    "credit_note_id": NOTE_ID,
    "invoice_id": INVOICE_ID,
    "merchant_id": "mer_01J9Z6W2V7Q0M3T8K4B5N6P7R8",
    "status": "draft",
    "reason": "returned_goods",
    "credit_note_lines": [],
    "total_money": TEN,
    "unallocated_money": TEN,
    "refunded_money": NOTHING,
    "pending_refund_money": NOTHING,
    "version": 1,
    "created_at": MOMENT,
    "updated_at": MOMENT,
}
ALLOCATION = {
    "credit_note_allocation_id": "cna_01J9Z6W2V7Q0M3T8K4B5N6P7R8",
    "credit_note_id": NOTE_ID,
    "invoice_id": INVOICE_ID,
    "amount_money": TEN,
    "allocated_at": MOMENT,
    "idempotency_key": "a-1",
}


def _tell_note(word: str, status: str) -> None:
    numbered = {} if status == "draft" else {"credit_note_number": "CN-000001", "issued_at": MOMENT}

    @tells(
        f"credit_note.{word}",
        on=f"credit_note.{word}",
        resource="credit_note",
        resource_id=lambda fact: fact.event.subject_id,
        scope=NOTE_READ,
        sample={**NOTE, **numbered, "status": status},
    )
    def told(fact: Fact) -> dict[str, Any]:
        note = fact.once("credit_note", fact.event.subject_id, lambda key: notes.read_note(key, actor=fact.actor))
        return shared(CreditNoteOutput).to_representation(note)


for _word, _status in {"created": "draft", "updated": "draft", "issued": "issued", "voided": "void"}.items():
    _tell_note(_word, _status)


def _tell_allocation(word: str) -> None:
    @tells(
        f"credit_note.{word}",
        on=f"credit_note.{word}",
        resource="credit_note",
        resource_id=lambda fact: fact.event.subject_id,
        scope=NOTE_READ,
        sample={**ALLOCATION, **({"reversed_at": MOMENT} if word == "allocation_reversed" else {})},
    )
    def told(fact: Fact) -> dict[str, Any]:
        rows = CreditNoteAllocation.objects.of(fact.actor).select_related("note")
        return shared(CreditNoteAllocationOutput).to_representation(rows.get(id=fact.event.data["allocation_id"]))


for _word in ("allocation_created", "allocation_reversed"):
    _tell_allocation(_word)
