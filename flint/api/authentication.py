"""From the headers of a request to the actor behind it."""

from django.http import HttpRequest
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication

from flint.actors import Actor
from flint.errors import Unauthenticated
from flint.merchants.models import ApiKey
from flint.merchants.selectors import authenticate


class AmbiguousAuth(Unauthenticated):
    code = "AMBIGUOUS_AUTH"
    message = "Send the key in one header: Authorization or X-API-Key, not both."


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


class KeyAuthentication(BaseAuthentication):
    """
    An API key in ``Authorization: Bearer`` or ``X-API-Key``.

    Puts ``api_key``, ``environment`` and ``actor`` on the request, for views and for the context headers.
    """

    def authenticate(self, request) -> tuple[Actor, ApiKey]:
        """:raises Unauthenticated: or one of its kinds, with the code of what is wrong with the credentials."""
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
