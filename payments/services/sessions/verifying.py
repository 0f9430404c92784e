"""
Showing whose checkout it is: a code goes to an address, and who has it acts for the customer with that address.

Whoever holds a link to a checkout may ask for a code. Only who reads the mail gets any further, the answers never tell
whether there is a customer, and nobody's mailbox is flooded.
"""

import hmac
import secrets
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import Sum
from django.utils import timezone

from flint import actors
from flint.actors import Actor
from flint.errors import Conflict, InvalidInput, TooManyRequests
from flint.events import services as events
from flint.messages import outbox
from flint.messages.models import masked
from orders.models import Customer, Order
from orders.services import create_customer
from payments.models import CheckoutSession, CustomerVerification
from payments.models.verifications import LASTS, VerificationPurpose, VerificationStatus
from payments.services.sessions.admitting import refuse_former_buyer
from payments.services.sessions.credentials import new_credential
from payments.services.sessions.ending import lock_session, save_counts
from payments.services.sessions.launching import CheckoutCustomerConflict
from payments.services.sessions.saving import offers_saving

OFFERED = (VerificationPurpose.SAVE_PAYMENT_METHOD, VerificationPurpose.USE_SAVED_PAYMENT_METHODS)
MOST_CODES = 5
"""So many codes are sent for one checkout."""

MOST_TO_ADDRESS = ((timedelta(minutes=15), 3), (timedelta(hours=24), 10))
MOST_WRONG_TRIES = ((timedelta(hours=24), 10), (timedelta(days=7), 30))
"""How much there may be of one address in one environment, in which time."""


class CustomerVerificationCodeInvalid(InvalidInput):
    code = "CUSTOMER_VERIFICATION_CODE_INVALID"
    message = "This is not the code, or it is too old. Check it, or ask for a new one."


class CustomerVerificationNotOffered(Conflict):
    code = "CUSTOMER_VERIFICATION_NOT_OFFERED"
    message = "This checkout does not ask for it."


class CustomerVerificationTextUnavailable(Conflict):
    code = "CUSTOMER_VERIFICATION_TEXT_UNAVAILABLE"
    message = "This installation sends no texts. Have the code sent by email."


class CustomerVerificationLimitReached(Conflict):
    code = "CUSTOMER_VERIFICATION_LIMIT_REACHED"
    message = "As many codes as there may be were sent for this checkout."


class CustomerVerificationRateLimited(TooManyRequests):
    code = "CUSTOMER_VERIFICATION_RATE_LIMITED"
    message = "Many codes went to this address lately. Wait, then ask again."


class CustomerVerificationUnavailable(Conflict):
    code = "CUSTOMER_VERIFICATION_UNAVAILABLE"
    message = "Too many wrong codes were tried for this address. It cannot be confirmed for a while."


class CheckoutCustomerAlreadyAuthorized(Conflict):
    code = "CHECKOUT_CUSTOMER_ALREADY_AUTHORIZED"
    message = "The checkout acts for a customer already."


class EmailRequired(InvalidInput):
    code = "FIELD_REQUIRED"
    message = "Name the address that the code goes to."


def request_verification(
    *,
    checkout_session_id: str,
    purpose: str,
    channel: str = "",
    email: str = "",
    actor: Actor,
    at: datetime | None = None,
) -> CustomerVerification:
    """
    Send a code to an address. A code that was sent for the checkout before is good for nothing any more.

    Where the order or the checkout is a customer's already, the code goes to that customer's address alone.

    :raises CheckoutSessionNotFound, CheckoutSessionExpired, CheckoutSessionNotOpen: by the session.
    :raises CheckoutCustomerAlreadyAuthorized: if the buyer acts for a customer.
    :raises CustomerVerificationNotOffered: by the purpose and the checkout. :raises EmailRequired: without an address.
    :raises CustomerVerificationTextUnavailable: for a text message.
    :raises CheckoutCustomerConflict: for another address than the customer's.
    :raises CustomerVerificationLimitReached, CustomerVerificationRateLimited, CustomerVerificationUnavailable: after
        too much of it.
    """
    at = at or timezone.now()
    with transaction.atomic():
        order, session = lock_session(checkout_session_id, actor)
        refuse_former_buyer(order, actor)
        if actor.customer_id:
            raise CheckoutCustomerAlreadyAuthorized
        if purpose not in OFFERED or not offers_saving(session):
            raise CustomerVerificationNotOffered(param="purpose")
        if channel == "sms":
            raise CustomerVerificationTextUnavailable(param="channel")
        address = _address_of(order, session, email)
        digest = outbox.digest_of(order.environment_id, address)
        _queue_up_for(digest)
        _refuse_too_much(session, digest, at)
        for earlier in session.verifications.filter(status=VerificationStatus.PENDING):
            earlier.cancel(at=at)
            earlier.save()
        verification = CustomerVerification(
            environment_id=session.environment_id,
            session=session,
            purpose=purpose,
            email=address,
            is_email_named=bool(email),
            email_digest=digest,
            code=f"{secrets.randbelow(1_000_000):06}",
            expires_at=at + LASTS,
        )
        verification.save(force_insert=True)
        outbox.queue(
            order, "verification_code", source_id=verification.id, recipient=address, language=session.locale, at=at
        )
    return CustomerVerification.objects.get(id=verification.id)


def confirm_verification(
    *, checkout_session_id: str, customer_verification_id: str, code: str, actor: Actor, at: datetime | None = None
) -> str:
    """
    Take a code, and return a new secret for the session that acts for the customer with the address; once for a code.

    A wrong code is counted, whatever becomes of the request; so this opens a transaction of its own.

    :raises CheckoutSessionNotFound, CheckoutSessionExpired, CheckoutSessionNotOpen: by the session.
    :raises CustomerVerificationNotFound: if there is none. :raises CustomerVerificationCodeInvalid: if it is not it.
    :raises CustomerVerificationUnavailable: after too many that were not.
    :raises CheckoutCustomerConflict: if the order has become another customer's meanwhile.
    """
    at = at or timezone.now()
    with transaction.atomic(durable=True):
        order, session = lock_session(checkout_session_id, actor)
        refuse_former_buyer(order, actor)
        verification = session.verifications.filter(id=customer_verification_id).order_by("id").first()
        if verification is None:
            raise CustomerVerification.missing
        _queue_up_for(verification.email_digest)
        _refuse_locked_out(verification.email_digest, session.environment_id, at)
        token = ""
        if verification.takes_codes(at) and hmac.compare_digest(verification.code.reveal(), code):
            token = _authorize(order, session, verification, at)
        elif verification.status == VerificationStatus.PENDING:
            verification.wrong_tries += 1
            verification.save(update_fields=["wrong_tries", "updated_at"])
    if not token:
        raise CustomerVerificationCodeInvalid(param="code")
    return token


def _authorize(order: Order, session: CheckoutSession, verification: CustomerVerification, at: datetime) -> str:
    customer = _customer_with(verification.email, session.environment_id)
    bound = order.customer_id or session.customer_id
    if bound and bound != customer.id:
        raise CheckoutCustomerConflict()
    verification.confirm(customer.id, at=at)
    verification.save()
    actor = actors.system(session.environment_id, "Checkout")
    events.record(
        order, "checkout_session.customer_verified", subject=session, actor=actor, to=masked(verification.email)
    )
    save_counts(order)
    return new_credential(session, customer_id=customer.id)


def _customer_with(email: str, environment_id: str) -> Customer:
    """Return the customer with an address that was shown to be the buyer's; a new one if there is none."""
    actor = actors.system(environment_id, "Checkout")
    found = Customer.objects.of(actor).filter(email__iexact=email).order_by("id").first()
    return found or create_customer(data={"email": email}, actor=actor)


def _address_of(order: Order, session: CheckoutSession, email: str) -> str:
    """Return where the code goes. Who is not the customer that a checkout is for learns nothing by asking."""
    customer_id = order.customer_id or session.customer_id
    if not customer_id:
        if not email:
            raise EmailRequired(param="email")
        return email
    known = Customer.objects.values_list("email", flat=True).get(id=customer_id)
    if email and outbox.normalized(email) != outbox.normalized(known):
        raise CheckoutCustomerConflict(param="email")
    if not outbox.is_address(known):
        raise CustomerVerificationNotOffered
    return known


def _queue_up_for(digest: str) -> None:
    """Let one after the other of those who are about the same address count what there was of it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"verification {digest}"])


def _refuse_too_much(session: CheckoutSession, digest: str, at: datetime) -> None:
    if session.verifications.count() >= MOST_CODES:
        raise CustomerVerificationLimitReached(limit=MOST_CODES)
    _refuse_locked_out(digest, session.environment_id, at)
    for span, most in MOST_TO_ADDRESS:
        sent = _of_address(digest, session.environment_id, since=at - span)
        if sent.count() >= most:
            oldest = sent.order_by("-created_at").values_list("created_at", flat=True)[most - 1]
            raise CustomerVerificationRateLimited(retry_after=max(int((oldest + span - at).total_seconds()), 1))


def _refuse_locked_out(digest: str, environment_id: str, at: datetime) -> None:
    for span, most in MOST_WRONG_TRIES:
        tried = _of_address(digest, environment_id, since=at - span).aggregate(wrong=Sum("wrong_tries"))
        if (tried["wrong"] or 0) >= most:
            raise CustomerVerificationUnavailable


def _of_address(digest: str, environment_id: str, *, since: datetime):
    return CustomerVerification.objects.filter(environment_id=environment_id, email_digest=digest, created_at__gt=since)
