"""What may still be said of a session: the merchant's own references, and how the buyer is reached."""

import zoneinfo
from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.utils import timezone

from flint.actors import Actor
from flint.api.metadata import merge
from flint.errors import Forbidden, InvalidInput
from payments.models import CheckoutSession
from payments.services.sessions.admitting import refuse_former_buyer
from payments.services.sessions.ending import lock_session

OF_THE_MERCHANT = frozenset({"metadata", "external_reference_id"})
OF_THE_BUYER = frozenset({"buyer_contact", "timezone", "locale"})


class CheckoutSessionUpdateFieldNotAllowed(Forbidden):
    code = "CHECKOUT_SESSION_UPDATE_FIELD_NOT_ALLOWED"
    message = "A merchant changes metadata and references, a buyer the contact and the time zone."


class InvalidTimezone(InvalidInput):
    code = "INVALID_TIMEZONE"
    message = "This is no time zone of the IANA database."


def update_session(*, checkout_session_id: str, data: Mapping[str, Any], actor: Actor) -> CheckoutSession:
    """
    Change what ``data`` names. A merchant's references stay open after the end, a buyer's contact does not.

    :raises CheckoutSessionUpdateFieldNotAllowed: if a field is not the caller's. :raises InvalidTimezone: as it says.
    :raises CheckoutSessionExpired, CheckoutSessionNotOpen, CheckoutRecoveryRestricted: for the buyer of one that ended.
    """
    allowed = OF_THE_BUYER if actor.is_buyer else OF_THE_MERCHANT
    for name in data:
        if name not in allowed:
            raise CheckoutSessionUpdateFieldNotAllowed(param=name)
    if "timezone" in data and data["timezone"] not in zoneinfo.available_timezones():
        raise InvalidTimezone(param="timezone")
    with transaction.atomic():
        order, session = lock_session(checkout_session_id, actor)
        if actor.is_buyer:
            refuse_former_buyer(order, actor)
        if "metadata" in data:
            session.metadata = merge(session.metadata, data["metadata"])
        if "external_reference_id" in data:
            session.external_reference_id = data["external_reference_id"] or ""
        if "timezone" in data:
            session.timezone = data["timezone"]
        if "locale" in data:
            session.locale = data["locale"]
        if "buyer_contact" in data:
            _change_contact(session, data["buyer_contact"])
        session.save()
    return session


def _change_contact(session: CheckoutSession, contact: Mapping[str, str | None]) -> None:
    """Take over what is named; null clears, and is remembered as the buyer's wish, so that no prefill comes back."""
    before = _contact_of(session)
    if "email" in contact:
        session.contact_email, session.is_email_cleared = contact["email"] or "", contact["email"] is None
    if "phone" in contact:
        session.contact_phone, session.is_phone_cleared = contact["phone"] or "", contact["phone"] is None
    if _contact_of(session) != before:
        session.contact_updated_at = timezone.now()


def _contact_of(session: CheckoutSession) -> tuple:
    return session.contact_email, session.contact_phone, session.is_email_cleared, session.is_phone_cleared
