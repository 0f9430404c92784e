"""What the payment operations show. Instances are models; an attempt carries its ``tries`` (``payments.selectors``)."""

from typing import Any, get_args

from flint.api.fields import (
    EnumField,
    ExternalReferenceField,
    IdField,
    ListOf,
    MetadataField,
    MoneyField,
    SignedMoneyField,
    StrictBoolean,
    StrictString,
    TimestampField,
)
from flint.api.serializers import Output
from invoices.models.invoices import InvoiceStatus
from invoices.reading import standing_of
from orders.api.serializers import AmountField, CustomerSummaryOutput, Derived, Filled, OrderOutput, extend_order
from orders.models import Order
from orders.models.orders import Origin, PaymentStatus, RefundStatus, Status
from payments.models import PaymentAttempt, PaymentIntent, PaymentOperation
from payments.models.attempts import AttemptStatus, Mode
from payments.models.intents import CaptureMethod, IntentStatus
from payments.processors.base import BuyerAction, DisputeStatus
from payments.services.attempts import leg_status
from payments.telling import is_resumable

FLOWS = {"subscription": "subscription_initial"}
"""What a payment's flow is called where it is not by its order's origin."""

PAYMENT_FLOWS = [*(FLOWS.get(origin, origin) for origin in Origin.values), "invoice"]
REFUND_STATUSES = ["none", "partially_refunded", "refunded"]
DISPUTE_STATUSES = ["none", *get_args(DisputeStatus)]


class PaymentErrorOutput(Output):
    """Why a try brought no money."""

    code = StrictString()
    message = StrictString()
    failed_at = TimestampField(required=False)


class AttemptIntentOutput(Output):
    """A payment intent as it stands in an attempt."""

    payment_intent_id = IdField("pi")
    amount_money = MoneyField()
    tip_money = MoneyField()
    status = EnumField(IntentStatus.values)
    capturable_money = MoneyField(required=False)
    authorization_expires_at = TimestampField(required=False)
    last_payment_error = PaymentErrorOutput(required=False)


class ActionSubjectIntentOutput(Output):
    """The payment intent that the step is for."""

    payment_intent_id = IdField("pi")


class ActionSubjectOutput(Output):
    """What the step is for."""

    payment_intent = ActionSubjectIntentOutput()


class ClientSecretOutput(Output):
    """The secret that lets the buyer's browser take the step. Shown nowhere else."""

    client_secret = StrictString()
    stripe_js_call = EnumField(["handle_next_action"])


class StripeActionOutput(Output):
    """How the processor's own library takes the step."""

    publishable_key = StrictString()
    account_id = StrictString(required=False)
    payment_intent = ClientSecretOutput()


class ClientActionOutput(Output):
    """How to take the step: by the processor's library, or, where ``redirect_url`` is given, on a page of its own."""

    stripe = StripeActionOutput()
    redirect_url = StrictString(required=False)


class PendingActionOutput(Output):
    """A step that waits for the buyer. Its id is stable: take a given one once."""

    pending_action_id = StrictString()
    action_type = EnumField(["payment_authentication", "payment_method_authentication"])
    subject = ActionSubjectOutput()
    client_action = ClientActionOutput()


class PaymentAttemptOutput(Output):
    """One try to pay an order."""

    order_payment_attempt_id = IdField("opa", source="id")
    mode = EnumField(Mode.values)
    status = EnumField(AttemptStatus.values)
    is_resumable = StrictBoolean()
    expected_outstanding_money = MoneyField()
    payment_intents = ListOf(AttemptIntentOutput())
    pending_actions = ListOf(PendingActionOutput())
    failure_code = StrictString(required=False)
    failure_message = StrictString(required=False)
    started_at = TimestampField()
    completed_at = TimestampField(required=False)

    def to_representation(self, instance: PaymentAttempt) -> dict[str, Any]:
        return super().to_representation(_attempt(instance))


def _attempt(attempt: PaymentAttempt) -> dict[str, Any]:
    return {
        "id": attempt.id,
        "mode": attempt.mode,
        "status": attempt.status,
        "is_resumable": is_resumable(attempt),
        "expected_outstanding_money": attempt.expected_outstanding_money,
        "payment_intents": [_try(operation) for operation in attempt.tries],
        "pending_actions": [_action(each, todo) for each in attempt.tries if (todo := each.buyer_action)],
        "failure_code": attempt.failure_code or None,
        "failure_message": attempt.failure_message or None,
        "started_at": attempt.created_at,
        "completed_at": attempt.completed_at,
    }


def _try(operation: PaymentOperation) -> dict[str, Any]:
    leg = operation.payment_intent
    status = leg_status(operation)
    error = None
    if operation.error_code and status != "succeeded":
        error = {
            "code": operation.error_code,
            "message": operation.error_message or operation.error_code.replace("_", " "),
            "failed_at": operation.answered_at,
        }
    return {
        "payment_intent_id": leg.id,
        "amount_money": leg.money,
        "tip_money": money_of(leg, leg.tip_amount),
        "status": status,
        "capturable_money": money_of(leg, leg.capturable_amount) if leg.capturable_amount else None,
        "authorization_expires_at": leg.authorization_expires_at,
        "last_payment_error": error,
    }


def _action(operation: PaymentOperation, action: BuyerAction) -> dict[str, Any]:
    return {
        "pending_action_id": action.id,
        "action_type": "payment_authentication",
        "subject": {"payment_intent": {"payment_intent_id": operation.payment_intent_id}},
        "client_action": {
            "stripe": {
                "publishable_key": action.publishable_key,
                "account_id": action.account_id,
                "payment_intent": {"client_secret": action.client_secret, "stripe_js_call": "handle_next_action"},
            },
            "redirect_url": action.redirect_url,
        },
    }


class CardOutput(Output):
    """What may be shown of a card."""

    brand = StrictString()
    last4 = StrictString()
    payment_method_id = IdField("pm", required=False)


class BankDebitOutput(Output):
    """What may be shown of a bank account."""

    bank_name = StrictString()
    last4 = StrictString()
    account_type = EnumField(["checking", "savings", "other"])


class PaymentSourceOutput(Output):
    """What was paid with."""

    type = EnumField(["card", "ach_debit", "affirm"])
    card = CardOutput(required=False)
    ach_debit = BankDebitOutput(required=False)


class RiskOutput(Output):
    """A processor's view of the risk."""

    level = EnumField(["normal", "elevated", "highest", "not_assessed"])
    statement = StrictString()
    evaluated_at = TimestampField()


class PaymentIntentSummaryOutput(Output):
    """A payment intent, in short."""

    payment_intent_id = IdField("pi", source="id")
    amount_money = MoneyField(source="money")
    status = EnumField(IntentStatus.values)
    capture_method = EnumField(CaptureMethod.values, required=False)
    customer_id = IdField("cus", required=False, source="order.customer_id")
    order_id = IdField("ord", required=False, source="shown_order_id")
    payment_source = PaymentSourceOutput(required=False, source="shown_source")
    refund_status = EnumField(REFUND_STATUSES, required=False, source="shown_refund_status")
    created_at = TimestampField(required=False)
    updated_at = TimestampField(required=False)

    def to_representation(self, instance: PaymentIntent) -> dict[str, Any]:
        instance.shown_order_id = None if instance.is_standalone else instance.order_id
        instance.shown_source = source_of(instance)
        instance.shown_refund_status = refund_status_of(instance)
        return super().to_representation(instance)


class CollectionElementsOutput(Output):
    """How the page sets up the processor's form."""

    mode = EnumField(["payment", "setup"])
    next_step = EnumField(["create_confirmation_token", "collect_payment_source", "collect_setup_payment_source"])
    submit_to = EnumField(["pay_order", "confirm_payment_intent"])
    payment_method_creation = EnumField(["manual"])
    payment_method_types = ListOf(StrictString())
    digital_wallets = ListOf(StrictString(), required=False)
    amount_money = MoneyField(required=False)


class StripeCollectionOutput(Output):
    """Keys and settings for the page. Nothing in it is secret."""

    publishable_key = StrictString(required=False)
    account_id = StrictString(required=False)
    return_url = StrictString(required=False)
    elements = CollectionElementsOutput(required=False)


class PaymentCollectionOutput(Output):
    """What a browser needs to collect a payment source."""

    stripe = StripeCollectionOutput(required=False)


class OrderSummaryOutput(Output):
    """An order beside something else."""

    merchant_only = {"external_reference_id"}

    order_id = IdField("ord", source="id")
    order_number = StrictString()
    status = EnumField(Status.values)
    payment_status = EnumField(PaymentStatus.values)
    refund_status = EnumField(RefundStatus.values)
    total_money = AmountField("total_amount")
    outstanding_money = MoneyField()
    external_reference_id = Filled("external_reference_id")
    created_at = TimestampField()
    updated_at = TimestampField()


class InvoiceSummaryOutput(Output):
    """The invoice that something collects, in short."""

    invoice_id = IdField("inv", source="id")
    invoice_number = Filled("number")
    status = EnumField(InvoiceStatus.values)
    order_id = IdField("ord")
    outstanding_money = Derived(lambda invoice: invoice.money(standing_of(invoice).amounts.outstanding), MoneyField())
    due_at = TimestampField(required=False)
    issued_at = TimestampField(required=False)


class PaymentIntentOutput(PaymentIntentSummaryOutput):
    """
    One fixed amount to collect, with or without an order. The buyer's step is only shown of a single standalone one.
    """

    expandable = {"customer", "order", "invoice"}
    merchant_only = {
        "customer",
        "invoice",
        "risk",
        "processing_fee_money",
        "merchant_net_money",
        "settlement_status",
        "dispute_status",
        "external_reference_id",
        "metadata",
    }

    merchant_id = IdField("mer", source="environment.merchant_id")
    invoice_id = IdField("inv", required=False)
    origin = EnumField(Origin.values, source="order.origin")
    payment_flow = EnumField(PAYMENT_FLOWS, source="shown.flow")
    selected_payment_option = StrictString(required=False, source="shown.selected_option")
    payment_options = ListOf(StrictString())
    last_payment_error = PaymentErrorOutput(allow_null=True, required=False, source="shown.error")
    risk = RiskOutput(allow_null=True, required=False, source="shown.risk")
    support_reference = StrictString(source="shown.support_reference")
    tip_money = MoneyField(source="shown.tip_money")
    authorized_money = MoneyField(required=False, source="shown.authorized_money")
    authorized_at = TimestampField(required=False)
    authorization_expires_at = TimestampField(required=False)
    capturable_money = MoneyField(required=False, source="shown.capturable_money")
    captured_money = MoneyField(required=False, source="shown.captured_money")
    captured_at = TimestampField(required=False)
    released_money = MoneyField(required=False, source="shown.released_money")
    refunded_money = MoneyField(required=False, source="shown.refunded_money")
    processing_fee_money = SignedMoneyField(required=False)
    merchant_net_money = SignedMoneyField(required=False)
    settlement_status = EnumField([*REFUND_STATUSES, "disputed"], required=False, source="shown.settlement_status")
    dispute_status = EnumField(DISPUTE_STATUSES, required=False)
    cancellation_reason = StrictString(required=False, source="shown.cancellation_reason")
    external_reference_id = ExternalReferenceField(required=False, source="shown.external_reference_id")
    metadata = MetadataField(required=False)
    receipt_email = Filled("receipt_email")
    transaction_purpose = Filled("transaction_purpose")
    customer = CustomerSummaryOutput(required=False, allow_null=True, source="order.customer")
    order = OrderSummaryOutput(required=False, allow_null=True, source="shown.order")
    invoice = InvoiceSummaryOutput(required=False, allow_null=True)
    payment_collection = PaymentCollectionOutput(required=False, source="shown.collection")
    current_payment_action = PendingActionOutput(required=False, source="shown.action")

    def to_representation(self, instance: PaymentIntent) -> dict[str, Any]:
        instance.shown = _shown(instance)
        return super().to_representation(instance)


def _shown(leg: PaymentIntent) -> dict[str, Any]:
    def positive(amount: int):
        return money_of(leg, amount) if amount else None

    error = None
    if leg.error_code:
        error = {
            "code": leg.error_code,
            "message": leg.error_message or leg.error_code.replace("_", " "),
            "failed_at": leg.error_at,
        }
    acting: PaymentOperation | None = getattr(leg, "acting", None)
    todo = acting and acting.buyer_action
    return {
        "flow": "invoice" if leg.invoice_id else FLOWS.get(leg.order.origin, leg.order.origin),
        "selected_option": leg.source_type or None,
        "order": None if leg.is_standalone else leg.order,
        "collection": getattr(leg, "payment_collection", None),
        "action": _action(acting, todo) if todo else None,
        "error": error,
        "risk": None,
        "support_reference": f"sup_{leg.id[-12:]}",
        "tip_money": money_of(leg, leg.tip_amount),
        "authorized_money": positive(leg.authorized_amount),
        "capturable_money": positive(leg.capturable_amount),
        "captured_money": positive(leg.captured_amount),
        "released_money": positive(leg.released_amount),
        "refunded_money": money_of(leg, leg.refunded_amount),
        "settlement_status": "disputed" if leg.is_disputed else refund_status_of(leg),
        "cancellation_reason": leg.cancellation_reason or None,
        "external_reference_id": leg.external_reference_id or None,
    }


def money_of(leg: PaymentIntent, amount: int):
    """Give an amount of a leg its currency."""
    return type(leg.money)(amount, leg.currency)


def source_of(leg: PaymentIntent) -> dict[str, Any] | None:
    """Return what may be shown of a leg's payment source, once one was used."""
    if leg.source_type == "card":
        card = {"brand": leg.source_brand, "last4": leg.source_last4, "payment_method_id": leg.payment_method_id}
        return {"type": "card", "card": card}
    if leg.source_type == "ach_debit":
        return {
            "type": "ach_debit",
            "ach_debit": {
                "bank_name": leg.source_bank_name,
                "last4": leg.source_last4,
                "account_type": leg.source_account_type or "other",
            },
        }
    return None


def refund_status_of(leg: PaymentIntent) -> str:
    """Say how much of a leg's captured money has gone back."""
    if not leg.refunded_amount:
        return "none"
    return "refunded" if leg.refunded_amount >= leg.captured_amount else "partially_refunded"


class AuthorizationAmountsOutput(Output):
    """What is held and not yet taken."""

    authorized_money = MoneyField()
    capturable_money = MoneyField()
    expires_at = TimestampField(required=False)


class PayResultOutput(Output):
    """The order and the attempt, both as they are now."""

    order = OrderOutput()
    payment_attempt = PaymentAttemptOutput(required=False)


class LegResultOutput(Output):
    """A payment intent, and how to collect it."""

    payment_intent = PaymentIntentOutput()
    payment_collection = PaymentCollectionOutput(required=False)


class ClosedResultOutput(Output):
    """The order, the payment intent and its attempt, all as they are now."""

    order = OrderOutput()
    payment_intent = PaymentIntentOutput()
    payment_attempt = PaymentAttemptOutput(required=False)


class CanceledAttemptOutput(Output):
    """The order and the attempt that ended."""

    order = OrderOutput()
    payment_attempt = PaymentAttemptOutput(required=False)


def shown_intents(order: Order) -> list[PaymentIntent]:
    """Return the payment intents that an order shows: those it carries already, or read for it."""
    if "shown_payment_intents" in order.__dict__:
        return order.shown_payment_intents
    return list(order.payment_intents.filter(id__in=order.payment_intent_ids).order_by("created_at", "id"))


extend_order(
    expandable=["payment_intents"],
    payment_intent_ids=ListOf(IdField("pi"), required=False),
    checkout_session_ids=ListOf(IdField("cs"), required=False),
    payment_intents=Derived(
        shown_intents,
        ListOf(PaymentIntentSummaryOutput()),
        required=False,
    ),
    active_payment_attempt=PaymentAttemptOutput(required=False),
    authorization_amounts=AuthorizationAmountsOutput(required=False),
    payment_collection=PaymentCollectionOutput(required=False),
)
