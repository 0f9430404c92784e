"""A client for tests. Every answer that it brings back was held against the document that the API serves."""

import json
import re
from functools import cache
from typing import Any

from django.conf import settings
from django.test import Client
from jsonschema import Draft202012Validator

from flint.api.documents import document
from flint.merchants.models import Environment


class ApiClient:
    """
    Calls the API with one key, through the whole of Django.

    Each method returns Django's response with ``data`` (the body's ``data``), ``error`` and ``code`` at hand. An
    answer that the OpenAPI document does not declare, by status or by shape, fails the test; so does any 500.
    """

    def __init__(self, secret: str, environment: Environment):
        self.secret, self.environment = secret, environment
        self.http = Client(raise_request_exception=False)

    def get(self, path: str, query: dict[str, Any] | None = None, **options: Any) -> Any:
        """Read; a list among the query's values repeats its parameter."""
        return self.call("GET", path, query=query, **options)

    def post(self, path: str, body: Any = None, **options: Any) -> Any:
        """Create or act."""
        return self.call("POST", path, body=body, **options)

    def patch(self, path: str, body: Any = None, **options: Any) -> Any:
        """Change."""
        return self.call("PATCH", path, body=body, **options)

    def delete(self, path: str, body: Any = None, **options: Any) -> Any:
        """Remove."""
        return self.call("DELETE", path, body=body, **options)

    def call(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        query: dict[str, Any] | None = None,
        key: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> Any:
        """
        Send one request.

        :param body: anything that JSON can hold, or bytes to be sent as they are.
        :param key: the idempotency key.
        :param headers: added to, or in place of, the client's own; None takes one away.
        """
        sent = {"Authorization": f"Bearer {self.secret}", "Idempotency-Key": key, **(headers or {})}
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        response = self.http.generic(
            method,
            path,
            raw,
            content_type="application/json" if raw else "",
            query_params=query,
            headers={name: value for name, value in sent.items() if value is not None},
        )
        check(response, method, path)
        is_json = response.content and response["Content-Type"].startswith("application/json")
        content = json.loads(response.content) if is_json else {}
        response.data, response.error = content.get("data"), content.get("error")
        response.code = response.error["code"] if response.error else None
        return response


def check(response: Any, method: str, path: str) -> None:
    """
    Hold one answer against the served document.

    :raises AssertionError: if the operation does not declare the status, or the body has another shape; and for a 500.
    """
    failure = getattr(response.wsgi_request, "failure", None)
    if response.status_code == 500:
        raise AssertionError(f"{method} {path} failed") from failure
    template = _template_of(path.partition("?")[0], settings.ROOT_URLCONF)
    operation = document()["paths"].get(template, {}).get(method.lower()) if template else None
    if operation is None:
        assert response.status_code in (404, 405), (
            f"{method} {path} is in no document and answers {response.status_code}"
        )
        return
    status = str(response.status_code)
    assert status in operation["responses"], (
        f"{method} {template} does not declare {status}: {response.content[:500]!r}"
    )
    if "content" not in operation["responses"][status]:
        assert response["Location"] and not response.content, f"{method} {path} says more than where to go"
        return
    if response["Content-Type"] in operation["responses"][status]["content"] and response.content[:1] != b"{":
        assert response.content, f"{method} {path} answers with an empty file"
        return
    body = json.loads(response.content)
    problems = list(_validator(template, method.lower(), status, settings.ROOT_URLCONF).iter_errors(body))
    assert not problems, f"{method} {template} {status}: " + "; ".join(
        f"{problem.json_path}: {problem.message}" for problem in problems[:5]
    )
    if "error" in body:
        code = body["error"]["code"]
        assert code in operation["x-flint-error-codes"], f"{method} {template} does not declare {code}"


@cache
def _templates(urlconf: str) -> list[tuple[re.Pattern, str]]:
    # Those with fewer parameters first, so that a literal part of a path wins over a parameter.
    templates = sorted(document()["paths"], key=lambda template: template.count("{"))
    return [(re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(template))), template) for template in templates]


def _template_of(path: str, urlconf: str) -> str | None:
    return next((template for pattern, template in _templates(urlconf) if pattern.fullmatch(path)), None)


@cache
def _validator(template: str, method: str, status: str, urlconf: str) -> Draft202012Validator:
    served = document()
    answer = served["paths"][template][method]["responses"][status]
    schema = answer["content"]["application/json"]["schema"]
    return Draft202012Validator({**schema, "components": served["components"]})
