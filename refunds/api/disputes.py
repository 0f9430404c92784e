"""Disputes over the wire: read only, since evidence is handed in at the processor."""

from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from flint.api.fields import (
    EnumField,
    IdField,
    MetadataField,
    MoneyField,
    StrictBoolean,
    StrictInteger,
    StrictString,
    TimestampField,
)
from flint.api.paging import paginate
from flint.api.queries import CreatedFilter, Expand, ListQuery, Query
from flint.api.serializers import Output
from flint.api.views import ApiView
from flint.money import Money
from orders.api.serializers import CustomerSummaryOutput, extend_order
from orders.api.serializers.fields import Derived
from payments.api.outputs import OrderSummaryOutput, PaymentIntentSummaryOutput
from refunds import selectors
from refunds.models import Dispute
from refunds.models.disputes import ASKS_FOR_A_RESPONSE, CaseType, Decision, DisputeReason, DisputeStatus

READ = "payments.disputes.read"
EXPANDED = {
    "customer": "customers.read",
    "order": "commerce.orders.read",
    "payment_intent": "payments.payment_intents.read",
}
"""What a dispute can be expanded by, and the scope that each of it needs as well."""


class DisputeOutput(Output):
    """
    A payment that a customer or a bank takes back.

    `withdrawn_money`, `charged_back_money` and `decision` are additions of Flint's: what the processor holds back now,
    how much of it counts on the order, and what the merchant's staff made of the debt.
    """

    expandable = set(EXPANDED)

    dispute_id = IdField("dsp", source="id")
    merchant_id = IdField("mer", source="environment.merchant_id")
    order_id = IdField("ord", required=False, source="shown.order_id")
    payment_intent_id = IdField("pi", required=False)
    customer_id = IdField("cus", required=False, source="order.customer_id")
    amount_money = MoneyField(source="money")
    withdrawn_money = MoneyField(source="shown.withdrawn_money")
    charged_back_money = MoneyField(source="shown.charged_back_money")
    status = EnumField(DisputeStatus.values)
    case_type = EnumField(CaseType.values)
    reason = EnumField(DisputeReason.values)
    decision = EnumField(Decision.values, required=False, source="shown.decision")
    payment_option = StrictString(required=False, source="shown.payment_option")
    action_required = StrictBoolean(source="is_answerable")
    has_evidence = StrictBoolean()
    evidence_response_allowed = StrictBoolean(source="is_answerable")
    response_unavailable_reason = EnumField(
        ["bank_return_not_contestable", "provider_response_unavailable"],
        required=False,
        source="shown.response_unavailable_reason",
    )
    evidence_submission_count = StrictInteger(minimum=0)
    evidence_due_at = TimestampField(required=False, allow_null=True)
    evidence_deadline_passed = StrictBoolean(source="shown.evidence_deadline_passed")
    evidence_submission_past_due = StrictBoolean(source="is_evidence_past_due")
    metadata = MetadataField(source="shown.metadata")
    status_changed_at = TimestampField(required=False)
    created_at = TimestampField()
    updated_at = TimestampField()
    customer = CustomerSummaryOutput(required=False, allow_null=True, source="order.customer")
    order = OrderSummaryOutput(required=False, allow_null=True, source="shown.order")
    payment_intent = PaymentIntentSummaryOutput(required=False, allow_null=True)

    def to_representation(self, instance: Dispute) -> dict[str, Any]:
        instance.shown = _shown(instance)
        return super().to_representation(instance)


def _shown(dispute: Dispute) -> dict[str, Any]:
    leg, order = dispute.payment_intent, dispute.order
    due = dispute.evidence_due_at
    unavailable = None
    if dispute.case_type == CaseType.BANK_RETURN:
        unavailable = "bank_return_not_contestable"
    elif dispute.status in ASKS_FOR_A_RESPONSE and not dispute.is_answerable:
        unavailable = "provider_response_unavailable"
    return {
        "order_id": None if order.is_hidden else order.id,
        "order": None if order.is_hidden else order,
        "withdrawn_money": Money(dispute.withdrawn_amount, leg.currency),
        "charged_back_money": Money(dispute.charged_back_amount, leg.currency),
        "decision": dispute.decision or None,
        "payment_option": leg.source_type or None,
        "response_unavailable_reason": unavailable,
        "evidence_deadline_passed": due is not None and due <= timezone.now(),
        "metadata": {},
    }


class DisputeQuery(CreatedFilter, ListQuery):
    """Which disputes to list. ``evidence_due_after`` is inclusive, ``evidence_due_before`` exclusive."""

    payment_intent_id = IdField("pi", required=False, lookup="payment_intent_id")
    order_id = IdField("ord", required=False)
    customer_id = IdField("cus", required=False, lookup="order__customer_id")
    status = EnumField(DisputeStatus.values, required=False, code="INVALID_DISPUTE_STATUS", lookup="status")
    reason = EnumField(DisputeReason.values, required=False, code="INVALID_DISPUTE_REQUEST", lookup="reason")
    case_type = EnumField(CaseType.values, required=False, code="INVALID_CASE_TYPE", lookup="case_type")
    evidence_due_after = TimestampField(required=False, code="INVALID_DISPUTE_REQUEST", lookup="evidence_due_at__gte")
    evidence_due_before = TimestampField(required=False, code="INVALID_DISPUTE_REQUEST", lookup="evidence_due_at__lt")

    def validate(self, attrs):
        low, high = attrs.get("evidence_due_after"), attrs.get("evidence_due_before")
        if low and high and low > high:
            self.refuse(
                "INVALID_DISPUTE_REQUEST",
                "evidence_due_after is not greater than evidence_due_before.",
                "evidence_due_after",
            )
        return super().validate(attrs)

    def apply(self, rows: QuerySet) -> QuerySet:
        rows = super().apply(rows)
        if "order_id" in self.values:
            rows = rows.filter(order_id=self.values["order_id"], order__is_hidden=False)
        return rows


class ReadDisputeQuery(Query):
    """How to show a dispute."""

    expand = Expand(list(EXPANDED))


class DisputeCollection(ApiView):
    tag = "Disputes"
    scopes = {"GET": READ}
    queries = {"GET": DisputeQuery}
    outputs = {"GET": [DisputeOutput]}
    names = {"GET": "list_disputes"}

    def get(self, request):
        """List disputes, newest first."""
        return self.reply_page(paginate(selectors.disputes(request.actor), self.query()))


class DisputeView(ApiView):
    tag = "Disputes"
    scopes = {"GET": READ}
    queries = {"GET": ReadDisputeQuery}
    outputs = {"GET": DisputeOutput}
    names = {"GET": "get_dispute"}
    codes = {"GET": ["DISPUTE_NOT_FOUND"]}

    def get(self, request, dispute_id: str):
        """Get a dispute."""
        for name in sorted(self.query().expand):
            self._check_scopes(request, EXPANDED[name])
        return self.reply(selectors.disputes(request.actor).find(id=dispute_id))


# Only an order that waits for a decision says so.
extend_order(
    is_collection_blocked=Derived(lambda order: order.is_collection_blocked or None, StrictBoolean(), required=False)
)
