"""How often one address may order by one link: nobody who orders has a credential that could be taken away."""

import hashlib

from django.core.cache import cache

from flint.errors import TooManyRequests

RESOLVES, SECONDS = 30, 60
"""So many in so many seconds."""


class PaymentLinkResolutionRateLimited(TooManyRequests):
    code = "PAYMENT_LINK_RESOLUTION_RATE_LIMITED"
    message = "This link was resolved very often from here. Wait a moment and try again."


def count_resolve(payment_link_id: str, address: str) -> None:
    """:raises PaymentLinkResolutionRateLimited: if a link was resolved too often from an address."""
    name = f"link-resolves:{hashlib.sha256(f'{payment_link_id} {address}'.encode()).hexdigest()}"
    cache.add(name, 0, SECONDS)
    try:
        count = cache.incr(name)
    except ValueError:
        return  # It ran out between the two calls; the next one counts from the start.
    if count > RESOLVES:
        raise PaymentLinkResolutionRateLimited(retry_after=SECONDS)
