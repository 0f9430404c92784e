"""What happens to invoices, in the history of their orders: for callers of the API."""

from orders.api.activities import TELLING

TELLING.update(
    {
        "invoice.created": (None, "Invoice drafted"),
        "invoice.updated": (None, "Invoice changed"),
        "invoice.issued": (None, "Invoice {number} over {total_amount} issued"),
        "invoice.issue_failed": (None, "Invoice could not be issued: {error_code}"),
        "invoice.sent": (None, "Invoice handed over to be emailed"),
        "invoice.delivery_succeeded": (None, "Invoice emailed ({delivery_type})"),
        "invoice.delivery_failed": (None, "Invoice could not be emailed ({delivery_type}): {reason}"),
        "invoice.viewed": (None, "Invoice seen by the buyer"),
        "invoice.voided": (None, "Invoice voided"),
        "invoice.link_regenerated": (None, "Invoice given a new link"),
        "invoice.paid": (None, "Invoice paid"),
        "invoice.partially_paid": (None, "Invoice partly paid, {outstanding_amount} left"),
        "invoice.payment_attempt_started": (None, "Payment of {amount} of the invoice started"),
        "invoice.payment_processing": (None, "Payment of {amount} of the invoice under way at the bank"),
        "invoice.payment_failed": (None, "Payment of {amount} of the invoice failed"),
        "invoice.payment_attempt_canceled": (None, "Payment of {amount} of the invoice canceled"),
        "invoice.payment_attempt_expired": (None, "Payment of {amount} of the invoice expired"),
        "invoice.autopay_refused": (None, "Invoice could not be collected by itself"),
        "invoice.manual_payment_recorded": ("payment", "Payment of {amount} recorded by hand"),
        "invoice.manual_payment_reversed": ("adjustment", "Payment of {amount} by hand taken back"),
        "invoice.refunded": (None, "Invoice refunded"),
        "invoice.partially_refunded": (None, "Invoice partly refunded"),
        "invoice.credited": (None, "Invoice settled by a credit note"),
        "invoice.marked_uncollectible": ("adjustment", "{written_off_amount} of the invoice written off"),
        "invoice.overdue": (None, "Invoice overdue"),
        "invoice.reminder_due": (None, "Reminder of the invoice due"),
        "invoice.reminder_requested": (None, "Reminder of the invoice asked for"),
        "invoice.late_fee_due": (None, "Late fee of {amount} may be charged"),
        "invoice.late_fee_assessed": ("charge_added", "Late fee of {amount} charged"),
        "invoice.late_fee_waived": ("charge_updated", "Late fee of {amount} waived"),
        "order.manual_payment_recorded": ("payment", "Payment of {amount} recorded by hand"),
        "order.manual_payment_reversed": ("adjustment", "Payment of {amount} by hand taken back"),
    }
)
