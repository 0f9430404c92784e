"""The messages about an order in plain words."""

from collections.abc import Callable

from flint.admin import words
from flint.events.models import Event
from flint.messages.kinds import label_of
from orders.admin.registry import event_words


def _told(text: str) -> Callable[[Event], str]:
    def write(event: Event) -> str:
        told = text.format(kind=label_of(event.data.get("kind", "")), to=event.data.get("to") or "nobody")
        reason = event.data.get("reason")
        return f"{told}: {words(reason).lower()}" if reason else told

    return write


event_words.update(
    {
        "order.message_requested": _told("{kind} by email asked for, to {to}"),
        "order.message_sent": _told("{kind} sent to {to}"),
        "order.message_failed": _told("{kind} not sent to {to}"),
    }
)
