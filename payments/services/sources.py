"""What an order is paid with: a processor's token as it came, or a method that its customer has saved."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from django.utils import timezone

from flint.actors import Actor
from flint.errors import Conflict, InvalidInput
from orders.models import Order
from payments.models import PaymentMethod
from payments.models.methods import M

PREFIXES = {"token": "pm_", "confirmation_token": "ctoken_"}
CREDENTIALS = (*PREFIXES, "payment_method_id")
ALONE = {"token": "payment_source_token"}
"""What a credential is called where it stands by itself, in the confirmation of a standalone payment intent."""


TEST_TOKENS = ("pm_card_", "pm_usBankAccount_")


class PaymentSourceRequired(InvalidInput):
    code = "PAYMENT_SOURCE_REQUIRED"
    message = "Say what to pay with: a token, a confirmation token, or a saved payment method."


class PaymentSourceConflict(InvalidInput):
    code = "PAYMENT_SOURCE_CONFLICT"
    message = "Send one payment source, not several."


class InvalidPaymentSource(InvalidInput):
    code = "INVALID_PAYMENT_SOURCE"
    message = "A 'token' begins with 'pm_', a 'confirmation_token' with 'ctoken_'."


class OrderPaymentCustomerMismatch(Conflict):
    code = "ORDER_PAYMENT_CUSTOMER_MISMATCH"
    message = "The order has no customer, so that nobody's saved payment methods may pay it. Name the customer first."


class PaymentMethodCustomerMismatch(Conflict):
    code = "PAYMENT_METHOD_CUSTOMER_MISMATCH"
    message = "The payment intent has no customer, so that nobody's saved payment methods may pay it."


class PaymentSourceNotAllowed(Conflict):
    code = "PAYMENT_SOURCE_NOT_ALLOWED"
    message = "This checkout acts for no customer, so that it may not use anybody's saved payment methods."


class PaymentSourceOwnershipMismatch(Conflict):
    code = "PAYMENT_SOURCE_OWNERSHIP_MISMATCH"
    message = "The payment method was saved by another customer."


class ConfirmationTokenRequired(InvalidInput):
    code = "CONFIRMATION_TOKEN_REQUIRED"
    message = "A checkout session is paid with a 'confirmation_token', or a saved payment method."


class PaymentMethodNotReady(Conflict):
    code = "PAYMENT_METHOD_NOT_READY"
    message = "The payment method is not saved yet. Wait until it is active."


class PaymentMethodUnavailable(Conflict):
    code = "PAYMENT_METHOD_UNAVAILABLE"
    message = "The payment method can no longer be charged. Ask for another one."


class PaymentMethodOnSessionOnly(Conflict):
    code = "PAYMENT_METHOD_ON_SESSION_ONLY"
    message = "The buyer saved this payment method for checkouts that they complete themselves."


class Source(NamedTuple):
    """A token to hand to the processor, and the saved method that it belongs to, if any."""

    token: str
    method: PaymentMethod | None = None


def source_of(order: Order, given: Mapping[str, Any] | None, param: str, *, processor: str, actor: Actor) -> Source:
    """
    Return what a request pays a locked order with. ``param`` is where in the request it stands.

    A saved method stays locked until the transaction ends, so that it is not removed meanwhile.

    :raises PaymentSourceRequired, PaymentSourceConflict, InvalidPaymentSource: unless it is one credential, in form.
    :raises OrderPaymentCustomerMismatch, PaymentMethodCustomerMismatch, PaymentSourceOwnershipMismatch,
        PaymentMethodNotFound: if the method is not the order's customer's.
    :raises PaymentSourceNotAllowed: if a buyer's checkout does not act for that customer.
    :raises ConfirmationTokenRequired: if a buyer pays with a raw token, other than of a test card in a sandbox.
    :raises PaymentMethodNotReady, PaymentMethodUnavailable, PaymentMethodOnSessionOnly: if it cannot be charged now.
    """
    sent = [name for name in CREDENTIALS if name in (given or {})]
    if not sent:
        raise PaymentSourceRequired(param=param or None)
    if len(sent) > 1:
        paths = [_path(param, name) for name in sent]
        raise PaymentSourceConflict(param=paths[-1], conflicting_fields=paths)
    name, value = sent[0], given[sent[0]]
    if name == "payment_method_id":
        method = _method_of(order, value, _path(param, name), processor=processor, actor=actor)
        return Source(method.reference, method)
    if not value.startswith(PREFIXES[name]):
        raise InvalidPaymentSource(param=_path(param, name))
    if name == "token" and actor.is_buyer and not _is_for_tests(value, order):
        raise ConfirmationTokenRequired(param=_path(param, name))
    return Source(value)


def _is_for_tests(token: str, order: Order) -> bool:
    """Whether it is one of the published tokens that stand for test cards and accounts, in a sandbox."""
    return token.startswith(TEST_TOKENS) and not order.environment.is_live


def _path(param: str, name: str) -> str:
    return f"{param}.{name}" if param else ALONE.get(name, name)


def _method_of(order: Order, method_id: str, param: str, *, processor: str, actor: Actor) -> PaymentMethod:
    if actor.is_buyer and (not actor.customer_id or order.customer_id not in (None, actor.customer_id)):
        raise PaymentSourceNotAllowed(param=param)
    payer_id = order.customer_id or actor.customer_id
    if not payer_id:
        raise (PaymentMethodCustomerMismatch if order.is_hidden else OrderPaymentCustomerMismatch)(param=param)
    method = PaymentMethod.objects.of(actor).lock(id=method_id)
    if method.customer_id != payer_id:
        raise PaymentSourceOwnershipMismatch(param=param)
    refuse_unusable(method, param, processor=processor, actor=actor)
    return method


def refuse_unusable(method: PaymentMethod, param: str, *, processor: str, actor: Actor) -> None:
    """:raises PaymentMethodNotReady, PaymentMethodUnavailable, PaymentMethodOnSessionOnly: if it cannot be charged."""
    if method.status == M.PENDING:
        raise PaymentMethodNotReady(param=param, current_status=method.status)
    if method.status != M.ACTIVE or method.has_run_out(timezone.now()) or method.processor != processor:
        raise PaymentMethodUnavailable(param=param, current_status=method.status)
    if method.usage != "off_session" and not actor.is_buyer:
        raise PaymentMethodOnSessionOnly(param=param)
