"""What an order is made of: lines, charges, discounts and the taxes on them. All amounts in minor units."""

import django_fsm as fsm
from django.db import models
from django.db.models import F, Q

from flint.errors import NotFound
from flint.ids import PublicIdField
from flint.records import Record, StatefulRecord
from orders.guard import checks_its_order
from orders.keeping import KeepsVersions


class OrderLineItemNotFound(NotFound):
    code = "ORDER_LINE_ITEM_NOT_FOUND"
    message = "No such line item on this order."


class OrderChargeNotFound(NotFound):
    code = "ORDER_CHARGE_NOT_FOUND"
    message = "No such charge on this order."


class PriceMode(models.TextChoices):
    ADDITIVE = "additive"
    INCLUSIVE = "inclusive"


class ChargeBasis(models.TextChoices):
    PRE_DISCOUNT = "subtotal_pre_discount"
    POST_DISCOUNT = "subtotal_post_discount"


class ChargeType(models.TextChoices):
    SERVICE_FEE = "service_fee"
    DELIVERY_FEE = "delivery_fee"
    SHIPPING_FEE = "shipping_fee"
    HANDLING_FEE = "handling_fee"
    PACKAGING_FEE = "packaging_fee"
    SMALL_ORDER_FEE = "small_order_fee"
    SERVICE_AREA_FEE = "service_area_fee"
    SETUP_FEE = "setup_fee"
    INSTALLATION_FEE = "installation_fee"
    CLEANING_FEE = "cleaning_fee"
    BOOKING_FEE = "booking_fee"
    RESERVATION_FEE = "reservation_fee"
    TICKET_FEE = "ticket_fee"
    FULFILLMENT_FEE = "fulfillment_fee"
    RESTOCKING_FEE = "restocking_fee"
    RUSH_FEE = "rush_fee"
    OTHER = "other"


class DiscountClass(models.TextChoices):
    ORDER = "order"
    LINE_ITEM = "line_item"
    SERVICE_CHARGE = "service_charge"


class DiscountStatus(models.TextChoices):
    PENDING = "pending"
    REDEEMED = "redeemed"
    CANCELED = "canceled"


class TaxCalculation(models.TextChoices):
    PERCENTAGE = "percentage"
    FLAT_AMOUNT = "flat_amount"


class Part(Record):
    """
    A part of an order that is sold and can be given back.

    ``added_revision`` is the order's revision when it came on; a part that was on the order when money settled is paid
    for, and is corrected by a refund, never by an edit.
    """

    order = models.ForeignKey("orders.Order", on_delete=models.PROTECT)
    added_revision = models.BigIntegerField(default=1)
    position = models.IntegerField(default=0)
    name = models.CharField(max_length=255)
    description = models.TextField(blank=True)
    metadata = models.JSONField(default=dict)
    taxable = models.BooleanField(null=True)
    tax_category = models.CharField(max_length=32, blank=True)
    price_mode = models.CharField(max_length=10, choices=PriceMode.choices, blank=True)
    discount_amount = models.BigIntegerField(default=0)
    tax_amount = models.BigIntegerField(default=0)
    inclusive_tax_amount = models.BigIntegerField(default=0)
    total_amount = models.BigIntegerField(default=0)
    refund_pending_amount = models.BigIntegerField(default=0)
    refunded_amount = models.BigIntegerField(default=0)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.name

    @property
    def remaining_amount(self) -> int:
        """What of this part may still be given back, promises included."""
        return self.total_amount - self.refunded_amount - self.refund_pending_amount

    def is_paid_on(self, order) -> bool:
        """Whether this part was on the order when money last settled."""
        return order.has_settled and self.added_revision <= order.settled_revision


GIVEN_BACK_AT_MOST_ITS_TOTAL = Q(
    refund_pending_amount__gte=0,
    refunded_amount__gte=0,
    total_amount__gte=F("refunded_amount") + F("refund_pending_amount"),
)


class LineItem(Part):
    """Goods or a service, so many units at a price. ``version`` grows with every stored change."""

    missing = OrderLineItemNotFound
    order_column = "order_id"

    id = PublicIdField(prefix="oli")
    quantity = models.BigIntegerField()
    unit_price_amount = models.BigIntegerField()
    base_subtotal_amount = models.BigIntegerField(default=0)
    modifier_total_amount = models.BigIntegerField(default=0)
    subtotal_amount = models.BigIntegerField(default=0)
    refund_pending_quantity = models.BigIntegerField(default=0)
    refunded_quantity = models.BigIntegerField(default=0)
    version = models.BigIntegerField(default=1)

    class Meta:
        default_related_name = "line_items"
        ordering = ["order", "position"]
        constraints = [
            models.CheckConstraint(name="line_quantity_positive", condition=Q(quantity__gte=1)),
            models.CheckConstraint(
                name="line_amounts_add_up",
                condition=Q(
                    unit_price_amount__gte=0,
                    discount_amount__gte=0,
                    base_subtotal_amount=F("unit_price_amount") * F("quantity"),
                    subtotal_amount=F("base_subtotal_amount") + F("modifier_total_amount"),
                    total_amount=F("subtotal_amount")
                    - F("discount_amount")
                    + F("tax_amount")
                    - F("inclusive_tax_amount"),
                ),
            ),
            models.CheckConstraint(name="line_given_back_at_most_its_total", condition=GIVEN_BACK_AT_MOST_ITS_TOTAL),
            models.CheckConstraint(
                name="line_units_given_back_at_most_sold",
                condition=Q(
                    refunded_quantity__gte=0,
                    refund_pending_quantity__gte=0,
                    quantity__gte=F("refunded_quantity") + F("refund_pending_quantity"),
                ),
            ),
        ]
        triggers = [checks_its_order("line_is_checked_with_its_order"), KeepsVersions(name="line_versions")]

    @property
    def remaining_quantity(self) -> int:
        """Units not given back, nor promised to be."""
        return self.quantity - self.refunded_quantity - self.refund_pending_quantity


class Charge(Part):
    """A fee on the order, fixed or a percentage of the merchandise (``percent`` in units of 0.0001 %)."""

    missing = OrderChargeNotFound
    order_column = "order_id"

    id = PublicIdField(prefix="och")
    type = models.CharField(max_length=20, choices=ChargeType.choices)
    fixed_amount = models.BigIntegerField(null=True)
    percent = models.IntegerField(null=True)
    calculation_basis = models.CharField(max_length=24, choices=ChargeBasis.choices, blank=True)
    applied_amount = models.BigIntegerField(default=0)

    class Meta:
        default_related_name = "charges"
        ordering = ["order", "position"]
        constraints = [
            models.CheckConstraint(
                name="charge_fixed_or_percent",
                condition=Q(fixed_amount__isnull=False, percent__isnull=True)
                | Q(fixed_amount__isnull=True, percent__isnull=False),
            ),
            models.CheckConstraint(
                name="charge_amounts_add_up",
                condition=Q(
                    applied_amount__gte=0,
                    discount_amount__gte=0,
                    total_amount=F("applied_amount")
                    - F("discount_amount")
                    + F("tax_amount")
                    - F("inclusive_tax_amount"),
                ),
            ),
            models.CheckConstraint(name="charge_given_back_at_most_its_total", condition=GIVEN_BACK_AT_MOST_ITS_TOTAL),
        ]
        triggers = [checks_its_order("charge_is_checked_with_its_order"), KeepsVersions(name="charge_versions")]


class Discount(StatefulRecord):
    """A reduction the merchant grants: a fixed amount over the merchandise, some lines, or charges."""

    id = PublicIdField(prefix="odi")
    order = models.ForeignKey("orders.Order", on_delete=models.PROTECT)
    position = models.IntegerField(default=0)
    status = fsm.FSMField(choices=DiscountStatus.choices, default=DiscountStatus.PENDING, protected=True)
    discount_class = models.CharField(max_length=16, choices=DiscountClass.choices)
    name = models.CharField(max_length=255)
    amount = models.BigIntegerField()
    applied_amount = models.BigIntegerField(default=0)
    target_ids = models.JSONField(default=list)

    class Meta:
        default_related_name = "discounts"
        ordering = ["order", "position"]
        constraints = [
            models.CheckConstraint(
                name="discount_applied_within_amount",
                condition=Q(amount__gte=1, applied_amount__gte=0, applied_amount__lte=F("amount")),
            )
        ]
        triggers = [checks_its_order("discount_is_checked_with_its_order"), KeepsVersions(name="discount_versions")]

    def __str__(self) -> str:
        return self.name

    @fsm.transition(field=status, source=DiscountStatus.PENDING, target=DiscountStatus.REDEEMED)
    def redeem(self) -> None:
        """Money settled with it; it is history now."""

    @fsm.transition(field=status, source=DiscountStatus.PENDING, target=DiscountStatus.CANCELED)
    def cancel(self) -> None:
        """The order closed before it was used."""
        self.applied_amount = 0


class TaxBreakdown(Record):
    """
    One tax on one line, one charge, or (a flat amount) on the order as a whole.

    ``percent`` is in units of 0.0001 %. A flat tax is a part of its own that can be given back; the others go back with
    their line or charge.
    """

    id = PublicIdField(prefix="txb")
    order = models.ForeignKey("orders.Order", on_delete=models.PROTECT)
    line_item = models.ForeignKey("orders.LineItem", on_delete=models.CASCADE, null=True)
    charge = models.ForeignKey("orders.Charge", on_delete=models.CASCADE, null=True)
    position = models.IntegerField(default=0)
    calculation_type = models.CharField(max_length=16, choices=TaxCalculation.choices)
    tax_type = models.CharField(max_length=24)
    price_mode = models.CharField(max_length=10, choices=PriceMode.choices)
    percent = models.IntegerField(null=True)
    flat_amount = models.BigIntegerField(null=True)
    jurisdiction = models.JSONField()
    taxable_amount = models.BigIntegerField(default=0)
    tax_amount = models.BigIntegerField(default=0)
    refund_pending_amount = models.BigIntegerField(default=0)
    refunded_amount = models.BigIntegerField(default=0)

    class Meta:
        default_related_name = "tax_breakdowns"
        ordering = ["order", "position"]
        constraints = [
            models.CheckConstraint(
                name="tax_of_one_owner",
                condition=Q(line_item__isnull=True) | Q(charge__isnull=True),
            ),
            models.CheckConstraint(
                name="tax_flat_on_order_only",
                condition=Q(
                    calculation_type="flat_amount",
                    line_item__isnull=True,
                    charge__isnull=True,
                    flat_amount__gte=1,
                    tax_amount=F("flat_amount"),
                    price_mode="additive",
                )
                | Q(calculation_type="percentage", percent__isnull=False),
            ),
            models.CheckConstraint(
                name="tax_given_back_at_most_its_amount",
                condition=Q(
                    refund_pending_amount__gte=0,
                    refunded_amount__gte=0,
                    tax_amount__gte=F("refunded_amount") + F("refund_pending_amount"),
                ),
            ),
        ]
        triggers = [checks_its_order("tax_is_checked_with_its_order"), KeepsVersions(name="tax_versions")]

    def __str__(self) -> str:
        return f"{self.jurisdiction.get('name', '')} {self.tax_type}"

    @property
    def is_flat(self) -> bool:
        return self.calculation_type == TaxCalculation.FLAT_AMOUNT

    @property
    def total_amount(self) -> int:
        return self.tax_amount

    @property
    def remaining_amount(self) -> int:
        """What of a flat tax may still be given back, promises included."""
        return self.tax_amount - self.refunded_amount - self.refund_pending_amount
