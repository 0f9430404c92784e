"""Signing what is sent, in both schemes of the contract, with every secret that is good at the moment."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable
from datetime import datetime

from standardwebhooks import Webhook

PREFIX = "whsec_"


def new_secret() -> str:
    """Make a secret: ``whsec_`` and 32 random bytes in base64."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def signature_headers(*, message_id: str, body: str, secrets: Iterable[str], at: datetime) -> dict[str, str]:
    """Return the headers that prove a message: the standard scheme's three, and the older one's."""
    stamp = int(at.timestamp())
    standard, older = [], [f"t={stamp}"]
    for secret in secrets:
        standard.append(Webhook(secret).sign(message_id, at, body))
        # The older scheme's key is the secret as it reads, and what it signs leaves the message's id out.
        digest = hmac.new(secret.encode(), f"{stamp}.{body}".encode(), hashlib.sha256).hexdigest()
        older.append(f"v1={digest}")
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(stamp),
        "webhook-signature": " ".join(standard),
        "X-Flint-Signature": ",".join(older),
    }
