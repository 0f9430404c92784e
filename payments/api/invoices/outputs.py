"""What is shown of paying an invoice, and what a buyer is shown of the invoice itself."""

from typing import Any

from flint.api.fields import (
    EnumField,
    IdField,
    ListOf,
    MoneyField,
    StrictBoolean,
    StrictString,
    TimestampField,
)
from flint.api.serializers import Output
from invoices.api.outputs import InvoiceOutput
from invoices.models import Invoice
from invoices.models.invoices import CollectionMode
from invoices.reading import standing_of
from orders.api.serializers.orders import BuyerActionOutput
from payments.api.sessions.outputs import CheckoutAccessOutput, CheckoutSessionOutput
from payments.models import PaymentAttempt
from payments.services.invoices import attempts


class InvoicePaymentAttemptOutput(Output):
    """A payment of an invoice: the attempt of its order, seen from the invoice."""

    invoice_payment_attempt_id = IdField("opa", source="id")
    invoice_id = IdField("inv")
    rail = EnumField(attempts.RAILS)
    status = EnumField(attempts.STATUSES)
    expected_amount_money = MoneyField()
    payment_intent_id = IdField("pi", required=False)
    checkout_session_id = IdField("cs", required=False)
    invoice_schedule_entry_id = IdField("ise", required=False)
    started_at = TimestampField(required=False)
    expires_at = TimestampField(required=False)
    settled_at = TimestampField(required=False)
    canceled_at = TimestampField(required=False)
    cancellation_requested_at = TimestampField(required=False)
    failure_code = EnumField(attempts.FAILURES, required=False)
    failure_message = StrictString(required=False)
    updated_at = TimestampField(required=False)

    def to_representation(self, instance: PaymentAttempt) -> dict[str, Any]:
        return super().to_representation(_shown(instance))


def _shown(attempt: PaymentAttempt) -> dict[str, Any]:
    status = attempts.status_of(attempt)
    session = attempt.checkout_session
    cancels = [operation.created_at for operation in attempt.operations.all() if operation.kind == "cancel"]
    return {
        "id": attempt.id,
        "invoice_id": attempt.invoice_id,
        "rail": attempts.rail_of(attempt),
        "status": status,
        "expected_amount_money": attempt.expected_outstanding_money,
        "payment_intent_id": attempt.tries[0].payment_intent_id if attempt.tries else None,
        "checkout_session_id": attempt.checkout_session_id,
        "invoice_schedule_entry_id": attempt.invoice_schedule_entry_id,
        "started_at": attempt.created_at,
        "expires_at": session.expires_at if session and status == "open" else None,
        "settled_at": attempt.completed_at if status == "settled" else None,
        "canceled_at": attempt.completed_at if status == "canceled" else None,
        "cancellation_requested_at": min(cancels, default=None),
        "failure_code": attempts.failure_code_of(attempt) or None,
        "failure_message": attempt.failure_message or None,
        "updated_at": attempt.updated_at,
    }


class CollectedOutput(Output):
    """What came of charging a saved payment method."""

    idempotency_key = StrictString()
    invoice = InvoiceOutput()
    invoice_payment_attempt = InvoicePaymentAttemptOutput(required=False)


class RegeneratedLinkOutput(Output):
    """The invoice, and the link that is now the only one."""

    invoice = InvoiceOutput()
    public_url = StrictString(required=False)


class InvoiceCheckoutOutput(Output):
    """The invoice, its checkout, and how its buyer gets in."""

    invoice = InvoiceOutput()
    checkout_session = CheckoutSessionOutput()
    checkout_access = CheckoutAccessOutput()
    invoice_payment_attempt = InvoicePaymentAttemptOutput(required=False)
    reused_existing = StrictBoolean()


# For buyers


class InvoiceActionOutput(BuyerActionOutput):
    """Something that the buyer of an invoice can do."""

    kind = EnumField(["pay"])


class BuyerInvoiceOutput(InvoiceOutput):
    """An invoice as whoever has its link is shown it."""

    expandable: set[str] = set()

    buyer_actions = ListOf(InvoiceActionOutput(), source="shown_actions")

    def get_fields(self):
        return {name: field for name, field in super().get_fields().items() if name not in self.merchant_only}

    def to_representation(self, instance: Invoice) -> dict[str, Any]:
        instance.shown_actions = actions_of(instance)
        return super().to_representation(instance)


class BuyerInvoiceCheckoutOutput(InvoiceCheckoutOutput):
    """The invoice, its checkout, and how the buyer gets in."""

    invoice = BuyerInvoiceOutput()


def actions_of(invoice: Invoice) -> list[dict[str, Any]]:
    """Return what the buyer of an invoice can do: pay it, as long as it asks for something that is paid here."""
    asked = standing_of(invoice).asked
    if not invoice.is_asking or not asked.outstanding:
        return []
    following = asked.next_entry
    action = {
        "kind": "pay",
        "is_available": True,
        "is_required": True,
        "due_at": following.entry.due_at if following else invoice.due_at,
    }
    reason = ""
    if invoice.collection_mode == CollectionMode.EXTERNAL:
        reason = "collected_externally"
    elif invoice.order.status != "open":
        reason = "order_closed"
    elif invoice.order.is_collection_blocked:
        reason = "payment_disputed"
    elif invoice.order.is_collecting:
        reason = "payment_in_progress"
    if reason:
        action |= {"is_available": False, "is_required": False, "unavailable_reason": reason}
    return [action]
