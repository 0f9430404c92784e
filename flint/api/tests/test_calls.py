"""The conventions of a call: ids, versions, verbs, routes, bodies, and that nothing ever is a page of HTML."""

import io
import json
import re

import psycopg
import pytest
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.db import IntegrityError, OperationalError, connection
from django.http import Http404
from django.test import Client
from django_fsm import TransitionNotAllowed
from rest_framework.exceptions import ErrorDetail, Throttled, ValidationError

from flint import errors
from flint.api.middleware import MAX_BODY
from flint.api.models import IdempotencyRecord
from flint.api.tests.urls import Failures
from flint.merchants.models import Environment
from flint.money import Money
from flint.testing.client import ApiClient

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
GADGET = {"parts": [{"name": "wheel", "unit_price_money": {"amount": 500, "currency": "EUR"}}]}


class TestEnvelope:
    def test_success(self, api):
        response = api.post("/v1/gadgets", {**GADGET, "percent": 10.75, "metadata": {"a": "b"}})

        request_id = response["X-Request-Id"]
        assert response.status_code == 201
        assert response.json() == {
            "data": {"parts": [{**GADGET["parts"][0], "quantity": 1}], "percent": 10.75, "metadata": {"a": "b"}},
            "request_id": request_id,
            "meta": {"api_version": "2026-09-07", "request_id": request_id},
        }
        assert b'"percent":10.75' in response.content
        assert response["Content-Type"] == "application/json"
        assert response["Cache-Control"] == "no-store"

    def test_a_refusal_carries_its_facts(self, api):
        response = api.post("/v1/shops", {"name": "A", "fail": "full"})

        assert response.status_code == 409
        assert response.error == {
            "type": "conflict_error",
            "code": "SHOP_FULL",
            "message": "The shop takes no more.",
            "error_source": "merchant",
            "doc_url": "http://testserver/docs#errors",
            "request_id": response["X-Request-Id"],
            "remediation": {"retryable": False},
            "maximum_money": {"amount": 500, "currency": "EUR"},
            "limit": 3,
        }

    def test_one_field_at_fault_is_the_error_itself(self, api):
        response = api.post("/v1/gadgets", {"parts": [{"unit_price_money": GADGET["parts"][0]["unit_price_money"]}]})

        assert response.status_code == 400
        assert (response.code, response.error["param"]) == ("PART_NAME_REQUIRED", "parts[0].name")
        assert response.error["type"] == "validation_error"
        assert response.error["error_source"] == "integration"
        assert [(item["code"], item["param"]) for item in response.error["details"]] == [
            ("PART_NAME_REQUIRED", "parts[0].name")
        ]
        assert response.error["remediation"]["missing_or_invalid_fields"] == ["parts[0].name"]

    def test_several_fields_at_fault_are_listed(self, api):
        response = api.post("/v1/gadgets", {"parts": [{"nmae": "a"}], "colour": 1})

        assert response.code == "INVALID_REQUEST"
        assert "param" not in response.error
        assert {item["code"] for item in response.error["details"]} == {
            "UNKNOWN_FIELD",
            "PART_NAME_REQUIRED",
            "PART_PRICE_REQUIRED",
        }

    def test_warnings_go_into_meta(self, api):
        assert api.post("/v1/note", {"note": "hi"}).json()["meta"]["warnings"] == [{"code": "NOTED", "message": "hi"}]


class TestRequestId:
    def test_is_made_up(self, api):
        assert UUID.fullmatch(api.get("/v1/gadgets")["X-Request-Id"])

    @pytest.mark.parametrize("given", ["my-id-1", "x" * 255, "with space inside", "~!@#"])
    def test_or_echoed_if_sane(self, api, given):
        assert api.get("/v1/gadgets", headers={"X-Request-Id": given})["X-Request-Id"] == given

    @pytest.mark.parametrize("given", ["", "x" * 256, "é", "tab\there", " lead", "a\x7fb"])
    def test_and_replaced_if_not(self, api, given):
        assert UUID.fullmatch(api.get("/v1/gadgets", headers={"X-Request-Id": given})["X-Request-Id"])


class TestVersion:
    def test_the_only_one_is_accepted_and_named(self, api):
        response = api.get("/v1/gadgets", headers={"Flint-Version": "2026-09-07"})
        assert response.status_code == 200
        assert response["Flint-Version"] == "2026-09-07"

    @pytest.mark.parametrize("version", ["2026-02-01", "2027-01-01", "latest", ""])
    def test_others_are_refused(self, api, version):
        response = api.get("/v1/gadgets", headers={"Flint-Version": version})
        assert (response.status_code, response.code) == (400, "INVALID_API_VERSION")
        assert response["Flint-Version"] == "2026-09-07"


class TestRoutes:
    @pytest.mark.parametrize(
        "path",
        ["/v1", "/v1/", "/v1/nope", "/v1/gadgets/", "/v1/gadgets/1/2", "/v1//gadgets", "/v1/%00", "/v1/shops/a%00b"],
    )
    def test_an_unknown_one_is_404_in_the_envelope(self, api, path):
        response = api.get(path)
        assert (response.status_code, response.code) == (404, "ROUTE_NOT_FOUND")
        assert response.error["type"] == "not_found_error"

    def test_needs_no_key_to_be_unknown(self, db):
        assert Client().get("/v1/nope").json()["error"]["code"] == "ROUTE_NOT_FOUND"

    @pytest.mark.parametrize("method", ["PUT", "OPTIONS", "TRACE", "DELETE", "BREW"])
    def test_an_unknown_verb_is_405_with_the_known_ones(self, api, method):
        response = api.call(method, "/v1/gadgets")
        assert (response.status_code, response.code) == (405, "METHOD_NOT_ALLOWED")
        assert response.error["type"] == "invalid_request_error"
        assert set(response["Allow"].split(", ")) == {"GET", "HEAD", "POST"}

    def test_head_is_get_without_the_body(self, api):
        response = api.http.head("/v1/gadgets", headers={"Authorization": f"Bearer {api.secret}"})
        assert response.status_code == 200
        assert response.content == b""
        assert response["Flint-Mode"] == "test"

    def test_nothing_outside_v1_is_touched(self, api):
        assert "X-Request-Id" not in api.http.get("/docs")

    @pytest.mark.parametrize("shop_id", ["env_1", "x" * 500, "' OR 1=1", "%E2%82%AC", "%FF", "..%5C.."])
    def test_an_id_of_any_form_is_not_found(self, api, shop_id):
        response = api.get(f"/v1/shops/{shop_id}")
        assert (response.status_code, response.code) == (404, "SHOP_NOT_FOUND")

    def test_somebody_else_s_id_is_not_found(self, api, other_api, environment):
        assert api.get(f"/v1/shops/{environment.id}").status_code == 200
        assert other_api.get(f"/v1/shops/{environment.id}").code == "SHOP_NOT_FOUND"


class TestBodies:
    @pytest.mark.parametrize("raw", [b"[]", b'"x"', b"1", b"null", b"true", b"1.5", b""])
    def test_are_objects(self, api, raw):
        response = api.post("/v1/gadgets", raw)
        assert (response.status_code, response.code) == (400, "INVALID_REQUEST_BODY")

    @pytest.mark.parametrize(
        "raw",
        [
            b"{",
            b'{"parts": NaN}',
            b'{"a": 1, "a": 1}',
            b'{"a": "\xff\xfe"}',
            b'{"a": "\\u0000"}',
            b'{"a": "\\ud800"}',
            b'{"a": ' + b"[" * 50_000 + b"]" * 50_000 + b"}",
            b'{"a":' + b'{"a":' * 900 + b"1" + b"}" * 900 + b"}",
            b'{"a": ' + b"1" * 5000 + b"}",
        ],
    )
    @pytest.mark.parametrize("path", ["/v1/gadgets", "/v1/shops", "/v1/external-shops"])
    def test_are_strict_json(self, api, path, raw):
        response = api.post(path, raw)
        assert (response.status_code, response.code) == (400, "INVALID_JSON")

    @pytest.mark.parametrize(
        ("value", "code"),
        [
            ("500.0", "INVALID_JSON"),
            ("5e2", "INVALID_JSON"),
            ('"500"', "INVALID_JSON"),
            ("-500", "PART_NEGATIVE_PRICE"),
        ],
    )
    def test_money_is_whole_minor_units(self, api, value, code):
        raw = json.dumps(GADGET).replace("500", value)
        response = api.post("/v1/gadgets", raw.encode())
        assert (response.code, response.error["param"]) == (code, "parts[0].unit_price_money.amount")

    def test_may_be_left_out_where_all_is_optional(self, api):
        assert api.post("/v1/note").status_code == 200
        assert api.post("/v1/note", {}).status_code == 200
        assert api.post("/v1/note", b"[]").code == "INVALID_REQUEST_BODY"

    def test_are_refused_where_there_is_nothing_to_say(self, api):
        for method, path in (("GET", "/v1/gadgets"), ("DELETE", "/v1/gadgets/1"), ("GET", "/v1/openapi.json")):
            response = api.call(method, path, body={})
            assert (response.status_code, response.code) == (400, "REQUEST_BODY_NOT_ALLOWED"), path

    @pytest.mark.parametrize(
        "content_type",
        [
            "",
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data",
            "application/json; charset=latin-1",
            "application/jsonp",
            "application/merge-patch+json",
        ],
    )
    def test_are_declared_as_json(self, api, content_type):
        response = api.http.generic(
            "POST", "/v1/gadgets", b"{}", content_type=content_type, headers={"Authorization": f"Bearer {api.secret}"}
        )
        assert (response.status_code, response.json()["error"]["code"]) == (415, "UNSUPPORTED_CONTENT_TYPE")
        assert response.json()["error"]["type"] == "invalid_request_error"

    @pytest.mark.parametrize("content_type", ["application/json", "Application/JSON; charset=UTF-8"])
    def test_in_utf_8(self, api, content_type):
        response = api.http.generic(
            "POST",
            "/v1/gadgets",
            json.dumps(GADGET).encode(),
            content_type=content_type,
            headers={"Authorization": f"Bearer {api.secret}"},
        )
        assert response.status_code == 201

    def test_have_a_limit_and_are_not_read_beyond_it(self, api):
        class Unread(io.BytesIO):
            def read(self, *args):
                raise AssertionError("the body was read")

        response = api.http.generic(
            "POST",
            "/v1/gadgets",
            content_type="application/json",
            headers={"Authorization": f"Bearer {api.secret}"},
            CONTENT_LENGTH=str(10 * 2**20),
            **{"wsgi.input": Unread()},
        )
        assert (response.status_code, response.json()["error"]["code"]) == (413, "REQUEST_BODY_TOO_LARGE")

    def test_of_exactly_the_limit_are_read(self, api):
        body = b'{"colour": "' + b"x" * (MAX_BODY - 14) + b'"}'
        assert len(body) == MAX_BODY
        assert api.post("/v1/gadgets", body).code == "INVALID_REQUEST"
        assert api.post("/v1/gadgets", body + b" ").code == "REQUEST_BODY_TOO_LARGE"

    @pytest.mark.parametrize("length", ["-1", "ten", "1" * 30, "+5", "٥"])
    def test_have_a_length_that_is_a_number(self, api, length):
        response = api.http.generic("POST", "/v1/gadgets", CONTENT_LENGTH=length)
        assert response.status_code in (400, 413)
        assert response.json()["error"]["code"] in ("INVALID_REQUEST", "REQUEST_BODY_TOO_LARGE")

    def test_cut_off_on_the_way_are_refused_even_if_what_came_makes_sense(self, api):
        response = api.http.generic(
            "POST",
            "/v1/gadgets",
            headers={"Authorization": f"Bearer {api.secret}"},
            CONTENT_TYPE="application/json",
            CONTENT_LENGTH="500",
            **{"wsgi.input": io.BytesIO(json.dumps(GADGET).encode())},
        )
        assert (response.status_code, response.json()["error"]["code"]) == (400, "INVALID_REQUEST_BODY")

    def test_in_chunks_are_read_up_to_the_limit(self, api):
        def send(body):
            return api.http.generic(
                "POST",
                "/v1/gadgets",
                headers={"Authorization": f"Bearer {api.secret}", "Transfer-Encoding": "chunked"},
                CONTENT_TYPE="application/json",
                CONTENT_LENGTH="",
                **{"wsgi.input": io.BytesIO(body)},
            )

        assert send(json.dumps(GADGET).encode()).status_code == 201
        assert send(b"{" + b" " * MAX_BODY + b"}").status_code == 413


class TestQueries:
    def test_a_view_without_parameters_takes_none(self, api, environment):
        response = api.get(f"/v1/shops/{environment.id}", {"verbose": "1"})
        assert (response.status_code, response.code) == (400, "UNSUPPORTED_QUERY_PARAM")
        assert response.error["param"] == "verbose"
        assert api.post("/v1/gadgets?dry_run=1", GADGET).code == "UNSUPPORTED_QUERY_PARAM"

    def test_too_many_are_refused_in_the_envelope(self, api):
        response = api.get("/v1/gadgets?" + "&".join(f"a{i}=1" for i in range(2000)))
        assert (response.status_code, response.code) == (400, "INVALID_QUERY")

    def test_expand_is_a_closed_list(self, api):
        assert "owner" not in api.get("/v1/gadgets").data
        assert api.get("/v1/gadgets", {"expand": "owner"}).data["owner"] is None
        assert api.get("/v1/gadgets", {"expand": ["owner", "maker"]}).status_code == 200
        assert api.get("/v1/gadgets?expand=owner,maker").status_code == 200
        for wrong in ("everything", "owner,", "owner.name", ""):
            assert api.get("/v1/gadgets", {"expand": wrong}).code == "INVALID_EXPAND"
        assert api.get("/v1/gadgets", {"expand": ["owner"] * 11}).code == "INVALID_EXPAND"


class Constraint(Exception):
    sqlstate = "23514"


def database_error(cls, cause):
    """Return an error as Django raises it around psycopg's."""
    error = cls("the database says no")
    error.__cause__ = cause
    return error


class TestFailures:
    """Whatever a view raises, the answer has the contract's form."""

    @pytest.mark.parametrize(
        ("raised", "status", "code"),
        [
            (errors.InvalidInput(), 400, "INVALID_REQUEST"),
            (errors.Unauthenticated(), 401, "AUTH_REQUIRED"),
            (errors.Forbidden(), 403, "AUTHORIZATION_FAILED"),
            (errors.NotFound(), 404, "RESOURCE_NOT_FOUND"),
            (Http404(), 404, "RESOURCE_NOT_FOUND"),
            (PermissionDenied(), 403, "AUTHORIZATION_FAILED"),
            (SuspiciousOperation(), 400, "INVALID_REQUEST"),
            (errors.PaymentRefused(code="CARD_DECLINED"), 402, "CARD_DECLINED"),
            (errors.Conflict(), 409, "ORDER_CONFLICT"),
            (TransitionNotAllowed(), 409, "ORDER_CONFLICT"),
            (IntegrityError("check"), 409, "CONCURRENT_MODIFICATION"),
            (errors.TooManyRequests(), 429, "RATE_LIMIT_EXCEEDED"),
            (Throttled(wait=2.4), 429, "RATE_LIMIT_EXCEEDED"),
            (errors.Unavailable(), 503, "SERVICE_UNAVAILABLE"),
            (OperationalError("gone"), 503, "SERVICE_UNAVAILABLE"),
            (database_error(OperationalError, psycopg.errors.DeadlockDetected()), 409, "CONCURRENT_MODIFICATION"),
            (database_error(OperationalError, psycopg.errors.SerializationFailure()), 409, "CONCURRENT_MODIFICATION"),
            (database_error(OperationalError, psycopg.errors.AdminShutdown()), 503, "SERVICE_UNAVAILABLE"),
            (ZeroDivisionError(), 500, "INTERNAL_ERROR"),
            (RecursionError(), 500, "INTERNAL_ERROR"),
            (errors.FlintError(), 500, "INTERNAL_ERROR"),
            (ValidationError({"a": [{"b": [ErrorDetail("Long.", "max_length")]}]}), 400, "VALUE_TOO_LONG"),
        ],
    )
    def test_has_a_status_and_a_code(self, api, raised, status, code):
        Failures.raises = raised
        response = api.http.get("/v1/failures", headers={"Authorization": f"Bearer {api.secret}"})

        error = response.json()["error"]
        assert (response.status_code, error["code"]) == (status, code)
        assert error["request_id"] == response["X-Request-Id"]
        assert response["Flint-Mode"] == "test"
        assert error["error_source"] in ("flint", "merchant", "integration")

    def test_waiting_time_goes_into_the_header(self, api):
        Failures.raises = errors.TooManyRequests(retry_after=7)
        response = api.get("/v1/failures")
        assert response["Retry-After"] == "7"
        assert "retry_after" not in response.error
        assert response.error["remediation"]["retryable"] is True

    def test_facts_and_details_of_a_service(self, api):
        Failures.raises = errors.InvalidInput(param="amount_money", maximum_money=Money(7, "EUR"))
        error = api.get("/v1/failures").error
        assert error["param"] == "amount_money"
        assert error["maximum_money"] == {"amount": 7, "currency": "EUR"}
        assert error["details"] == [
            {
                "code": "INVALID_REQUEST",
                "message": "The request is not valid.",
                "param": "amount_money",
                "maximum_money": {"amount": 7, "currency": "EUR"},
            }
        ]

    def test_a_500_says_nothing_of_its_cause_but_is_logged_with_the_request_id(self, api, caplog):
        Failures.raises = ValueError("the secret formula")
        response = api.http.get(
            "/v1/failures", headers={"Authorization": f"Bearer {api.secret}", "X-Request-Id": "find-me"}
        )
        assert response.status_code == 500
        assert b"secret formula" not in response.content
        record = next(record for record in caplog.records if "request_failed" in record.getMessage())
        assert "find-me" in record.getMessage()
        assert "secret formula" in caplog.text

    def test_the_test_client_shows_the_cause_of_a_500(self, api):
        Failures.raises = ValueError("the cause")
        with pytest.raises(AssertionError) as noticed:
            api.get("/v1/failures")
        assert noticed.value.__cause__ is Failures.raises

    def test_a_view_of_django_s_own_kind_fails_in_the_envelope_too(self, db):
        response = Client(raise_request_exception=False).get("/v1/plain")
        assert (response.status_code, response.json()["error"]["code"]) == (500, "INTERNAL_ERROR")

    def test_a_wrong_host_is_refused_in_the_envelope(self, db):
        response = Client().get("/v1/gadgets", headers={"Host": "evil.example"})
        assert (response.status_code, response.json()["error"]["code"]) == (400, "INVALID_REQUEST")
        assert response["X-Request-Id"]

    @pytest.mark.django_db(transaction=True)
    def test_a_lost_database_is_503_and_the_next_call_works(self, api):
        with psycopg.connect(**connection.get_connection_params(), autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s)", [connection.connection.info.backend_pid])
        response = api.get("/v1/gadgets")
        assert (response.status_code, response.code) == (503, "SERVICE_UNAVAILABLE")
        assert response.error["type"] == "unavailable_error"
        assert response.error["remediation"]["retryable"] is True

        connection.close()  # As Django does between requests.
        assert api.get("/v1/gadgets").status_code == 200

    def test_bad_input_leaves_no_trace(self, api):
        before = Environment.objects.count()
        for body in ({}, {"name": 1}, {"name": "x", "y": 1}, b"{", b"[]", {"name": "x" * 101}):
            assert api.post("/v1/shops", body, key="k").status_code == 400
        assert Environment.objects.count() == before
        assert not IdempotencyRecord.objects.exists()


def test_an_answer_that_the_document_does_not_declare_fails_the_test(api, monkeypatch):
    from flint.api.tests.urls import Pay

    monkeypatch.setattr(Pay, "post", lambda view, request: view.reply({"action": 5}))
    with pytest.raises(AssertionError, match="action"):
        ApiClient(api.secret, api.environment).post("/v1/pay", {"action": "card", "token": "t"})
    monkeypatch.setattr(Pay, "post", lambda view, request: view.reply({"action": "x"}, status=202))
    with pytest.raises(AssertionError, match="does not declare 202"):
        ApiClient(api.secret, api.environment).post("/v1/pay", {"action": "card", "token": "t"})
