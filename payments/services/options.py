"""Keeping a checkout to the ways to pay that its merchant chose, before anything is charged."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flint.actors import Actor
from flint.errors import Conflict, Unavailable
from payments.models import CheckoutSession
from payments.processors import processor_of
from payments.processors.base import ProcessorError, Refused
from payments.services.sessions.saving import (
    SavePaymentMethodTokenMismatch,
    SavePaymentMethodUnsupported,
    card_to_keep,
)
from payments.services.starting import processor_name

WALLETS = ("apple_pay", "google_pay")


class PaymentOptionNotAllowed(Conflict):
    code = "PAYMENT_OPTION_NOT_ALLOWED"
    message = "This checkout does not take this way to pay. Offer the buyer another one."


class PaymentOptionUnknown(Unavailable):
    code = "PAYMENT_PROCESSOR_UNAVAILABLE"
    message = "The payment processor could not be asked what this pays with. Nothing was charged; try again."


def refuse_unwanted_options(data: Mapping[str, Any], *, actor: Actor) -> None:
    """
    Refuse a buyer's request to pay with something that its session does not take; the processor knows what it is.

    What it knows nothing of is left for the payment itself to be refused. To be called outside any transaction.

    :raises PaymentOptionNotAllowed: if it is something else. :raises PaymentOptionUnknown: if nobody could say.
    :raises ProcessorNotConfigured: if nobody collects.
    """
    if not actor.is_buyer:
        return
    session = CheckoutSession.objects.of(actor).find(id=actor.id)
    if not session.payment_options:
        return
    processor = processor_of(processor_name(actor))
    for param, given in _sources(data):
        token = given.get("confirmation_token") or given.get("token")
        try:
            option = processor.option_of(environment_id=actor.environment_id, token=token) if token else "card"
        except Refused:
            continue
        except ProcessorError:
            raise PaymentOptionUnknown from None
        refuse_option(option, session.payment_options, param)


def refuse_unfit_to_keep(data: Mapping[str, Any], *, actor: Actor) -> None:
    """
    Refuse to have a card saved that its buyer's browser did not collect for that. To be called outside any transaction.

    :raises SavePaymentMethodTokenMismatch, SavePaymentMethodUnsupported: if it did not, or it is no card.
    :raises PaymentOptionUnknown: if nobody could say. :raises ProcessorNotConfigured: if nobody collects.
    """
    token = card_to_keep(data) if actor.is_buyer and data.get("save_payment_method") else None
    if not token:
        return
    processor = processor_of(processor_name(actor))
    try:
        if processor.option_of(environment_id=actor.environment_id, token=token) != "card":
            raise SavePaymentMethodUnsupported(param="save_payment_method")
        if not processor.may_be_kept(environment_id=actor.environment_id, token=token):
            raise SavePaymentMethodTokenMismatch(param="save_payment_method")
    except Refused:
        return  # What is wrong with it the payment itself is told.
    except ProcessorError:
        raise PaymentOptionUnknown from None


def refuse_option(option: str, allowed: Sequence[str], param: str) -> None:
    """:raises PaymentOptionNotAllowed: unless it is allowed; where cards are, so are those in a wallet."""
    if option not in allowed and not (option in WALLETS and "card" in allowed):
        raise PaymentOptionNotAllowed(param=param, payment_option=option, reason="disabled_by_merchant_settings")


def _sources(data: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if data.get("payment_source"):
        yield "payment_source", data["payment_source"]
    for index, item in enumerate(data.get("payment_intents", ())):
        yield f"payment_intents[{index}]", item
