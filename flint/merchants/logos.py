"""A merchant's logo for browsers and mail programs: another picture has another address, so anybody may keep it."""

import base64
import hashlib
from collections.abc import Mapping
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_GET

from flint.merchants.settings import section_of
from flint.pictures import mime_type_of

YEAR = 365 * 24 * 3600


def logo_path(environment_id: str, branding: Mapping[str, Any]) -> str:
    """Return where the logo of a section of branding is found here; empty if there is none."""
    if not branding.get("logo"):
        return ""
    return reverse("merchant_logo", args=[environment_id, _mark_of(branding["logo"])])


@require_GET
def logo(request: HttpRequest, environment_id: str, mark: str) -> HttpResponse:
    """Give the logo. Another picture has another address, so that this one never changes."""
    encoded = section_of(environment_id, "branding")["logo"]
    if not encoded or mark != _mark_of(encoded):
        raise Http404
    content = base64.b64decode(encoded)
    response = HttpResponse(content, content_type=mime_type_of(content))
    response["Cache-Control"] = f"public, max-age={YEAR}, immutable"
    response["Content-Security-Policy"] = "default-src 'none'"
    return response


def _mark_of(encoded: str) -> str:
    return hashlib.sha256(encoded.encode()).hexdigest()[:16]
