"""Writing into the outbox, in the transaction of the fact that a message tells of."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Protocol

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils import timezone
from django.utils.crypto import salted_hmac

from flint.celery import after_commit
from flint.messages import tasks
from flint.messages.models import Message

FALLBACK = "en"


class ToldOf(Protocol):
    """What of an order a message is written with."""

    id: str
    environment_id: str


_languages: list[Callable[[Any], str]] = []


def knows_language(find: Callable[[Any], str]) -> Callable[[Any], str]:
    """Register a function that returns the locale of an order's buyer, or nothing if it does not know it."""
    _languages.append(find)
    return find


def language_of_order(order: ToldOf) -> str:
    """Return the locale in which an order's buyer is written to; English if none is known."""
    return next((found for find in _languages if (found := find(order))), FALLBACK)


def queue(
    order: ToldOf,
    kind: str,
    *,
    source_id: str,
    recipient: str,
    cc: Iterable[str] = (),
    language: str = "",
    at: datetime | None = None,
) -> Message | None:
    """
    Write a message about a fact of a locked order; it is sent once the transaction has committed.

    Returns None, and writes nothing, if there is no address to send it to or the fact has been told before. A copy
    goes to those of ``cc`` that are addresses.
    """
    if not is_address(recipient):
        return None
    message = Message(
        environment_id=order.environment_id,
        order_id=order.id,
        kind=kind,
        source_id=source_id,
        recipient=recipient,
        recipient_digest=digest_of(order.environment_id, recipient),
        cc=[each for each in cc if is_address(each)],
        language=language or language_of_order(order),
        next_at=at or timezone.now(),
    )
    if Message.objects.filter(kind=kind, source_id=source_id).exists():
        return None
    message.save(force_insert=True)
    after_commit(tasks.send_message, message_id=message.id)
    return message


def normalized(address: str) -> str:
    """Return the one form of an address that counts as the same."""
    return address.strip().lower()


def digest_of(environment_id: str, address: str) -> str:
    """Return what is kept of an address for good: enough to know it again, not enough to write to it."""
    return salted_hmac("flint messages", f"{environment_id} {normalized(address)}", algorithm="sha256").hexdigest()


def is_address(text: str) -> bool:
    """Whether a text is one address, and nothing that could add a line or a second one to a mail's head."""
    try:
        validate_email(text)
    except ValidationError:
        return False
    return len(text) <= 255 and text.isprintable() and not any(sign in text for sign in ",;<>")
