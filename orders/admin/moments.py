"""The order page as of a moment: what the form on it is given, and the order as it stood then."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.utils import timezone

from flint.actors import Actor
from flint.errors import InvalidInput
from orders.as_of import read_order_as_of
from orders.models import Order


class MomentNotUnderstood(InvalidInput):
    code = "INVALID_AS_OF"
    message = "Give a day and a time, such as 2026-09-07T12:00:00."


def moment_of(text: str, zone: str) -> datetime:
    """
    Return the moment that staff ask about, in the merchant's time: the end of the second that they name.

    What the history shows to have happened in that second has happened then. A moment with fractions is taken as it is.

    :raises MomentNotUnderstood: if it is no time.
    """
    try:
        named = datetime.fromisoformat(text)
        at = named if named.tzinfo else named.replace(tzinfo=ZoneInfo(zone))
        end = at if at.microsecond else at + timedelta(seconds=1, microseconds=-1)
    except (ValueError, OverflowError):
        raise MomentNotUnderstood() from None
    now = timezone.now()
    return now if now < end < now + timedelta(seconds=1) else end


def as_it_stood(order: Order, *, at: datetime, actor: Actor) -> Order:
    """
    Return an order as it stood, for its page.

    :raises OrderNotCreatedYet, InvalidAsOf: as :func:`orders.as_of.read_order_as_of`.
    """
    stood = read_order_as_of(order.id, at=at, actor=actor)
    stood.environment = order.environment
    return stood
