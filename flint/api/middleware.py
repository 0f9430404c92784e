"""What every answer under /v1/ has in common: request id, version, context headers, and never an HTML error page."""

import re
import uuid
from collections.abc import Callable

import structlog
from django.http import HttpRequest, HttpResponse

from flint import errors
from flint.api.errors import (
    InternalError,
    InvalidApiVersion,
    RequestBodyTooLarge,
    RouteNotFound,
    handle,
    respond,
)
from flint.api.spectacular_settings import API_VERSION
from flint.errors import FlintError

MAX_BODY = 2**20
PREFIX = "/v1/"
PRINTABLE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?")


class ApiMiddleware:
    """Wraps the API. Should be the first of all middleware, so that nothing answers around it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not request.path_info.startswith(PREFIX):
            return self.get_response(request)
        given = request.headers.get("X-Request-Id", "")
        request.request_id = given if PRINTABLE.fullmatch(given) else str(uuid.uuid4())
        with structlog.contextvars.bound_contextvars(request_id=request.request_id):
            response = self._answer(request)
        self._add_headers(request, response)
        return response

    def _answer(self, request: HttpRequest) -> HttpResponse:
        try:
            self._check_call(request)
        except FlintError as refusal:
            return respond(refusal, request)
        response = self.get_response(request)
        if response.status_code >= 400 and not getattr(response, "is_envelope", False):
            return respond(_refusal_for(response.status_code), request)
        return response

    def _check_call(self, request: HttpRequest) -> None:
        if request.headers.get("Flint-Version", API_VERSION) != API_VERSION:
            raise InvalidApiVersion(f"This installation speaks version {API_VERSION} of the API only.")
        if "\0" in request.path_info:
            raise RouteNotFound()
        length = request.META.get("CONTENT_LENGTH") or "0"
        if not (length.isascii() and length.isdigit()):
            raise errors.InvalidInput("Content-Length is a number of bytes.")
        if len(length) > 12 or int(length) > MAX_BODY:
            raise RequestBodyTooLarge()
        if "chunked" in request.headers.get("Transfer-Encoding", "").lower():
            self._read_chunks(request)

    @staticmethod
    def _read_chunks(request: HttpRequest) -> None:
        # WSGI has no length for such a body, and Django would take it for an empty one.
        body = request.META["wsgi.input"].read(MAX_BODY + 1)
        if len(body) > MAX_BODY:
            raise RequestBodyTooLarge()
        request._body = body
        request.META["CONTENT_LENGTH"] = str(len(body))

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Answer what a view under /v1/ let through, before Django makes a page of it."""
        if request.path_info.startswith(PREFIX):
            return handle(exception, {"request": request})
        return None

    @staticmethod
    def _add_headers(request: HttpRequest, response: HttpResponse) -> None:
        response["X-Request-Id"] = request.request_id
        response["Flint-Version"] = API_VERSION
        response.headers.setdefault("Cache-Control", "no-store")
        if key := getattr(request, "idempotency_key", None):
            response["Idempotency-Key"] = key
        if environment := getattr(request, "environment", None):
            response["Flint-Merchant-Id"] = environment.merchant_id
            response["Flint-Merchant-Environment-Id"] = environment.id
            response["Flint-Mode"] = environment.mode
            if environment.sandbox_id:
                response["Flint-Sandbox-Id"] = environment.sandbox_id


def _refusal_for(status: int) -> FlintError:
    """Return the refusal for an answer that did not come from a view of ours: a bad host, a body cut off."""
    match status:
        case 404:
            return RouteNotFound()
        case 403:
            return errors.Forbidden()
        case 413:
            return RequestBodyTooLarge()
    return errors.InvalidInput() if status < 500 else InternalError()
