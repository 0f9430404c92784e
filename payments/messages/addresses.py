"""
Where a buyer sees a receipt again: an address that nobody can guess, signed and not stored.

It shows one order's receipt and lets nobody do anything. It works for a good year, so that it is there for a tax
return, and an old mail that turns up in somebody else's hands says nothing.
"""

from datetime import timedelta

from django.conf import settings
from django.core.signing import BadSignature, TimestampSigner

from flint.ids import is_id
from flint.languages import Language
from orders.models import Order

KEPT_FOR = timedelta(days=400)


def _signer() -> TimestampSigner:
    return TimestampSigner(salt="flint receipt", sep=".")


def receipt_url(order: Order, language: Language) -> str:
    """Return the address of an order's receipt, in the buyer's language."""
    return f"{settings.BASE_URL}/r/{_signer().sign(order.id)}?locale={language.tag}"


def order_of(token: str) -> Order | None:
    """Return the order that a token is for, or none if it is not ours or too old."""
    try:
        order_id = _signer().unsign(token, max_age=KEPT_FOR)
    except BadSignature:
        return None
    orders = Order.objects.select_related("environment__merchant").filter(id=order_id)
    return orders.order_by("id").first() if is_id(order_id, "ord") else None
