"""Opening a session on an order, in place of another one or as the first."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from flint.actors import Actor
from flint.errors import Conflict, InvalidInput
from flint.events import services as events
from flint.merchants.settings import effective_of
from orders import collecting
from orders.models import Customer, Order
from orders.services.create_order import create_order
from orders.services.editing import OrderClosed
from payments.models import CheckoutSession
from payments.models.intents import CONFIRMABLE
from payments.models.sessions import SessionStatus, Surface, TerminalReason
from payments.services.sessions.credentials import new_credential
from payments.services.sessions.defaults import lifetime_of, with_defaults
from payments.services.sessions.ending import CheckoutPaymentResolving, end, end_if_due, open_session_of, save_counts
from payments.services.starting import OrderAlreadyPaid, processor_name

SETTINGS = (
    "page_origin",
    "redirects",
    "expiration",
    "customer_collection",
    "payments",
    "tip",
    "tax",
    "promotion_config",
    "legal",
    "theme",
    "custom_text",
)
"""What a caller may choose of how a session looks and behaves; kept and echoed as it was sent."""


class CheckoutSessionAlreadyExists(Conflict):
    code = "CHECKOUT_SESSION_ALREADY_EXISTS"
    message = "The order has an open checkout session. Use it, close it, or name it in 'replace_checkout_session_id'."


class CheckoutSessionCurrentChanged(Conflict):
    code = "CHECKOUT_SESSION_CURRENT_CHANGED"
    message = "The session to replace is not the order's current one."


class CheckoutSurfaceChangeNotAllowed(Conflict):
    code = "CHECKOUT_SURFACE_CHANGE_NOT_ALLOWED"
    message = "The order has an open session on another surface. Replace it to change the surface."


class CheckoutReplacementRequiresOrder(InvalidInput):
    code = "CHECKOUT_REPLACEMENT_REQUIRES_ORDER"
    message = "A session is replaced on an existing order. Send its 'order_id'."


class InvoiceCheckoutReplacementNotAllowed(Conflict):
    code = "INVOICE_CHECKOUT_REPLACEMENT_NOT_ALLOWED"
    message = "An invoice's checkout is opened by the invoice, which replaces it when it has to."


class OrderPaymentLegCheckoutActive(Conflict):
    code = "ORDER_PAYMENT_LEG_CHECKOUT_ACTIVE"
    message = "Payment intents of the order wait to be confirmed. Cancel them before opening a checkout."


class CheckoutCustomerConflict(Conflict):
    code = "CHECKOUT_CUSTOMER_CONFLICT"
    message = "The order belongs to another customer."


@dataclass(frozen=True, slots=True)
class Launched:
    """A session just opened, and the secret that lets its buyer in: shown this once."""

    session: CheckoutSession
    checkout_auth_token: str


def create_session(*, data: Mapping[str, Any], actor: Actor, origin: str = "checkout", **columns: Any) -> Launched:
    """
    Open a session on an order, or on a new one-line order made of ``quick_pay_item``.

    ``data`` is a validated request of the contract. The order's current session is replaced only when it is named.

    :raises OrderNotFound, OrderClosed, OrderNotPayable, OrderAlreadyPaid: by the order.
    :raises OrderPaymentAttemptActive, OrderPaymentLegCheckoutActive: if it is being collected another way.
    :raises CheckoutSessionAlreadyExists, CheckoutSurfaceChangeNotAllowed, CheckoutSessionCurrentChanged,
        CheckoutPaymentResolving: by the session that it has.
    :raises OrderCollectionAlreadyActive, InvoiceCheckoutReplacementNotAllowed: if an invoice collects it.
    :raises ProcessorNotConfigured: if nobody could collect.
    """
    processor_name(actor)
    chosen = effective_of(actor.environment_id)
    lifetime = lifetime_of(data, chosen)
    data = with_defaults(data, chosen, may_tip=_may_tip(columns))
    with transaction.atomic():
        order = _order(data, actor, origin)
        if order.is_under_invoice and "replace_checkout_session_id" in data and "invoice_id" not in columns:
            raise InvoiceCheckoutReplacementNotAllowed(invoice_id=order.invoice_id)
        collecting.refuse_beside_invoice(order, invoice_id=columns.get("invoice_id"))
        replaced = _make_room(order, data, actor)
        now = timezone.now()
        session = CheckoutSession(
            environment_id=order.environment_id,
            order=order,
            customer=_customer(order, data, actor),
            surface=data.get("surface", Surface.HOSTED),
            origin=origin,
            settings={name: data[name] for name in SETTINGS if name in data},
            launch_secret=secrets.token_urlsafe(24),
            expires_at=now + lifetime,
            external_reference_id=data.get("external_reference_id", ""),
            metadata=data.get("metadata", {}),
            **columns,
        )
        prefill = data.get("customer_collection", {}).get("prefilled_customer_info", {})
        session.contact_email = prefill.get("email") or ""
        session.contact_phone = prefill.get("phone") or ""
        session.save(force_insert=True)
        if replaced is not None:
            replaced.superseded_by = session
            replaced.save(update_fields=["superseded_by", "updated_at"])
        secret = new_credential(session, customer_id=session.customer_id)
        events.record(order, "checkout_session.created", subject=session, actor=actor, surface=str(session.surface))
        save_counts(order)
    return Launched(session, secret)


def launch_url(session: CheckoutSession) -> str | None:
    """Return the address of a hosted session's page, with the secret that opens it; None for an embedded one."""
    if session.surface != Surface.HOSTED:
        return None
    return f"{settings.BASE_URL}/checkout/{session.id}/{session.launch_secret.reveal()}"


def _may_tip(columns: Mapping[str, Any]) -> bool:
    """Whether a tip may be asked for without the caller's saying so: not on what an invoice bills, nor on a gift."""
    link = columns.get("payment_link")
    return columns.get("invoice_id") is None and columns.get("invoice") is None and not (link and link.is_donation)


def _order(data: Mapping[str, Any], actor: Actor, origin: str) -> Order:
    """Return the order to collect, locked."""
    if "order_id" in data:
        return Order.objects.of(actor).lock(id=data["order_id"])
    if "replace_checkout_session_id" in data:
        raise CheckoutReplacementRequiresOrder(param="replace_checkout_session_id")
    item = data["quick_pay_item"]
    line = {"name": item["name"], "quantity": 1, "unit_price_money": item["amount_money"]}
    if "tax" in item:
        line["tax"] = item["tax"]
    made, _ = create_order(actor=actor, data={"line_items": [line]}, origin=origin)
    return Order.objects.of(actor).lock(id=made.id)


def _make_room(order: Order, data: Mapping[str, Any], actor: Actor) -> CheckoutSession | None:
    """Refuse an order that cannot be collected now; end and return the session that is to be replaced."""
    if order.status != "open":
        raise OrderClosed("The order is closed; nothing more can be collected on it.", current_status=order.status)
    current = open_session_of(order)
    if current is not None and end_if_due(order, current, at=timezone.now()):
        current = None
    wanted = data.get("replace_checkout_session_id")
    if wanted is not None and (current is None or current.id != wanted):
        raise CheckoutSessionCurrentChanged(
            param="replace_checkout_session_id", current_checkout_session_id=current.id if current else None
        )
    if current is not None and wanted is None:
        facts = {"existing_checkout_session_id": current.id}
        if current.surface != data.get("surface", Surface.HOSTED):
            raise CheckoutSurfaceChangeNotAllowed(surface=current.surface, **facts)
        raise CheckoutSessionAlreadyExists(**facts)
    if current is not None and order.is_collecting:
        raise CheckoutPaymentResolving(order_payment_attempt_id=order.active_attempt_id)
    collecting.refuse_while_collecting(order)
    collecting.refuse_blocked(order)
    if not order.outstanding_amount and order.has_settled:
        raise OrderAlreadyPaid
    staged = order.payment_intents.filter(is_staged=True, status__in=CONFIRMABLE).order_by("created_at", "id")
    if current is not None and current.invoice_id:
        staged = staged.exclude(checkout_session=current)  # Those end with it.
    if waiting := list(staged.values_list("id", flat=True)):
        raise OrderPaymentLegCheckoutActive(payment_intent_ids=waiting)
    if current is not None:
        end(order, current, SessionStatus.INVALIDATED, reason=TerminalReason.SUPERSEDED, actor=actor)
    return current


def _customer(order: Order, data: Mapping[str, Any], actor: Actor) -> Customer | None:
    """Return the customer that the checkout acts for: the one that is named, who must be the order's if it has one."""
    named = data.get("customer_collection", {}).get("customer_id")
    if named is None:
        return None
    customer = Customer.objects.of(actor).find(id=named)
    if order.customer_id and order.customer_id != customer.id:
        raise CheckoutCustomerConflict(param="customer_collection.customer_id")
    return customer
