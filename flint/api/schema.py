"""The OpenAPI document, made from what the views declare."""

import inspect
import re
from typing import Any

from babel.numbers import list_currencies
from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from drf_spectacular.openapi import AutoSchema

from flint.api import metadata
from flint.api.errors import STATUS, TYPE
from flint.api.spectacular_settings import API_VERSION
from flint.errors import FlintError
from flint.money import is_known_currency

ALWAYS = ["INVALID_REQUEST", "INVALID_API_VERSION", "RATE_LIMIT_EXCEEDED", "INTERNAL_ERROR", "SERVICE_UNAVAILABLE"]
WITH_A_KEY = [
    "AUTH_REQUIRED",
    "INVALID_API_KEY",
    "API_KEY_REVOKED",
    "API_KEY_EXPIRED",
    "AMBIGUOUS_AUTH",
    "INVALID_AUTHORIZATION_HEADER",
]
WITH_A_BODY = [
    "INVALID_JSON",
    "INVALID_REQUEST_BODY",
    "UNKNOWN_FIELD",
    "REQUEST_BODY_TOO_LARGE",
    "UNSUPPORTED_CONTENT_TYPE",
]
WITHOUT_A_BODY = ["REQUEST_BODY_NOT_ALLOWED", "REQUEST_BODY_TOO_LARGE"]
ONCE = [
    "IDEMPOTENCY_KEY_REUSED",
    "IDEMPOTENCY_KEY_IN_PROGRESS",
    "IDEMPOTENCY_KEY_TOO_LONG",
    "INVALID_IDEMPOTENCY_KEY",
    "CONCURRENT_MODIFICATION",
]
QUERY = ["UNSUPPORTED_QUERY_PARAM", "INVALID_QUERY_PARAMETER", "INVALID_QUERY"]

MEANING = {
    400: "What was sent cannot be accepted as it is.",
    401: "No key, or not a valid one.",
    402: "The payment was declined, and no attempt exists to carry the decline.",
    403: "The key lacks a scope, or the caller may not do this.",
    404: "Absent, or of another environment.",
    409: "Right in itself, but not in the present state.",
    413: "The body has more than 1 MiB.",
    415: "The body is not JSON.",
    429: "Too many requests.",
    500: "A defect of Flint.",
    503: "A part that Flint needs is out of reach; nothing was changed.",
}

MONEY = {
    "type": "object",
    "description": "Minor units and an ISO 4217 currency.",
    "properties": {
        "amount": {"type": "integer", "format": "int64", "minimum": 0},
        "currency": {"type": "string", "pattern": "^[A-Z]{3}$"},
    },
    "required": ["amount", "currency"],
    "additionalProperties": False,
}
TEXT = {"type": "string"}
TEXTS = {"type": "array", "items": TEXT}
MONEY_FACTS = [
    "current_money",
    "submitted_money",
    "required_money",
    "gap_money",
    "maximum_money",
    "capturable_money",
    "tip_capable_money",
    "expected_attempt_outstanding_money",
]
FACTS: dict[str, Any] = {
    "reason": TEXT,
    "supported_actions": TEXTS,
    "current_status": TEXT,
    "current_version": {"type": "integer", "format": "int64"},
    "blocking_resources": {
        "type": "array",
        "maxItems": 25,
        "items": {
            "type": "object",
            "properties": {"resource_type": TEXT, "resource_id": TEXT, "status": TEXT},
            "required": ["resource_type", "resource_id"],
        },
    },
    "blocking_resource_count": {"type": "integer"},
    "conflicting_fields": TEXTS,
    "existing_checkout_session_id": TEXT,
    "current_checkout_session_id": TEXT,
    "order_payment_attempt_id": TEXT,
    "payment_attempt_status": TEXT,
    "is_resumable": {"type": "boolean"},
    "payment_intent_ids": TEXTS,
    "limit": {"type": "integer", "format": "int64"},
    **{name: {"$ref": "#/components/schemas/SignedMoney"} for name in MONEY_FACTS},
}
REMEDIATION = {
    "type": "object",
    "properties": {
        "retryable": {"type": "boolean"},
        "next_steps": TEXT,
        "next_actions": {"type": "array", "items": {"type": "object"}},
        "missing_or_invalid_fields": TEXTS,
    },
}
CURRENCIES = sorted(code for code in list_currencies() if is_known_currency(code))
COMPONENTS: dict[str, Any] = {
    "Currency": {"type": "string", "description": "An ISO 4217 code in upper case.", "enum": CURRENCIES},
    "Money": MONEY,
    "SignedMoney": MONEY
    | {
        "description": "Minor units, possibly negative, and an ISO 4217 currency.",
        "properties": MONEY["properties"] | {"amount": {"type": "integer", "format": "int64"}},
    },
    "Meta": {
        "type": "object",
        "properties": {
            "api_version": {"type": "string", "format": "date"},
            "request_id": TEXT,
            "idempotency_replayed": {"type": "boolean"},
            "warnings": {"type": "array", "items": {"type": "object"}},
        },
        "required": ["api_version", "request_id"],
    },
    "ErrorDetail": {
        "type": "object",
        "properties": {"code": TEXT, "message": TEXT, "param": TEXT, **FACTS},
        "required": ["code", "message"],
    },
    "Error": {
        "type": "object",
        "properties": {
            "error": {
                "type": "object",
                "properties": {
                    "type": {"type": "string", "enum": sorted({*TYPE.values(), "internal_error"})},
                    "code": {"type": "string", "pattern": "^[A-Z][A-Z0-9_]+$"},
                    "message": TEXT,
                    "error_source": {"type": "string", "enum": ["merchant", "integration", "flint"]},
                    "doc_url": TEXT,
                    "request_id": TEXT,
                    "param": TEXT,
                    "details": {"type": "array", "items": {"$ref": "#/components/schemas/ErrorDetail"}},
                    "remediation": REMEDIATION,
                    "scope_requirement": {
                        "type": "object",
                        "properties": {"mode": {"type": "string", "enum": ["all", "any"]}, "scopes": TEXTS},
                        "required": ["mode", "scopes"],
                    },
                    "missing_scopes": TEXTS,
                    **FACTS,
                },
                "required": ["type", "code", "message", "error_source", "doc_url"],
            }
        },
        "required": ["error"],
        "additionalProperties": False,
    },
}
SECURITY_SCHEMES = {
    "BearerAuth": {"type": "http", "scheme": "bearer", "description": "An API key as `Authorization: Bearer <key>`."},
    "ApiKeyHeader": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The same key."},
}
HEADERS = {
    "X-Request-Id": {"schema": TEXT, "description": "The caller's own, or a generated one."},
    "Flint-Version": {"schema": {"type": "string", "format": "date"}, "description": "The version of this answer."},
}
PARAMETERS = {
    "RequestId": {
        "name": "X-Request-Id",
        "in": "header",
        "description": "Your name for this request, up to 255 characters: echoed, and kept with all that it causes.",
        "schema": TEXT,
    },
    "FlintVersion": {
        "name": "Flint-Version",
        "in": "header",
        "description": "The version of the API that you were built for.",
        "schema": {"type": "string", "enum": [API_VERSION]},
    },
    "IdempotencyKey": {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "Your name for this wish. A repeat with the same key and body has no second effect and gets the "
        "first answer, for at least 24 hours.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    },
}


class CodedFieldExtension(OpenApiSerializerFieldExtension):
    """Lets our fields say themselves how they look."""

    target_class = "flint.api.fields.CodedField"
    match_subclasses = True

    def map_serializer_field(self, auto_schema, direction):
        return self.target.openapi(auto_schema, direction)


class FlintSchema(AutoSchema):
    """How one verb of an :class:`~flint.api.views.ApiView` looks in the document."""

    def map_field(self, field: Any, direction: str) -> dict[str, Any]:
        """Return the schema of a field inside another one."""
        return self._map_serializer_field(field, direction)

    # Names and words

    def get_operation_id(self) -> str:
        return self.view.names.get(self.method) or self._made_up_name()

    def _made_up_name(self) -> str:
        words = [part.replace("-", "_") for part in self.path.split("/")[2:] if part and not part.startswith("{")]
        verb = {"GET": "list" if self._lists() else "get", "POST": "create", "PATCH": "update", "DELETE": "delete"}
        return "_".join([verb[self.method], *words])

    def get_tags(self) -> list[str]:
        first = self.path.split("/")[2] if self.path.count("/") > 1 else ""
        return [self.view.tag or first.replace("-", " ").capitalize()]

    def get_summary(self) -> str:
        return self._words()[0]

    def get_description(self) -> str:
        return self._words()[1]

    def _words(self) -> tuple[str, str]:
        handler = getattr(self.view, self.method.lower())
        text = inspect.getdoc(handler) or self.get_operation_id().replace("_", " ").capitalize()
        text = re.split(r"\n\s*:\w+[ :]", text)[0].strip()
        summary, _, rest = text.partition("\n\n")
        return " ".join(summary.split()).rstrip("."), rest.strip()

    # Parts of the operation

    def get_auth(self) -> list[dict[str, list]]:
        return [] if self.view.public else [{"BearerAuth": []}, {"ApiKeyHeader": []}]

    def get_extensions(self) -> dict[str, Any]:
        scopes = self.view.scopes.get(self.method) or ()
        scopes = [scopes] if isinstance(scopes, str) else list(scopes)
        return {
            "x-flint-scopes": scopes,
            "x-flint-scope-mode": "any" if len(scopes) > 1 else "all",
            "x-flint-error-codes": self._codes(),
        }

    def _get_parameters(self) -> list[dict[str, Any]]:
        names = re.findall(r"{(\w+)}", self.path)
        shared = ["RequestId", "FlintVersion", *(["IdempotencyKey"] if self._is_idempotent() else [])]
        path = [{"name": name, "in": "path", "required": True, "schema": TEXT} for name in names]
        return [*path, *self._query_parameters(), *({"$ref": f"#/components/parameters/{name}"} for name in shared)]

    def _query_parameters(self) -> list[dict[str, Any]]:
        query_class = self.view.queries.get(self.method)
        parameters = []
        for name, field in query_class(context={}).fields.items() if query_class else ():
            parameter = {"name": name, "in": "query", "schema": self.map_field(field, "request")}
            if field.required:
                parameter["required"] = True
            if parameter["schema"].get("type") == "array":
                parameter |= {"style": "form", "explode": True}
            parameters.append(parameter)
        return parameters

    def _get_request_body(self, direction="request") -> dict[str, Any] | None:
        input_class = self.view.inputs.get(self.method)
        if input_class is None:
            return None
        return {
            "content": {"application/json": {"schema": self._schema_of(input_class, "request")}},
            "required": not input_class.body_optional,
        }

    def _get_response_bodies(self, direction="response") -> dict[str, Any]:
        success = str(self.view.statuses.get(self.method, 200))
        bodies = {success: self._success()}
        for status in self._error_statuses():
            bodies[str(status)] = {
                "description": MEANING[status],
                "headers": HEADERS,
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
            }
        return bodies

    def _success(self) -> dict[str, Any]:
        raw = getattr(self.view, "raw_output", None)
        return {
            "description": "Done." if self.method != "GET" else "Found.",
            "headers": self._headers(),
            "content": {"application/json": {"schema": raw or self._envelope()}},
        }

    def _headers(self) -> dict[str, Any]:
        headers = dict(HEADERS)
        if not self.view.public:
            for name in ("Flint-Merchant-Id", "Flint-Merchant-Environment-Id", "Flint-Mode", "Flint-Sandbox-Id"):
                headers[name] = {"schema": TEXT, "description": "The context of the call."}
        if self._is_idempotent():
            headers["Idempotency-Key"] = {"schema": TEXT, "description": "The key in effect."}
            headers["Idempotency-Replayed"] = {"schema": {"const": "true"}, "description": "Only on a replay."}
        return headers

    def _envelope(self) -> dict[str, Any]:
        output = self.view.outputs.get(self.method)
        properties: dict[str, Any] = {"request_id": TEXT, "meta": {"$ref": "#/components/schemas/Meta"}}
        if isinstance(output, list):
            data: dict[str, Any] = {"type": "array", "items": self._schema_of(output[0], "response")}
            properties["next_page_token"] = TEXT
        else:
            data = self._schema_of(output, "response") if output else {}
        return {
            "type": "object",
            "properties": {"data": data, **properties},
            "required": ["data", "request_id", "meta"],
            "additionalProperties": False,
        }

    # Serializers

    def _schema_of(self, serializer_class: type, direction: str) -> dict[str, Any]:
        return self.resolve_serializer(serializer_class, direction).ref

    def get_serializer_name(self, serializer, direction) -> str:
        return type(serializer).__name__.removesuffix("Output")

    def _map_basic_serializer(self, serializer, direction):
        from flint.api.serializers import Input, Output, Patch, Tagged

        if isinstance(serializer, Tagged):
            return self._union(serializer)
        form = super()._map_basic_serializer(serializer, direction)
        form.setdefault("properties", {})
        if isinstance(serializer, Output):
            optional = serializer.expandable
            form["required"] = sorted(name for name in form.get("required", []) if name not in optional)
            if not form["required"]:
                del form["required"]
        if isinstance(serializer, Input):
            form["additionalProperties"] = False
        if isinstance(serializer, Patch):
            form["minProperties"] = 1
        if not type(serializer).__dict__.get("__doc__"):
            # Otherwise the description would be that of our base classes.
            form.pop("description", None)
        return form

    def _union(self, serializer) -> dict[str, Any]:
        parts = []
        for name, variant in serializer.variants.items():
            form = self._map_basic_serializer(variant(), "request")
            form["properties"] = {serializer.tag: {"type": "string", "enum": [name]}, **form["properties"]}
            form["required"] = sorted({serializer.tag, *form.get("required", [])})
            parts.append(form)
        return {"oneOf": parts}

    # What can go wrong

    def _is_idempotent(self) -> bool:
        return hasattr(getattr(self.view, self.method.lower()), "idempotent")

    def _lists(self) -> bool:
        return isinstance(self.view.outputs.get(self.method), list)

    def _codes(self) -> list[str]:
        codes = [*ALWAYS]
        if not self.view.public:
            codes += WITH_A_KEY
        if self.view.scopes.get(self.method):
            codes.append("INSUFFICIENT_SCOPE")
        codes += WITH_A_BODY if self.method in self.view.inputs else WITHOUT_A_BODY
        codes += QUERY
        if self._is_idempotent():
            codes += ONCE
        if "{" in self.path:
            codes += ["RESOURCE_NOT_FOUND", "ROUTE_NOT_FOUND"]
        for declared in (self.view.inputs, self.view.queries):
            if self.method in declared:
                codes += codes_of(declared[self.method](context={}))
        if self._lists():
            codes.append("CURSOR_MISMATCH")
        codes += self.view.codes.get(self.method, ())
        return sorted(set(codes))

    def _error_statuses(self) -> list[int]:
        statuses = {400, 413, 429, 500, 503}
        if not self.view.public:
            statuses |= {401, 403}
        if "{" in self.path:
            statuses.add(404)
        if self.method in self.view.inputs:
            statuses.add(415)
        if self.method != "GET":
            statuses |= {404, 409}
        for code in self.view.codes.get(self.method, ()):
            statuses |= {status for status in [status_of_code(code)] if status}
        return sorted(statuses)


def codes_of(part: Any) -> set[str]:
    """Return every code that a field, input or query may refuse with, its members' included."""
    from flint.api import fields, serializers

    codes = {code for reason, code in part.codes.items() if reason not in ("required", "null")}
    if part.required and part.parent is not None:
        codes.add(part.code_for("required"))
    if not part.allow_null and part.parent is not None:
        codes.add(part.code_for("null"))
    if isinstance(part, fields.MetadataField):
        codes |= {
            "INVALID_METADATA_KEY",
            "METADATA_KEY_TOO_LONG",
            "METADATA_VALUE_TOO_LONG",
            "METADATA_TOO_MANY_KEYS",
            "METADATA_TOO_LARGE",
            "RESERVED_METADATA_KEY",
        }
    if isinstance(part, fields.ListOf):
        codes |= codes_of(part.child)
    for cls in type(part).__mro__:
        codes.update(cls.__dict__.get("refusals", ()))
    if isinstance(part, serializers.Input) and part.reserved:
        codes.add("RESERVED_FIELD_NOT_YET_SUPPORTED")
    if isinstance(part, serializers.Tagged):
        for variant in part.variants.values():
            codes |= codes_of(variant(context={}))
    for member in getattr(part, "fields", {}).values():
        if hasattr(member, "codes"):
            codes |= codes_of(member)
    return codes


def _refusals(cls: type[FlintError]) -> list[type[FlintError]]:
    return [cls, *(found for sub in cls.__subclasses__() for found in _refusals(sub))]


def status_of_code(code: str) -> int | None:
    """Return the status that a declared code comes with, as its class tells; None if no class has it."""
    for cls in _refusals(FlintError):
        if cls.code == code:
            return next((STATUS[base] for base in cls.__mro__ if base in STATUS), getattr(cls, "status", None))
    return None


def only_api_routes(endpoints: list) -> list:
    """Keep what is under /v1/; for drf-spectacular's preprocessing."""
    return [endpoint for endpoint in endpoints if endpoint[0].startswith("/v1/")]


def complete_document(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """Add what is not of one operation; for drf-spectacular's postprocessing."""
    components = result.setdefault("components", {})
    components["schemas"] = dict(sorted({**components.get("schemas", {}), **COMPONENTS}.items()))
    components["securitySchemes"] = SECURITY_SCHEMES
    components["parameters"] = PARAMETERS
    result["x-flint-api-releases"] = {"current_version": API_VERSION, "releases": [{"version": API_VERSION}]}
    result["x-flint-metadata-limits"] = {
        "pairs": metadata.MAX_PAIRS,
        "key_characters": metadata.MAX_KEY,
        "value_characters": metadata.MAX_VALUE,
        "bytes": metadata.MAX_BYTES,
    }
    return result
