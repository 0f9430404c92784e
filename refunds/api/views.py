"""The refund operations."""

from flint.api.fields import EnumField, ExternalReferenceField, IdField, StrictString
from flint.api.idempotency import idempotent
from flint.api.paging import paginate
from flint.api.queries import AmountFilter, CreatedFilter, Expand, ListQuery, Query, Several, UpdatedFilter
from flint.api.views import ApiView
from flint.errors import FlintError
from refunds import selectors, services
from refunds.api.inputs import CreateRefundInput, UpdateRefundInput
from refunds.api.outputs import EXPANDED, RefundOutput
from refunds.models import Reason, RefundStatus
from refunds.services.composing import refusals
from refunds.services.create_refund import TARGETS

TAX_OVERRIDES = "commerce.refunds.tax_overrides.write"
REFUSALS = [
    "ORDER_NOT_FOUND",
    "PAYMENT_INTENT_NOT_FOUND",
    "PAYMENT_INTENT_DISPUTED",
    "CURRENCY_MISMATCH",
    *(each.code for each in TARGETS.values()),
    *sorted(
        each.code
        for each in vars(refusals).values()
        if isinstance(each, type) and issubclass(each, FlintError) and each.__module__ == refusals.__name__
    ),
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
    query = StrictString(required=False)

    def apply(self, rows):
        rows = super().apply(rows)
        if "payment_intent_id" in self.values:
            rows = rows.filter(legs__payment_intent_id=self.values["payment_intent_id"]).distinct()
        if "query" in self.values:
            rows = selectors.matching(rows, self.values["query"])
        return rows


class ReadRefundQuery(Query):
    """How to show a refund."""

    expand = Expand(list(EXPANDED))


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
        data = self.validated()
        if any(line.get("tax_refund_mode") == "explicit" for line in data.get("line_items", [])):
            self._check_scopes(request, TAX_OVERRIDES)
        return self.reply(services.create_refund(data=data, actor=request.actor))


class RefundView(ApiView):
    tag = "Refunds"
    scopes = {"GET": "commerce.refunds.read", "PATCH": "commerce.refunds.write"}
    queries = {"GET": ReadRefundQuery}
    inputs = {"PATCH": UpdateRefundInput}
    outputs = {"GET": RefundOutput, "PATCH": RefundOutput}
    names = {"GET": "get_refund", "PATCH": "update_refund"}

    def get(self, request, refund_id: str):
        """Get a refund."""
        expand = self.query().expand
        for name in sorted(expand):
            self._check_scopes(request, EXPANDED[name])
        with_payments = any(name.endswith("payment_intent") for name in expand)
        return self.reply(selectors.read_refund(refund_id, actor=request.actor, with_payments=with_payments))

    @idempotent
    def patch(self, request, refund_id: str):
        """Change a refund's metadata. Nothing else about a refund can be changed."""
        return self.reply(services.update_refund(refund_id, data=self.validated(), actor=request.actor))
