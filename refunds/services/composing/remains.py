"""What is left of a locked order to give back: of its parts, of what earlier refunds withheld, and of its payments."""

from collections import defaultdict
from typing import Any

from django.db.models import Q, Sum

from orders.models import Charge, LineItem, Order, TaxBreakdown
from orders.services import pricing
from orders.splitting import Makeup
from payments.models import PaymentIntent, PaymentOperation
from refunds.models import UNSETTLED, RefundAdjustment, RefundAllocation, RefundLeg
from refunds.services.composing.refusals import NoPaymentsForOrder, PaymentIntentNotRefundable
from refunds.services.disputes.contesting import Claim, claims_on

LIVE = [*UNSETTLED, "succeeded"]


class Remains:
    """Reads what is left when it is made. Promises count as gone, so that whatever becomes of them, the caps hold."""

    def __init__(self, order: Order, *, is_made: bool = False):
        """``is_made``: for a refund that has happened already, so that what is disputed cannot stand in its way."""
        self.order = order
        self.parts = self._parts()
        self.adjustments: dict[str, RefundAdjustment] = {}
        self.withheld: dict[str, Makeup] = {}
        self._gone = self._live_allocations()
        self._given = self._live_legs()
        self.surplus = self._surplus()
        self._is_made = is_made
        self.open_claims: dict[str, int] = {}

    # Parts

    def left_of(self, part: LineItem | Charge | TaxBreakdown) -> int:
        """Return what of a part can go back by itself: what was withheld of it only goes back by name, or last."""
        withheld = sum(
            left.total for key, left in self.withheld.items() if self.adjustments[key].line_item_id == part.id
        )
        return part.remaining_amount - withheld

    def makeup_of(self, part: LineItem | Charge) -> Makeup:
        """Return what is left of a part in price, discount and tax."""
        gross = part.subtotal_amount if isinstance(part, LineItem) else part.applied_amount
        on_top = part.tax_amount - part.inclusive_tax_amount
        return Makeup(gross, part.discount_amount, on_top, part.inclusive_tax_amount) - self._gone[part.id]

    def _parts(self) -> pricing.Parts:
        lines, charges, taxes = (
            list(model.objects.filter(order_id=self.order.id).order_by("position"))
            for model in (LineItem, Charge, TaxBreakdown)
        )
        return pricing.Parts(lines=lines, charges=charges, taxes=taxes)

    def _live_allocations(self) -> dict[str, Makeup]:
        """
        Sum what refunds that stand or are promised have taken of each part, and what is still withheld.

        What pays out an adjustment comes out of what that withheld, which has left the part already. Should the refund
        that withheld it fail after all, it comes out of the part.
        """
        adjustments = RefundAdjustment.objects.filter(order_id=self.order.id, leg__status__in=LIVE)
        self.adjustments = {each.id: each for each in adjustments.order_by("leg_id", "position")}
        gone: dict[str, Makeup] = defaultdict(Makeup)
        for each in self.adjustments.values():
            self.withheld[each.id] = makeup_of_row(each)
            gone[each.line_item_id] += self.withheld[each.id]
        rows = (
            RefundAllocation.objects.filter(order_id=self.order.id, leg__status__in=LIVE)
            .exclude(leg__is_correction=True)
            .values("line_item_id", "charge_id", "adjustment_id")
            .annotate(
                subtotal=Sum("subtotal_amount"),
                discount=Sum("discount_amount"),
                tax=Sum("tax_amount"),
                inclusive=Sum("inclusive_tax_amount"),
            )
        )
        for row in rows:
            makeup = Makeup(row["subtotal"], row["discount"], row["tax"], row["inclusive"])
            if row["adjustment_id"] in self.withheld:
                self.withheld[row["adjustment_id"]] -= makeup
            elif key := row["line_item_id"] or row["charge_id"]:
                gone[key] += makeup
        return gone

    # Payments

    def tenders(
        self, *, payment_intent_id: str | None = None, operation_ids: list[str] | None = None
    ) -> list[tuple[PaymentOperation, int]]:
        """
        Return the payments that captured money, newest settled first, each with what it can still give back.

        Those in dispute come last: the processor may refuse to refund even the rest of them.

        :raises PaymentIntentNotRefundable, NoPaymentsForOrder: if none has captured any.
        """
        operations = (
            PaymentOperation.objects.filter(payment_intent__order_id=self.order.id, kind="confirm")
            .exclude(captured_amount=0)
            .select_related("payment_intent")
            .order_by("-payment_intent__captured_at", "-created_at", "-id")
        )
        given = {row["operation_id"]: row["total"] for row in self._given}
        claims = {} if self._is_made else claims_on(operations)
        tenders = []
        for operation in operations:
            if payment_intent_id and operation.payment_intent_id != payment_intent_id:
                continue
            if operation_ids is not None and operation.id not in operation_ids:
                continue
            claim = claims.get(operation.id, Claim())
            free = operation.captured_amount - given.get(operation.id, 0) - claim.taken
            free = min(free, operation.payment_intent.refundable_amount) - claim.contested
            self.open_claims[operation.id] = claim.open
            tenders.append((operation, max(free, 0)))
        if payment_intent_id and not tenders:
            raise PaymentIntentNotRefundable
        if not tenders:
            raise NoPaymentsForOrder
        return sorted(tenders, key=lambda tender: tender[0].id in claims and claims[tender[0].id].open > 0)

    def has_payment(self, payment_intent_id: str) -> bool:
        return PaymentIntent.objects.filter(order_id=self.order.id, id=payment_intent_id).exists()

    def _live_legs(self) -> list[dict[str, Any]]:
        """Sum what refunds that stand or are promised have taken of each payment."""
        rows = RefundLeg.objects.filter(order_id=self.order.id, status__in=LIVE)
        is_pending = Q(status__in=UNSETTLED)
        return list(
            rows.values("operation_id").annotate(
                total=Sum("amount"),
                pending=Sum("amount", filter=is_pending, default=0),
                pending_credit=Sum("credit_amount", filter=is_pending, default=0),
            )
        )

    def _surplus(self) -> int:
        """Return what was collected beyond what is owed, less what pending refunds already give back of it."""
        reopening = sum(row["pending"] - row["pending_credit"] for row in self._given)
        return max(-(self.order.balance_amount + reopening), 0)


def makeup_of_row(row: RefundAdjustment | RefundAllocation) -> Makeup:
    """Return what an amount on a row is made of."""
    return Makeup(row.subtotal_amount, row.discount_amount, row.tax_amount, row.inclusive_tax_amount)
