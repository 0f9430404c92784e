"""The checkout of an invoice: the open one if it still fits, else a new one in its place."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from flint.actors import Actor
from flint.errors import InvalidInput
from flint.merchants.settings import section_of
from invoices.links import InvoiceLinkUnavailable
from invoices.models import Invoice
from invoices.services.locking import lock_invoice
from invoices.services.paying import refuse_uncollectible, refuse_while_paying
from orders import collecting
from orders.models import Order
from payments.models import CheckoutSession
from payments.models.sessions import Surface
from payments.services.invoices.parts import part_of_invoice
from payments.services.sessions.credentials import new_credential
from payments.services.sessions.ending import end_if_due, open_session_of, save_counts
from payments.services.sessions.launching import CheckoutSurfaceChangeNotAllowed, create_session
from payments.services.starting import processor_name

OF_TESTS = re.compile(r"http://(localhost|127\.0\.0\.1)([:/?].*)?")


class InvalidReturnUrl(InvalidInput):
    code = "INVALID_RETURN_URL"
    message = "A buyer comes back to an https address; in a sandbox to one of your own machine as well."


@dataclass(frozen=True, slots=True)
class Opened:
    """An invoice's open session, the secret that lets this caller's buyer in, and whether it was there already."""

    invoice: Invoice
    session: CheckoutSession
    checkout_auth_token: str
    is_reused: bool


def open_checkout(
    *,
    invoice_id: str,
    data: Mapping[str, Any],
    actor: Actor,
    link_generation: int | None = None,
    at: datetime | None = None,
) -> Opened:
    """
    Return the session in which an invoice is paid: the one that is open, if it fits, else a new one.

    It fits on the same surface, for the same part of the schedule, and while the invoice's link is the one that it was
    opened under. Where the buyer comes back to may change until the first payment begins; after that it is another
    session. ``data`` is a validated request of the contract.

    :param link_generation: that of the link by which a buyer was let in; it may have been replaced since.
    :raises InvoiceLinkUnavailable: if it was.
    :raises InvoiceNotFound, InvoiceNotIssued, InvoiceNotCollectible, InvoiceScheduleEntryNotCollectible: by the
        invoice. :raises OrderNotPayable: if staff must first decide on what a dispute took back.
    :raises InvoicePaymentResolving, InvoicePaymentProcessing, CheckoutSurfaceChangeNotAllowed: if it is being paid.
    :raises InvalidReturnUrl: if the buyer should not be sent there. :raises ProcessorNotConfigured: if none collects.
    """
    at = at or timezone.now()
    processor_name(actor)
    with transaction.atomic():
        order, invoice = lock_invoice(invoice_id, actor=actor)
        if link_generation not in (None, invoice.link_generation):
            raise InvoiceLinkUnavailable
        refuse_uncollectible(invoice)
        collecting.refuse_blocked(order)
        wanted = _wanted(invoice, data)
        current = _current(order, at)
        if order.is_collecting:
            if current is not None and current.surface != wanted["surface"]:
                raise CheckoutSurfaceChangeNotAllowed(surface=current.surface, existing_checkout_session_id=current.id)
            refuse_while_paying(order)
        entry_id = data.get("invoice_schedule_entry_id")
        part_of_invoice(invoice, order, entry_id=entry_id, at=at)
        if current is not None and _fits(current, invoice, entry_id, wanted):
            return Opened(invoice, current, new_credential(current), is_reused=True)
        if current is not None:
            wanted["replace_checkout_session_id"] = current.id
        launched = create_session(
            data=wanted,
            actor=actor,
            invoice_id=invoice.id,
            invoice_schedule_entry_id=entry_id,
            invoice_link_generation=invoice.link_generation,
        )
    return Opened(invoice, launched.session, launched.checkout_auth_token, is_reused=False)


def _current(order: Order, at: datetime) -> CheckoutSession | None:
    session = open_session_of(order)
    if session is not None and end_if_due(order, session, at=at):
        save_counts(order)
        return None
    return session


def _wanted(invoice: Invoice, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the request to open a session by what is asked for and what the merchant chose for its invoices."""
    wanted: dict[str, Any] = {"order_id": invoice.order_id, "surface": data.get("surface", Surface.HOSTED)}
    if redirects := _redirects(invoice, data):
        wanted["redirects"] = redirects
    if "page_origin" in data:
        wanted["page_origin"] = data["page_origin"]
    if options := options_of(invoice):
        wanted["payments"] = {"enabled_payment_options": options}
    if invoice.recipient_email:
        wanted["customer_collection"] = {"prefilled_customer_info": {"email": invoice.recipient_email}}
    return wanted


def options_of(invoice: Invoice) -> list[str]:
    """Return the ways in which an invoice may be paid; empty if any will do."""
    policy = invoice.payment_policy or section_of(invoice.environment_id, "invoices").get("payment_policy") or {}
    return list(policy.get("enabled_payment_options", ()))


def _redirects(invoice: Invoice, data: Mapping[str, Any]) -> dict[str, str]:
    url = data.get("return_url")
    if url is None:
        return dict(data.get("redirects", {}))
    is_ours = url.startswith(f"{settings.BASE_URL}/")
    is_of_tests = not invoice.environment.is_live and OF_TESTS.fullmatch(url)
    if not (url.startswith("https://") or is_of_tests or is_ours):
        raise InvalidReturnUrl(param="return_url")
    return {"success_redirect_url": url, "cancel_redirect_url": url, **data.get("redirects", {})}


def _fits(session: CheckoutSession, invoice: Invoice, entry_id: str | None, wanted: Mapping[str, Any]) -> bool:
    """Whether an open session can be used for a request; it then leads back to where that wants, if it says where."""
    is_same = (
        session.invoice_id == invoice.id
        and session.surface == wanted["surface"]
        and session.invoice_schedule_entry_id == entry_id
        and session.invoice_link_generation == invoice.link_generation
    )
    changed = {
        name: wanted[name]
        for name in ("redirects", "page_origin")
        if name in wanted and session.settings.get(name) != wanted[name]
    }
    if not is_same or (changed and session.payment_attempts.exists()):
        return False
    if changed:
        session.settings = {**session.settings, **changed}
        session.save(update_fields=["settings", "updated_at"])
    return True
