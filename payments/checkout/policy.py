"""What a browser may do with the page: no inline script, no frame around it, no other origin than the processor's."""

import re
from urllib.parse import urlsplit

from django.http import HttpResponse

from payments.processors.base import Processor

ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?")


def origin_of(url: str) -> str:
    """Return the origin of an address, as it may stand in a policy; empty if it is of another kind."""
    parts = urlsplit(url)
    origin = f"{parts.scheme}://{parts.netloc}".lower()
    return origin if ORIGIN.fullmatch(origin) else ""


def guarded(response: HttpResponse, processor: Processor | None = None, *, image: str = "") -> HttpResponse:
    """
    Put the page's security headers on a response; a processor's own library is let in where it has one.

    :param image: the origin of a picture that the merchant chose for the page.
    """
    origins = processor.form_origins if processor else {}
    allowed = {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
    }
    for name, more in origins.items():
        allowed[name] = [*allowed.get(name, []), *more]
    if image:
        allowed["img-src"].append(image)
    response["Content-Security-Policy"] = "; ".join(f"{name} {' '.join(those)}" for name, those in allowed.items())
    # The link holds a secret. Not "no-referrer": that makes browsers post with "Origin: null", which CSRF refuses.
    response["Referrer-Policy"] = "same-origin"
    response["X-Robots-Tag"] = "noindex"
    return response
