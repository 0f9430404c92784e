"""
Refusals. A refusal is a class beside the verb that raises it: a family from here, a code of the contract, a message
that says what to do, and typed facts. ``flint.api.errors`` alone turns families into HTTP.
"""

from flint.money import Money


class FlintError(Exception):
    """
    A refusal with a name.

    :param param: JSON path of the request field at fault, such as ``line_items[0].name``.
    :param facts: typed facts of the contract's error object, such as ``maximum_money=Money(100, "EUR")``.
    """

    code = "INTERNAL_ERROR"
    message = "Something went wrong."
    retryable = False
    next_steps = ""

    def __init__(self, message: str | None = None, *, param: str | None = None, code: str | None = None, **facts):
        self.message = message or self.message
        self.code = code or self.code
        self.param = param
        self.facts: dict[str, Money | str | int | bool | list | dict] = {
            name: value for name, value in facts.items() if value is not None
        }
        super().__init__(f"{self.code}: {self.message}")


class InvalidInput(FlintError):
    """What was sent cannot be accepted as it is (400)."""

    code = "INVALID_REQUEST"
    message = "The request is not valid."


class Unauthenticated(FlintError):
    """Nobody, or nobody we know (401)."""

    code = "AUTH_REQUIRED"
    message = "Send an API key as 'Authorization: Bearer <key>' or as 'X-API-Key: <key>'."


class PaymentRefused(FlintError):
    """A payment was declined where no attempt exists to carry the decline (402)."""

    code = "PAYMENT_FAILED"
    message = "The payment was declined."


class Forbidden(FlintError):
    """Known, but not allowed (403)."""

    code = "AUTHORIZATION_FAILED"
    message = "This is not allowed."


class NotFound(FlintError):
    """Absent, or somebody else's (404)."""

    code = "RESOURCE_NOT_FOUND"
    message = "No such resource in this environment."


class Conflict(FlintError):
    """Right in itself, but not in the present state (409)."""

    code = "ORDER_CONFLICT"
    message = "The resource is not in a state that allows this. Read it again and decide anew."


class InvalidCall(FlintError):
    """The call itself is malformed: route, verb, media type or size (404, 405, 413, 415)."""

    code = "METHOD_NOT_ALLOWED"
    status = 405


class TooManyRequests(FlintError):
    """Too often (429). ``retry_after`` in seconds, when it can be known."""

    code = "RATE_LIMIT_EXCEEDED"
    message = "Too many requests. Wait and try again."
    retryable = True


class Unavailable(FlintError):
    """A part that Flint needs is out of reach; nothing was changed (503)."""

    code = "SERVICE_UNAVAILABLE"
    message = "The service is not available at the moment. Try again."
    retryable = True
