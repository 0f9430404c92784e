"""How invoices are shown. Amounts are read from the order at that moment; the document is as it was frozen."""

import copy
from collections.abc import Callable
from typing import Any

from rest_framework import serializers

from flint.api.addresses import AddressOutput
from flint.api.fields import (
    EnumField,
    IdField,
    ListOf,
    MetadataField,
    MoneyField,
    PercentField,
    SignedMoneyField,
    StrictBoolean,
    StrictInteger,
    StrictString,
    TimestampField,
)
from flint.api.serializers import Output, shared
from flint.api.tax_identities import TaxIdentityOutput
from flint.merchants.settings.sections import shown_like
from invoices.api.terms import CalculationOutput, LateFeePolicyOutput
from invoices.links import link_of
from invoices.models import Invoice
from invoices.models.invoices import CollectionMode, DeliveryMode, InvoiceStatus
from invoices.models.schedules import EntryKind
from invoices.reading import standing_of
from invoices.settings import PaymentPolicyInput
from orders.api.serializers.customers import CustomerSummaryOutput
from orders.api.serializers.fields import Derived, Filled
from orders.api.serializers.orders import OrderOutput
from orders.models.orders import RefundStatus
from orders.models.parts import ChargeBasis, ChargeType, DiscountClass

ENTRY_STATUSES = ["pending", "due", "partially_satisfied", "satisfied", "overdue"]


class KeptTimestampField(TimestampField):
    """A moment of what was kept as JSON, in which it is a text."""

    def to_representation(self, value):
        return value if isinstance(value, str) else super().to_representation(value)


class KeptMoneyField(MoneyField):
    """Money of what was kept as JSON, in the form of the wire."""

    def to_representation(self, value):
        return value if isinstance(value, dict) else super().to_representation(value)


class KeptSignedMoneyField(KeptMoneyField, SignedMoneyField):
    """Money of what was kept as JSON, of either sign."""

    component = SignedMoneyField.component


# The parts of an invoice


class AmountSpecificationOutput(Output):
    """How much one part is, as it was asked for."""

    type = EnumField(["fixed", "percentage", "remaining_balance"])
    amount_money = KeptMoneyField(required=False)
    percent = PercentField(required=False)


class EntryDueOutput(Output):
    """When one part is due, as it was asked for."""

    type = EnumField(["at_issue", "date", "invoice_due_date"])
    due_at = KeptTimestampField(required=False)


def _of_entry(name: str) -> Derived:
    return Derived(lambda part: part.entry.invoice.money(getattr(part.filled, name)), MoneyField())


class InvoiceScheduleEntryOutput(Output):
    """One part of the invoice, and what of it is settled."""

    invoice_schedule_entry_id = IdField("ise", source="entry.id")
    kind = EnumField(EntryKind.values, source="entry.kind")
    amount_specification = AmountSpecificationOutput(source="entry.amount_specification")
    due = EntryDueOutput(source="entry.due")
    due_at = TimestampField(source="entry.due_at", required=False)
    status = EnumField(ENTRY_STATUSES)
    total_money = _of_entry("total")
    paid_money = _of_entry("paid")
    credit_money = _of_entry("credit")
    written_off_money = _of_entry("written_off")
    outstanding_money = _of_entry("outstanding")


def _of_fee(amount: Callable[[Any], int]) -> Derived:
    return Derived(lambda part: part.fee.invoice.money(amount(part)), MoneyField())


class InvoiceLateFeeOutput(Output):
    """What being late cost."""

    merchant_only = {"late_fee_policy", "waiver_reason"}

    invoice_late_fee_id = IdField("ilf", source="fee.id")
    invoice_schedule_entry_id = IdField("ise", source="fee.schedule_entry_id", required=False)
    assessed_at = TimestampField(source="fee.assessed_at")
    base_outstanding_money = _of_fee(lambda part: part.fee.base_outstanding_amount)
    amount_money = _of_fee(lambda part: part.fee.amount)
    paid_money = _of_fee(lambda part: part.paid)
    waived_money = _of_fee(lambda part: part.fee.waived_amount)
    written_off_money = _of_fee(lambda part: part.filled.written_off)
    outstanding_money = _of_fee(lambda part: part.filled.outstanding)
    late_fee_policy = LateFeePolicyOutput(source="fee.policy", required=False)
    waived_at = TimestampField(source="fee.waived_at", required=False)
    waiver_reason = Derived(lambda part: part.fee.waiver_reason or None, StrictString(), required=False)


class PaymentTermsSnapshotOutput(Output):
    """The payment term as it was agreed when the invoice was issued."""

    invoice_payment_term_id = IdField("ipt")
    name = StrictString()
    revision = StrictInteger(minimum=1)
    calculation = CalculationOutput()
    late_fee_policy = LateFeePolicyOutput(required=False)


# The document


class InvoiceLineItemOutput(Output):
    """A line as it was billed."""

    invoice_line_item_id = IdField("ili")
    order_line_item_id = IdField("oli", required=False)
    name = StrictString()
    description = StrictString(required=False)
    quantity = StrictInteger(minimum=1)
    unit_price_money = KeptSignedMoneyField()
    base_subtotal_money = KeptSignedMoneyField()
    modifier_total_money = KeptMoneyField()
    subtotal_money = KeptSignedMoneyField()
    discount_money = KeptMoneyField()
    tax_money = KeptMoneyField()
    total_money = KeptSignedMoneyField()


class InvoiceChargeOutput(Output):
    """A charge as it was billed."""

    order_charge_id = IdField("och")
    name = StrictString()
    type = EnumField(ChargeType.values)
    description = StrictString(required=False)
    amount_money = KeptMoneyField(required=False)
    percent = PercentField(required=False)
    calculation_basis = EnumField(ChargeBasis.values, required=False)
    applied_money = KeptMoneyField()
    tax_money = KeptMoneyField()
    total_money = KeptMoneyField()


class InvoiceDiscountOutput(Output):
    """A discount as it was granted."""

    source = EnumField(["manual", "promotion"])
    discount_class = EnumField(DiscountClass.values, required=False)
    customer_facing_name = StrictString(required=False)
    amount_money = KeptMoneyField()
    applied_money = KeptMoneyField()


class InvoiceTipOutput(Output):
    """The tip as it was asked for."""

    name = StrictString(required=False)
    description = StrictString(required=False)
    percent = PercentField(required=False)
    amount_money = KeptMoneyField(required=False)


class InvoicePricingOutput(Output):
    """What the invoice bills, term by term. A later invoice of an order may lower an earlier one's terms."""

    subtotal_money = KeptSignedMoneyField()
    discount_money = KeptSignedMoneyField()
    charge_money = KeptSignedMoneyField()
    requested_tip_money = KeptSignedMoneyField()
    tax_money = KeptSignedMoneyField()
    total_money = KeptSignedMoneyField()


class InvoiceSnapshotOutput(Output):
    """The document, frozen at issue."""

    merchant_only = {"internal_note"}

    pricing_amounts = InvoicePricingOutput()
    line_items = ListOf(InvoiceLineItemOutput(), required=False)
    charges = ListOf(InvoiceChargeOutput(), required=False)
    discounts = ListOf(InvoiceDiscountOutput(), required=False)
    requested_tip = InvoiceTipOutput(required=False)
    billing_address = AddressOutput(required=False)
    customer_display_name = StrictString(required=False)
    customer_email = StrictString(required=False)
    merchant_display_name = StrictString(required=False)
    buyer_note = StrictString(required=False)
    internal_note = StrictString(required=False)
    memo = StrictString(required=False)
    footer = StrictString(required=False)
    reference = StrictString(required=False)
    service_at = KeptTimestampField(required=False)
    seller_tax_identity = TaxIdentityOutput(required=False)
    buyer_tax_identity = TaxIdentityOutput(required=False)


# The invoice


def _amount(name: str, **options) -> Derived:
    def money_of(invoice: Invoice):
        return invoice.money(getattr(standing_of(invoice).amounts, name))

    return Derived(money_of, MoneyField(), **options)


def _due_now(invoice: Invoice):
    asked = standing_of(invoice).asked
    return invoice.money(standing_of(invoice).amounts.outstanding if invoice.status == "draft" else asked.currently_due)


def _refund_status_of(invoice: Invoice) -> str:
    amounts = standing_of(invoice).amounts
    if not amounts.refunded:
        return RefundStatus.NONE
    return RefundStatus.REFUNDED if amounts.refunded >= amounts.paid else RefundStatus.PARTIALLY_REFUNDED


def _expandable_customer(invoice: Invoice):
    return invoice.customer if invoice.issued_at else invoice.order.customer


class InvoiceOutput(Output):
    """A document that asks for what an order still owes."""

    expandable = {"customer", "order"}
    merchant_only = {
        "collection_mode",
        "delivery_mode",
        "payment_method_id",
        "payment_policy",
        "metadata",
        "external_reference_id",
        "public_url",
        "reminders_paused",
        "reminders_paused_at",
        "uncollectible_at",
        "written_off_money",
        "customer",
        "order",
    }
    extensions: dict[str, serializers.Field] = {}

    invoice_id = IdField("inv", source="id")
    merchant_id = IdField("mer", source="environment.merchant_id")
    order_id = IdField("ord")
    customer_id = Derived(
        lambda invoice: invoice.customer_id if invoice.issued_at else invoice.order.customer_id,
        IdField("cus"),
        required=False,
    )
    status = EnumField(InvoiceStatus.values)
    version = StrictInteger(minimum=1)
    invoice_number = Filled("number")
    is_overdue = Derived(lambda invoice: standing_of(invoice).asked.is_overdue, StrictBoolean())
    outstanding_money = _amount("outstanding")
    currently_due_money = Derived(_due_now, MoneyField())
    paid_money = _amount("paid")
    credit_money = _amount("credit")
    refunded_money = _amount("refunded")
    written_off_money = Derived(
        lambda invoice: invoice.money(invoice.written_off_amount) if invoice.uncollectible_at else None,
        MoneyField(),
        required=False,
    )
    refund_status = Derived(_refund_status_of, EnumField(RefundStatus.values))
    collection_block_status = Derived(lambda invoice: "none", EnumField(["none", "inventory_blocked", "resolved"]))
    reminders_paused = Derived(lambda invoice: invoice.reminders_paused_at is not None, StrictBoolean(), required=False)
    reminders_paused_at = TimestampField(required=False)
    late_fees = Derived(lambda invoice: standing_of(invoice).asked.fees, ListOf(InvoiceLateFeeOutput()))
    schedule_entries = Derived(
        lambda invoice: standing_of(invoice).asked.entries, ListOf(InvoiceScheduleEntryOutput()), required=False
    )
    recipient_email = Filled("recipient_email")
    cc_emails = Derived(lambda invoice: invoice.cc_emails or None, ListOf(StrictString()), required=False)
    collection_mode = EnumField(CollectionMode.values, required=False)
    payment_method_id = Derived(lambda invoice: invoice.payment_method_id or None, IdField("pm"), required=False)
    payment_policy = shown_like(PaymentPolicyInput)(required=False)
    delivery_mode = Derived(
        lambda invoice: invoice.delivery_mode or None, EnumField(DeliveryMode.values), required=False
    )
    due_at = TimestampField(required=False)
    issued_at = TimestampField(required=False)
    paid_at = TimestampField(required=False)
    voided_at = TimestampField(required=False)
    uncollectible_at = TimestampField(required=False)
    closed_at = TimestampField(required=False)
    viewed_at = TimestampField(required=False)
    scheduled_send_at = TimestampField(required=False)
    service_at = TimestampField(required=False)
    payment_terms_snapshot = PaymentTermsSnapshotOutput(source="terms_snapshot", required=False)
    public_url = Derived(lambda invoice: link_of(invoice) or None, StrictString(), required=False)
    memo = Filled("memo")
    footer = Filled("footer")
    po_number = Filled("po_number")
    reference = Filled("reference")
    timezone = Filled("timezone")
    remit_to_address = AddressOutput(required=False)
    snapshot = InvoiceSnapshotOutput(required=False)
    external_reference_id = Filled("external_reference_id")
    metadata = MetadataField(required=False)
    customer = Derived(_expandable_customer, CustomerSummaryOutput(), required=False, allow_null=True)
    order = OrderOutput(required=False)
    created_at = TimestampField(required=False)
    updated_at = TimestampField(required=False)

    def get_fields(self):
        return {**super().get_fields(), **copy.deepcopy(self.extensions)}


def extend_invoice(**fields: serializers.Field) -> None:
    """Show more of every invoice. For the ``ready`` of the rooms to the right; declare ``required=False``."""
    InvoiceOutput.extensions.update(fields)
    shared.cache_clear()


class InvoiceDeliveryOutput(Output):
    """One email of an invoice, or a reminder."""

    invoice_delivery_attempt_id = IdField("ida", source="id")
    channel = Derived(lambda delivery: "email", EnumField(["email"]))
    delivery_type = EnumField(["send", "reminder"])
    status = EnumField(["pending", "sent", "failed", "suppressed"])
    to_email = StrictString()
    cc_emails = Derived(lambda delivery: delivery.cc_emails or None, ListOf(StrictString()), required=False)
    error_message = Filled("error_message")
    sent_at = TimestampField(required=False)
    created_at = TimestampField(required=False)


class IssuedOutput(Output):
    """An invoice just issued or sent: the link for its buyer, and its email if one is sent."""

    invoice = InvoiceOutput()
    public_url = Derived(lambda issued: issued.public_url or None, StrictString(), required=False)
    delivery_attempt = InvoiceDeliveryOutput(source="delivery", required=False)
