"""The OpenAPI document and the page made of it."""

import json
import re

import pytest
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema

from flint.api.documents import document
from flint.api.handbook import Handbook, prose
from flint.merchants.scopes import CATALOGUE

PRODUCT, CONVENTIONS = "flint.urls", "flint.api.tests.urls"


@pytest.mark.parametrize("urlconf", [PRODUCT, CONVENTIONS])
def test_the_document_is_valid_and_made_without_a_warning(urlconf):
    made = SchemaGenerator(urlconf=urlconf).get_schema(request=None, public=True)

    assert not GENERATOR_STATS, GENERATOR_STATS.emit_summary()
    validate_schema(made)


@pytest.mark.parametrize("urlconf", [PRODUCT, CONVENTIONS])
def test_every_operation_is_complete(urlconf, settings):
    settings.ROOT_URLCONF = urlconf
    names = []
    for path, verbs in document()["paths"].items():
        for verb, operation in verbs.items():
            names.append(operation["operationId"])
            assert operation["summary"], (path, verb)
            assert operation["tags"][0], (path, verb)
            assert set(operation["x-flint-scopes"]) <= CATALOGUE, (path, verb)
            assert {"400", "429", "500", "503"} <= set(operation["responses"]), (path, verb)
            assert set(re.findall(r"{(\w+)}", path)) == {
                parameter["name"] for parameter in operation["parameters"] if parameter.get("in") == "path"
            }
            data = next(answer for status, answer in operation["responses"].items() if status < "400")
            if "content" not in data:
                assert data["headers"]["Location"]["description"], (path, verb)
                continue
            if "application/json" not in data["content"]:
                assert "{" in path or "stream" in path, (path, verb)
                continue
            schema = data["content"]["application/json"]["schema"]
            assert schema == {"type": "object"} or schema["properties"]["data"], (path, verb)
    assert len(names) == len(set(names))


@pytest.mark.urls(CONVENTIONS)
class TestContent:
    """What a view declares is what the document shows."""

    def operation(self, path, verb):
        return document()["paths"][path][verb]

    def test_names_security_and_scopes(self):
        operation = self.operation("/v1/shops", "get")

        assert operation["operationId"] == "list_shops"
        assert operation["summary"] == "List shops"
        assert operation["security"] == [{"BearerAuth": []}, {"ApiKeyHeader": []}]
        assert operation["x-flint-scopes"] == ["customers.read", "customers.write"]
        assert operation["x-flint-scope-mode"] == "any"
        assert "security" not in self.operation("/v1/openapi.json", "get")

    def test_codes_are_collected_from_the_view_its_fields_and_the_conventions(self):
        codes = set(self.operation("/v1/gadgets", "post")["x-flint-error-codes"])
        assert {"PART_NAME_REQUIRED", "INVALID_COLOR", "METADATA_TOO_LARGE"} <= codes
        assert {"AUTH_REQUIRED", "INSUFFICIENT_SCOPE", "INVALID_JSON", "RESERVED_FIELD_NOT_YET_SUPPORTED"} <= codes
        assert "IDEMPOTENCY_KEY_REUSED" not in codes

        codes = set(self.operation("/v1/shops", "post")["x-flint-error-codes"])
        assert {"IDEMPOTENCY_KEY_REUSED", "SHOP_FULL"} <= codes

    def test_a_list_is_an_envelope_of_a_list(self):
        schema = self.operation("/v1/shops", "get")["responses"]["200"]["content"]["application/json"]["schema"]

        assert schema["properties"]["data"] == {"type": "array", "items": {"$ref": "#/components/schemas/Shop"}}
        assert "next_page_token" in schema["properties"]
        assert schema["required"] == ["data", "request_id", "meta"]

    def test_inputs_are_closed_and_outputs_say_what_is_always_there(self):
        schemas = document()["components"]["schemas"]

        assert schemas["GadgetInput"]["additionalProperties"] is False
        assert schemas["GadgetInput"]["required"] == ["parts"]
        assert schemas["PartInput"]["properties"]["unit_price_money"]["additionalProperties"] is False
        assert schemas["Shop"]["required"] == ["created_at", "name", "shop_id"]
        assert schemas["GadgetPatch"]["minProperties"] == 1
        assert len(schemas["PayInput"]["oneOf"]) == 2

    def test_only_an_idempotent_write_takes_a_key(self):
        key = {"$ref": "#/components/parameters/IdempotencyKey"}

        assert key in self.operation("/v1/shops", "post")["parameters"]
        assert key not in self.operation("/v1/pay", "post")["parameters"]
        assert key not in self.operation("/v1/shops", "get")["parameters"]

    def test_is_served_without_a_key_and_names_the_release(self, client, db):
        response = client.get("/v1/openapi.json")

        assert response.status_code == 200
        assert response.json()["x-flint-api-releases"]["current_version"] == "2026-09-07"
        assert response.json() == json.loads(json.dumps(document()))

    def test_examples_of_the_handbook_are_what_the_schemas_take(self):
        handbook = Handbook(document(), "http://shop.example")

        assert handbook.example({"$ref": "#/components/schemas/GadgetInput"}) == {
            "parts": [{"name": "text", "unit_price_money": {"amount": 1, "currency": "EUR"}}]
        }
        assert handbook.example({"$ref": "#/components/schemas/PayInput"}) == {"action": "card", "token": "text"}

    def test_the_page_shows_every_operation_and_needs_nothing_from_elsewhere(self, client):
        response = client.get("/docs")

        page = response.content.decode()
        assert response.status_code == 200
        assert "script" not in page
        assert not re.findall(r'(?:src|href)="(?:https?:)?//', page)
        assert "default-src 'none'" in response["Content-Security-Policy"]
        for path, verbs in document()["paths"].items():
            for operation in verbs.values():
                assert f'<section id="{operation["operationId"]}">' in page
                assert path in page
        anchors = set(re.findall(r'id="([^"]+)"', page))
        assert set(re.findall(r'href="#([^"]+)"', page)) <= anchors
        assert "customers.write" in page
        assert "SHOP_FULL" in page

    def test_words_in_backticks_are_code_on_the_page_and_lines_flow(self):
        assert prose("Set ``a`` or `b`\nas one.\n\nThen go.") == [
            [
                {"text": "Set ", "is_code": False},
                {"text": "a", "is_code": True},
                {"text": " or ", "is_code": False},
                {"text": "b", "is_code": True},
                {"text": " as one.", "is_code": False},
            ],
            [{"text": "Then go.", "is_code": False}],
        ]

    def test_the_page_s_style_is_found(self):
        from django.contrib.staticfiles import finders

        assert finders.find("api/docs.css")
