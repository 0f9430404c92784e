"""Reading what Stripe tells us: signed over the raw bytes, with any secret that is believed at the moment."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from payments.processors.base import BadSignature, Notice
from payments.processors.stripe.mapping import kind_of
from payments.processors.stripe.models import StripeAccount
from payments.processors.stripe.states import GIVEN_TO_NOBODY

HEADER = "stripe-signature"
TOLERANCE = timedelta(seconds=300)


def read(account: StripeAccount, *, headers: Mapping[str, str], body: bytes, at: datetime) -> Notice:
    """
    Verify a notice and read where something changed. Of its payload nothing else is kept: it may show a client secret.

    The SDK's own check reads the machine's clock and knows one secret, so the signature is worked out here.

    :raises BadSignature: if no believed secret signed these bytes within the tolerance, or they are no event.
    """
    header = next((value for name, value in headers.items() if name.lower() == HEADER), "")
    moment, signatures = _parse(header)
    if abs(at.timestamp() - moment) > TOLERANCE.total_seconds():
        raise BadSignature("outside the tolerance")
    signed = f"{moment}.".encode() + body
    expected = [
        hmac.new(secret.reveal().encode(), signed, hashlib.sha256).hexdigest() for secret in account.webhook_secrets(at)
    ]
    matches = [hmac.compare_digest(mine.encode(), theirs.encode()) for mine in expected for theirs in signatures]
    if not any(matches):
        raise BadSignature("no signature matches")
    try:
        return _notice(account, json.loads(body))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadSignature("signed, but not an event") from error


def _notice(account: StripeAccount, event: Mapping[str, Any]) -> Notice:
    if event["object"] != "event":
        raise ValueError("not an event")
    kind, reference = _subject(event["type"], event["data"]["object"])
    mode, owner = event["livemode"], event.get("account") or ""
    # A platform's endpoint hears of every account connected to it, in both modes, and may not turn them down, or Stripe
    # would send them again for days and then stop sending any. They are kept, and nobody is asked about them.
    if mode is not account.environment.is_live or owner not in ("", account.connected_account_id):
        kind = "foreign"
    return Notice(
        id=_text(event["id"]),
        type=_text(event["type"]),
        kind=kind,
        reference=_text(reference),
        created_at=datetime.fromtimestamp(event["created"], UTC),
        payload={"livemode": mode, "account": owner},
    )


def _subject(event_type: str, thing: Mapping[str, Any]) -> tuple[str, str]:
    kind, where = kind_of(event_type)
    if thing.get("object") == "refund" and thing.get("reason") == GIVEN_TO_NOBODY:
        # Nobody was given anything back: so Stripe puts it when a hold lapses.
        kind, where = "payment", "payment_intent"
    reference = thing.get(where)
    if isinstance(reference, Mapping):
        reference = reference["id"]
    # A charge that was made without a PaymentIntent cannot be ours.
    return (kind, reference) if reference else ("other", thing.get("id") or "")


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value[:255]


def _parse(header: str) -> tuple[int, list[str]]:
    pairs = [part.strip().partition("=") for part in header.split(",")]
    signatures = [value for name, _, value in pairs if name == "v1"]
    times = [value for name, _, value in pairs if name == "t"]
    if len(times) != 1 or not (times[0].isascii() and times[0].isdigit() and len(times[0]) <= 12) or not signatures:
        raise BadSignature("no signature")
    return int(times[0]), signatures
