"""How a payment link's page looks: as the link says, else as the merchant chose for all of its pages."""

from collections.abc import Mapping
from typing import Any

from flint.merchants.settings import section_of
from payments.models import PaymentLink
from payments.services.sessions.defaults import COLOURS


def theme_of(link: PaymentLink, branding: Mapping[str, Any] | None = None) -> dict[str, str]:
    """Return a link's colours and title; ``branding`` is the merchant's, if it is at hand."""
    branding = section_of(link.environment_id, "branding") if branding is None else branding
    return {**{name: branding[name] for name in COLOURS if branding[name]}, **link.settings.get("theme", {})}
