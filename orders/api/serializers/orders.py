"""How an order is shown, and how the rooms to the right show more of it."""

import copy
from collections.abc import Iterable
from typing import Any

from rest_framework import serializers

from flint.api.fields import (
    EnumField,
    IdField,
    ListOf,
    MetadataField,
    SignedMoneyField,
    StrictBoolean,
    StrictInteger,
    StrictString,
    TimestampField,
)
from flint.api.serializers import Output, shared
from orders.api.serializers.customers import CustomerSummaryOutput
from orders.api.serializers.fields import AmountField, Derived, Filled
from orders.api.serializers.parts import (
    AppliedDiscountOutput,
    OrderChargeOutput,
    OrderLineItemOutput,
    OrderTaxOutput,
    RequestedTipOutput,
    TipOutput,
    introduce,
)
from orders.models import Order
from orders.models.orders import Origin, PaymentStatus, RefundStatus, Status


class PricingAmountsOutput(Output):
    """What the order is worth now. total = subtotal - discount + charge + requested tip + the tax on top."""

    subtotal_money = AmountField("subtotal_amount")
    discount_money = AmountField("discount_amount")
    charge_money = AmountField("charge_amount")
    requested_tip_money = AmountField("tip_amount")
    tax_money = AmountField("tax_amount")
    total_money = AmountField("total_amount")


class SettlementAmountsOutput(Output):
    """What was settled. balance = (total - credit) - net collected; positive is owed, negative was over-collected."""

    paid_money = AmountField("paid_amount")
    refunded_money = AmountField("refunded_amount")
    net_collected_money = AmountField("net_collected_amount")
    balance_money = AmountField("balance_amount", child=SignedMoneyField())
    outstanding_money = AmountField("outstanding_amount")
    credit_money = AmountField("credit_amount")
    settled_tip_money = AmountField("settled_tip_amount")


class BuyerContactOutput(Output):
    """Where the buyer could be reached when payment began."""

    email = Filled("contact_email")
    phone = Filled("contact_phone")


class BuyerActionOutput(Output):
    """Something that the buyer may do; a merchant's reads list none."""

    kind = EnumField(["start_return", "resend_receipt"])
    is_available = StrictBoolean()
    is_required = StrictBoolean()
    due_at = TimestampField(required=False)
    unavailable_reason = StrictString(required=False)


def _with_tip(order: Order) -> Order | None:
    return order if order.tip_id else None


class OrderOutput(Output):
    """The one record of a sale: what is on it, what it is worth, what was paid and given back."""

    expandable = {"customer"}
    merchant_only = {
        "customer",
        "buyer_contact",
        "internal_note",
        "external_reference_id",
        "metadata",
        "closed_reason",
        "is_collection_blocked",
        "refund_ids",
    }
    extensions: dict[str, serializers.Field] = {}

    order_id = IdField("ord", source="id")
    order_number = StrictString(required=False)
    merchant_id = IdField("mer", source="environment.merchant_id", required=False)
    status = EnumField(Status.values)
    payment_status = EnumField(PaymentStatus.values)
    refund_status = EnumField(RefundStatus.values)
    origin = EnumField(Origin.values, required=False)
    order_revision = StrictInteger(minimum=1, required=False)
    line_items = ListOf(OrderLineItemOutput())
    charges = ListOf(OrderChargeOutput(), required=False)
    applied_discounts = ListOf(AppliedDiscountOutput(), source="discounts", required=False)
    requested_tip = Derived(_with_tip, RequestedTipOutput(), required=False)
    tips = Derived(lambda order: [order] if order.tip_id else [], ListOf(TipOutput()), required=False)
    tax = OrderTaxOutput(source="*")
    pricing_amounts = PricingAmountsOutput(source="*")
    settlement_amounts = SettlementAmountsOutput(source="*")
    customer_id = IdField("cus", required=False)
    customer = CustomerSummaryOutput(required=False, allow_null=True)
    buyer_contact = Derived(
        lambda order: order if order.contact_email or order.contact_phone else None,
        BuyerContactOutput(),
        required=False,
    )
    buyer_note = Filled("buyer_note")
    internal_note = Filled("internal_note")
    external_reference_id = Filled("external_reference_id")
    metadata = MetadataField(required=False)
    closed_reason = Filled("closed_reason")
    buyer_actions = Derived(lambda order: [], ListOf(BuyerActionOutput()))
    created_at = TimestampField(required=False)
    updated_at = TimestampField(required=False)

    def get_fields(self):
        return {**super().get_fields(), **copy.deepcopy(self.extensions)}

    def to_representation(self, instance: Order) -> dict[str, Any]:
        introduce(instance)
        return super().to_representation(instance)


def extend_order(*, expandable: Iterable[str] = (), **fields: serializers.Field) -> None:
    """
    Show more of every order, wherever one is shown. For the ``ready`` of the rooms to the right.

    Each field reads an attribute of the order, which the room sets by ``orders.selectors.shows`` or ``attaches``;
    with :class:`~orders.api.serializers.fields.Derived` it may work the value out when it is shown. Declare
    ``required=False``: an order need not have it.

    :param expandable: the names among them that are only shown when a request expands them.
    """
    OrderOutput.extensions.update(fields)
    OrderOutput.expandable.update(expandable)
    shared.cache_clear()


def render(order: Order, expand: Iterable[str] = ()) -> dict[str, Any]:
    """Return an order that was read by ``orders.selectors`` as it goes over the wire."""
    return shared(OrderOutput, frozenset(expand)).to_representation(order)
