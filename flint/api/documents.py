"""The API described: as OpenAPI for machines, as a page for people."""

from functools import cache
from typing import Any

import orjson
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import get_urlconf
from django.views.decorators.http import require_safe
from drf_spectacular.generators import SchemaGenerator

from flint.api.views import ApiView


def document() -> dict[str, Any]:
    """Return the OpenAPI document of this installation, made once per process."""
    return _document(get_urlconf() or settings.ROOT_URLCONF)


@cache
def _document(urlconf: str) -> dict[str, Any]:
    return SchemaGenerator(urlconf=urlconf).get_schema(request=None, public=True)


@cache
def _document_json(urlconf: str) -> bytes:
    return orjson.dumps(_document(urlconf))


class OpenApiDocument(ApiView):
    """The document itself, without the envelope."""

    public = True
    tag = "Developer"
    names = {"GET": "get_openapi_document"}
    raw_output = {"type": "object"}

    def get(self, request):
        """Get this document."""
        response = HttpResponse(_document_json(get_urlconf() or settings.ROOT_URLCONF), content_type="application/json")
        response.is_envelope = True
        return response


@require_safe
def docs(request: HttpRequest) -> HttpResponse:
    """Show the API to people."""
    return render(request, "api/docs.html", {"document": document()})
