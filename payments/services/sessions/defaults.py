"""What a new session is where its caller chose nothing: as the merchant chose it once for all of its checkouts."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from flint.merchants.settings import Effective

COLOURS = ("primary_color", "accent_color")


def lifetime_of(data: Mapping[str, Any], chosen: Effective) -> timedelta:
    """Return how long a session lives."""
    asked = data.get("expiration", {}).get("expires_in_seconds")
    return timedelta(seconds=asked or chosen["checkout"]["default_expires_in_seconds"])


def with_defaults(data: Mapping[str, Any], chosen: Effective, *, may_tip: bool) -> dict[str, Any]:
    """
    Return a request with what the merchant chose where it says nothing; what it says stays as it is.

    :param may_tip: whether this kind of sale may ask for a tip where its caller does not.
    """
    filled = dict(data)
    checkout = chosen["checkout"]
    _fill(filled, "payments", enabled_payment_options=checkout["enabled_payment_options"])
    asked = {name: True for name in ("require_email", "require_phone") if checkout[name]}
    _fill(filled, "customer_collection", **asked)
    legal = {name: value for name, value in chosen["legal"].items() if value}
    if not filled.get("legal"):
        _fill(filled, "legal", **legal)
    _fill(filled, "theme", **{name: chosen["branding"][name] for name in COLOURS})
    if may_tip and "enabled" not in filled.get("tip", {}) and chosen["tipping"]["enabled"]:
        _fill(filled, "tip", **chosen["tipping"])
    return filled


def _fill(data: dict[str, Any], part: str, **defaults: Any) -> None:
    """Put the defaults that there are beside what was said of one part."""
    known = {name: value for name, value in defaults.items() if value is not None}
    if known:
        data[part] = {**known, **data.get(part, {})}
