"""
What a buyer was shown of a link, signed: its version and when. A resolve names it, so that nobody orders from a page
that is out of date, and so that a retry can be told from a new wish.
"""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.core import signing

from flint.errors import Conflict, InvalidInput
from payments.models import PaymentLink

START_WITHIN = timedelta(hours=1)
"""How long a buyer may look at the link before ordering."""

GOOD_FOR = timedelta(hours=2)
"""After this nothing is made of it any more; until then a retry of a resolve begun in time is understood."""

SALT = "payment link resolution"


class ResolutionContextInvalid(InvalidInput):
    code = "PAYMENT_LINK_RESOLUTION_CONTEXT_INVALID"
    message = "This 'resolution_context' was not made for this link, or is too old. Read the public view again."


class ResolutionContextRefreshRequired(Conflict):
    code = "PAYMENT_LINK_RESOLUTION_CONTEXT_REFRESH_REQUIRED"
    message = "The link was looked at too long ago to order now. Read the public view again."


class PaymentLinkChangedRetry(Conflict):
    code = "PAYMENT_LINK_CHANGED_RETRY"
    message = "The link was changed since it was looked at. Read the public view again and ask the buyer anew."
    retryable = True


@dataclass(frozen=True, slots=True)
class Context:
    """A signed context, and until when it can be used."""

    token: str
    expires_at: datetime
    start_deadline_at: datetime


def new_context(link: PaymentLink, *, at: datetime) -> Context:
    """Sign what a link is now."""
    seen = {"link": link.id, "version": link.version, "at": int(at.timestamp()), "once": secrets.token_urlsafe(9)}
    made = datetime.fromtimestamp(seen["at"], UTC)
    return Context(signing.dumps(seen, salt=SALT), made + GOOD_FOR, made + START_WITHIN)


def check_context(link: PaymentLink, token: str, *, at: datetime) -> None:
    """
    Refuse a context by which this link cannot be resolved now.

    :raises ResolutionContextInvalid, ResolutionContextRefreshRequired, PaymentLinkChangedRetry: as they say.
    """
    try:
        seen = signing.loads(token, salt=SALT)
    except signing.BadSignature:
        raise ResolutionContextInvalid(param="resolution_context") from None
    made = datetime.fromtimestamp(seen["at"], UTC)
    if seen["link"] != link.id or at >= made + GOOD_FOR:
        raise ResolutionContextInvalid(param="resolution_context")
    if at >= made + START_WITHIN:
        raise ResolutionContextRefreshRequired(param="resolution_context")
    if seen["version"] != link.version:
        raise PaymentLinkChangedRetry(param="resolution_context")
