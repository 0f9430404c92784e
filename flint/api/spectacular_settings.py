"""drf-spectacular's settings, as a plain dict for ``settings.py``. Imports nothing of Django."""

API_VERSION = "2026-09-07"

SPECTACULAR_SETTINGS = {
    "TITLE": "Flint",
    "DESCRIPTION": "Order-first payments: the order is the durable record of a sale.",
    "VERSION": API_VERSION,
    "OAS_VERSION": "3.1.0",
    "SCHEMA_PATH_PREFIX": "/v1",
    "SERVE_INCLUDE_SCHEMA": False,
    "DISABLE_ERRORS_AND_WARNINGS": False,
    "ENFORCE_NON_BLANK_FIELDS": False,
    "PREPROCESSING_HOOKS": ["flint.api.schema.only_api_routes"],
    "POSTPROCESSING_HOOKS": ["flint.api.schema.complete_document"],
    "SORT_OPERATIONS": True,
}
