"""The routes for what is late: late fees, and reminders by hand."""

from flint.api.fields import IdField, StrictString
from flint.api.idempotency import idempotent
from flint.api.serializers import Input
from invoices.api.outputs import InvoiceOutput, IssuedOutput
from invoices.api.views import InvoiceRoute
from invoices.links import link_of
from invoices.services import fees, reminding
from invoices.services.issuing import Issued

NOT_NOW = ["INVOICE_NOT_FOUND", "INVOICE_LATE_FEE_NOT_COLLECTIBLE", "ORDER_PAYMENT_ATTEMPT_ACTIVE"]


class AssessLateFeeInput(Input):
    """Which part of the schedule the fee is for; without one, the first that is late."""

    invoice_schedule_entry_id = IdField("ise", required=False, code="INVALID_INVOICE_LATE_FEE_SCHEDULE")


class WaiveLateFeeInput(Input):
    """Why the fee is given up; the buyer is not shown it."""

    reason_message = StrictString(max_length=fees.REASON_LENGTH, code="INVALID_INVOICE_LATE_FEE_REASON")


class InvoiceLateFees(InvoiceRoute):
    inputs = {"POST": AssessLateFeeInput}
    outputs = {"POST": InvoiceOutput}
    codes = {
        "POST": [
            *NOT_NOW,
            "INVALID_INVOICE_LATE_FEE_SCHEDULE",
            "INVOICE_LATE_FEE_POLICY_REQUIRED",
            "INVOICE_LATE_FEE_NOT_DUE",
        ]
    }
    names = {"POST": "assess_invoice_late_fee"}

    @idempotent
    def post(self, request, invoice_id):
        """
        Charge the late fee that the invoice was issued with, once for it or for each part of its schedule.

        It raises what is outstanding. The document stays as it is.
        """
        entry_id = self.validated(AssessLateFeeInput).get("invoice_schedule_entry_id")
        fees.assess_late_fee(invoice_id=invoice_id, schedule_entry_id=entry_id, actor=request.actor)
        return self.reply_invoice(invoice_id)


class InvoiceLateFeeWaiver(InvoiceRoute):
    inputs = {"POST": WaiveLateFeeInput}
    outputs = {"POST": InvoiceOutput}
    codes = {"POST": [*NOT_NOW, "INVOICE_LATE_FEE_NOT_FOUND", "INVALID_INVOICE_LATE_FEE_REASON"]}
    names = {"POST": "waive_invoice_late_fee"}

    @idempotent
    def post(self, request, invoice_id, invoice_late_fee_id):
        """Give up what is not paid yet of a late fee. What was paid of it stays paid."""
        reason = self.validated(WaiveLateFeeInput)["reason_message"]
        fees.waive_late_fee(
            invoice_id=invoice_id, late_fee_id=invoice_late_fee_id, reason_message=reason, actor=request.actor
        )
        return self.reply_invoice(invoice_id)


class InvoiceReminder(InvoiceRoute):
    outputs = {"POST": IssuedOutput}
    codes = {
        "POST": [
            "INVOICE_NOT_FOUND",
            "INVOICE_NOT_ISSUED",
            "INVOICE_NOT_COLLECTIBLE",
            "INVOICE_REMINDER_RATE_LIMITED",
        ]
    }
    names = {"POST": "send_invoice_reminder"}

    @idempotent
    def post(self, request, invoice_id):
        """
        Remind of an invoice by email now, also while its automatic reminders are paused.

        Where the caller delivers the invoice itself, nothing is mailed: the attempt says ``suppressed``.
        """
        reminded = reminding.send_reminder(invoice_id=invoice_id, actor=request.actor)
        invoice = self.shown(invoice_id)
        return self.reply(IssuedOutput(Issued(invoice, link_of(invoice), reminded.delivery)))
