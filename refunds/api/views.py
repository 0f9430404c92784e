"""The refund operations."""

from flint.api.fields import EnumField, ExternalReferenceField, IdField, StrictString
from flint.api.idempotency import idempotent
from flint.api.paging import paginate
from flint.api.queries import AmountFilter, CreatedFilter, ListQuery, Several, UpdatedFilter
from flint.api.views import ApiView
from refunds import selectors, services
from refunds.api.inputs import CreateRefundInput
from refunds.api.outputs import RefundOutput
from refunds.models import Reason, RefundStatus

REFUSALS = [
    "MISSING_REQUIRED_FIELD",
    "ORDER_NOT_FOUND",
    "PAYMENT_INTENT_NOT_FOUND",
    "PAYMENT_INTENT_NOT_REFUNDABLE",
    "PAYMENT_INTENT_DISPUTED",
    "NO_PAYMENTS_FOR_ORDER",
    "ORDER_REQUIRED_FOR_LINE_ITEM_REFUND",
    "ORDER_REQUIRED_FOR_CHARGE_REFUND",
    "NOTHING_TO_REFUND",
    "NOTHING_TO_REFUND_FOR_LINE_ITEM",
    "NOTHING_TO_REFUND_FOR_CHARGE",
    "AMOUNT_EXCEEDS_REFUNDABLE",
    "AMOUNT_REQUIRED_FOR_MIXED_REFUND_TARGETS",
    "REFUND_TARGETS_EXCEED_REFUND_AMOUNT",
    "LINE_ITEM_NOT_ON_ORDER",
    "CHARGE_NOT_ON_ORDER",
    "DUPLICATE_LINE_ITEM_TARGET",
    "DUPLICATE_CHARGE_TARGET",
    "LINE_ITEM_REFUND_TARGET_AMBIGUOUS",
    "LINE_ITEM_REFUND_QUANTITY_EXCEEDS_REFUNDABLE",
    "LINE_ITEM_REFUND_AMOUNT_EXCEEDS_REFUNDABLE",
    "CHARGE_REFUND_AMOUNT_EXCEEDS_REFUNDABLE",
    "CURRENCY_MISMATCH",
]


class RefundQuery(CreatedFilter, UpdatedFilter, AmountFilter, ListQuery):
    """Filters of the list of refunds."""

    amount_column = "amount"
    sorts = {"created_at": "created_at", "updated_at": "updated_at", "amount": "amount"}

    order_id = IdField("ord", required=False, lookup="order_id")
    payment_intent_id = IdField("pi", required=False)
    customer_id = IdField("cus", required=False, lookup="order__customer_id")
    status = EnumField(RefundStatus.values, required=False, code="INVALID_REFUND_STATUS", lookup="status")
    reason = Several(Reason.values, code="INVALID_REFUND_REASON", lookup="reason__in")
    refund_method = EnumField(["original_payment"], required=False, code="INVALID_REFUND_METHOD")
    currency = StrictString(required=False, pattern=r"^[A-Z]{3}$", code="INVALID_CURRENCY", lookup="currency")
    external_reference_id = ExternalReferenceField(required=False, lookup="external_reference_id")

    def apply(self, rows):
        rows = super().apply(rows)
        if "payment_intent_id" in self.values:
            rows = rows.filter(legs__payment_intent_id=self.values["payment_intent_id"]).distinct()
        return rows


class RefundCollection(ApiView):
    tag = "Refunds"
    scopes = {"GET": "commerce.refunds.read", "POST": "commerce.refunds.write"}
    inputs = {"POST": CreateRefundInput}
    queries = {"GET": RefundQuery}
    outputs = {"GET": [RefundOutput], "POST": RefundOutput}
    statuses = {"POST": 201}
    codes = {"POST": REFUSALS}
    names = {"GET": "list_refunds", "POST": "create_refund"}

    def get(self, request):
        """List refunds, newest first."""
        return self.reply_page(paginate(selectors.readable(request.actor), self.query()))

    @idempotent
    def post(self, request):
        """
        Create a refund.

        The money is reserved at once and counts as refunded when the processor has given it back. A refund that fails,
        even days later, frees what it had reserved.
        """
        return self.reply(services.create_refund(data=self.validated(), actor=request.actor))


class RefundView(ApiView):
    tag = "Refunds"
    scopes = {"GET": "commerce.refunds.read"}
    outputs = {"GET": RefundOutput}
    names = {"GET": "get_refund"}

    def get(self, request, refund_id: str):
        """Get a refund."""
        return self.reply(selectors.read_refund(refund_id, actor=request.actor))
