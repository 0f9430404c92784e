"""What the processor keeps for the merchant, what moved it, and what was paid out. All of it is for reading."""

from typing import Any

from flint.api.fields import EnumField, IdField, SignedMoneyField, StrictString, TimestampField
from flint.api.paging import Page, paginate
from flint.api.queries import CreatedFilter, Expand, ListQuery, Query
from flint.api.serializers import Output
from flint.api.views import ApiView
from flint.money import Money
from orders.api.serializers import Filled
from payments import balances
from payments.api.outputs import OrderSummaryOutput
from payments.models import BalanceTransaction, Payout
from payments.models.balances import InitiatedBy, PayoutStatus, ReversalStatus

TYPES = ["payment", "refund", "dispute", "dispute_reversal", "return", "recovery", "payout", "payout_failure"]
TYPES += ["payout_cancellation", "payout_reversal", "payout_advance", "payout_advance_funding", "reserve_hold"]
TYPES += ["reserve_release", "payout_hold", "payout_hold_release", "adjustment", "merchant_billing_payment"]
TYPES += ["merchant_billing_payment_reversal"]
"""The contract's types; those of features that do not exist here are never shown, but may be asked for."""

STATUSES = ["pending", "available", "reserved", "reversed", "failed", "superseded"]
RELATED_TYPES = ["payment_intent", "refund", "dispute", "payout"]


class BalanceOutput(Output):
    """What the processor keeps in one currency at this moment. Below zero is owed to it."""

    currency = StrictString()
    available_money = SignedMoneyField()
    pending_money = SignedMoneyField()


class RelatedResourceOutput(Output):
    """What a movement is about: its type, and its id under the name of that type."""

    type = EnumField(RELATED_TYPES)
    payment_intent_id = IdField("pi", required=False)
    refund_id = IdField("ref", required=False)
    dispute_id = IdField("dsp", required=False)
    payout_id = IdField("po", required=False)


class BalanceTransactionOutput(Output):
    """
    One movement of the balance: gross, fee and net, where net is gross less the fee.

    What it relates to is absent while nothing here is known to be behind it.
    """

    expandable = {"order"}

    balance_transaction_id = IdField("btx", source="id")
    merchant_id = IdField("mer", source="environment.merchant_id")
    type = EnumField(TYPES)
    status = EnumField(STATUSES)
    currency = StrictString()
    amount_money = SignedMoneyField(source="money")
    fee_money = SignedMoneyField()
    net_money = SignedMoneyField()
    occurred_at = TimestampField()
    available_at = TimestampField(required=False)
    order_id = IdField("ord", required=False, source="shown.order_id")
    order = OrderSummaryOutput(required=False, allow_null=True, source="shown.order")
    payout_id = IdField("po", required=False)
    related_resource = RelatedResourceOutput(required=False, source="shown.related")
    description = Filled("description")

    def to_representation(self, instance: BalanceTransaction) -> dict[str, Any]:
        # The hidden order of a payment that was taken without one is nobody's to see.
        order = None if instance.order is None or instance.order.is_hidden else instance.order
        related = {"type": instance.related_type, f"{instance.related_type}_id": instance.related_id}
        instance.shown = {
            "order": order,
            "order_id": order and order.id,
            "related": related if instance.related_type else None,
        }
        return super().to_representation(instance)


class PayoutOutput(Output):
    """Money on its way to the merchant's bank. The amount is below zero when it was collected from there."""

    payout_id = IdField("po", source="id")
    merchant_id = IdField("mer", source="environment.merchant_id")
    status = EnumField(PayoutStatus.values)
    reversal_status = EnumField(ReversalStatus.values)
    initiated_by = EnumField([*InitiatedBy.values, "platform"])
    amount_money = SignedMoneyField(source="money")
    currency = StrictString()
    fee_amount_status = EnumField(["estimated", "final", "not_applicable"], source="shown.fee_amount_status")
    failure_code = Filled("failure_code")
    failure_message = Filled("failure_message")
    description = Filled("description")
    expected_arrival_at = TimestampField(required=False, source="arrives_at")
    paid_at = TimestampField(required=False)
    failed_at = TimestampField(required=False)
    created_at = TimestampField(source="made_at")
    updated_at = TimestampField()

    def to_representation(self, instance: Payout) -> dict[str, Any]:
        # What a payout costs, if anything, is a movement of its own.
        instance.shown = {"fee_amount_status": "not_applicable"}
        return super().to_representation(instance)


class BalanceQuery(Query):
    """Which balances to show."""

    currency = StrictString(required=False, pattern="[A-Z]{3}", code="INVALID_CURRENCY")


class MadeFilter(CreatedFilter):
    """``created_after`` and ``created_before``, by the processor's own time."""

    made_column = "occurred_at"

    def get_fields(self):
        fields = super().get_fields()
        fields["created_after"].lookup = f"{self.made_column}__gte"
        fields["created_before"].lookup = f"{self.made_column}__lt"
        return fields


class BalanceTransactionQuery(MadeFilter, ListQuery):
    """Which movements to list. ``available_after`` is inclusive, ``available_before`` exclusive."""

    default_sort = "occurred_at"

    currency = StrictString(required=False, pattern="[A-Z]{3}", code="INVALID_CURRENCY", lookup="currency")
    type = EnumField(TYPES, required=False, lookup="type")
    status = EnumField(STATUSES, required=False, lookup="status")
    related_object_type = EnumField(RELATED_TYPES, required=False, lookup="related_type")
    related_object_id = StrictString(required=False, max_length=40, lookup="related_id")
    available_after = TimestampField(required=False, lookup="available_at__gte")
    available_before = TimestampField(required=False, lookup="available_at__lt")


class ReadBalanceTransactionQuery(Query):
    """How to show a movement."""

    expand = Expand(["order"])


class PayoutQuery(MadeFilter, ListQuery):
    """Which payouts to list."""

    made_column = "made_at"
    default_sort = "made_at"

    status = EnumField(PayoutStatus.values, required=False, lookup="status")
    currency = StrictString(required=False, pattern="[A-Z]{3}", code="INVALID_CURRENCY", lookup="currency")


class EntryQuery(ListQuery):
    """The entries of a payout, oldest first."""

    default_sort = "occurred_at"
    default_direction = "asc"


class BalanceCollection(ApiView):
    tag = "Money movement"
    scopes = {"GET": "money_movement.balances.read"}
    queries = {"GET": BalanceQuery}
    outputs = {"GET": [BalanceOutput]}
    names = {"GET": "list_balances"}
    codes = {"GET": ["BALANCE_SNAPSHOT_UNAVAILABLE"]}

    def get(self, request):
        """Get what the processor keeps for the merchant at this moment, by currency."""
        kept = balances.snapshot(actor=request.actor, currency=self.query().values.get("currency"))
        shown = [
            {
                "currency": state.currency,
                "available_money": Money(state.available_amount, state.currency),
                "pending_money": Money(state.pending_amount, state.currency),
            }
            for state in kept
        ]
        return self.reply_page(Page(shown))


class BalanceTransactionCollection(ApiView):
    tag = "Money movement"
    scopes = {"GET": "money_movement.balance_transactions.read"}
    queries = {"GET": BalanceTransactionQuery}
    outputs = {"GET": [BalanceTransactionOutput]}
    names = {"GET": "list_balance_transactions"}

    def get(self, request):
        """List the movements of the balance, newest first."""
        return self.reply_page(paginate(balances.readable(request.actor), self.query()))


class BalanceTransactionView(ApiView):
    tag = "Money movement"
    scopes = {"GET": "money_movement.balance_transactions.read"}
    queries = {"GET": ReadBalanceTransactionQuery}
    outputs = {"GET": BalanceTransactionOutput}
    names = {"GET": "get_balance_transaction"}
    codes = {"GET": ["BALANCE_TRANSACTION_NOT_FOUND"]}

    def get(self, request, balance_transaction_id: str):
        """Get a movement of the balance."""
        if "order" in self.query().expand:
            self._check_scopes(request, "commerce.orders.read")
        return self.reply(balances.readable(request.actor).find(id=balance_transaction_id))


class PayoutCollection(ApiView):
    tag = "Money movement"
    scopes = {"GET": "money_movement.payouts.read"}
    queries = {"GET": PayoutQuery}
    outputs = {"GET": [PayoutOutput]}
    names = {"GET": "list_payouts"}

    def get(self, request):
        """List payouts, newest first."""
        return self.reply_page(paginate(balances.payouts(request.actor), self.query()))


class PayoutView(ApiView):
    tag = "Money movement"
    scopes = {"GET": "money_movement.payouts.read"}
    outputs = {"GET": PayoutOutput}
    names = {"GET": "get_payout"}
    codes = {"GET": ["PAYOUT_NOT_FOUND"]}

    def get(self, request, payout_id: str):
        """Get a payout."""
        return self.reply(balances.payouts(request.actor).find(id=payout_id))


class PayoutEntryCollection(ApiView):
    tag = "Money movement"
    scopes = {"GET": "money_movement.payouts.read"}
    queries = {"GET": EntryQuery}
    outputs = {"GET": [BalanceTransactionOutput]}
    names = {"GET": "list_payout_entries"}
    codes = {"GET": ["PAYOUT_NOT_FOUND", "PAYOUT_ENTRIES_UNAVAILABLE"]}

    def get(self, request, payout_id: str):
        """
        List the movements that a payout paid out, oldest first. Their net amounts sum up to it.

        Of a payout made by hand no processor says what it consists of.
        """
        return self.reply_page(paginate(balances.entries(payout_id, actor=request.actor), self.query()))
