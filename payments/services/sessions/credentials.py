"""The secrets that let a buyer into one session. Only digests of them are kept."""

import hashlib
import hmac
import secrets
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from flint.actors import Actor
from flint.api.authentication import authenticates_buyers
from flint.errors import Unauthenticated
from flint.merchants.models import Environment
from payments.models import CheckoutCredential, CheckoutSession
from payments.models.sessions import DEFAULT_TIPS, PAID
from payments.services.sessions.admitting import NO_ATTEMPT, refuse_ended
from payments.services.sessions.ending import expire_if_due

READABLE_AFTER_PAYMENT = timedelta(hours=24)
"""How long the buyer of a paid session still reads its order and asks for the receipt."""


class InvalidCheckoutSession(Unauthenticated):
    code = "INVALID_CHECKOUT_SESSION"
    message = "No checkout session goes with this id and secret."


def new_credential(session: CheckoutSession, *, customer_id: str | None = None) -> str:
    """
    Make a secret that opens a session, and return it: this once, it cannot be read again.

    :param customer_id: the customer that it acts for.
    """
    secret = f"cst_{secrets.token_urlsafe(32)}"
    CheckoutCredential.objects.create(
        environment_id=session.environment_id,
        session=session,
        digest=_digest_of(secret),
        customer_id=customer_id,
    )
    return secret


def give_up_customer(session: CheckoutSession, secret: str) -> str:
    """Forget a secret that acts for a customer, and return one for the same session that acts for nobody."""
    CheckoutCredential.objects.filter(session=session, digest=_digest_of(secret), customer__isnull=False).delete()
    return new_credential(session)


@authenticates_buyers
def authenticate_buyer(session_id: str, secret: str, at: datetime) -> tuple[Actor, Environment]:
    """
    Return the buyer that a credential belongs to, who may act on the session's order, and the environment.

    A session that ended while its own attempt was under way lets its buyer go on with that attempt alone; a paid one is
    readable for a day.

    :raises InvalidCheckoutSession: if there is no such session or it has another secret.
    :raises CheckoutSessionExpired, CheckoutSessionNotOpen: if it has ended.
    """
    credential = _credential(session_id, secret)
    session = credential.session
    if session.is_open and session.expires_at <= at:
        session = expire_if_due(session.id, at=at)
    return buyer_of(session, at=at, customer_id=credential.customer_id or ""), session.environment


def buyer_of(session: CheckoutSession, *, at: datetime, customer_id: str = "") -> Actor:
    """
    Return the buyer in a session, as an actor; the customer that it acts for counts as long as the session is open.

    :raises CheckoutSessionExpired, CheckoutSessionNotOpen: if the session has ended and nothing is left to do in it.
    """
    only_attempt_id = ""
    if not session.is_open:
        if session.is_recovering(at):
            only_attempt_id = session.recovery_attempt_id
        elif session.status in PAID and at < session.ended_at + READABLE_AFTER_PAYMENT:
            only_attempt_id = NO_ATTEMPT
        else:
            refuse_ended(session)
    return Actor(
        kind="customer",
        environment_id=session.environment_id,
        id=session.id,
        label="Buyer",
        order_id=session.order_id,
        customer_id=customer_id if session.is_open else "",
        only_attempt_id=only_attempt_id,
        rights=frozenset(_rights(session.settings.get("tip", {}))),
    )


def _rights(tip: Mapping[str, Any]) -> Iterator[str]:
    """Say which tips a buyer may choose: any, unless the merchant allows none of the buyer's own."""
    if not tip.get("enabled"):
        return
    yield "tip"
    if tip.get("is_custom_tip_enabled", True):
        yield "own_tip"
    yield from (f"tip_of:{steps}" for steps in tip.get("tip_percent_options") or DEFAULT_TIPS)


def _credential(session_id: str, secret: str) -> CheckoutCredential:
    digest = _digest_of(secret)
    try:
        credential = CheckoutCredential.objects.select_related(
            "session__environment__merchant", "session__recovery_attempt"
        ).get(digest=digest)
    except CheckoutCredential.DoesNotExist:
        raise InvalidCheckoutSession() from None
    is_right = hmac.compare_digest(credential.digest, digest)
    if not is_right or credential.session_id != session_id:
        raise InvalidCheckoutSession()
    return credential


def _digest_of(secret: str) -> str:
    """Return what is stored of a secret. It is random and long, so a plain SHA-256 cannot be guessed back."""
    return hashlib.sha256(secret.encode()).hexdigest()
