"""Saving the card that a buyer pays with: whether it is offered, and for whom it is kept."""

from collections.abc import Mapping
from typing import Any

from flint.actors import Actor
from flint.errors import Conflict, Forbidden, InvalidInput
from flint.merchants.settings import section_of
from orders.models import Order
from payments.models import CheckoutSession


class SavePaymentMethodCredentialRequired(Forbidden):
    code = "SAVE_PAYMENT_METHOD_CREDENTIAL_REQUIRED"
    message = "Only the buyer of a checkout may have a card saved while paying."


class SavePaymentMethodNotOffered(Conflict):
    code = "SAVE_PAYMENT_METHOD_NOT_OFFERED"
    message = "This checkout does not save cards."


class SavePaymentMethodUnsupported(InvalidInput):
    code = "SAVE_PAYMENT_METHOD_UNSUPPORTED"
    message = "What is saved is one card that was just typed, sent as a 'confirmation_token'."


class SavePaymentMethodVerificationRequired(Conflict):
    code = "SAVE_PAYMENT_METHOD_VERIFICATION_REQUIRED"
    message = "The checkout acts for no customer yet. Let the buyer confirm an email address first."


class SavePaymentMethodTokenMismatch(InvalidInput):
    code = "SAVE_PAYMENT_METHOD_TOKEN_MISMATCH"
    message = "The confirmation token was not made for a card that is used again with the buyer there ('on_session')."


class SavePaymentMethodPhoneNotOffered(Conflict):
    code = "SAVE_PAYMENT_METHOD_PHONE_NOT_OFFERED"
    message = "This installation sends no texts. Let the buyer confirm an email address instead."


def offers_saving(session: CheckoutSession) -> bool:
    """Whether the buyer of a session may save a card and use a saved one: where cards are taken, but for invoices."""
    takes_cards = not session.payment_options or "card" in session.payment_options
    if not session.is_open or not takes_cards or session.invoice_id:
        return False
    return section_of(session.environment_id, "checkout")["saved_payment_details"]["enabled"]


def customer_to_keep_for(data: Mapping[str, Any], session: CheckoutSession | None, order: Order, actor: Actor) -> str:
    """
    Return the id of the customer for whom the card of a payment is kept; nothing if it is not to be.

    :raises SavePaymentMethodCredentialRequired, SavePaymentMethodNotOffered, SavePaymentMethodUnsupported,
        SavePaymentMethodVerificationRequired, SavePaymentMethodPhoneNotOffered: by the request.
    """
    if "save_payment_method_phone" in data:
        raise SavePaymentMethodPhoneNotOffered(param="save_payment_method_phone")
    if not data.get("save_payment_method"):
        return ""
    if session is None or not actor.is_buyer:
        raise SavePaymentMethodCredentialRequired(param="save_payment_method")
    if not offers_saving(session):
        raise SavePaymentMethodNotOffered(param="save_payment_method")
    if card_to_keep(data) is None or not order.outstanding_amount:
        raise SavePaymentMethodUnsupported(param="save_payment_method")
    if not actor.customer_id:
        raise SavePaymentMethodVerificationRequired(param="save_payment_method")
    return actor.customer_id


def card_to_keep(data: Mapping[str, Any]) -> str | None:
    """Return the confirmation token of the one source that a request pays with; None if it is anything else."""
    given = data.get("payment_intents") or [data.get("payment_source") or {}]
    return given[0].get("confirmation_token") if len(given) == 1 else None
