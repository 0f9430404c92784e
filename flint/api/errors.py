"""From refusals to HTTP. The one place that knows which family has which status and how an error looks on the wire."""

from collections.abc import Iterator
from typing import Any

import structlog
from django.conf import settings
from django.core.exceptions import (
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
    TooManyFieldsSent,
)
from django.db import IntegrityError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, UnreadablePostError
from django_fsm import ConcurrentTransition, TransitionNotAllowed
from rest_framework import exceptions as drf
from rest_framework.settings import api_settings

from flint import errors
from flint.api import wire
from flint.errors import FlintError

logger = structlog.get_logger(__name__)

STATUS: dict[type[FlintError], int] = {
    errors.InvalidInput: 400,
    errors.Unauthenticated: 401,
    errors.PaymentRefused: 402,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.TooManyRequests: 429,
    errors.Unavailable: 503,
}

TYPE = {
    400: "validation_error",
    401: "authentication_error",
    402: "payment_error",
    403: "authorization_error",
    404: "not_found_error",
    405: "invalid_request_error",
    409: "conflict_error",
    410: "invalid_request_error",
    413: "invalid_request_error",
    415: "invalid_request_error",
    422: "validation_error",
    429: "rate_limit_error",
    502: "external_service_error",
    503: "unavailable_error",
    504: "timeout_error",
}

DRF_CODES = {"required": "FIELD_REQUIRED", "null": "NULL_NOT_ALLOWED", "max_length": "VALUE_TOO_LONG"}
MAX_DETAILS = 100
MAX_PARAM = 255
HEADER_FACTS = ("allow", "retry_after")
HERE = api_settings.NON_FIELD_ERRORS_KEY


class MethodNotAllowed(errors.InvalidCall):
    code, status = "METHOD_NOT_ALLOWED", 405
    message = "This route does not know this verb."


class RouteNotFound(errors.InvalidCall):
    code, status = "ROUTE_NOT_FOUND", 404
    message = "There is no such route."


class RequestBodyTooLarge(errors.InvalidCall):
    code, status = "REQUEST_BODY_TOO_LARGE", 413
    message = "A request body has at most 1 MiB."


class UnsupportedContentType(errors.InvalidCall):
    code, status = "UNSUPPORTED_CONTENT_TYPE", 415
    message = "Send JSON, with Content-Type: application/json."


class InvalidRequestBody(errors.InvalidInput):
    code = "INVALID_REQUEST_BODY"
    message = "The body is a JSON object."


class RequestBodyNotAllowed(errors.InvalidInput):
    code = "REQUEST_BODY_NOT_ALLOWED"
    message = "This operation takes no body."


class InvalidApiVersion(errors.InvalidInput):
    code = "INVALID_API_VERSION"
    message = "This installation does not speak that version of the API."


class ConcurrentModification(errors.Conflict):
    code = "CONCURRENT_MODIFICATION"
    message = "Somebody else changed this at the same moment. Read it again and decide anew."
    retryable = True


class InternalError(FlintError):
    next_steps = "Nothing of this request was kept. Quote the request id when you report it."


def status_of(refusal: FlintError) -> int:
    """Return the HTTP status of a refusal's family."""
    if isinstance(refusal, errors.InvalidCall):
        return refusal.status
    return next((STATUS[cls] for cls in type(refusal).__mro__ if cls in STATUS), 500)


def type_of(status: int) -> str:
    """Return the error type that the contract gives a status."""
    return TYPE.get(status, "internal_error")


def refusal_of(exc: Exception) -> FlintError:
    """Return what an exception means to the caller; :class:`InternalError` for what should not have happened."""
    match exc:
        case FlintError():
            return exc
        case drf.ValidationError():
            return invalid_fields(exc.detail)
        case drf.MethodNotAllowed():
            return MethodNotAllowed()
        case drf.UnsupportedMediaType():
            return UnsupportedContentType()
        case drf.ParseError() | UnreadablePostError():
            return InvalidRequestBody()
        case drf.NotAuthenticated() | drf.AuthenticationFailed():
            return errors.Unauthenticated()
        case drf.PermissionDenied() | PermissionDenied():
            return errors.Forbidden()
        case drf.NotFound() | Http404():
            return errors.NotFound()
        case drf.Throttled():
            return errors.TooManyRequests(retry_after=None if exc.wait is None else max(1, round(exc.wait)))
        case RequestDataTooBig():
            return RequestBodyTooLarge()
        case TooManyFieldsSent():
            return errors.InvalidInput("The query has too many parameters.", code="INVALID_QUERY")
        case SuspiciousOperation():
            return errors.InvalidInput()
        case TransitionNotAllowed() | ConcurrentTransition():
            return errors.Conflict()
        case IntegrityError():
            return ConcurrentModification()
        case OperationalError() | InterfaceError():
            return _database_refusal(exc)
    return InternalError()


def _database_refusal(exc: Exception) -> FlintError:
    # 40001 serialization failure, 40P01 deadlock: somebody else won, and this one was rolled back.
    if getattr(exc.__cause__, "sqlstate", None) in ("40001", "40P01"):
        return ConcurrentModification()
    return errors.Unavailable(retry_after=1)


def invalid_fields(detail: Any) -> errors.InvalidInput:
    """Return one refusal for all fields at fault: the one that failed by its own code, several as INVALID_REQUEST."""
    problems = list(_problems(detail))
    details = [{"code": code, "message": message} | ({"param": param} if param else {})
               for code, message, param in problems[:MAX_DETAILS]]  # fmt: skip
    if len(problems) == 1:
        code, message, param = problems[0]
        return errors.InvalidInput(message, code=code, param=param, details=details)
    return errors.InvalidInput(f"{len(problems)} fields are not valid; see details.", details=details)


def _problems(detail: Any, path: str = "") -> Iterator[tuple[str, str, str | None]]:
    if isinstance(detail, dict):
        for name, inner in detail.items():
            if isinstance(name, int):
                yield from _problems(inner, f"{path}[{name}]")
            elif name == HERE:
                yield from _problems(inner, path)
            else:
                yield from _problems(inner, f"{path}.{name}" if path else name)
    elif isinstance(detail, list):
        for index, inner in enumerate(detail):
            if isinstance(inner, dict | list):
                yield from _problems(inner, f"{path}[{index}]")
            else:
                yield from _problems(inner, path)
    else:
        code = detail.code if detail.code.isupper() else DRF_CODES.get(detail.code, "INVALID_REQUEST")
        yield code, str(detail), path[:MAX_PARAM] or None


def error_source_of(refusal: FlintError, status: int) -> str:
    """Return who can mend it: ``flint``, the merchant's ``integration``, or the ``merchant`` by deciding anew."""
    if status >= 500:
        return "flint"
    is_business = status in (402, 409) and not refusal.code.startswith("IDEMPOTENCY")
    return "merchant" if is_business else "integration"


def body_of(refusal: FlintError, request_id: str) -> dict[str, Any]:
    """Return the error as it goes over the wire."""
    status = status_of(refusal)
    facts = {name: value for name, value in refusal.facts.items() if name not in HEADER_FACTS}
    details = facts.pop("details", None)
    remediation: dict[str, Any] = {"retryable": refusal.retryable}
    if refusal.next_steps:
        remediation["next_steps"] = refusal.next_steps
    error: dict[str, Any] = {
        "type": type_of(status),
        "code": refusal.code,
        "message": refusal.message,
        "error_source": error_source_of(refusal, status),
        "doc_url": settings.BASE_URL + "/docs#errors",
        "request_id": request_id,
    }
    if refusal.param:
        error["param"] = refusal.param
    if details is None and refusal.param:
        details = [{"code": refusal.code, "message": refusal.message, "param": refusal.param, **facts}]
    if details:
        error["details"] = details
        if fields := [item["param"] for item in details if "param" in item]:
            remediation["missing_or_invalid_fields"] = fields
    return {"error": {**error, "remediation": remediation, **facts}}


def respond(refusal: FlintError, request: HttpRequest) -> HttpResponse:
    """Answer with a refusal."""
    status = status_of(refusal)
    body = wire.dumps(body_of(refusal, getattr(request, "request_id", "")))
    response = HttpResponse(body, status=status, content_type="application/json")
    if status == 401:
        response["WWW-Authenticate"] = "Bearer"
    if "allow" in refusal.facts:
        response["Allow"] = refusal.facts["allow"]
    if "retry_after" in refusal.facts:
        response["Retry-After"] = str(refusal.facts["retry_after"])
    response.is_envelope = True
    return response


def handle(exc: Exception, context: dict[str, Any]) -> HttpResponse:
    """Answer any exception of a view in the contract's form. What nobody foresaw is logged with its traceback."""
    request = context["request"]
    refusal = refusal_of(exc)
    if (actor := getattr(request, "actor", None)) and actor.is_buyer:
        _keep_from_buyer(refusal)
    if isinstance(refusal, InternalError):
        logger.exception("request_failed", exc_info=exc, code=refusal.code)
        _remember(request, exc)
    elif isinstance(exc, IntegrityError):
        # The service should have explained this before the database had to refuse it.
        logger.error("constraint_refused", exc_info=exc)
        _remember(request, exc)
    elif isinstance(exc, OperationalError | InterfaceError):
        logger.warning("database_refused", exc_info=exc)
    return respond(refusal, request)


def _keep_from_buyer(refusal: FlintError) -> None:
    """What else of the merchant's stands in the way is none of a buyer's business."""
    for name in ("blocking_resources", "blocking_resource_count"):
        refusal.facts.pop(name, None)


def _remember(request: Any, exc: Exception) -> None:
    # For the test client, which shows the cause of a 500 where it is noticed.
    getattr(request, "_request", request).failure = exc
