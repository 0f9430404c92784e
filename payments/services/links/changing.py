"""Making a link, and changing what it offers. Lists are replaced as a whole, against the version that was looked at."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from flint.actors import Actor
from flint.api import wire
from flint.api.metadata import merge
from flint.errors import Conflict, InvalidInput
from flint.money import Money
from payments.models import PaymentLink
from payments.models.links import LinkStatus
from payments.services.links.checking import check_link
from payments.services.links.parts import new_custom_fields, new_lines

SETTINGS = (
    "customer_collection",
    "expiration",
    "redirects",
    "payments",
    "promotion_config",
    "tip",
    "tax",
    "theme",
    "legal",
    "custom_text",
)
"""What is copied to each session that is opened by the link."""

DONATION = ("donation_min_amount_money", "donation_max_amount_money", "donation_suggested_amount_money_options")
TEXTS = ("name", "description", "inactive_message", "external_reference_id")


class ExpectedVersionRequired(InvalidInput):
    code = "EXPECTED_VERSION_REQUIRED"
    message = "A list is replaced as a whole. Send the link's 'version' that you looked at as 'expected_version'."


class PaymentLinkChanged(Conflict):
    code = "PAYMENT_LINK_CHANGED"
    message = "The payment link was changed in the meantime. Read it again and decide anew."


def create_link(*, data: Mapping[str, Any], actor: Actor) -> PaymentLink:
    """
    Make a link, in use at once. ``data`` is a validated request of the contract.

    :raises InvalidLink: with the code of what does not go together.
    """
    link = PaymentLink(environment_id=actor.environment_id, payment_link_type=data["payment_link_type"])
    _take_over(link, data)
    link.metadata = data.get("metadata", {})
    check_link(link)
    link.save(force_insert=True)
    return link


def update_link(*, payment_link_id: str, data: Mapping[str, Any], actor: Actor) -> PaymentLink:
    """
    Change what ``data`` names, and count the change in the link's version; orders that it made stay what they are.

    :raises PaymentLinkNotFound: if it is absent or foreign. :raises ExpectedVersionRequired: if a list comes without.
    :raises PaymentLinkChanged: if the version is another one. :raises InvalidLink: as :func:`create_link`.
    """
    with transaction.atomic():
        link = PaymentLink.objects.of(actor).lock(id=payment_link_id)
        _refuse_changed(link, data)
        _take_over(link, data)
        if "metadata" in data:
            link.metadata = merge(link.metadata, data["metadata"])
        if data.get("status", link.status) != link.status:
            link.activate() if data["status"] == LinkStatus.ACTIVE else link.deactivate()
        check_link(link)
        link.version += 1
        link.save()
    return link


def _refuse_changed(link: PaymentLink, data: Mapping[str, Any]) -> None:
    expected = data.get("expected_version")
    if expected is None:
        if named := next((name for name in ("line_items", "custom_fields") if name in data), None):
            raise ExpectedVersionRequired(param="expected_version", reason=f"{named}_replaced")
    elif expected != link.version:
        raise PaymentLinkChanged(param="expected_version", current_version=link.version)


def _take_over(link: PaymentLink, data: Mapping[str, Any]) -> None:
    for name in TEXTS:
        if name in data:
            setattr(link, name, data[name] or "")
    for name in ("image", "max_completions"):
        if name in data:
            setattr(link, name, data[name])
    if "line_items" in data:
        link.line_items = new_lines(link.line_items, data["line_items"])
    if "custom_fields" in data:
        link.custom_fields = new_custom_fields(link.custom_fields, data["custom_fields"])
    link.settings = _merged(link.settings, data, SETTINGS)
    link.donation = _merged(link.donation, data, DONATION)


def _merged(kept: dict[str, Any], data: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    named = {name: as_kept(data[name]) for name in names if name in data}
    return {name: value for name, value in {**kept, **named}.items() if value not in (None, [])}


def as_kept(value: Any) -> Any:
    """Return a validated value in the form that JSON can hold: money as the contract writes it."""
    if isinstance(value, Money):
        return wire.wire_money(value)
    if isinstance(value, Mapping):
        return {name: as_kept(each) for name, each in value.items()}
    return [as_kept(each) for each in value] if isinstance(value, list) else value
