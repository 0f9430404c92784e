"""
Composing a refund on a locked order: which parts of the sale it gives back, and through which payments.

Everything is worked out from what remains, promises included, so that whatever succeeds or fails in whatever sequence,
the pieces of a part always sum to the part.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Q, Sum

from flint.errors import Conflict, InvalidInput
from flint.money import slice_of
from orders.models import Charge, LineItem, Order, TaxBreakdown
from orders.services import pricing
from orders.services.parts import amount_in
from payments.models import PaymentOperation
from refunds.models import UNSETTLED, RefundAllocation, RefundLeg
from refunds.services.disputes.contesting import Claim, PaymentIntentDisputed, claims_on
from refunds.splitting import LineParts, Part, Tender, line_parts, line_units, over_tenders, spread

TIP = "tip"
SURPLUS = "surplus"
REOPENED = "reopened"
NO_CREDIT = frozenset({SURPLUS, REOPENED})


class AmountExceedsRefundable(InvalidInput):
    code = "AMOUNT_EXCEEDS_REFUNDABLE"
    message = "This is more than is left to refund."


class NothingToRefund(InvalidInput):
    code = "NOTHING_TO_REFUND"
    message = "Nothing is left to refund here."


class NothingToRefundForLineItem(InvalidInput):
    code = "NOTHING_TO_REFUND_FOR_LINE_ITEM"
    message = "Nothing is left to refund on this line item."


class NothingToRefundForCharge(InvalidInput):
    code = "NOTHING_TO_REFUND_FOR_CHARGE"
    message = "Nothing is left to refund on this charge."


class LineItemNotOnOrder(InvalidInput):
    code = "LINE_ITEM_NOT_ON_ORDER"
    message = "The line item is not on this order."


class ChargeNotOnOrder(InvalidInput):
    code = "CHARGE_NOT_ON_ORDER"
    message = "The charge is not on this order."


class DuplicateLineItemTarget(InvalidInput):
    code = "DUPLICATE_LINE_ITEM_TARGET"
    message = "Name each line item once."


class DuplicateChargeTarget(InvalidInput):
    code = "DUPLICATE_CHARGE_TARGET"
    message = "Name each charge once."


class LineItemRefundTargetAmbiguous(InvalidInput):
    code = "LINE_ITEM_REFUND_TARGET_AMBIGUOUS"
    message = "Say how much of the line item goes back either in units or as an amount, not both."


class LineItemRefundQuantityExceedsRefundable(InvalidInput):
    code = "LINE_ITEM_REFUND_QUANTITY_EXCEEDS_REFUNDABLE"
    message = "Fewer units of this line item are left to refund."


class LineItemRefundAmountExceedsRefundable(InvalidInput):
    code = "LINE_ITEM_REFUND_AMOUNT_EXCEEDS_REFUNDABLE"
    message = "Less of this line item is left to refund."


class ChargeRefundAmountExceedsRefundable(InvalidInput):
    code = "CHARGE_REFUND_AMOUNT_EXCEEDS_REFUNDABLE"
    message = "Less of this charge is left to refund."


class AmountRequiredForMixedRefundTargets(InvalidInput):
    code = "AMOUNT_REQUIRED_FOR_MIXED_REFUND_TARGETS"
    message = "A refund of line items and charges together needs its 'amount_money'."


class RefundTargetsExceedRefundAmount(InvalidInput):
    code = "REFUND_TARGETS_EXCEED_REFUND_AMOUNT"
    message = "The targets add up to more than the refund's amount."


class NoPaymentsForOrder(InvalidInput):
    code = "NO_PAYMENTS_FOR_ORDER"
    message = "The order has not collected any money yet."


class PaymentIntentNotRefundable(Conflict):
    code = "PAYMENT_INTENT_NOT_REFUNDABLE"
    message = "This payment has not captured any money. Cancel it instead."


@dataclass
class Piece:
    """So much of one part: ``part`` is a line, a charge, a flat tax, or the name of what is no part of the sale."""

    part: LineItem | Charge | TaxBreakdown | str
    amount: int
    quantity: int = 0

    @property
    def key(self) -> str:
        return self.part if isinstance(self.part, str) else self.part.id


@dataclass
class Composition:
    """A refund worked out: its pieces, and the rows of legs and allocations to save."""

    amount: int
    pieces: list[Piece] = field(default_factory=list)
    legs: list[RefundLeg] = field(default_factory=list)
    allocations: list[RefundAllocation] = field(default_factory=list)

    def of(self, key: str) -> int:
        """Return what goes back of one part, by id or name."""
        return sum(piece.amount for piece in self.pieces if piece.key == key)


class Composer:
    """Works out one refund of one locked order. Reads what it needs when it is made; writes nothing."""

    def __init__(
        self,
        order: Order,
        *,
        payment_intent_id: str | None = None,
        operation_id: str | None = None,
        is_made: bool = False,
    ):
        """``is_made`` tells a refund that has happened already, so that what is disputed cannot stand in its way."""
        self.order = order
        self.is_made = is_made
        self.disputed = 0
        self.parts = self._parts()
        self.live = self._live_allocations()
        self.given = self._given()
        self.tenders = self._tenders(payment_intent_id, operation_id)
        self.surplus = self._surplus()
        self.refundable = min(order.refundable_amount, sum(refundable for _, refundable in self.tenders))
        self._named: dict[str, int] = defaultdict(int)

    def compose(self, data: Mapping[str, Any]) -> Composition:
        """
        Work a validated request out into pieces and legs.

        :raises InvalidInput: a subclass above, whose code says which cap or form the request breaks.
        """
        if not self.refundable:
            raise PaymentIntentDisputed if self.disputed else NothingToRefund
        pieces = [*self._line_pieces(data.get("line_items", [])), *self._charge_pieces(data.get("charges", []))]
        targeted = sum(piece.amount for piece in pieces)
        amount = self._amount(data, pieces, targeted)
        if amount > self.refundable:
            in_dispute = amount <= self.refundable + self.disputed
            raise (PaymentIntentDisputed if in_dispute else AmountExceedsRefundable)(
                param="amount_money" if "amount_money" in data else None,
                maximum_money=self.order.money(self.refundable),
            )
        pieces += self._untargeted(amount - targeted, data.get("balance_effect", "credit"))
        composition = Composition(amount=amount, pieces=pieces)
        self._lay_out(composition)
        return composition

    def _amount(self, data: Mapping[str, Any], pieces: Sequence[Piece], targeted: int) -> int:
        if "amount_money" in data:
            amount = amount_in(self.order, data["amount_money"], "amount_money")
            if targeted > amount:
                raise RefundTargetsExceedRefundAmount(param="amount_money", required_money=self.order.money(targeted))
            return amount
        if data.get("line_items") and data.get("charges"):
            raise AmountRequiredForMixedRefundTargets(param="amount_money")
        return targeted if pieces else self.refundable

    def _line_pieces(self, targets: Sequence[Mapping[str, Any]]) -> list[Piece]:
        lines = {line.id: line for line in self.parts.lines}
        pieces = []
        for index, target in enumerate(targets):
            param = f"line_items[{index}]"
            line = lines.get(target["order_line_item_id"])
            if line is None:
                raise LineItemNotOnOrder(param=f"{param}.order_line_item_id")
            if any(piece.part is line for piece in pieces):
                raise DuplicateLineItemTarget(param=f"{param}.order_line_item_id")
            pieces.append(self._line_piece(line, target, param))
        return pieces

    def _line_piece(self, line: LineItem, target: Mapping[str, Any], param: str) -> Piece:
        if "quantity" in target and "amount_money" in target:
            raise LineItemRefundTargetAmbiguous(param=param)
        if not self._is_paid(line):
            raise NothingToRefundForLineItem("The line item is not paid yet. Change or remove it instead.", param=param)
        left, units_left = line.remaining_amount, line.remaining_quantity
        if "quantity" in target:
            units = target["quantity"]
            if units > units_left:
                raise LineItemRefundQuantityExceedsRefundable(param=f"{param}.quantity", limit=units_left)
            worth = left
            if units < units_left:
                worth = min(line_units(line.total_amount, line.quantity, line.quantity - units_left, units), left)
            piece = Piece(line, worth, units)
        elif "amount_money" in target:
            amount = amount_in(self.order, target["amount_money"], f"{param}.amount_money")
            if amount > left:
                raise LineItemRefundAmountExceedsRefundable(
                    param=f"{param}.amount_money", maximum_money=self.order.money(left)
                )
            piece = Piece(line, amount)
        else:
            piece = Piece(line, left, units_left)
        if not piece.amount:
            raise NothingToRefundForLineItem(param=param)
        self._named[line.id] += piece.amount
        return piece

    def _charge_pieces(self, targets: Sequence[Mapping[str, Any]]) -> list[Piece]:
        charges = {charge.id: charge for charge in self.parts.charges}
        pieces: list[Piece] = []
        for index, target in enumerate(targets):
            param = f"charges[{index}]"
            charge = charges.get(target["order_charge_id"])
            if charge is None:
                raise ChargeNotOnOrder(param=f"{param}.order_charge_id")
            if any(piece.part is charge for piece in pieces):
                raise DuplicateChargeTarget(param=f"{param}.order_charge_id")
            if not self._is_paid(charge):
                raise NothingToRefundForCharge("The charge is not paid yet. Change or remove it instead.", param=param)
            left = charge.remaining_amount
            amount = left
            if "amount_money" in target:
                amount = amount_in(self.order, target["amount_money"], f"{param}.amount_money")
            if amount > left:
                raise ChargeRefundAmountExceedsRefundable(
                    param=f"{param}.amount_money", maximum_money=self.order.money(left)
                )
            if not amount:
                raise NothingToRefundForCharge(param=param)
            self._named[charge.id] += amount
            pieces.append(Piece(charge, amount))
        return pieces

    def _is_paid(self, part: LineItem | Charge) -> bool:
        """Whether a part has been paid for: it was there when money last settled, or nothing is owed any more."""
        return part.is_paid_on(self.order) or not self.order.outstanding_amount

    def _untargeted(self, amount: int, effect: str) -> list[Piece]:
        """
        Place what names no target: first what was collected beyond what is owed, then all paid parts in proportion.

        A payment correction takes back no part of the sale. Units go back only with a part's last money. Flat taxes,
        and parts that nobody has paid for, come last.
        """
        pieces = []
        if surplus := min(amount, self.surplus):
            pieces.append(Piece(SURPLUS, surplus))
        rest = amount - surplus
        if not rest:
            return pieces
        if effect == "reopen":
            return [*pieces, Piece(REOPENED, rest)]
        owners: dict[str, LineItem | Charge | TaxBreakdown | str] = {
            part.id: part for part in [*self.parts.lines, *self.parts.charges]
        }
        open_parts = [
            Part(key, owner.remaining_amount - self._named[key], last=not self._is_paid(owner))
            for key, owner in owners.items()
        ]
        tip_left = self.order.settled_tip_amount - self.order.tip_refunded_amount - self.order.tip_refund_pending_amount
        open_parts.append(Part(TIP, tip_left))
        owners[TIP] = TIP
        for tax in self.parts.flat_taxes:
            owners[tax.id] = tax
            open_parts.append(Part(tax.id, tax.remaining_amount, last=True))
        taken = spread(rest, open_parts)
        for key, part_amount in taken.items():
            owner = owners[key]
            piece = Piece(owner, part_amount)
            if isinstance(owner, LineItem) and not self._named[key] and part_amount == owner.remaining_amount:
                piece.quantity = owner.remaining_quantity
            pieces.append(piece)
        return pieces

    def _lay_out(self, composition: Composition) -> None:
        """Put the pieces on the payments, newest first, and write each row's composition."""
        operations = {operation.id: operation for operation, _ in self.tenders}
        owners = {piece.key: piece for piece in composition.pieces}
        merged: dict[str, int] = defaultdict(int)
        units: dict[str, int] = defaultdict(int)
        for piece in composition.pieces:
            merged[piece.key] += piece.amount
            units[piece.key] += piece.quantity
        rows = over_tenders(
            list(merged.items()), [Tender(operation.id, refundable) for operation, refundable in self.tenders]
        )
        legs: dict[str, RefundLeg] = {}
        left_to_place = dict(merged)
        for operation_id, key, amount in rows:
            operation = operations[operation_id]
            leg = legs.get(operation_id)
            if leg is None:
                leg = legs[operation_id] = RefundLeg(
                    environment_id=self.order.environment_id,
                    order=self.order,
                    payment_intent=operation.payment_intent,
                    operation=operation,
                    position=len(legs),
                    amount=0,
                    currency=self.order.currency,
                )
            leg.amount += amount
            if key == TIP:
                leg.tip_amount += amount
            if key in NO_CREDIT:
                continue
            leg.credit_amount += amount
            left_to_place[key] -= amount
            quantity = units[key] if not left_to_place[key] else 0
            composition.allocations.append(self._allocation(leg, owners[key].part, amount, quantity))
        composition.legs = list(legs.values())
        for position, allocation in enumerate(composition.allocations):
            allocation.position = position

    def _allocation(self, leg: RefundLeg, part, amount: int, quantity: int) -> RefundAllocation:
        row = RefundAllocation(
            environment_id=self.order.environment_id, leg=leg, order=self.order, amount=amount, quantity=quantity
        )
        if isinstance(part, TaxBreakdown):
            row.tax_breakdown, row.tax_amount = part, amount
        elif isinstance(part, LineItem | Charge):
            self._compose_part(row, part)
        return row

    def _compose_part(self, row: RefundAllocation, part: LineItem | Charge) -> None:
        """Split an amount of a line or charge by what remains of its price, discount and tax, so that steps sum up."""
        if isinstance(part, LineItem):
            row.line_item, gross = part, part.subtotal_amount
        else:
            row.charge, gross = part, part.applied_amount
        taken = self.live[part.id]
        left = LineParts(
            subtotal=gross - taken["subtotal"],
            discount=part.discount_amount - taken["discount"],
            tax=part.tax_amount - part.inclusive_tax_amount - taken["tax"],
        )
        now = line_parts(left, 0, row.amount)
        inclusive = slice_of(part.inclusive_tax_amount - taken["inclusive"], 0, row.amount, left.total)
        row.subtotal_amount, row.discount_amount, row.tax_amount = now.subtotal, now.discount, now.tax
        row.inclusive_tax_amount = inclusive
        for name, amount in (
            ("subtotal", now.subtotal),
            ("discount", now.discount),
            ("tax", now.tax),
            ("inclusive", inclusive),
        ):
            taken[name] += amount

    def _parts(self) -> pricing.Parts:
        """Read what can be given back: lines, charges and taxes."""
        lines, charges, taxes = (
            list(model.objects.filter(order_id=self.order.id).order_by("position"))
            for model in (LineItem, Charge, TaxBreakdown)
        )
        return pricing.Parts(lines=lines, charges=charges, taxes=taxes)

    def _live_allocations(self) -> dict[str, dict[str, int]]:
        """Sum what refunds that stand or are promised have taken of each part, by component."""
        rows = (
            RefundAllocation.objects.filter(order_id=self.order.id, leg__status__in=[*UNSETTLED, "succeeded"])
            .exclude(leg__is_correction=True)
            .values("line_item_id", "charge_id")
            .annotate(
                subtotal=Sum("subtotal_amount"),
                discount=Sum("discount_amount"),
                tax=Sum("tax_amount"),
                inclusive=Sum("inclusive_tax_amount"),
            )
        )
        live: dict[str, dict[str, int]] = defaultdict(lambda: {"subtotal": 0, "discount": 0, "tax": 0, "inclusive": 0})
        for row in rows:
            key = row.pop("line_item_id") or row["charge_id"]
            row.pop("charge_id")
            if key:
                live[key] = row
        return live

    def _given(self) -> list[dict[str, Any]]:
        """Sum what refunds that stand or are promised have taken of each payment."""
        rows = RefundLeg.objects.filter(order_id=self.order.id, status__in=[*UNSETTLED, "succeeded"])
        is_pending = Q(status__in=UNSETTLED)
        return list(
            rows.values("operation_id").annotate(
                total=Sum("amount"),
                pending=Sum("amount", filter=is_pending, default=0),
                pending_credit=Sum("credit_amount", filter=is_pending, default=0),
            )
        )

    def _tenders(self, payment_intent_id: str | None, operation_id: str | None) -> list[tuple[PaymentOperation, int]]:
        """
        Return the payments that captured money, newest settled first, each with what it can still give back.

        Those in dispute come last: the processor may refuse to refund even the rest of them.
        """
        operations = (
            PaymentOperation.objects.filter(payment_intent__order_id=self.order.id, kind="confirm")
            .exclude(captured_amount=0)
            .select_related("payment_intent")
            .order_by("-payment_intent__captured_at", "-created_at", "-id")
        )
        given = {row["operation_id"]: row["total"] for row in self.given}
        claims = {} if self.is_made else claims_on(operations)
        tenders = []
        for operation in operations:
            if payment_intent_id and operation.payment_intent_id != payment_intent_id:
                continue
            if operation_id and operation.id != operation_id:
                continue
            claim = claims.get(operation.id, Claim())
            free = operation.captured_amount - given.get(operation.id, 0) - claim.taken
            free = min(free, operation.payment_intent.refundable_amount) - claim.contested
            self.disputed += claim.open
            tenders.append((operation, max(free, 0)))
        if payment_intent_id and not tenders:
            raise PaymentIntentNotRefundable
        if not tenders:
            raise NoPaymentsForOrder
        return sorted(tenders, key=lambda tender: tender[0].id in claims and claims[tender[0].id].open > 0)

    def _surplus(self) -> int:
        """Return what was collected beyond what is owed, less what pending refunds already give back of it."""
        reopening = sum(row["pending"] - row["pending_credit"] for row in self.given)
        return max(-(self.order.balance_amount + reopening), 0)
