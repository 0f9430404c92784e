"""Which buyers may still act: those of the open session, and for what is left to those of one that has ended."""

from datetime import datetime

from django.utils import timezone

from flint.actors import Actor
from flint.errors import Conflict
from orders import collecting
from orders.models import Order
from payments.models import CheckoutSession
from payments.models.attempts import AttemptStatus
from payments.models.sessions import SessionStatus

NO_ATTEMPT = "none"
"""What stands for an attempt where none may be gone on with."""


class CheckoutSessionNotOpen(Conflict):
    code = "CHECKOUT_SESSION_NOT_OPEN"
    message = "The checkout session has ended."


class CheckoutSessionExpired(Conflict):
    code = "CHECKOUT_SESSION_EXPIRED"
    message = "The checkout session has expired. Ask the merchant for a new one."


class CheckoutRecoveryRestricted(Conflict):
    code = "CHECKOUT_RECOVERY_RESTRICTED"
    message = "The checkout session has ended. Its buyer may only resume the payment that was under way."


class CheckoutRecoveryAttemptMismatch(Conflict):
    code = "CHECKOUT_RECOVERY_ATTEMPT_MISMATCH"
    message = "The checkout session has ended with another payment under way. Only that one may be resumed."


def refuse_ended(session: CheckoutSession) -> None:
    """:raises CheckoutSessionExpired, CheckoutSessionNotOpen: by how a session has ended."""
    if session.status == SessionStatus.EXPIRED:
        raise CheckoutSessionExpired(current_status=session.status)
    if not session.is_open:
        raise CheckoutSessionNotOpen(current_status=session.status)


def refuse_restricted(actor: Actor, attempt_id: str = "") -> None:
    """
    Keep the buyer of a session that has ended to what is left: resuming one attempt, named here, or nothing. On one
    that is paid that is any of its own, which are over: the page that it comes back to may be loaded again.

    :raises CheckoutSessionNotOpen, CheckoutRecoveryRestricted, CheckoutRecoveryAttemptMismatch: if it is not that.
    """
    if not actor.only_attempt_id:
        return
    if actor.only_attempt_id == NO_ATTEMPT:
        if attempt_id:
            return
        raise CheckoutSessionNotOpen()
    if not attempt_id:
        raise CheckoutRecoveryRestricted(order_payment_attempt_id=actor.only_attempt_id)
    if attempt_id != actor.only_attempt_id:
        raise CheckoutRecoveryAttemptMismatch(order_payment_attempt_id=actor.only_attempt_id)


@collecting.admits_buyers
def refuse_former_buyer(order: Order, actor: Actor) -> CheckoutSession:
    """
    Return the open session of a locked order whose buyer the actor is. It may have ended since the buyer came in.

    :raises CheckoutSessionExpired, CheckoutSessionNotOpen, CheckoutRecoveryRestricted: if it has.
    """
    refuse_restricted(actor)
    session = CheckoutSession.objects.get(id=actor.id, order_id=order.id)
    session.order = order
    refuse_ended(session)
    if is_over(session, timezone.now()):
        raise CheckoutSessionExpired(current_status=SessionStatus.EXPIRED)
    return session


def is_over(session: CheckoutSession, at: datetime) -> bool:
    """Whether an open session's time is over. It is not while what its buyer paid is held and not yet captured."""
    if session.expires_at > at:
        return False
    return not session.payment_attempts.filter(status=AttemptStatus.REQUIRES_CAPTURE).exists()
