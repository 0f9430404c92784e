"""Stripe's disputes in the words of the processor contract: what is claimed, why, and what is held back for it."""

from collections.abc import Mapping
from typing import Any

from flint.money import half_up
from payments.processors.base import DisputeState, DisputeStatus, DoesNotFit
from payments.processors.stripe import mapping
from payments.processors.stripe.models import StripeAccount
from payments.processors.stripe.states import belonging, id_of, moment

SHOWN = ["charge"]
"""
What a dispute brings along. Only its charge tells which environment the payment was made for and in which currency:
Stripe copies a PaymentIntent's metadata to its charges, and never to a dispute.
"""

STATUSES: dict[str, DisputeStatus] = {
    "warning_needs_response": "warning_needs_response",
    "warning_under_review": "warning_under_review",
    "warning_closed": "warning_closed",
    "needs_response": "needs_response",
    "under_review": "under_review",
    # A decision that is appealed is open again; the contract has no words of its own for that.
    "appeal_needs_response": "needs_response",
    "appeal_under_review": "under_review",
    "won": "won",
    "lost": "lost",
    "prevented": "prevented",
}

REASONS = frozenset(
    {
        "bank_cannot_process",
        "check_returned",
        "credit_not_processed",
        "customer_initiated",
        "debit_not_authorized",
        "duplicate",
        "fraudulent",
        "general",
        "incorrect_account_details",
        "insufficient_funds",
        "noncompliant",
        "product_not_received",
        "product_unacceptable",
        "subscription_canceled",
        "unrecognized",
    }
)
"""Stripe's reasons, which the contract has under the same names; whatever else it says is ``other``."""

CASE_TYPES = frozenset({"block", "chargeback", "compliance", "inquiry", "resolution"})
BANK_DEBITS = frozenset(
    {"acss_debit", "au_becs_debit", "bacs_debit", "nz_bank_account", "sepa_debit", "us_bank_account"}
)
BANK_REASONS = frozenset(
    {"bank_cannot_process", "check_returned", "debit_not_authorized", "incorrect_account_details", "insufficient_funds"}
)

ALL_GIVEN_BACK = frozenset({"won", "warning_closed", "prevented"})
WITHDRAWALS = frozenset({"dispute", "dispute_reversal"})


def dispute_state(account: StripeAccount, dispute: Mapping[str, Any], *, of_any: bool = False) -> DisputeState:
    """
    Return a Dispute as the contract has it.

    :raises DoesNotFit: if it is of the other mode, in a state this adapter does not know, or about a payment of another
        environment and not ``of_any``.
    """
    belonging(account, dispute, of_any=True)
    charge = dispute.get("charge")
    charge = charge if isinstance(charge, Mapping) else {}
    _, environment_id = belonging(account, {"id": dispute["id"], "metadata": charge.get("metadata")}, of_any=of_any)
    if dispute["status"] not in STATUSES:
        raise DoesNotFit(f"{dispute['id']} is {dispute['status']}")
    reason = dispute.get("reason")
    evidence = dispute.get("evidence_details") or {}
    return DisputeState(
        reference=dispute["id"],
        status=STATUSES[dispute["status"]],
        money=mapping.from_stripe(dispute["amount"], dispute["currency"]),
        withdrawn_amount=_withdrawn(dispute, charge),
        environment_id=environment_id,
        payment_reference=id_of(dispute.get("payment_intent")) or id_of(charge.get("payment_intent")),
        reason=reason if reason in REASONS else "other",
        case_type=_case_type(dispute, charge),
        # Stripe writes 0 where the bank takes no answer.
        evidence_due_at=moment(evidence.get("due_by")),
        has_evidence=bool(evidence.get("has_evidence")),
        evidence_submission_count=evidence.get("submission_count") or 0,
        is_evidence_past_due=bool(evidence.get("past_due")),
        created_at=moment(dispute.get("created")),
    )


def _case_type(dispute: Mapping[str, Any], charge: Mapping[str, Any]) -> str:
    if dispute["status"].startswith("warning_"):
        return "inquiry"
    details = dispute.get("payment_method_details") or {}
    case_type = (details.get("card") or {}).get("case_type")
    if case_type in CASE_TYPES:
        return case_type
    # Stripe shows details of few methods only, and of no bank debit; there the charge tells, or else the reason.
    paid_with = (charge.get("payment_method_details") or {}).get("type")
    if paid_with in BANK_DEBITS or (paid_with is None and not details and dispute.get("reason") in BANK_REASONS):
        return "bank_return"
    return "chargeback" if "card" in (paid_with, details.get("type")) or not (paid_with or details) else "other"


def _withdrawn(dispute: Mapping[str, Any], charge: Mapping[str, Any]) -> int:
    """
    Return what is held back at the moment: withdrawn less reinstated, without fees, never below nothing.

    The movements are in the balance's currency. Where that is not the payment's, Stripe converts a withdrawal and its
    reinstatement at the rates of their own days, so neither amount says anything about the payment. Then the share that
    is held back counts: all of the claim while nothing came back, the claim in proportion once a part did, and nothing
    after an outcome that gives everything back, however little or much the rates have moved.
    """
    moves = [
        move for move in dispute.get("balance_transactions") or [] if move.get("reporting_category") in WITHDRAWALS
    ]
    taken = -sum(move["amount"] for move in moves if move["amount"] < 0)
    given = sum(move["amount"] for move in moves if move["amount"] > 0)
    currency = charge.get("currency") or dispute["currency"]
    if all(move["currency"] == currency for move in moves):
        return max(mapping.from_stripe(taken - given, currency).amount, 0)
    if given >= taken or (given and dispute["status"] in ALL_GIVEN_BACK):
        return 0
    # A claim in a third currency cannot be told in the payment's; then all of the payment counts as claimed.
    claim = dispute if dispute["currency"] == currency else charge
    return half_up(mapping.from_stripe(claim["amount"], currency).amount * (taken - given), taken)
