"""The order's own events in plain words."""

from flint.admin import words
from flint.events.models import Event
from flint.money import Money
from orders.admin.registry import event_words

ORIGINS = {
    "virtual_terminal": "by staff",
    "payment_link": "through a payment link",
    "checkout": "at checkout",
    "api": "through the API",
    "subscription": "by a subscription",
}


def money_of(event: Event, key: str) -> Money:
    """Return an amount among an event's particulars."""
    return Money(event.data.get(key) or 0, event.currency)


def describe(event: Event) -> str:
    """Say what happened; a type that nobody described yet reads as its name."""
    writer = event_words.get(event.type)
    return writer(event) if writer else words(event.type)


def _created(event: Event) -> str:
    lines = event.data.get("lines", 0)
    return f"Order created {ORIGINS.get(event.data.get('origin'), '')} with {lines} line{'' if lines == 1 else 's'}"


def _named(before: str, after: str = ""):
    def write(event: Event) -> str:
        name, quantity = event.data.get("name", ""), event.data.get("quantity", 1)
        what = f"{before} {f'{quantity} × ' if quantity != 1 else ''}{name}".rstrip()
        return f"{what} {after}".rstrip()

    return write


def _changed(what: str):
    def write(event: Event) -> str:
        changed = ", ".join(words(name.removesuffix("_money")).lower() for name in event.data.get("changed", []))
        return f"{what} changed: {changed}" if changed else f"{what} changed"

    return write


def _closed(event: Event) -> str:
    written_off = money_of(event, "written_off_amount")
    return f"Order closed, {written_off} written off" if written_off else "Order closed"


event_words.update(
    {
        "order.created": _created,
        "order.updated": _changed("Order"),
        "order.closed": _closed,
        "order.note_added": lambda event: "Note",
        "order.line_item_added": _named("Line added:"),
        "order.line_item_updated": _changed("Line"),
        "order.line_item_removed": _named("Line removed:"),
        "order.charge_added": _named("Charge added:"),
        "order.charge_updated": _changed("Charge"),
        "order.charge_removed": _named("Charge removed:"),
        "order.discount_applied": lambda event: (
            f"Discount {event.data.get('name', '')} applied: {money_of(event, 'applied_amount')}"
        ),
        "order.discount_removed": _named("Discount", "removed"),
        "order.requested_tip_added": lambda event: "Tip added",
        "order.requested_tip_updated": lambda event: "Tip changed",
        "order.requested_tip_removed": lambda event: "Tip removed",
        "order.tax_updated": lambda event: "Tax changed",
    }
)
