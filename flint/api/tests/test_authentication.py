"""Who may call: both headers, the state of the key, and its scopes."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from flint.merchants import selectors, services
from flint.merchants.models import ApiKey
from flint.testing.fixtures import client_of

WHO_AM_I = "/v1/developer/auth-context"
NO_HEADER = {"Authorization": None}


def test_either_header_will_do(api):
    assert api.get(WHO_AM_I).status_code == 200
    assert api.get(WHO_AM_I, headers={"Authorization": f"bearer {api.secret}"}).status_code == 200
    assert api.get(WHO_AM_I, headers={**NO_HEADER, "X-API-Key": api.secret}).status_code == 200


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "AUTH_REQUIRED"),
        ({"X-Checkout-Session-ID": "cs_1", "X-Checkout-Session-Secret": "s"}, "INVALID_CHECKOUT_SESSION"),
        ({"X-Checkout-Session-ID": "cs_1"}, "CHECKOUT_SESSION_SECRET_REQUIRED"),
        ({"X-Checkout-Session-Secret": "s"}, "CHECKOUT_SESSION_AUTH_REQUIRED"),
        ({"X-Checkout-Session-ID": "cs_1", "X-Checkout-Session-Secret": "s", "X-API-Key": "a"}, "AMBIGUOUS_AUTH"),
        ({"Authorization": ""}, "INVALID_AUTHORIZATION_HEADER"),
        ({"Authorization": "Bearer"}, "INVALID_AUTHORIZATION_HEADER"),
        ({"Authorization": "Bearer a b"}, "INVALID_AUTHORIZATION_HEADER"),
        ({"Authorization": "Basic YTpi"}, "INVALID_AUTHORIZATION_HEADER"),
        ({"Authorization": "Bearer nonsense"}, "INVALID_API_KEY"),
        ({"Authorization": "Bearer flint_test_" + "0" * 64}, "INVALID_API_KEY"),
        ({"Authorization": "Bearer flint_test_" + "0" * 64 + "\x00"}, "INVALID_API_KEY"),
        ({"X-API-Key": ""}, "INVALID_API_KEY"),
        ({"X-API-Key": "flint_test_é"}, "INVALID_API_KEY"),
        ({"X-API-Key": "a", "Authorization": "Bearer a"}, "AMBIGUOUS_AUTH"),
    ],
)
def test_anything_else_is_401(api, headers, code):
    response = api.get(WHO_AM_I, headers={**NO_HEADER, **headers})

    assert (response.status_code, response.code) == (401, code)
    assert response.error["type"] == "authentication_error"
    assert response["WWW-Authenticate"] == "Bearer"
    assert "Flint-Merchant-Id" not in response


def test_a_key_that_was_taken_back_or_ran_out_says_so(api, environment):
    key, secret = services.create_api_key(
        environment=environment, name="k", scopes=["customers.read"], expires_at=timezone.now() + timedelta(hours=1)
    )
    headers = {"Authorization": f"Bearer {secret}"}
    assert api.get(WHO_AM_I, headers=headers).status_code == 200

    ApiKey.objects.filter(id=key.id).update(expires_at=timezone.now())
    assert api.get(WHO_AM_I, headers=headers).code == "API_KEY_EXPIRED"

    services.revoke_api_key(environment_id=environment.id, api_key_id=key.id, at=timezone.now())
    assert api.get(WHO_AM_I, headers=headers).code == "API_KEY_REVOKED"


def test_who_am_i(api, merchant, environment):
    response = api.get(WHO_AM_I)

    key = ApiKey.objects.get(environment=environment)
    assert response.data == {
        "auth_type": "api_key",
        "environment": "sandbox",
        "merchant_id": merchant.id,
        "scopes": key.scopes,
        "api_key_id": key.id,
        "name": key.name,
        "sandbox_id": environment.sandbox_id,
    }


def test_a_live_key_is_live(api, merchant):
    live = selectors.live_environment(merchant.id)
    response = client_of(live, expires_at=timezone.now() + timedelta(days=1)).get(WHO_AM_I)

    assert response.data["environment"] == "live"
    assert "sandbox_id" not in response.data
    assert response.data["expires_at"].endswith("Z")
    assert response["Flint-Mode"] == "live"
    assert "Flint-Sandbox-Id" not in response


def test_context_headers_come_with_success_and_failure_alike(api, merchant, environment):
    for response in (
        api.get(WHO_AM_I),
        api.get("/v1/shops/env_1"),
        api.post("/v1/shops", {}),
        api.get("/v1/shops?x=1"),
    ):
        assert response["Flint-Merchant-Id"] == merchant.id
        assert response["Flint-Merchant-Environment-Id"] == environment.id
        assert response["Flint-Mode"] == "test"
        assert response["Flint-Sandbox-Id"] == environment.sandbox_id


def test_a_call_costs_one_statement_and_notes_its_time_every_ten_minutes(api):
    def statements():
        with CaptureQueriesContext(
            connection,
        ) as captured:
            api.get(WHO_AM_I)
        return [query["sql"].split()[0] for query in captured.captured_queries]

    assert statements() == ["SELECT"]
    ApiKey.objects.update(last_used_at=timezone.now() - timedelta(minutes=11))
    assert statements() == ["SELECT", "UPDATE"]
    assert statements() == ["SELECT"]
    ApiKey.objects.update(last_used_at=None)
    assert statements() == ["SELECT", "UPDATE"]


class TestScopes:
    def test_a_missing_scope_is_named(self, environment):
        response = client_of(environment, scopes=["customers.read"]).post("/v1/shops", {"name": "A"})

        assert (response.status_code, response.code) == (403, "INSUFFICIENT_SCOPE")
        assert response.error["type"] == "authorization_error"
        assert response.error["scope_requirement"] == {"mode": "all", "scopes": ["customers.write"]}
        assert response.error["missing_scopes"] == ["customers.write"]

    def test_write_implies_read_but_not_the_other_way_round(self, environment):
        assert client_of(environment, scopes=["customers.write"]).get("/v1/shops/env_1").status_code == 404
        assert client_of(environment, scopes=["commerce.orders.write"]).get("/v1/gadgets").status_code == 200
        assert client_of(environment, scopes=["commerce.orders.read"]).post("/v1/gadgets", {}).status_code == 403

    def test_any_of_several_will_do(self, environment):
        assert client_of(environment, scopes=["webhooks.write"]).delete("/v1/gadgets/1").status_code == 200
        refused = client_of(environment, scopes=["webhooks.read"]).delete("/v1/gadgets/1")
        assert refused.error["scope_requirement"]["mode"] == "any"

    def test_are_checked_before_anything_else_of_the_call(self, environment):
        client = client_of(environment, scopes=["customers.read"])
        assert client.post("/v1/shops", b"not json").code == "INSUFFICIENT_SCOPE"

    def test_a_public_route_needs_no_key_and_ignores_a_bad_one(self, api):
        response = api.get("/v1/openapi.json", headers={"Authorization": "Bearer nonsense"})
        assert response.status_code == 200
