"""The API described: as OpenAPI for machines, as a page for people."""

from functools import cache
from threading import Lock
from typing import Any

import orjson
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import get_urlconf, reverse
from django.views.decorators.http import require_safe
from drf_spectacular.generators import SchemaGenerator

from flint.api.components import MEANING
from flint.api.errors import type_of
from flint.api.handbook import Handbook
from flint.api.views import ApiView

PAGE_POLICY = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
GENERATING = Lock()


def document(urlconf: str | None = None) -> dict[str, Any]:
    """Return the OpenAPI document of this installation, or of another URL conf; made once per process."""
    # drf-spectacular keeps what it is at in objects that all threads share.
    with GENERATING:
        return _document(urlconf or get_urlconf() or settings.ROOT_URLCONF)


@cache
def _document(urlconf: str) -> dict[str, Any]:
    return SchemaGenerator(urlconf=urlconf).get_schema(request=None, public=True)


@cache
def _document_json(urlconf: str) -> bytes:
    return orjson.dumps(document(urlconf))


class OpenApiDocument(ApiView):
    """The document itself, without the envelope."""

    public = True
    tag = "Developer"
    names = {"GET": "get_openapi_document"}
    raw_output = {"type": "object"}

    def get(self, request):
        """Get this document."""
        body = _document_json(get_urlconf() or settings.ROOT_URLCONF)
        response = HttpResponse(body, content_type="application/json")
        response["Cache-Control"] = "public, max-age=300"
        return response


@require_safe
def docs(request: HttpRequest) -> HttpResponse:
    """Show the API to people: a page without scripts, and nothing from elsewhere."""
    response = render(request, "api/docs.html", _page(get_urlconf() or settings.ROOT_URLCONF))
    response["Content-Security-Policy"] = PAGE_POLICY
    return response


@cache
def _page(urlconf: str) -> dict[str, Any]:
    handbook = Handbook(document(urlconf), settings.BASE_URL)
    return {
        "info": handbook.document["info"],
        "openapi_url": reverse("openapi"),
        "chapters": handbook.chapters(),
        "objects": handbook.objects(),
        "errors": [{"status": status, "type": type_of(status), "meaning": MEANING[status]} for status in MEANING],
    }
