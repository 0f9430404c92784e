"""
Saving a card at Stripe: a Customer to keep it for, a SetupIntent that the browser finishes, and letting it go again.
"""

from collections.abc import Mapping
from typing import Any

import stripe

from payments.processors.base import (
    DoesNotFit,
    NoAnswer,
    PaymentRequest,
    SetupRequest,
    SetupState,
    SetupStatus,
    Unreachable,
)
from payments.processors.stripe import mapping, states
from payments.processors.stripe.client import StripeRefused, is_replay, plain, talking, words_of
from payments.processors.stripe.models import StripeAccount

SHOWN = ["payment_method"]
"""What a SetupIntent brings along: what may be remembered of the card."""

STATUSES: dict[str, SetupStatus] = {
    "requires_payment_method": "requires_payment_method",
    # The browser gave a card and did not go on; it may do so again.
    "requires_confirmation": "requires_payment_method",
    "requires_action": "requires_action",
    "processing": "processing",
    "succeeded": "succeeded",
    "canceled": "canceled",
}


def begin(account: StripeAccount, request: SetupRequest) -> dict[str, Any]:
    """Make a SetupIntent, and the Customer where Stripe has none yet, and return it as it is now."""
    with talking(account, "begin_setup") as client:
        customer = request.customer_reference or _customer(client, request, request.customer_id)
        params = {
            "customer": customer,
            "usage": request.usage,
            # What is saved is a card. With automatic methods the account's settings would decide, and a browser could
            # save something that nobody here can show or charge.
            "payment_method_types": ["card"],
            "metadata": {
                states.OPERATION: request.operation_id,
                states.PAYMENT_METHOD: request.payment_method_id,
                states.CUSTOMER: request.customer_id,
                states.ENVIRONMENT: request.environment_id,
            },
            "expand": SHOWN,
        }
        made = client.v1.setup_intents.create(params, {"idempotency_key": request.operation_id})
        if is_replay(made):
            made = client.v1.setup_intents.retrieve(made.id, {"expand": SHOWN})
    return plain(made)


def forget(account: StripeAccount, token: str, operation_id: str) -> None:
    """Take a card off its Customer, after which Stripe charges it no more. One that is off already is no error."""
    try:
        with talking(account, "detach") as client:
            client.v1.payment_methods.detach(token, {}, {"idempotency_key": operation_id})
    except StripeRefused as refusal:
        # Stripe documents no code for a card that is off already, so it is looked at.
        if _is_kept(account, token):
            raise refusal


def setup_state(account: StripeAccount, intent: Mapping[str, Any]) -> SetupState:
    """
    Return a SetupIntent as the contract has it.

    :raises DoesNotFit: if it is of the other mode, another environment, or in a state this adapter does not know.
    """
    metadata, environment_id = states.belonging(account, intent)
    if intent["status"] not in STATUSES:
        raise DoesNotFit(f"{intent['id']} is {intent['status']}")
    status = STATUSES[intent["status"]]
    error = intent.get("last_setup_error") if status == "requires_payment_method" else None
    code, message = (mapping.decline_code(error), words_of(error)) if error else ("", "")
    shown = intent.get("payment_method")
    method = shown if isinstance(shown, Mapping) else {}
    if status == "succeeded" and method and not (method.get("customer") or method.get("customer_account")):
        # It was taken off its Customer again, which is for good: nobody can pay with it.
        status, code, message = "failed", "payment_method_unavailable", "The card was not kept."
    card = method.get("card")
    step = intent.get("next_action") or {}
    return SetupState(
        reference=intent["id"],
        status=status,
        operation_id=metadata.get(states.OPERATION, ""),
        payment_method_id=metadata.get(states.PAYMENT_METHOD, ""),
        environment_id=environment_id,
        client_secret=intent.get("client_secret") or "",
        redirect_url=(step.get("redirect_to_url") or {}).get("url"),
        customer_reference=states.id_of(intent.get("customer")),
        token=states.id_of(shown) if status == "succeeded" else "",
        source=states.card_summary(card) if card else None,
        error_code=code,
        error_message=message,
        created_at=states.moment(intent.get("created")),
    )


def customer_of(account: StripeAccount, request: PaymentRequest) -> str:
    """
    Return Stripe's Customer for whom the card of a payment is kept, made now if there is none yet.

    :raises Unreachable: also if no answer came: whatever became of the Customer, nothing was paid.
    """
    if request.customer_reference:
        return request.customer_reference
    try:
        with talking(account, "customer") as client:
            return _customer(client, request, request.keep_for)
    except NoAnswer as lost:
        raise Unreachable(str(lost)) from lost


def _customer(client: stripe.StripeClient, request: SetupRequest | PaymentRequest, customer_id: str) -> str:
    """
    Return Stripe's Customer for one of ours, made once however often this is asked within Stripe's memory of keys.

    Later than that a second one may come to be, if nobody wrote the first one down; it holds nothing, so no harm is
    done. One that was deleted since would still be repeated; then another is made, once for each operation.
    """
    key = f"customer/{request.environment_id}/{customer_id}"
    params = {"metadata": {states.CUSTOMER: customer_id, states.ENVIRONMENT: request.environment_id}}
    made = client.v1.customers.create(params, {"idempotency_key": key})
    if is_replay(made) and getattr(client.v1.customers.retrieve(made.id), "deleted", False):
        made = client.v1.customers.create(params, {"idempotency_key": f"{key}/{request.operation_id}"})
    return made.id


def _is_kept(account: StripeAccount, token: str) -> bool:
    try:
        with talking(account, "retrieve_payment_method") as client:
            method = plain(client.v1.payment_methods.retrieve(token))
    except StripeRefused:
        return False
    return bool(method.get("customer"))
