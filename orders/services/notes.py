"""What staff want remembered about an order."""

from django.db import transaction

from flint.actors import Actor
from flint.errors import InvalidInput
from flint.events import services as events
from orders.models import Order

MAX_NOTE_LENGTH = 5000


class NoteRequired(InvalidInput):
    code = "FIELD_REQUIRED"
    message = "Write the note first."


class NoteTooLong(InvalidInput):
    code = "NOTE_TOO_LONG"
    message = f"A note has at most {MAX_NOTE_LENGTH} characters."


def add_note(*, order_id: str, text: str, actor: Actor) -> Order:
    """
    Add a note of the staff to the order's history. It changes no amount and is never shown to the buyer.

    :raises OrderNotFound: if the order is absent or foreign. :raises NoteRequired, NoteTooLong: by its length.
    """
    text = text.strip()
    if not text:
        raise NoteRequired(param="text")
    if len(text) > MAX_NOTE_LENGTH:
        raise NoteTooLong(param="text")
    with transaction.atomic():
        order = Order.objects.of(actor).lock(id=order_id)
        events.record(order, "order.note_added", subject=order, actor=actor, text=text)
        order.save(update_fields=["event_count"])
    return order
