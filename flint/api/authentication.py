"""From the headers of a request to the actor behind it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import structlog
from django.http import HttpRequest
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication

from flint.actors import Actor
from flint.errors import Unauthenticated
from flint.merchants.models import ApiKey, Environment
from flint.merchants.selectors import authenticate


class AmbiguousAuth(Unauthenticated):
    code = "AMBIGUOUS_AUTH"
    message = "Send the key in one header: Authorization or X-API-Key, not both."


class CheckoutSessionAuthRequired(Unauthenticated):
    code = "CHECKOUT_SESSION_AUTH_REQUIRED"
    message = "Send the session's id as 'X-Checkout-Session-ID' beside its secret."


class CheckoutSessionSecretRequired(Unauthenticated):
    code = "CHECKOUT_SESSION_SECRET_REQUIRED"
    message = "Send the session's secret as 'X-Checkout-Session-Secret' beside its id."


class InvalidAuthorizationHeader(Unauthenticated):
    code = "INVALID_AUTHORIZATION_HEADER"
    message = "The Authorization header has the form 'Bearer <key>'."


def secret_of(request: HttpRequest) -> str:
    """
    Return the one secret that a request carries.

    :raises Unauthenticated: if it carries none.
    :raises AmbiguousAuth: if it carries two.
    :raises InvalidAuthorizationHeader: if it is not a bearer token.
    """
    bearer, plain = request.headers.get("Authorization"), request.headers.get("X-API-Key")
    if bearer is not None and plain is not None:
        raise AmbiguousAuth()
    if plain is not None:
        return plain
    if bearer is None:
        raise Unauthenticated()
    scheme, _, token = bearer.partition(" ")
    if scheme.lower() != "bearer" or not token or " " in token:
        raise InvalidAuthorizationHeader()
    return token


BuyerCheck = Callable[[str, str, datetime], tuple[Actor, Environment]]
_buyer_checks: list[BuyerCheck] = []


def authenticates_buyers(check: BuyerCheck) -> BuyerCheck:
    """
    Register who knows the credentials of buyers: from a session's id, its secret and the time to the actor and its
    environment. It raises :class:`Unauthenticated` with the code of what is wrong with them.
    """
    _buyer_checks.append(check)
    return check


class CredentialAuthentication(BaseAuthentication):
    """
    An API key in ``Authorization: Bearer`` or ``X-API-Key``, or a buyer's checkout session in its pair of headers.

    Puts ``api_key``, None for a buyer, ``environment`` and ``actor`` on the request, for views and context headers.
    """

    def authenticate(self, request) -> tuple[Actor, ApiKey | None]:
        """:raises Unauthenticated: or one of its kinds, with the code of what is wrong with the credentials."""
        session_id = request.headers.get("X-Checkout-Session-ID")
        secret = request.headers.get("X-Checkout-Session-Secret")
        if session_id is None and secret is None:
            return self._known(self._key(request))
        if "Authorization" in request.headers or "X-API-Key" in request.headers:
            raise AmbiguousAuth("Send an API key or a checkout session's credential, not both.")
        if not session_id:
            raise CheckoutSessionAuthRequired()
        if not secret:
            raise CheckoutSessionSecretRequired()
        return self._known(self._buyer(request, session_id, secret))

    @staticmethod
    def _known(found: tuple[Actor, ApiKey | None]) -> tuple[Actor, ApiKey | None]:
        """Let every line that is logged from now on say for whom."""
        actor, _ = found
        structlog.contextvars.bind_contextvars(
            environment_id=actor.environment_id, actor_kind=actor.kind, actor_id=actor.id
        )
        return found

    def _buyer(self, request, session_id: str, secret: str) -> tuple[Actor, None]:
        (check,) = _buyer_checks
        actor, environment = check(session_id, secret, timezone.now())
        http = request._request
        http.api_key, http.environment = None, environment
        http.actor = replace(actor, request_id=request.request_id)
        return http.actor, None

    def _key(self, request) -> tuple[Actor, ApiKey]:
        key = authenticate(secret_of(request), timezone.now())
        actor = Actor(
            kind="key",
            environment_id=key.environment_id,
            id=key.id,
            label=key.name,
            request_id=request.request_id,
        )
        http = request._request
        http.api_key, http.environment, http.actor = key, key.environment, actor
        return actor, key
