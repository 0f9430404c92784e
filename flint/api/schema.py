"""The OpenAPI document, made from what the views declare."""

import inspect
import re
from typing import Any

from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from drf_spectacular.openapi import AutoSchema

from flint.api import metadata
from flint.api.components import COMPONENTS, HEADERS, MEANING, PARAMETERS, SECURITY_SCHEMES, TEXT
from flint.api.errors import STATUS
from flint.api.serializers import Input, Output, Patch, Tagged, shared
from flint.api.spectacular_settings import API_VERSION
from flint.errors import FlintError

ALWAYS = ["INVALID_REQUEST", "INVALID_API_VERSION", "RATE_LIMIT_EXCEEDED", "INTERNAL_ERROR", "SERVICE_UNAVAILABLE"]
WITH_A_KEY = [
    "AUTH_REQUIRED",
    "INVALID_API_KEY",
    "API_KEY_REVOKED",
    "API_KEY_EXPIRED",
    "AMBIGUOUS_AUTH",
    "INVALID_AUTHORIZATION_HEADER",
]
WITH_A_CREDENTIAL = [
    "CHECKOUT_SESSION_AUTH_REQUIRED",
    "CHECKOUT_SESSION_SECRET_REQUIRED",
    "INVALID_CHECKOUT_SESSION",
    "CHECKOUT_SESSION_SCOPE_MISMATCH",
]
OF_A_BUYER = [
    "CHECKOUT_SESSION_EXPIRED",
    "CHECKOUT_SESSION_NOT_OPEN",
    "CHECKOUT_SESSION_ORDER_MISMATCH",
    "CHECKOUT_RECOVERY_RESTRICTED",
    "CHECKOUT_RECOVERY_ATTEMPT_MISMATCH",
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
    "SENSITIVE_IDEMPOTENCY_RESULT_INVALID",
    "IDEMPOTENCY_KEY_TOO_LONG",
    "INVALID_IDEMPOTENCY_KEY",
    "CONCURRENT_MODIFICATION",
]
QUERY = ["UNSUPPORTED_QUERY_PARAM", "INVALID_QUERY_PARAMETER", "INVALID_QUERY"]


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
        if self.view.public:
            return []
        if self.view.security:
            return [{name: []} for name in self.view.security]
        buyer = [{"CheckoutSessionID": [], "CheckoutSessionSecret": []}] if self.method in self.view.buyers else []
        keys = [] if self.method in self.view.only_buyers else [{"BearerAuth": []}, {"ApiKeyHeader": []}]
        return [*keys, *buyer]

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
        shared += self.view.headers.get(self.method, ())
        path = [{"name": name, "in": "path", "required": True, "schema": TEXT} for name in names]
        return [*path, *self._query_parameters(), *({"$ref": f"#/components/parameters/{name}"} for name in shared)]

    def _query_parameters(self) -> list[dict[str, Any]]:
        query_class = self.view.queries.get(self.method)
        parameters = []
        for name, field in shared(query_class).fields.items() if query_class else ():
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
                "description": MEANING.get(status, ""),
                "headers": HEADERS,
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
            }
        return bodies

    def _success(self) -> dict[str, Any]:
        if self.view.leads_to:
            location = {"schema": {"type": "string", "format": "uri"}, "description": self.view.leads_to}
            return {"description": "Found, elsewhere.", "headers": {**self._headers(), "Location": location}}
        if self.view.file_type:
            file = {self.view.file_type: {"schema": {"type": "string", "format": "binary"}}}
            return {"description": "A file.", "headers": self._headers(), "content": file}
        return {
            "description": "Done." if self.method != "GET" else "Found.",
            "headers": self._headers(),
            "content": {"application/json": {"schema": self.view.raw_output or self._envelope()}},
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
        if not self.view.public and not self.view.security:
            codes += [*WITH_A_KEY, *WITH_A_CREDENTIAL]
            codes += OF_A_BUYER if self.method in self.view.buyers else []
            codes += ["CHECKOUT_CREDENTIAL_REQUIRED"] if self.method in self.view.only_buyers else []
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
                codes += shared(declared[self.method]).possible_codes()
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
        if self.method != "GET" or self.method in self.view.buyers:
            statuses |= {404, 409}
        for code in self.view.codes.get(self.method, ()):
            statuses |= {status for status in [status_of_code(code)] if status}
        return sorted(statuses)


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
