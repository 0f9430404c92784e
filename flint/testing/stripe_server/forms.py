"""Stripe's requests: nested forms such as ``metadata[order]=1&expand[0]=latest_charge``, and what each call takes."""

import re
from typing import Any
from urllib.parse import parse_qsl

from flint.testing.stripe_server.errors import invalid

MAP = object()
"""A parameter that takes any keys, with texts as values."""

KEY = re.compile(r"^([^\[\]]+)((?:\[[^\[\]]*\])*)$")


def parse(text: str) -> dict[str, Any]:
    """Read a form or query into nested dicts; a list stays a dict by index until :func:`check` knows better."""
    found: dict[str, Any] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        match = KEY.match(name)
        if match is None:
            raise invalid(f"Invalid parameter name: {name}", param=name)
        path = [match[1], *re.findall(r"\[([^\[\]]*)\]", match[2])]
        place = found
        for step in path[:-1]:
            place = place.setdefault(step, {})
            if not isinstance(place, dict):
                raise invalid(f"Invalid parameter: {name}", param=name)
        last = path[-1] or str(len(place))
        place[last] = value
    return found


def check(sent: dict[str, Any], takes: dict[str, Any], required: tuple[str, ...] = (), *, within: str = "") -> dict:
    """
    Return the parameters with their types.

    :raises ApiError: ``parameter_unknown``, ``parameter_missing`` and the codes of wrong values, as Stripe has them.
    """
    for name in sent:
        if name not in takes:
            full = f"{within}[{name}]" if within else name
            raise invalid(f"Received unknown parameter: {full}", code="parameter_unknown", param=full)
    for name in required:
        if name not in sent:
            raise invalid(f"Missing required param: {name}.", code="parameter_missing", param=name)
    return {name: _value(value, takes[name], f"{within}[{name}]" if within else name) for name, value in sent.items()}


def _value(value: Any, kind: Any, name: str) -> Any:
    if kind is MAP:
        return _map(value, name)
    if isinstance(kind, list):
        values = value.values() if isinstance(value, dict) else [value]
        return [_value(item, kind[0], name) for item in values]
    if isinstance(kind, dict):
        if not isinstance(value, dict):
            raise invalid("Invalid object", param=name)
        return check(value, kind, within=name)
    if isinstance(kind, Either):
        return _value(value, kind.nested if isinstance(value, dict) else kind.plain, name)
    if not isinstance(value, str):
        raise invalid("Invalid string", param=name)
    if kind is int:
        if not re.fullmatch(r"-?\d{1,18}", value):
            raise invalid(f"Invalid integer: {value}", code="parameter_invalid_integer", param=name)
        return int(value)
    if kind is bool:
        if value not in ("true", "false"):
            raise invalid(f"Invalid boolean: {value}", param=name)
        return value == "true"
    if isinstance(kind, tuple) and value not in kind:
        raise invalid(f"Invalid {name}: must be one of {', '.join(kind)}", param=name)
    if value == "":
        raise invalid(f"You passed an empty string for '{name}'.", code="parameter_invalid_empty", param=name)
    return value


def _map(value: Any, name: str) -> dict[str, str]:
    if not isinstance(value, dict) or any(not isinstance(item, str) for item in value.values()):
        raise invalid("Metadata must be a hash of texts", param=name)
    if len(value) > 50 or any(len(key) > 40 or len(item) > 500 for key, item in value.items()):
        raise invalid("Metadata takes 50 keys of 40 characters, with values of 500", param=name)
    # A key set to nothing is a key taken away.
    return {key: item for key, item in value.items() if item}


class Either:
    """A parameter that is a plain value or an object."""

    def __init__(self, plain: Any, nested: dict[str, Any]):
        self.plain, self.nested = plain, nested


CREATED = Either(int, {"gt": int, "gte": int, "lt": int, "lte": int})
PAGE = {"limit": int, "starting_after": str, "ending_before": str, "created": CREATED, "expand": [str]}
MANDATE = {"customer_acceptance": {"type": ("online", "offline"), "online": MAP, "accepted_at": int}}

CREATE_INTENT = {
    "amount": int,
    "currency": str,
    "automatic_payment_methods": {"enabled": bool, "allow_redirects": ("always", "never")},
    "capture_method": ("automatic", "automatic_async", "manual"),
    "confirm": bool,
    "confirmation_token": str,
    "customer": str,
    "description": str,
    "expand": [str],
    "mandate_data": MANDATE,
    "metadata": MAP,
    "off_session": bool,
    "payment_method": str,
    "payment_method_types": [str],
    "return_url": str,
    "setup_future_usage": ("off_session", "on_session"),
    "use_stripe_sdk": bool,
}
CONFIRM_INTENT = {
    "confirmation_token": str,
    "expand": [str],
    "mandate_data": MANDATE,
    "off_session": bool,
    "payment_method": str,
    "return_url": str,
    "use_stripe_sdk": bool,
}
CAPTURE_INTENT = {"amount_to_capture": int, "expand": [str], "metadata": MAP}
CANCEL_INTENT = {
    "cancellation_reason": ("abandoned", "duplicate", "fraudulent", "requested_by_customer"),
    "expand": [str],
}
CREATE_REFUND = {
    "amount": int,
    "charge": str,
    "expand": [str],
    "metadata": MAP,
    "payment_intent": str,
    "reason": ("duplicate", "fraudulent", "requested_by_customer"),
}
RETRIEVE = {"expand": [str]}
LIST_INTENTS = {**PAGE, "customer": str}
LIST_REFUNDS = {**PAGE, "charge": str, "payment_intent": str}
LIST_EVENTS = {**PAGE, "delivery_success": bool, "type": str, "types": [str]}
CREATE_CUSTOMER = {"description": str, "email": str, "expand": [str], "metadata": MAP, "name": str}
ATTACH = {"customer": str, "expand": [str]}
CREATE_SETUP = {
    "confirm": bool,
    "customer": str,
    "description": str,
    "expand": [str],
    "metadata": MAP,
    "payment_method": str,
    "payment_method_types": [str],
    "usage": ("off_session", "on_session"),
}
CONFIRM_SETUP = {"expand": [str], "payment_method": str, "return_url": str, "use_stripe_sdk": bool}
CANCEL_SETUP = {
    "cancellation_reason": ("abandoned", "duplicate", "requested_by_customer"),
    "expand": [str],
}
LIST_SETUPS = {**PAGE, "customer": str, "payment_method": str}
LIST_DISPUTES = {**PAGE, "charge": str, "payment_intent": str}
LIST_MOVEMENTS = {**PAGE, "currency": str, "payout": str, "source": str, "type": str}
LIST_PAYOUTS = {**PAGE, "arrival_date": CREATED, "destination": str, "status": str}
