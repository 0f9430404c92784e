"""
What being late costs: assessing a late fee by the policy that an invoice was issued with, and waiving one.

A fee is a charge on the order, so that it is owed, paid, refunded and reported on the one balance. The document stays
as it was issued. Money fills the document first and the fees after it, the oldest first.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from flint.actors import Actor
from flint.errors import Conflict, InvalidInput, NotFound
from flint.ids import new_id
from flint.money import half_up
from invoices.amounts import amounts_of
from invoices.asking import Asked, Due, asked_of
from invoices.due import after_grace
from invoices.models import Invoice, InvoiceLateFee, InvoiceScheduleEntry
from invoices.services.locking import lock_invoice
from orders.amounts import HUNDRED_PERCENT
from orders.models import Charge, Order
from orders.services import pricing
from orders.services.editing import Edit, editing_locked

NAME = "Late fee"
REASON_LENGTH = 5_000
AUTOMATIC, MANUAL = "automatic", "manual"


class InvoiceLateFeeNotDue(Conflict):
    code = "INVOICE_LATE_FEE_NOT_DUE"
    message = "Nothing is late enough for a fee, or it has one already."


class InvoiceLateFeePolicyRequired(Conflict):
    code = "INVOICE_LATE_FEE_POLICY_REQUIRED"
    message = "The invoice was issued without a late fee policy."


class InvoiceLateFeeNotCollectible(Conflict):
    code = "INVOICE_LATE_FEE_NOT_COLLECTIBLE"
    message = "The invoice asks for no money now, or nothing is left of the fee."


class InvoiceLateFeeNotFound(NotFound):
    code = "INVOICE_LATE_FEE_NOT_FOUND"
    message = "No such late fee of this invoice."


class InvalidInvoiceLateFeeSchedule(InvalidInput):
    code = "INVALID_INVOICE_LATE_FEE_SCHEDULE"
    message = "No such entry in the invoice's schedule."


class InvalidInvoiceLateFeeReason(InvalidInput):
    code = "INVALID_INVOICE_LATE_FEE_REASON"
    message = "Say why the fee is waived."


@dataclass(frozen=True, slots=True)
class Assessable:
    """A fee that may be assessed: for what, and how much by the policy, in minor units."""

    due: Due
    amount: int


def policy_of(invoice: Invoice) -> Mapping[str, Any] | None:
    """Return the late fee policy that an invoice was issued with."""
    return (invoice.terms_snapshot or {}).get("late_fee_policy")


def mode_of(policy: Mapping[str, Any]) -> str:
    """Whether fees are applied by themselves or by hand."""
    return policy.get("application_mode") or MANUAL


def fee_due_at(invoice: Invoice, policy: Mapping[str, Any], due_at: datetime) -> datetime:
    """Return the end of the last day of grace."""
    return after_grace(due_at, policy["grace_period_days"], invoice.timezone)


def assessable(invoice: Invoice, asked: Asked, *, at: datetime) -> list[Assessable]:
    """Return the fees that an invoice may be charged at a moment, by the order of what they are for."""
    policy = policy_of(invoice)
    if policy is None or not asked.outstanding:
        return []
    known = {each.fee.schedule_entry_id for each in asked.fees}
    found = [
        Assessable(due, amount_of(policy, due.outstanding))
        for due in asked.dues
        if due.due_at and due.outstanding and due.entry_id not in known and at > fee_due_at(invoice, policy, due.due_at)
    ]
    return [each for each in found if each.amount]


def amount_of(policy: Mapping[str, Any], base: int) -> int:
    """Return what a policy charges for an overdue amount, in minor units; a percentage is rounded half up."""
    if policy["type"] == "fixed":
        return policy["amount_money"]["amount"]
    return half_up(base * policy["percent"], HUNDRED_PERCENT)


def assess_late_fee(
    *, invoice_id: str, schedule_entry_id: str | None = None, actor: Actor, at: datetime | None = None
) -> Invoice:
    """
    Charge the late fee of an invoice, or of one part of its schedule: the first that is late, if none is named.

    :raises InvoiceNotFound: if it is absent or foreign. :raises InvalidInvoiceLateFeeSchedule: if it has no such part.
    :raises InvoiceLateFeeNotCollectible: if it asks for no money.
    :raises InvoiceLateFeePolicyRequired: if it was issued without a policy.
    :raises InvoiceLateFeeNotDue: if grace is not over, or there is a fee already.
    :raises OrderPaymentAttemptActive: if a payment is in progress.
    """
    at = at or timezone.now()
    with transaction.atomic():
        order, invoice = lock_invoice(invoice_id, actor=actor)
        if not invoice.is_asking:
            raise InvoiceLateFeeNotCollectible(current_status=str(invoice.status))
        if schedule_entry_id and not _has_entry(invoice, schedule_entry_id):
            raise InvalidInvoiceLateFeeSchedule(param="invoice_schedule_entry_id")
        if policy_of(invoice) is None:
            raise InvoiceLateFeePolicyRequired
        asked = asked_of(invoice, amounts_of(invoice, order), at=at)
        wanted = [
            each
            for each in assessable(invoice, asked, at=at)
            if not schedule_entry_id or each.due.entry_id == schedule_entry_id
        ]
        if not wanted:
            raise InvoiceLateFeeNotDue
        assess_locked(order, invoice, wanted[0], actor=actor, at=at)
    return Invoice.objects.get(id=invoice_id)


def assess_locked(order: Order, invoice: Invoice, fee: Assessable, *, actor: Actor, at: datetime) -> InvoiceLateFee:
    """Charge one fee on a locked order, and save both. What is in memory of the invoice is stale afterwards."""
    before = order.total_amount
    with editing_locked(order, actor=actor) as edit:
        charge = Charge(name=NAME, type="other", fixed_amount=fee.amount, taxable=False)
        edit.add(charge)
        # A discount on charges may take a part of it away; what the order came to owe is what counts.
        pricing.reprice(order, edit.parts)
        if order.total_amount <= before:
            raise InvoiceLateFeeNotDue
        row = InvoiceLateFee(
            id=new_id("ilf"),
            environment_id=invoice.environment_id,
            invoice=invoice,
            schedule_entry=fee.due.entry,
            charge_id=charge.id,
            base_outstanding_amount=fee.due.outstanding,
            amount=order.total_amount - before,
            policy=dict(policy_of(invoice) or {}),
            assessed_at=at,
        )
        row.save(force_insert=True)
        edit.tell("invoice.late_fee_assessed", invoice, **_told(row, row.amount, invoice))
    return row


def waive_late_fee(
    *, invoice_id: str, late_fee_id: str, reason_message: str, actor: Actor, at: datetime | None = None
) -> Invoice:
    """
    Give up what is not paid yet of a late fee. What was paid of it stays paid.

    :raises InvoiceNotFound, InvoiceLateFeeNotFound: if either is absent or foreign.
    :raises InvalidInvoiceLateFeeReason: without a reason.
    :raises InvoiceLateFeeNotCollectible: if nothing is left of it.
    :raises OrderPaymentAttemptActive: if a payment is in progress.
    """
    if not reason_message.strip():
        raise InvalidInvoiceLateFeeReason(param="reason_message")
    with transaction.atomic():
        order, invoice = lock_invoice(invoice_id, actor=actor)
        asked = asked_of(invoice, amounts_of(invoice, order), at=at or timezone.now())
        found = next((each for each in asked.fees if each.fee.id == late_fee_id), None)
        if found is None:
            raise InvoiceLateFeeNotFound
        if not invoice.is_asking or not found.filled.outstanding:
            raise InvoiceLateFeeNotCollectible(current_status=str(invoice.status))
        fee = found.fee
        with editing_locked(order, actor=actor) as edit:
            charge = next(each for each in edit.parts.charges if each.id == fee.charge_id)
            # What a refund credited of it is owed by nobody, even where the money is owed again.
            unpaid = min(found.filled.outstanding, charge.remaining_amount)
            if not unpaid:
                raise InvoiceLateFeeNotCollectible(current_status=str(invoice.status))
            before = order.total_amount
            _lower(edit, charge, unpaid)
            # A discount on charges may have covered a part of it; what the order came to owe less is what counts.
            pricing.reprice(order, edit.parts)
            unpaid = before - order.total_amount
            fee.waived_amount += unpaid
            fee.waived_at, fee.waiver_reason = at or timezone.now(), reason_message
            fee.save(update_fields=["waived_amount", "waived_at", "waiver_reason", "updated_at"])
            edit.tell("invoice.late_fee_waived", invoice, **_told(fee, unpaid, invoice))
    return Invoice.objects.get(id=invoice_id)


def _lower(edit: Edit, charge: Charge, amount: int) -> None:
    """Take an amount off a charge, and the charge off the order if nothing is left of it."""
    if charge.total_amount <= amount:
        edit.remove(charge)
        return
    # Set as it comes out: a charge that was there when money settled is not priced any more.
    charge.fixed_amount = (charge.fixed_amount or 0) - amount
    charge.applied_amount -= amount
    charge.total_amount -= amount


def _has_entry(invoice: Invoice, entry_id: str) -> bool:
    return InvoiceScheduleEntry.objects.filter(invoice_id=invoice.pk, id=entry_id).exists()


def _told(fee: InvoiceLateFee, amount: int, invoice: Invoice) -> dict[str, Any]:
    # Its version is counted when it follows the order, right after.
    told = {"invoice_late_fee_id": fee.id, "amount": amount, "version": invoice.version + 1}
    return {**told, "invoice_schedule_entry_id": fee.schedule_entry_id} if fee.schedule_entry_id else told
