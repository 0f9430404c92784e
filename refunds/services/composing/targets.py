"""The pieces that a request names: lines, charges, flat taxes, and what earlier refunds withheld of a line."""

from collections.abc import Mapping, Sequence
from typing import Any

from orders.models import Charge, LineItem, Order
from orders.services.parts import amount_in
from orders.splitting import Makeup, line_units
from refunds.models import AdjustmentType, AppliesTo, RefundAdjustment
from refunds.services.composing import refusals
from refunds.services.composing.pieces import Piece, Withheld
from refunds.services.composing.remains import Remains

Target = Mapping[str, Any]
EXPLICIT = "explicit"


class Targets:
    """Reads the targets of a request against what remains of an order."""

    def __init__(self, order: Order, remains: Remains):
        self.order = order
        self.remains = remains

    def pieces(self, data: Mapping[str, Any]) -> list[Piece]:
        """:raises InvalidInput: a subclass in ``refusals``, whose code says which cap or form the request breaks."""
        return [
            *self._lines(data.get("line_items", [])),
            *self._charges(data.get("charges", [])),
            *self._flat_taxes(data.get("tax_breakdown_refunds", [])),
        ]

    def is_paid(self, part: LineItem | Charge) -> bool:
        """Whether a part has been paid for: it was there when money last settled, or nothing is owed any more."""
        return part.is_paid_on(self.order) or not self.order.outstanding_amount

    # Lines

    def _lines(self, targets: Sequence[Target]) -> list[Piece]:
        lines = {line.id: line for line in self.remains.parts.lines}
        if targets and not lines:
            raise refusals.OrderHasNoRefundableLineItems(param="line_items")
        pieces: list[Piece] = []
        for index, target in enumerate(targets):
            param = f"line_items[{index}]"
            line = lines.get(target["order_line_item_id"])
            if line is None:
                raise refusals.LineItemNotOnOrder(param=f"{param}.order_line_item_id")
            if any(piece.part is line for piece in pieces):
                raise refusals.DuplicateLineItemTarget(param=f"{param}.order_line_item_id")
            pieces += self._line(line, target, param)
        return pieces

    def _line(self, line: LineItem, target: Target, param: str) -> list[Piece]:
        if "quantity" in target and "amount_money" in target:
            raise refusals.LineItemRefundTargetAmbiguous(param=param)
        if not self.is_paid(line):
            raise refusals.NothingToRefundForLineItem(
                "The line item is not paid yet. Change or remove it instead.", param=param
            )
        payouts = self._payouts(line, target.get("adjustment_refunds", []), param)
        if payouts and "quantity" not in target and "amount_money" not in target:
            if target.get("refund_adjustments") or target.get("tax_refund_mode") == EXPLICIT:
                raise refusals.InvalidRefundAdjustmentTarget(param=param)
            return payouts
        piece = self._by_itself(line, target, param)
        if not piece.amount:
            raise refusals.NothingToRefundForLineItem(param=param)
        self._withhold(piece, target, param)
        return [piece, *payouts]

    def _by_itself(self, line: LineItem, target: Target, param: str) -> Piece:
        """Return what goes back of a line before anything is withheld: some units, an amount, or all that is left."""
        left, units_left = self.remains.left_of(line), line.remaining_quantity
        if "quantity" in target:
            units = target["quantity"]
            if units > units_left:
                raise refusals.LineItemRefundQuantityExceedsRefundable(param=f"{param}.quantity", limit=units_left)
            worth = left
            if units < units_left:
                worth = min(line_units(line.total_amount, line.quantity, line.quantity - units_left, units), left)
            return Piece(line, worth, units)
        if "amount_money" in target:
            amount = amount_in(self.order, target["amount_money"], f"{param}.amount_money")
            if amount > left:
                raise refusals.LineItemRefundAmountExceedsRefundable(
                    param=f"{param}.amount_money", maximum_money=self.order.money(left)
                )
            return Piece(line, amount)
        return Piece(line, left, units_left)

    # What is withheld of a line

    def _withhold(self, piece: Piece, target: Target, param: str) -> None:
        """Take off a piece what does not go back: tax that is stated, then each deduction."""
        makeup = self.remains.makeup_of(piece.part).take(piece.amount)
        if target.get("tax_refund_mode") == EXPLICIT:
            makeup -= self._explicit_tax(piece, makeup, target, param)
        for index, wanted in enumerate(target.get("refund_adjustments", [])):
            at = f"{param}.refund_adjustments[{index}].amount_money"
            amount = amount_in(self.order, wanted["amount_money"], at)
            net = makeup.total - makeup.all_tax
            room = makeup.total if wanted["applies_to"] == AppliesTo.TOTAL else net
            if amount > room or amount >= makeup.total:
                raise refusals.RefundAdjustmentsExceedAutomatic(
                    param=at, maximum_money=self.order.money(max(min(room, makeup.total - 1), 0))
                )
            taken = makeup.take(amount) if wanted["applies_to"] == AppliesTo.TOTAL else Makeup(subtotal=amount)
            makeup -= taken
            reason = wanted["reason"]
            columns = {"type": wanted["adjustment_type"], "applies_to": wanted["applies_to"]}
            columns |= {"reason_code": reason["code"], "reason_description": reason.get("description", "")}
            piece.withheld.append(Withheld(taken, columns))
        piece.amount = makeup.total

    def _explicit_tax(self, piece: Piece, makeup: Makeup, target: Target, param: str) -> Makeup:
        """Withhold the tax by which what is stated falls short of what would go back by itself."""
        at = f"{param}.tax_money"
        tax = amount_in(self.order, target["tax_money"], at)
        split = self._split(piece.part, target.get("tax_breakdown_refunds", []), param)
        if tax > makeup.all_tax:
            raise refusals.TaxRefundExceedsAutomatic(param=at, maximum_money=self.order.money(makeup.all_tax))
        if tax == makeup.all_tax:
            raise refusals.ExplicitTaxRefundNoop(param=at)
        taken = makeup.tax_of(makeup.all_tax - tax)
        if taken.total >= makeup.total:
            raise refusals.NothingToRefundForLineItem(param=param)
        reason, audit = target["tax_adjustment_reason"], target["tax_adjustment_audit"]
        columns = {
            "type": AdjustmentType.TAX_ADJUSTMENT,
            "applies_to": AppliesTo.TAX,
            "reason_code": reason["code"],
            "reason_description": reason.get("description", ""),
            "tax_split": split,
            "audit_actor_type": audit["actor_type"],
            "audit_actor_id": audit["actor_id"],
            "audit_source": audit["source"],
        }
        piece.withheld.append(Withheld(taken, columns))
        return taken

    def _split(self, line: LineItem, rows: Sequence[Target], param: str) -> list[dict[str, Any]]:
        """Return how a stated tax is shared by jurisdiction, each at most what its tax on this line came to."""
        taxes = {tax.id: tax for tax in self.remains.parts.taxes}
        split: list[dict[str, Any]] = []
        for index, row in enumerate(rows):
            at = f"{param}.tax_breakdown_refunds[{index}]"
            tax = taxes.get(row["tax_breakdown_id"])
            if not self.remains.parts.taxes_of(line):
                raise refusals.TaxBreakdownRefundsWithoutTax(param=at)
            if tax is None:
                raise refusals.TaxBreakdownUnavailable(param=f"{at}.tax_breakdown_id")
            if tax.line_item_id != line.id:
                raise refusals.TaxBreakdownLineItemMismatch(param=f"{at}.tax_breakdown_id")
            if any(each["tax_breakdown_id"] == tax.id for each in split):
                raise refusals.DuplicateTaxBreakdownRefund(param=f"{at}.tax_breakdown_id")
            amount = amount_in(self.order, row["tax_money"], f"{at}.tax_money")
            stated = [each for other in self.remains.adjustments.values() for each in other.tax_split]
            left = tax.tax_amount - sum(each["amount"] for each in stated if each["tax_breakdown_id"] == tax.id)
            if amount > left:
                raise refusals.TaxBreakdownRefundExceedsRemaining(
                    param=f"{at}.tax_money", maximum_money=self.order.money(left)
                )
            split.append({"tax_breakdown_id": tax.id, "amount": amount})
        return split

    def _payouts(self, line: LineItem, targets: Sequence[Target], param: str) -> list[Piece]:
        pieces: list[Piece] = []
        for index, target in enumerate(targets):
            at = f"{param}.adjustment_refunds[{index}]"
            adjustment = self.remains.adjustments.get(target["refund_line_item_adjustment_id"])
            if adjustment is None:
                raise refusals.RefundAdjustmentNotFound(param=f"{at}.refund_line_item_adjustment_id")
            if adjustment.line_item_id != line.id:
                raise refusals.RefundAdjustmentLineItemMismatch(param=f"{at}.refund_line_item_adjustment_id")
            if any(piece.key == adjustment.id for piece in pieces):
                raise refusals.DuplicateAdjustmentRefund(param=f"{at}.refund_line_item_adjustment_id")
            pieces.append(self._payout(line, adjustment, target, at))
        return pieces

    def _payout(self, line: LineItem, adjustment: RefundAdjustment, target: Target, at: str) -> Piece:
        left = self.remains.withheld[adjustment.id].total
        amount = left
        if "amount_money" in target:
            amount = amount_in(self.order, target["amount_money"], f"{at}.amount_money")
        if amount > left or not left:
            raise refusals.RefundAdjustmentRefundExceedsRemaining(param=at, maximum_money=self.order.money(left))
        return Piece(line, amount, adjustment=adjustment)

    # Charges and flat taxes

    def _charges(self, targets: Sequence[Target]) -> list[Piece]:
        charges = {charge.id: charge for charge in self.remains.parts.charges}
        if targets and not charges:
            raise refusals.OrderHasNoRefundableCharges(param="charges")
        pieces: list[Piece] = []
        for index, target in enumerate(targets):
            param = f"charges[{index}]"
            charge = charges.get(target["order_charge_id"])
            if charge is None:
                raise refusals.ChargeNotOnOrder(param=f"{param}.order_charge_id")
            if any(piece.part is charge for piece in pieces):
                raise refusals.DuplicateChargeTarget(param=f"{param}.order_charge_id")
            if not self.is_paid(charge):
                raise refusals.NothingToRefundForCharge(
                    "The charge is not paid yet. Change or remove it instead.", param=param
                )
            left = charge.remaining_amount
            amount = left
            if "amount_money" in target:
                amount = amount_in(self.order, target["amount_money"], f"{param}.amount_money")
            if amount > left:
                raise refusals.ChargeRefundAmountExceedsRefundable(
                    param=f"{param}.amount_money", maximum_money=self.order.money(left)
                )
            if not amount:
                raise refusals.NothingToRefundForCharge(param=param)
            pieces.append(Piece(charge, amount))
        return pieces

    def _flat_taxes(self, targets: Sequence[Target]) -> list[Piece]:
        """Name flat taxes of the order, each as a whole. What an earlier refund took of one leaves the rest."""
        taxes = {tax.id: tax for tax in self.remains.parts.taxes}
        pieces: list[Piece] = []
        for index, target in enumerate(targets):
            param = f"tax_breakdown_refunds[{index}]"
            tax = taxes.get(target["tax_breakdown_id"])
            if tax is None:
                raise refusals.TaxBreakdownUnavailable(param=f"{param}.tax_breakdown_id")
            if not tax.is_flat:
                raise refusals.TaxBreakdownNotOrderScopedFlat(param=f"{param}.tax_breakdown_id")
            if any(piece.part is tax for piece in pieces):
                raise refusals.DuplicateTaxBreakdownRefund(param=f"{param}.tax_breakdown_id")
            if tax.refund_pending_amount:
                raise refusals.FlatTaxRefundStateInvalid(param=param)
            left = tax.remaining_amount
            if not left:
                raise refusals.NothingToRefundForTaxBreakdown(param=param)
            amount = left
            if "tax_money" in target:
                amount = amount_in(self.order, target["tax_money"], f"{param}.tax_money")
            most = self.order.money(left)
            if amount > left:
                raise refusals.TaxBreakdownRefundExceedsRemaining(param=f"{param}.tax_money", maximum_money=most)
            if amount < left:
                raise refusals.FlatTaxRefundMustBeFull(param=f"{param}.tax_money", required_money=most)
            pieces.append(Piece(tax, amount))
        return pieces
