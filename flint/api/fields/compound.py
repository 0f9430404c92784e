"""Lists of anything, and maps of text to text."""

from collections.abc import Mapping
from typing import Any

from django.db.models import Manager
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError

from flint.api import metadata
from flint.api.fields.base import CodedField


class ListOf(CodedField):
    """
    A list of one kind of thing, in requests and responses; a related manager will do for the latter.

    :param child: an instance of a field, an Input or an Output.
    """

    codes = {"type": "INVALID_REQUEST", "few": "FIELD_REQUIRED", "many": "RESOURCE_LIMIT_EXCEEDED"}
    default_error_messages = {
        "type": "This field is a list.",
        "few": "This list has at least {min_length} items.",
        "many": "This list has at most {max_length} items.",
    }

    def __init__(self, child: serializers.Field, *, min_length: int = 0, max_length: int = 100, **kwargs):
        self.child, self.min_length, self.max_length = child, min_length, max_length
        super().__init__(**kwargs)
        self.child.bind(field_name="", parent=self)

    def possible_codes(self):
        return super().possible_codes() | self.child.possible_codes()

    def to_internal_value(self, data):
        if not isinstance(data, list):
            self.fail("type")
        if len(data) < self.min_length:
            self.fail("few", min_length=self.min_length)
        if len(data) > self.max_length:
            self.fail("many", max_length=self.max_length)
        values, errors = [], {}
        for index, item in enumerate(data):
            try:
                values.append(self.child.run_validation(item))
            except ValidationError as error:
                errors[index] = error.detail
        if errors:
            raise ValidationError(errors)
        return values

    def to_representation(self, value):
        items = value.all() if isinstance(value, Manager) else value
        return [self.child.to_representation(item) for item in items]

    def openapi(self, schema, direction):
        form: dict[str, Any] = {"type": "array", "items": schema.map_field(self.child, direction)}
        if direction == "request":
            form |= {"minItems": self.min_length, "maxItems": self.max_length}
        return form


class MetadataField(CodedField):
    """A flat object of texts, within the limits of :mod:`flint.api.metadata`."""

    codes = {"type": "INVALID_METADATA"}
    refusals = metadata.CODES
    default_error_messages = {"type": metadata.InvalidMetadata.message}
    nullable_values = False

    def to_internal_value(self, data):
        if not isinstance(data, Mapping):
            self.fail("type")
        errors = {}
        for key, value in data.items():
            if problem := metadata.problem_of(key, value, nullable=self.nullable_values):
                errors[key] = [ErrorDetail(problem[1], problem[0])]
        if errors:
            raise ValidationError(errors)
        present = {key: value for key, value in data.items() if value is not None}
        if problem := metadata.size_problem_of(present):
            self.refuse(*problem)
        return dict(data)

    def openapi(self, schema, direction):
        if direction == "response":
            return {"type": "object", "additionalProperties": {"type": "string"}}
        text = {"type": ["string", "null"] if self.nullable_values else "string", "maxLength": metadata.MAX_VALUE}
        name = {"type": "string", "minLength": 1, "maxLength": metadata.MAX_KEY, "pattern": "^(?!flint_)"}
        return {
            "type": "object",
            "additionalProperties": text,
            "propertyNames": name,
            "maxProperties": metadata.MAX_PAIRS,
        }


class MetadataPatchField(MetadataField):
    """A patch of metadata: null drops one key, null as a whole clears all. See :func:`flint.api.metadata.merge`."""

    nullable_values = True

    def __init__(self, **kwargs):
        super().__init__(**{"required": False, "allow_null": True, **kwargs})
