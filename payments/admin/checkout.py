"""What the history of an order says about checkouts and links, however the buyer came to them."""

from flint.admin import words
from flint.events.models import Event
from orders.admin.registry import event_words

SURFACES = {
    "hosted": "on the hosted page",
    "embedded": "in the merchant's own page",
}


def _opened(event: Event) -> str:
    return f"Checkout opened {SURFACES.get(event.data.get('surface'), '')}".rstrip()


def _ended(how: str):
    def write(event: Event) -> str:
        reason = event.data.get("reason", "")
        return f"Checkout {how}: {words(reason).lower()}" if reason else f"Checkout {how}"

    return write


event_words.update(
    {
        "checkout_session.created": _opened,
        "checkout_session.customer_verified": lambda event: f"Buyer confirmed the address {event.data.get('to', '')}",
        "checkout_session.completed": _ended("completed"),
        "checkout_session.expired": lambda event: "Checkout expired",
        "checkout_session.closed": _ended("closed"),
        "checkout_session.invalidated": _ended("no longer valid"),
        "payment_link.resolved": lambda event: (
            f"Ordered through the payment link {event.data.get('name', '')}".rstrip()
        ),
        "pay_link.created": lambda event: "A link to pay was made",
    }
)
