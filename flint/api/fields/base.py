"""What every field has: refusals with codes of the contract, and a shape in the API document."""

from typing import Any, NoReturn

from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError


class Coded:
    """
    A part of a request whose refusals carry codes of the contract.

    ``refusals`` names those that have no reason of their own, such as what ``validate`` refuses with.
    """

    codes: dict[str, str] = {"required": "FIELD_REQUIRED", "null": "NULL_NOT_ALLOWED"}
    firm: frozenset[str] = frozenset({"required", "null"})
    """The reasons that a general ``code=`` leaves alone."""
    default_error_messages = {
        "required": "This field is required.",
        "null": "This field is never null.",
        "type": "This field has another type.",
    }

    def __init__(self, *args, code: str | None = None, lookup: str | None = None, **kwargs):
        """:param lookup: for filters of lists: the queryset lookup that the value goes to."""
        own = {name[5:]: kwargs.pop(name) for name in list(kwargs) if name.startswith("code_")}
        inherited: dict[str, str] = {}
        for cls in reversed(type(self).__mro__):
            inherited |= cls.__dict__.get("codes", {})
        general = {reason: code for reason in inherited if reason not in self.firm} if code else {}
        self.codes = inherited | general | own
        self.code = code
        self.lookup = lookup
        super().__init__(*args, **kwargs)

    def code_for(self, reason: str) -> str:
        """Return the code for a reason."""
        if reason == "blank" and "blank" not in self.codes:
            return self.codes["required"]
        return self.codes.get(reason) or self.code or "INVALID_REQUEST"

    def possible_codes(self) -> set[str]:
        """Return every code that this part may refuse with, for the API document."""
        codes = {code for reason, code in self.codes.items() if reason not in Coded.firm}
        for cls in type(self).__mro__:
            codes.update(cls.__dict__.get("refusals", ()))
        if self.parent is not None and self.required:
            codes.add(self.code_for("required"))
        if self.parent is not None and not self.allow_null:
            codes.add(self.code_for("null"))
        return codes

    def fail(self, key: str, **kwargs) -> NoReturn:
        message = self.error_messages[key].format(**kwargs)
        raise ValidationError([ErrorDetail(message, self.code_for(key))])

    def refuse(self, code: str, message: str, field: str | None = None) -> NoReturn:
        """Refuse the value, or one member of it, with a code of the caller's own."""
        detail = [ErrorDetail(message, code)]
        raise ValidationError(detail if field is None else {field: detail})


class CodedField(Coded, serializers.Field):
    """A single value. ``openapi`` returns how it looks in the API document."""

    def openapi(self, schema, direction: str) -> dict[str, Any]:
        """Return the JSON schema of the value; ``schema`` is drf-spectacular's, for nested components."""
        raise NotImplementedError

    def to_representation(self, value: Any) -> Any:
        return value
