"""Reading checkout sessions with what is shown beside them, for all of a list in a few statements."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from flint.actors import Actor
from orders.models import Customer
from orders.selectors import read_order
from payments.models import CheckoutSession, PaymentAttempt, PaymentIntent
from payments.models.sessions import PAID
from payments.selectors import attempts_with_tries, session_collection
from payments.services.sessions.ending import expire_if_due
from payments.services.sessions.launching import launch_url
from payments.services.sessions.saving import offers_saving


def readable_sessions(actor: Actor) -> QuerySet[CheckoutSession]:
    """Return the actor's sessions, to be read and shown."""
    shown = ("environment__merchant", "order", "customer", "payment_link")
    return CheckoutSession.objects.of(actor).select_related(*shown)


def read_session(
    checkout_session_id: str, *, actor: Actor, expand: Collection[str] = (), url: bool = False
) -> CheckoutSession:
    """
    Return one session with everything there is to show of it; one whose time is over has ended by then.

    :param url: also the hosted page's address, with the secret that opens it.
    :raises CheckoutSessionNotFound: if it is absent or foreign.
    """
    session = readable_sessions(actor).find(id=checkout_session_id)
    if session.is_open and session.expires_at <= timezone.now():
        expire_if_due(session.id, at=timezone.now())
        session = readable_sessions(actor).find(id=checkout_session_id)
    attach_sessions([session], actor=actor)
    shown = session.shown
    shown["url"] = launch_url(session) if url else None
    shown["payment_collection"] = session_collection(session)
    if "order" in expand:
        shown["order"] = read_order(session.order_id, actor=actor)
    if "payment_intents" in expand:
        legs = session.payment_intents.select_related("environment", "order")
        shown["payment_intents"] = list(legs.order_by("created_at", "id"))
    return session


def attach_sessions(sessions: Sequence[CheckoutSession], *, actor: Actor) -> None:
    """Set on sessions what is shown of them: two statements for all."""
    legs: dict[str, list[str]] = defaultdict(list)
    of_sessions = PaymentIntent.objects.filter(checkout_session__in=sessions)
    for leg_id, session_id in of_sessions.order_by("created_at", "id").values_list("id", "checkout_session_id"):
        legs[session_id].append(leg_id)
    for session in sessions:
        session.order.environment = session.environment
    open_ids = [session.order.active_attempt_id for session in sessions if session.order.active_attempt_id]
    attempts = {}
    if open_ids:
        rows = PaymentAttempt.objects.of(actor).filter(id__in=open_ids)
        attempts = {attempt.id: attempt for attempt in attempts_with_tries(rows)}
    for session in sessions:
        session.shown = _shown(session, actor) | {
            "payment_intent_ids": legs[session.id],
            "active_payment_attempt": _own(attempts.get(session.order.active_attempt_id), session),
        }


def _own(attempt: PaymentAttempt | None, session: CheckoutSession) -> PaymentAttempt | None:
    return attempt if attempt is not None and attempt.checkout_session_id == session.id else None


def _shown(session: CheckoutSession, actor: Actor) -> dict[str, Any]:
    is_recovering = session.is_recovering(timezone.now())
    shown: dict[str, Any] = {
        "recovery_mode": is_recovering,
        "problems": [],
        "delivery_method_ids": [],
        "delivery_selection_required": False,
        "terminal_reason": session.terminal_reason or None,
        "recovery_expires_at": session.recovery_expires_at if is_recovering else None,
        "recovery_payment_attempt_id": session.recovery_attempt_id if is_recovering else None,
        "buyer_contact": _contact(session),
    }
    if not actor.is_buyer:
        return shown | {
            "closed_reason": session.closed_reason or None,
            "metadata": session.metadata,
            "external_reference_id": session.external_reference_id or None,
        }
    merchant = session.environment.merchant
    shown["merchant_support"] = {"email": merchant.support_email or merchant.email}
    if session.is_open and actor.customer_id:
        shown["customer_prefill"] = _prefill(actor)
    if session.is_open or session.status in PAID:
        is_offered = offers_saving(session)
        shown["save_payment_method_offered"] = is_offered
        shown["save_payment_method_requires_verification"] = is_offered and not actor.customer_id
        shown["save_payment_method_phone_offered"] = False
    return shown


def _prefill(actor: Actor) -> dict[str, Any]:
    """Return what is known of the customer that a buyer acts for."""
    customer = Customer.objects.get(id=actor.customer_id, environment_id=actor.environment_id)
    return {
        "email": customer.email or None,
        "phone": customer.phone or None,
        "billing_address": customer.billing_address,
        "shipping_address": customer.shipping_address,
    }


def _contact(session: CheckoutSession) -> dict[str, Any] | None:
    is_named = session.contact_email or session.contact_phone
    if not is_named and not session.is_email_cleared and not session.is_phone_cleared:
        return None
    return {
        "email": session.contact_email or None,
        "phone": session.contact_phone or None,
        "is_email_cleared": session.is_email_cleared,
        "is_phone_cleared": session.is_phone_cleared,
        "updated_at": session.contact_updated_at,
    }
