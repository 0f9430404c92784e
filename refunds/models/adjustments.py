"""What was withheld of a line that went back: a restocking fee, a deduction, or tax that was corrected by hand."""

import pgtrigger
from django.db import models
from django.db.models import Q

from flint.ids import PublicIdField
from flint.money import Money
from flint.records import Record
from orders.guard import checks_its_order


class AdjustmentType(models.TextChoices):
    RESTOCKING_FEE = "restocking_fee"
    WITHHELD_AMOUNT = "withheld_amount"
    REFUND_ADJUSTMENT = "refund_adjustment"
    TAX_ADJUSTMENT = "tax_adjustment"


class AppliesTo(models.TextChoices):
    """Of what it is withheld: the price without its tax, the tax, or both in proportion."""

    SUBTOTAL = "subtotal"
    TAX = "tax"
    TOTAL = "total"


class AdjustmentReason(models.TextChoices):
    RESTOCKING = "restocking"
    DAMAGED = "damaged"
    USED = "used"
    MISSING_PARTS = "missing_parts"
    LATE_RETURN = "late_return"
    POLICY = "policy"
    OTHER = "other"


class TaxReason(models.TextChoices):
    RATE_CORRECTION = "rate_correction"
    EXEMPTION = "exemption"
    JURISDICTION_RULE = "jurisdiction_rule"
    ALREADY_REMITTED = "already_remitted"
    ROUNDING = "rounding"
    OTHER = "other"


class RefundAdjustment(Record):
    """
    So much of what a refund would have given back of a line by itself was withheld; it can be paid out later.

    It stands as long as ``leg``, the one that took the line's units, stands. ``amount`` is what was withheld; subtotal
    and tax are its composition. One of type ``tax_adjustment`` carries the tax that was given back instead, by
    jurisdiction, and who answers for it.
    """

    id = PublicIdField(prefix="rad")
    leg = models.ForeignKey("refunds.RefundLeg", on_delete=models.PROTECT, related_name="adjustments")
    order = models.ForeignKey("orders.Order", on_delete=models.PROTECT, related_name="+")
    line_item = models.ForeignKey("orders.LineItem", on_delete=models.PROTECT, related_name="+")
    position = models.IntegerField(default=0)
    type = models.CharField(max_length=20, choices=AdjustmentType.choices)
    applies_to = models.CharField(max_length=10, choices=AppliesTo.choices)
    amount = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    subtotal_amount = models.BigIntegerField(default=0)
    discount_amount = models.BigIntegerField(default=0)
    tax_amount = models.BigIntegerField(default=0)
    inclusive_tax_amount = models.BigIntegerField(default=0)
    reason_code = models.CharField(max_length=32)
    reason_description = models.CharField(max_length=500, blank=True)
    tax_split = models.JSONField(default=list)
    audit_actor_type = models.CharField(max_length=10, blank=True)
    audit_actor_id = models.CharField(max_length=255, blank=True)
    audit_source = models.CharField(max_length=255, blank=True)

    class Meta:
        ordering = ["leg", "position"]
        constraints = [
            models.CheckConstraint(
                name="adjustment_is_its_composition",
                condition=Q(
                    amount__gte=1,
                    amount=models.F("subtotal_amount") - models.F("discount_amount") + models.F("tax_amount"),
                ),
            ),
            models.CheckConstraint(
                name="adjustment_of_tax_has_somebody_who_answers_for_it",
                condition=~Q(type=AdjustmentType.TAX_ADJUSTMENT) | ~Q(audit_actor_type="", audit_actor_id=""),
            ),
        ]
        triggers = [
            pgtrigger.Protect(name="adjustment_append_only", operation=pgtrigger.Update | pgtrigger.Delete),
            checks_its_order("adjustment_is_checked_with_its_order", function="flint_check_refunds"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.money}"

    @property
    def money(self) -> Money:
        return Money(self.amount, self.currency)
