"""Stripe's PaymentIntents and Refunds in the words of the processor contract, once they are known to be ours."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from payments.processors.base import BuyerAction, DoesNotFit, NotOurs, PaymentState, RefundState, SourceSummary
from payments.processors.stripe import mapping
from payments.processors.stripe.client import words_of
from payments.processors.stripe.models import StripeAccount

OPERATION = "flint_operation_id"
PAYMENT_INTENT = "flint_payment_intent_id"
ORDER = "flint_order_id"
REFUND = "flint_refund_id"
ENVIRONMENT = "flint_environment_id"
PAYMENT_METHOD = "flint_payment_method_id"
CUSTOMER = "flint_customer_id"

GIVEN_TO_NOBODY = "expired_uncaptured_charge"
"""Why Stripe made a Refund when a hold lapsed: nothing had been taken, so nothing was given back."""

PAYMENT_STATUSES = {
    "requires_payment_method": "requires_payment_method",
    # Made, but its confirmation came to nothing, and nobody else holds its client secret.
    "requires_confirmation": "requires_payment_method",
    "requires_action": "requires_action",
    "processing": "processing",
    "requires_capture": "requires_capture",
    "succeeded": "succeeded",
    "canceled": "canceled",
}
REFUND_STATUSES = frozenset({"pending", "requires_action", "succeeded", "failed", "canceled"})


def payment_state(account: StripeAccount, intent: Mapping[str, Any], *, of_any: bool = False) -> PaymentState:
    """
    Return a PaymentIntent as the contract has it. One that nobody marked as another environment's counts as this one's.

    With ``of_any`` another environment's is returned under that one's id, as lists show them.

    :raises DoesNotFit: if it is of the other mode, another environment, or in a state this adapter does not know.
    """
    metadata, environment_id = belonging(account, intent, of_any=of_any)
    is_ours = environment_id == account.environment_id
    if intent["status"] not in PAYMENT_STATUSES:
        raise DoesNotFit(f"{intent['id']} is {intent['status']}")
    status = PAYMENT_STATUSES[intent["status"]]
    money = mapping.from_stripe(intent["amount"], intent["currency"])
    charge = intent.get("latest_charge")
    charge = charge if isinstance(charge, Mapping) else {}
    captured = _amount(intent, intent.get("amount_received") or 0)
    code, message = _failure(status, intent)
    return PaymentState(
        reference=intent["id"],
        status=status,
        money=money,
        operation_id=metadata.get(OPERATION, ""),
        payment_intent_id=metadata.get(PAYMENT_INTENT, ""),
        environment_id=environment_id,
        authorized_amount=_authorized(status, intent, charge, captured),
        captured_amount=captured,
        authorization_expires_at=_expiry(charge) if status == "requires_capture" else None,
        error_code=code,
        error_message=message,
        # The secret of somebody else's payment is nobody's business here.
        action=_action(account, intent) if status == "requires_action" and is_ours else None,
        source=_source(intent, charge),
        **_kept(intent),
        cancellation_reason=_cancellation(intent) if status == "canceled" else "",
        created_at=moment(intent.get("created")),
    )


def refund_state(account: StripeAccount, refund: Mapping[str, Any], *, of_any: bool = False) -> RefundState:
    """
    Return a Refund as the contract has it; one made in Stripe's dashboard has no operation of ours.

    :raises DoesNotFit: as :func:`payment_state`.
    """
    metadata, environment_id = belonging(account, refund, of_any=of_any)
    if refund["status"] not in REFUND_STATUSES:
        raise DoesNotFit(f"{refund['id']} is {refund['status']}")
    failure = refund.get("failure_reason")
    return RefundState(
        reference=refund["id"],
        status=refund["status"],
        money=mapping.from_stripe(refund["amount"], refund["currency"]),
        operation_id=metadata.get(OPERATION, ""),
        environment_id=environment_id,
        payment_reference=id_of(refund.get("payment_intent")),
        failure_reason=mapping.REFUND_FAILURES.get(failure, "refund_failed") if failure else "",
        reason=refund.get("reason") or "",
        created_at=moment(refund.get("created")),
    )


def belonging(
    account: StripeAccount, thing: Mapping[str, Any], *, of_any: bool = False
) -> tuple[Mapping[str, str], str]:
    """
    Return an object's metadata and the environment it names, which is the account's own where it names none.

    :raises NotOurs: if it is of the other mode, or of another environment and not ``of_any``.
    """
    # Refunds and balance transactions do not say which mode they are of; their key does.
    if thing.get("livemode", account.environment.is_live) is not account.environment.is_live:
        raise NotOurs(f"{thing['id']} is of the other mode than {account.environment_id}")
    metadata = thing.get("metadata") or {}
    named = metadata.get(ENVIRONMENT) or account.environment_id
    if named != account.environment_id and not of_any:
        raise NotOurs(f"{thing['id']} belongs to {named}, not to {account.environment_id}")
    return metadata, named


def moment(seconds: int | None) -> datetime | None:
    """Return a time of Stripe's, which writes nothing or 0 for never."""
    return datetime.fromtimestamp(seconds, UTC) if seconds else None


def id_of(thing: Any) -> str:
    """Return an object's id, whether Stripe shows the whole of it, its id or nothing."""
    return thing["id"] if isinstance(thing, Mapping) else thing or ""


def card_summary(card: Mapping[str, Any]) -> SourceSummary:
    """Return what a receipt shows of a card."""
    brand = card.get("brand")
    return SourceSummary(
        "card",
        brand=brand if brand in mapping.BRANDS else "",
        last4=card.get("last4") or "",
        exp_month=card.get("exp_month"),
        exp_year=card.get("exp_year"),
    )


def _amount(thing: Mapping[str, Any], amount: int) -> int:
    return mapping.from_stripe(amount, thing["currency"]).amount


def _authorized(status: str, intent: Mapping[str, Any], charge: Mapping[str, Any], captured: int) -> int:
    """Return what was held at most: what may still be taken, or what the charge was for once it was taken."""
    if status == "requires_capture":
        return _amount(intent, intent.get("amount_capturable") or 0)
    if not captured:
        # Stripe keeps the amount of a hold that was let go on its charge; a declined charge held nothing.
        return _amount(intent, charge["amount"]) if charge.get("paid") and status == "canceled" else 0
    return max(captured, _amount(intent, charge.get("amount", 0)))


def _expiry(charge: Mapping[str, Any]) -> datetime | None:
    card = (charge.get("payment_method_details") or {}).get("card") or {}
    return moment(card.get("capture_before"))


def _failure(status: str, intent: Mapping[str, Any]) -> tuple[str, str]:
    if status != "requires_payment_method":
        return "", ""
    error = intent.get("last_payment_error")
    if not error:
        return "payment_not_completed", "The payment was not completed."
    return mapping.decline_code(error), words_of(error)


def _action(account: StripeAccount, intent: Mapping[str, Any]) -> BuyerAction:
    step = intent.get("next_action") or {}
    return BuyerAction(
        id=f"{intent['id']}_{step.get('type', 'action')}",
        client_secret=intent["client_secret"],
        publishable_key=account.publishable_key,
        account_id=account.connected_account_id or None,
        redirect_url=(step.get("redirect_to_url") or {}).get("url"),
    )


def option_of(source: Mapping[str, Any]) -> str:
    """Return the contract's name for what a payment method of Stripe's pays with."""
    wallet = (source.get("card") or {}).get("wallet") or {}
    if wallet.get("type") in ("apple_pay", "google_pay"):
        return wallet["type"]
    return {"us_bank_account": "ach_debit"}.get(source.get("type", ""), source.get("type", ""))


def _source(intent: Mapping[str, Any], charge: Mapping[str, Any]) -> SourceSummary | None:
    """Summarise what was paid with, from whichever of the three places Stripe shows it in."""
    tried = (intent.get("last_payment_error") or {}).get("payment_method")
    for shown in (charge.get("payment_method_details"), intent.get("payment_method"), tried):
        if not isinstance(shown, Mapping):
            continue
        if card := shown.get("card"):
            return card_summary(card)
        if account := shown.get("us_bank_account"):
            kind = account.get("account_type")
            return SourceSummary(
                "ach_debit",
                last4=account.get("last4") or "",
                bank_name=account.get("bank_name") or "",
                account_type=kind if kind in mapping.ACCOUNT_TYPES else "other",
            )
    return None


def _kept(intent: Mapping[str, Any]) -> dict[str, str]:
    """Return what pays again with a card that was kept with its payment: as long as its Customer still has it."""
    method = intent.get("payment_method")
    is_kept = intent["status"] == "succeeded" and intent.get("setup_future_usage") == "on_session"
    if not is_kept or not isinstance(method, Mapping) or not id_of(method.get("customer")):
        return {}
    return {"kept_token": method["id"], "customer_reference": id_of(method["customer"])}


def _cancellation(intent: Mapping[str, Any]) -> str:
    reason = mapping.CANCELLATIONS.get(intent.get("cancellation_reason"), "")
    if reason == "authorization_expired" and not intent.get("latest_charge"):
        return ""
    return reason
