"""What is told of refunds and disputes, and of the order that money went back on."""

from typing import Any

from flint.api.serializers import shared
from flint.events.webhooks import Fact, tells
from flint.money import Money
from orders import webhooks as changes
from orders.webhooks import BASE, READ, base_of, order_after
from payments.webhooks import INTENT_ID, TEN
from refunds import selectors
from refunds.api.disputes import DisputeOutput
from refunds.api.outputs import RefundOutput

REFUND_READ = "commerce.refunds.read"
DISPUTE_READ = "payments.disputes.read"

STAMP = {"resource_updated_at": "2026-09-07T12:00:00.000Z"}
REFUND = {
    "refund_id": "ref_01J9Z6W2V7Q0M3T8K4B5N6P7R8",
    "order_id": BASE["order_id"],
    "payment_intent_id": INTENT_ID,
    "status": "pending",
    "amount_money": TEN,
    **STAMP,
}
DISPUTE = {
    "dispute_id": "dsp_01J9Z6W2V7Q0M3T8K4B5N6P7R8",
    "order_id": BASE["order_id"],
    "payment_intent_id": INTENT_ID,
    "status": "needs_response",
    "case_type": "chargeback",
    "reason": "fraudulent",
    "amount_money": TEN,
    **STAMP,
}

REFUND_UPDATES = ("refund.updated", "refund.succeeded", "refund.explained", "refund.canceled")
"""There is no type for a refund that succeeded: that is an update which says so."""

DISPUTE_UPDATES = (
    "dispute.updated",
    "dispute.funds_withdrawn",
    "dispute.funds_reinstated",
    "dispute.written_off",
    "dispute.collected_again",
    "dispute.loss_noted",
)


def one_change(fact: Fact) -> str:
    """Name what the events of one change have in common, of the refund or dispute that they are about."""
    return f"{fact.event.subject_id} {changes.one_change(fact).rpartition(' ')[2]}"


def refund_of(fact: Fact) -> dict[str, Any]:
    """Return the refund that a fact is about, as the API shows it now."""
    refund = fact.once("refund", fact.event.subject_id, lambda key: selectors.read_refund(key, actor=fact.actor))
    shown = shared(RefundOutput).to_representation(refund)
    shown.pop("idempotency_key", None)
    return {**shown, "resource_updated_at": refund.updated_at}


@tells("refund.created", on="refund.created", resource="refund", scope=REFUND_READ, sample=REFUND)
def refund_created(fact: Fact) -> dict:
    return refund_of(fact)


@tells(
    "refund.updated",
    on=REFUND_UPDATES,
    resource="refund",
    scope=REFUND_READ,
    sample={**REFUND, "status": "succeeded"},
    fact=one_change,
)
def refund_updated(fact: Fact) -> dict:
    return refund_of(fact)


@tells(
    "refund.failed",
    on="refund.failed",
    resource="refund",
    scope=REFUND_READ,
    sample={**REFUND, "status": "failed", "failure_reason": "declined"},
)
def refund_failed(fact: Fact) -> dict:
    return refund_of(fact)


REFUNDED = {
    **BASE,
    "payment_status": "paid",
    "refund_status": "refunded",
    "refund_id": REFUND["refund_id"],
    "amount_money": TEN,
    "refunded_money": TEN,
}


@tells("order.refunded", on="refund.succeeded", resource="order", scope=READ, sample=REFUNDED)
def order_refunded(fact: Fact) -> dict | None:
    """Told of every refund that went through, in part or whole; ``refund_status`` says which of the two it is."""
    order = order_after(fact)
    return order and {
        **base_of(order),
        "refund_id": fact.event.subject_id,
        "amount_money": Money(fact.event.data["amount"], fact.event.currency),
        "refunded_money": order.money(order.refunded_amount),
    }


def _tell_dispute(word: str, causes: tuple[str, ...]) -> None:
    @tells(f"dispute.{word}", on=causes, resource="dispute", scope=DISPUTE_READ, sample=DISPUTE, fact=one_change)
    def told(fact: Fact) -> dict:
        dispute = fact.once("dispute", fact.event.subject_id, lambda key: selectors.disputes(fact.actor).get(id=key))
        return {**shared(DisputeOutput).to_representation(dispute), "resource_updated_at": dispute.updated_at}


_tell_dispute("updated", DISPUTE_UPDATES)
for _word in ("created", "needs_response", "prevented", "warning_closed", "won", "lost", "closed"):
    _tell_dispute(_word, (f"dispute.{_word}",))
