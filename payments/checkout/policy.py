"""What a browser may do with the page: no inline script, no frame around it, no other origin than the processor's."""

from django.http import HttpResponse

from payments.processors.base import Processor


def guarded(response: HttpResponse, processor: Processor | None = None) -> HttpResponse:
    """Put the page's security headers on a response; a processor's own library is let in where it has one."""
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
    response["Content-Security-Policy"] = "; ".join(f"{name} {' '.join(those)}" for name, those in allowed.items())
    # The link holds a secret. Not "no-referrer": that makes browsers post with "Origin: null", which CSRF refuses.
    response["Referrer-Policy"] = "same-origin"
    response["X-Robots-Tag"] = "noindex"
    return response
