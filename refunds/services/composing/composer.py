"""Working a refund out: its amount, what it gives back that nobody named, and the payments that it goes through."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from orders.models import Charge, LineItem, Order, TaxBreakdown
from orders.services.parts import amount_in
from orders.splitting import Makeup
from payments.models import PaymentOperation
from refunds.models import RefundAdjustment, RefundAllocation, RefundLeg
from refunds.services.composing import refusals
from refunds.services.composing.pieces import NO_CREDIT, REOPENED, SURPLUS, TIP, Composition, Piece, Withheld
from refunds.services.composing.remains import Remains, makeup_of_row
from refunds.services.composing.targets import Targets
from refunds.services.disputes.contesting import PaymentIntentDisputed
from refunds.splitting import Part, Tender, over_tenders, spread

SAID = ("type", "applies_to", "reason_code", "reason_description", "tax_split")
SAID += ("audit_actor_type", "audit_actor_id", "audit_source")
"""What was said of an adjustment when it was made."""


class Composer:
    """Works out one refund of one locked order. Reads what it needs when it is made; writes nothing."""

    def __init__(
        self,
        order: Order,
        *,
        payment_intent_id: str | None = None,
        operation_ids: list[str] | None = None,
        is_made: bool = False,
        remains: Remains | None = None,
    ):
        """
        ``is_made`` tells a refund that has happened already, so that what is disputed cannot stand in its way.

        :param remains: what is left of the order, where the caller knows it; read otherwise.
        """
        self.order = order
        self.payment_intent_id = payment_intent_id
        self.remains = remains or Remains(order, is_made=is_made)
        self.targets = Targets(order, self.remains)
        self.tenders = self.remains.tenders(payment_intent_id=payment_intent_id, operation_ids=operation_ids)
        self.disputed = sum(self.remains.open_claims.values())
        self.refundable = min(order.refundable_amount, sum(refundable for _, refundable in self.tenders))
        self._named: dict[str, int] = defaultdict(int)

    @property
    def surplus(self) -> int:
        """Return what can go back of what was collected beyond what is owed."""
        return min(self.remains.surplus, self.refundable)

    def compose(self, data: Mapping[str, Any]) -> Composition:
        """
        Work a validated request out into pieces and legs.

        :raises FlintError: a subclass in ``refusals``, whose code says which cap or form the request breaks.
        """
        if not self.refundable:
            raise PaymentIntentDisputed if self.disputed else refusals.NothingToRefund
        pieces = self.targets.pieces(data)
        amount = self._amount(data, pieces)
        self._refuse_more_than_is_left(amount, "amount_money" if "amount_money" in data else None)
        if "tender_allocations" in data:
            self._allot(data["tender_allocations"])
        return self._composition(amount, pieces, data.get("balance_effect", "credit"))

    def compose_again(self, legs: Sequence[RefundLeg], *, effect: str) -> Composition:
        """
        Work out once more what failed legs had been for.

        :raises RefundCannotBeRepeated: if one of the parts has less than that left.
        """
        amount = sum(leg.amount for leg in legs)
        parts = {part.id: part for part in [*self.remains.parts.lines, *self.remains.parts.charges]}
        parts |= {tax.id: tax for tax in self.remains.parts.taxes}
        pieces: dict[str, Piece] = {}
        for row in (row for leg in legs for row in leg.allocations.all()):
            if part_id := row.line_item_id or row.charge_id or row.tax_breakdown_id:
                adjustment = self.remains.adjustments.get(row.adjustment_id or "")
                piece = Piece(parts[part_id], 0, adjustment=adjustment)
                piece = pieces.setdefault(piece.key, piece)
                piece.amount += row.amount
                piece.quantity += row.quantity
        for adjustment in (row for leg in legs for row in leg.adjustments.all()):
            columns = {name: getattr(adjustment, name) for name in SAID}
            pieces[adjustment.line_item_id].withheld.append(Withheld(makeup_of_row(adjustment), columns))
        if not all(self._is_left(piece) for piece in pieces.values()):
            raise refusals.RefundCannotBeRepeated
        if amount > self.refundable:
            raise refusals.RefundCannotBeRepeated(maximum_money=self.order.money(self.refundable))
        return self._composition(amount, list(pieces.values()), effect)

    def compose_parts(self, amount: int, parts: Mapping[str, tuple[int, int]]) -> Composition:
        """
        Work out a refund of so much of each part, by id or ``tip``, with so many units; the rest names no part.

        :raises AmountExceedsRefundable, NothingToRefund, PaymentIntentDisputed: by the payments.
        """
        if not self.refundable:
            raise PaymentIntentDisputed if self.disputed else refusals.NothingToRefund
        self._refuse_more_than_is_left(amount, "amount_money")
        known = self._parts_by_id()
        pieces = []
        for part_id, (back, units) in parts.items():
            part = known.get(part_id, TIP)
            if isinstance(part, LineItem):
                units = min(units, part.remaining_quantity)
            pieces.append(Piece(part, back, units))
        return self._composition(amount, pieces, "credit")

    def left_of(self, part_id: str) -> int:
        """Return what can go back of a part, by id or ``tip``; nothing of what the order does not have."""
        if part_id == TIP:
            order = self.order
            return order.settled_tip_amount - order.tip_refunded_amount - order.tip_refund_pending_amount
        part = self._parts_by_id().get(part_id)
        return self.remains.left_of(part) if part is not None else 0

    def _parts_by_id(self) -> dict[str, LineItem | Charge | TaxBreakdown]:
        parts = self.remains.parts
        return {part.id: part for part in [*parts.lines, *parts.charges, *parts.flat_taxes]}

    def _is_left(self, piece: Piece) -> bool:
        """Whether a piece that had been given up can still be given back as it was."""
        part = piece.part
        if piece.adjustment:
            return piece.amount <= self.remains.withheld[piece.key].total
        if piece.automatic_amount > self.remains.left_of(part):
            return False
        if not isinstance(part, LineItem):
            return True
        net = self.remains.makeup_of(part).take(piece.automatic_amount)
        for each in piece.withheld:
            net -= each.makeup
        return (
            piece.quantity <= part.remaining_quantity and min(net.subtotal, net.discount, net.tax, net.inclusive) >= 0
        )

    def _composition(self, amount: int, pieces: list[Piece], effect: str) -> Composition:
        for piece in pieces:
            self._named[piece.key] += piece.automatic_amount
        targeted = sum(piece.amount for piece in pieces)
        composition = Composition(amount=amount, pieces=[*pieces, *self._untargeted(amount - targeted, effect)])
        self._lay_out(composition)
        return composition

    # The amount

    def _amount(self, data: Mapping[str, Any], pieces: Sequence[Piece]) -> int:
        targeted = sum(piece.amount for piece in pieces)
        allotted = self._allotted(data)
        if "amount_money" in data:
            amount = amount_in(self.order, data["amount_money"], "amount_money")
            self._refuse_targets_above(amount, pieces)
            if allotted is not None and allotted != amount:
                raise refusals.RefundAmountNotAllocated(
                    param="tender_allocations",
                    required_money=self.order.money(amount),
                    submitted_money=self.order.money(allotted),
                )
            return amount
        if allotted is not None:
            if targeted > allotted:
                raise refusals.RefundTargetsNotAllocated(
                    param="tender_allocations", required_money=self.order.money(targeted)
                )
            return allotted
        if sum(name in data for name in ("line_items", "charges", "tax_breakdown_refunds")) > 1:
            raise refusals.AmountRequiredForMixedRefundTargets(param="amount_money")
        return targeted if pieces else self.refundable

    def _allotted(self, data: Mapping[str, Any]) -> int | None:
        """Return what a request's split over the payments adds up to; it describes the whole refund."""
        if "tender_allocations" not in data:
            return None
        return sum(
            amount_in(self.order, row["amount_money"], f"tender_allocations[{index}].amount_money")
            for index, row in enumerate(data["tender_allocations"])
        )

    def _refuse_targets_above(self, amount: int, pieces: Sequence[Piece]) -> None:
        kinds: list[tuple[type, type[refusals.InvalidInput]]] = [
            (LineItem, refusals.LineItemTargetsExceedRefundAmount),
            (Charge, refusals.ChargeTargetsExceedRefundAmount),
            (TaxBreakdown, refusals.TaxBreakdownTargetsExceedRefundAmount),
        ]
        sums = [(sum(p.amount for p in pieces if isinstance(p.part, kind)), refusal) for kind, refusal in kinds]
        sums.append((sum(piece.amount for piece in pieces), refusals.RefundTargetsExceedRefundAmount))
        for targeted, refusal in sums:
            if targeted > amount:
                raise refusal(param="amount_money", required_money=self.order.money(targeted))

    def _refuse_more_than_is_left(self, amount: int, param: str | None) -> None:
        if amount > self.refundable:
            in_dispute = amount <= self.refundable + self.disputed
            raise (PaymentIntentDisputed if in_dispute else refusals.AmountExceedsRefundable)(
                param=param, maximum_money=self.order.money(self.refundable)
            )

    # Payments

    def _allot(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Have each payment give back what a request says, in its sequence."""
        allotted: list[tuple[PaymentOperation, int]] = []
        seen = set()
        for index, row in enumerate(rows):
            at, intent_id = f"tender_allocations[{index}]", row["payment_intent_id"]
            if intent_id in seen or self.payment_intent_id not in (None, intent_id):
                raise refusals.InvalidRefundTenderAllocation(param=f"{at}.payment_intent_id")
            seen.add(intent_id)
            tries = [(each, room) for each, room in self.tenders if each.payment_intent_id == intent_id]
            if not tries:
                known = self.remains.has_payment(intent_id)
                raise (refusals.PaymentIntentNotRefundable if known else refusals.RefundTenderNotFound)(
                    param=f"{at}.payment_intent_id"
                )
            amount, room = row["amount_money"].amount, sum(room for _, room in tries)
            if amount > room:
                in_dispute = amount <= room + sum(self.remains.open_claims[each.id] for each, _ in tries)
                raise (PaymentIntentDisputed if in_dispute else refusals.RefundTenderCapacityConflict)(
                    param=f"{at}.amount_money", maximum_money=self.order.money(room)
                )
            for operation, free in tries:
                allotted.append((operation, min(amount, free)))
                amount -= min(amount, free)
        self.tenders = allotted

    # What nobody named

    def _untargeted(self, amount: int, effect: str) -> list[Piece]:
        """
        Place what names no target: first what was collected beyond what is owed, then all paid parts in proportion.

        A payment correction takes back no part of the sale. Units go back only with a part's last money. Flat taxes,
        what earlier refunds withheld, and parts that nobody has paid for, come last.
        """
        pieces = []
        if surplus := min(amount, self.remains.surplus):
            pieces.append(Piece(SURPLUS, surplus))
        rest = amount - surplus
        if not rest:
            return pieces
        if effect == "reopen":
            return [*pieces, Piece(REOPENED, rest)]
        sources: dict[str, Piece] = {}
        open_parts: list[Part] = []
        for part in [*self.remains.parts.lines, *self.remains.parts.charges]:
            sources[part.id] = Piece(part, 0)
            left = self.remains.left_of(part) - self._named[part.id]
            open_parts.append(Part(part.id, left, last=not self.targets.is_paid(part)))
        sources[TIP] = Piece(TIP, 0)
        open_parts.append(Part(TIP, self.left_of(TIP) - self._named[TIP]))
        for tax in self.remains.parts.flat_taxes:
            sources[tax.id] = Piece(tax, 0)
            open_parts.append(Part(tax.id, tax.remaining_amount - self._named[tax.id], last=True))
        lines = {line.id: line for line in self.remains.parts.lines}
        for key, withheld in self.remains.withheld.items():
            adjustment = self.remains.adjustments[key]
            sources[key] = Piece(lines[adjustment.line_item_id], 0, adjustment=adjustment)
            open_parts.append(Part(key, withheld.total - self._named[key], last=True))
        for key, part_amount in spread(rest, open_parts).items():
            piece = sources[key]
            piece.amount = part_amount
            line = piece.part
            if isinstance(line, LineItem) and not piece.adjustment and not self._named[key]:
                is_the_last_of_it = part_amount == self.remains.left_of(line)
                piece.quantity = line.remaining_quantity if is_the_last_of_it else 0
            pieces.append(piece)
        return pieces

    # Rows

    def _lay_out(self, composition: Composition) -> None:
        """Put the pieces on the payments and write each row's composition."""
        operations = {operation.id: operation for operation, _ in self.tenders}
        merged: dict[str, list[Piece]] = defaultdict(list)
        for piece in composition.pieces:
            merged[piece.key].append(piece)
        amounts = {key: sum(piece.amount for piece in pieces) for key, pieces in merged.items()}
        makeups = self._makeups(composition.pieces)
        legs: dict[str, RefundLeg] = {}
        rooms = [Tender(operation.id, refundable) for operation, refundable in self.tenders]
        for operation_id, key, amount in over_tenders(list(amounts.items()), rooms):
            if operation_id not in legs:
                legs[operation_id] = self._leg(operations[operation_id], position=len(legs))
            leg = legs[operation_id]
            leg.amount += amount
            if key == TIP:
                leg.tip_amount += amount
            if key in NO_CREDIT:
                continue
            leg.credit_amount += amount
            amounts[key] -= amount
            row = self._row(RefundAllocation(leg=leg, amount=amount, position=len(composition.allocations)))
            self._describe(row, merged[key][0], makeups)
            composition.allocations.append(row)
            if not amounts[key]:
                row.quantity = sum(piece.quantity for piece in merged[key])
                composition.adjustments += self._adjustments(leg, merged[key])
        composition.legs = list(legs.values())

    def _leg(self, operation: PaymentOperation, *, position: int) -> RefundLeg:
        return self._row(
            RefundLeg(
                payment_intent=operation.payment_intent,
                operation=operation,
                position=position,
                amount=0,
                currency=self.order.currency,
            )
        )

    def _row(self, row):
        row.environment_id, row.order = self.order.environment_id, self.order
        return row

    def _makeups(self, pieces: Sequence[Piece]) -> dict[str, Makeup]:
        """Tell what goes back of each line, charge and adjustment in price, discount and tax, so that steps sum up."""
        left: dict[str, Makeup] = {}
        back: dict[str, Makeup] = defaultdict(Makeup)
        for piece in pieces:
            if piece.adjustment:
                left.setdefault(piece.key, self.remains.withheld[piece.key])
            elif isinstance(piece.part, LineItem | Charge):
                left.setdefault(piece.key, self.remains.makeup_of(piece.part))
            else:
                continue
            makeup = left[piece.key].take(piece.automatic_amount)
            left[piece.key] -= makeup
            for each in piece.withheld:
                makeup -= each.makeup
            back[piece.key] += makeup
        return back

    def _describe(self, row: RefundAllocation, piece: Piece, makeups: dict[str, Makeup]) -> None:
        """Say what a row gives back; a part that is on several payments is shared out over its rows."""
        part = piece.part
        if isinstance(part, TaxBreakdown):
            row.tax_breakdown, row.tax_amount = part, row.amount
            return
        if not isinstance(part, LineItem | Charge):
            return
        row.adjustment = piece.adjustment
        if isinstance(part, LineItem):
            row.line_item = part
        else:
            row.charge = part
        now = makeups[piece.key].take(row.amount)
        makeups[piece.key] -= now
        row.subtotal_amount, row.discount_amount = now.subtotal, now.discount
        row.tax_amount, row.inclusive_tax_amount = now.tax, now.inclusive

    def _adjustments(self, leg: RefundLeg, pieces: Sequence[Piece]) -> list[RefundAdjustment]:
        withheld = [(piece, each) for piece in pieces for each in piece.withheld]
        return [
            self._row(
                RefundAdjustment(
                    leg=leg,
                    line_item=piece.part,
                    position=position,
                    amount=each.makeup.total,
                    currency=self.order.currency,
                    subtotal_amount=each.makeup.subtotal,
                    discount_amount=each.makeup.discount,
                    tax_amount=each.makeup.tax,
                    inclusive_tax_amount=each.makeup.inclusive,
                    **each.columns,
                )
            )
            for position, (piece, each) in enumerate(withheld)
        ]
