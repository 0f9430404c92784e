"""Addresses for what an order still owes: made by a merchant or by staff, opened by the buyer as often as they like."""

import hashlib
import secrets
from datetime import datetime
from typing import Any

from django.db import transaction

from flint import actors
from flint.actors import Actor
from flint.events import services as events
from orders.models import Order
from orders.services.editing import OrderClosed
from payments.models import CheckoutSession, PayLink
from payments.models.sessions import Surface
from payments.services.invoices.launching import open_checkout
from payments.services.sessions.ending import open_session_of, save_counts
from payments.services.sessions.launching import (
    CheckoutSessionAlreadyExists,
    CheckoutSessionCurrentChanged,
    CheckoutSurfaceChangeNotAllowed,
    create_session,
)
from payments.services.starting import OrderAlreadyPaid

TRIES = 3
"""How often a visit looks again when others opened a session at the same moment."""


def create_pay_link(*, order_id: str, actor: Actor) -> PayLink:
    """
    Make an address by which a buyer pays what an order owes when they open it. Any number of them collect it once.

    :raises OrderNotFound, OrderClosed: by the order. :raises OrderAlreadyPaid: if nothing is owed on it.
    """
    with transaction.atomic():
        order = Order.objects.of(actor).lock(id=order_id)
        if order.status != "open":
            raise OrderClosed("The order is closed; nothing more can be collected on it.", current_status=order.status)
        if not order.outstanding_amount and order.has_settled:
            raise OrderAlreadyPaid
        token = secrets.token_urlsafe(24)
        link = PayLink(environment_id=order.environment_id, order=order, digest=_digest_of(token), token=token)
        link.save(force_insert=True)
        events.record(order, "pay_link.created", subject=link, actor=actor)
        save_counts(order)
    # As it is read back, so that the token can be shown.
    return PayLink.objects.get(id=link.id)


def find_pay_link(token: str) -> PayLink | None:
    """Return the pay link of an address, if it is one of ours."""
    links = PayLink.objects.select_related("order", "environment__merchant").filter(digest=_digest_of(token))
    return links.order_by("id").first()


def visit_pay_link(link: PayLink, *, at: datetime) -> CheckoutSession:
    """
    Return the hosted session that collects the link's order now: the open one, or a new one.

    An open session on the merchant's own page is replaced, since its buyer came here instead. An order that an invoice
    collects is paid in the invoice's checkout.

    :raises InvoiceNotCollectible, InvoicePaymentResolving, InvoicePaymentProcessing: by the invoice that collects it.
    :raises OrderClosed, OrderAlreadyPaid, OrderNotPayable, OrderPaymentAttemptActive, CheckoutPaymentResolving,
        OrderPaymentLegCheckoutActive, ProcessorNotConfigured: if it cannot be collected at the moment.
    """
    actor = actors.system(link.environment_id, "Pay link")
    for _ in range(TRIES):
        with transaction.atomic():
            order = Order.objects.behind(actor).lock(id=link.order_id)
            session = open_session_of(order)
        if session is not None and session.surface == Surface.HOSTED and session.expires_at > at:
            return session
        if order.is_under_invoice:
            return open_checkout(invoice_id=order.invoice_id, data={}, actor=actor, at=at).session
        data = {"order_id": link.order_id, **_settings_before(link.order_id)}
        if session is not None and session.surface != Surface.HOSTED and session.expires_at > at:
            data["replace_checkout_session_id"] = session.id
        try:
            return create_session(data=data, actor=actor).session
        except (CheckoutSessionAlreadyExists, CheckoutSessionCurrentChanged, CheckoutSurfaceChangeNotAllowed) as other:
            refusal = other  # Somebody else opened or ended one in between: look again.
    raise refusal


def _settings_before(order_id: str) -> dict[str, Any]:
    """Return how the order's last session looked, for the next one to look the same; not for whom it acted."""
    last = CheckoutSession.objects.filter(order_id=order_id).order_by("-created_at", "-id").first()
    chosen = dict(last.settings) if last is not None else {}
    for name in ("page_origin", "expiration"):
        chosen.pop(name, None)
    asked = chosen.get("customer_collection", {})
    return chosen | {"customer_collection": {name: asked[name] for name in asked if name.startswith("require_")}}


def _digest_of(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
