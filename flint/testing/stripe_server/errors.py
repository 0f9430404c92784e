"""What the server answers instead of an object."""

from typing import Any


class ApiError(Exception):
    """An error of Stripe's API: an HTTP status and the fields of its error object."""

    def __init__(self, status: int, type: str, message: str, **fields: Any):
        super().__init__(message)
        self.status = status
        self.fields = {"type": type, "message": message, **{key: value for key, value in fields.items() if value}}

    @property
    def body(self) -> dict[str, Any]:
        """The answer's JSON."""
        return {"error": self.fields}


def invalid(message: str, *, code: str = "", param: str = "", status: int = 400, **fields: Any) -> ApiError:
    """The request cannot be carried out as it is."""
    return ApiError(status, "invalid_request_error", message, code=code, param=param, **fields)


def missing(kind: str, id: str, *, param: str) -> ApiError:
    """There is no such object, or it is somebody else's or of the other mode, which is told apart from nothing."""
    return invalid(f"No such {kind}: '{id}'", code="resource_missing", param=param, status=404)
