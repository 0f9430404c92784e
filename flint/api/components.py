"""The parts of the OpenAPI document that are the same for every operation."""

from typing import Any

from babel.numbers import list_currencies

from flint.api.errors import TYPE
from flint.api.spectacular_settings import API_VERSION
from flint.money import is_known_currency

MEANING = {
    400: "What was sent cannot be accepted as it is.",
    401: "No key, or not a valid one.",
    402: "The payment was declined, and no attempt exists to carry the decline.",
    403: "The key lacks a scope, or the caller may not do this.",
    404: "Absent, or of another environment.",
    409: "Right in itself, but not in the present state.",
    410: "It was there, and is not kept any longer.",
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
    "CheckoutSessionID": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Checkout-Session-ID",
        "description": "A buyer's checkout session. Its secret comes beside it.",
    },
    "CheckoutSessionSecret": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Checkout-Session-Secret",
        "description": "The `checkout_auth_token` of the session's launch. It reaches this session's order only.",
    },
    "InvoiceAccessToken": {
        "type": "http",
        "scheme": "bearer",
        "description": (
            "The secret of an invoice's link, which is the last part of its `public_url`, as"
            " `Authorization: Bearer <secret>`. It reaches that invoice only, until the link is replaced."
        ),
    },
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
    "BuyerDevice": {
        "name": "Flint-Buyer-Device",
        "in": "header",
        "description": "A value of your own for the device of a buyer who is there to act. Without it, a saved payment "
        "method is charged as one whose owner is absent: what would need them is declined.",
        "schema": {"type": "string", "pattern": "^[a-f0-9]{32}$"},
    },
    "IdempotencyKey": {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "Your name for this wish. A repeat with the same key and body has no second effect and gets the "
        "first answer, for at least 24 hours.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    },
}
