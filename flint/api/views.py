"""The base of every view under /v1/: who may call it, what it takes, how it answers."""

from collections.abc import Callable, Iterable
from typing import Any

from django.db import models
from django.http import HttpResponse
from rest_framework.serializers import BaseSerializer
from rest_framework.views import APIView

from flint import errors
from flint.actors import Actor
from flint.api import idempotency, wire
from flint.api.authentication import CredentialAuthentication
from flint.api.errors import (
    InvalidRequestBody,
    MethodNotAllowed,
    RequestBodyNotAllowed,
    RouteNotFound,
    UnsupportedContentType,
    handle,
)
from flint.api.paging import Page
from flint.api.queries import Query
from flint.api.responses import Reply
from flint.api.schema import FlintSchema
from flint.api.serializers import Input, Output, shared
from flint.merchants.scopes import implied

Scopes = str | tuple[str, ...] | None


class InsufficientScope(errors.Forbidden):
    code = "INSUFFICIENT_SCOPE"
    message = "The key lacks the scope that this operation needs."


class CheckoutSessionScopeMismatch(errors.Forbidden):
    code = "CHECKOUT_SESSION_SCOPE_MISMATCH"
    message = "A checkout session's credential does not reach this. Use an API key on your server."


class CheckoutCredentialRequired(errors.Forbidden):
    code = "CHECKOUT_CREDENTIAL_REQUIRED"
    message = "Only the buyer of a checkout may do this: send the session's id and secret instead of an API key."


class CheckoutSessionOrderMismatch(errors.Forbidden):
    code = "CHECKOUT_SESSION_ORDER_MISMATCH"
    message = "The checkout session is for another order."


class ApiView(APIView):
    """
    One route. Subclasses declare per verb, and write a method per verb that calls one service and replies.

    :cvar scopes: a scope, a tuple of which any will do, or None for every key.
    :cvar public: no key is needed for any verb.
    :cvar buyers: the verbs that a buyer may use as well, on its own order and in its own session.
    :cvar only_buyers: those of them that are no merchant's to use.
    :cvar inputs: the body. A verb without one refuses a body.
    :cvar outputs: ``OrderOutput``, or ``[OrderOutput]`` for a list; what :meth:`reply` renders and the document shows.
    :cvar queries: the query string. A verb without one refuses all parameters.
    :cvar headers: the parameters of the document's components that name headers the verb takes beyond the common ones.
    :cvar statuses: where success is not 200.
    :cvar codes: the refusals that the verb may answer with, beyond the common ones.
    :cvar names: operation ids, such as ``create_order``; made from the path if absent.
    :cvar tag: the group of operations in the document.
    :cvar raw_output: the schema of an answer that comes without the envelope.
    :cvar security: the schemes of the document that let a caller in, where they are not those of keys and buyers.
    :cvar file_type: the media type of a file that is answered with as it is, instead of JSON.
    :cvar leads_to: where a redirect leads, in words, for a route that answers with nothing else.
    """

    scopes: dict[str, Scopes] = {}
    public = False
    buyers: tuple[str, ...] = ()
    only_buyers: tuple[str, ...] = ()
    inputs: dict[str, type[Input]] = {}
    outputs: dict[str, type[Output] | list[type[Output]]] = {}
    queries: dict[str, type[Query]] = {}
    headers: dict[str, Iterable[str]] = {}
    statuses: dict[str, int] = {}
    codes: dict[str, Iterable[str]] = {}
    names: dict[str, str] = {}
    tag = ""
    raw_output: dict[str, Any] | None = None
    file_type = ""
    leads_to = ""
    security: tuple[str, ...] = ()

    schema = FlintSchema()
    http_method_names = ["get", "head", "post", "patch", "delete"]
    authentication_classes = [CredentialAuthentication]
    permission_classes: list = []
    throttle_classes: list = []
    renderer_classes: list = []
    default_response_headers: dict[str, str] = {}

    # The way in

    def initial(self, request, *args, **kwargs) -> None:
        """:raises FlintError: for whatever is wrong with the call itself, before the method runs."""
        method = self.verb
        if method not in self.allowed_methods:
            raise MethodNotAllowed(allow=", ".join(self.allowed_methods))
        key_problem = self._take_idempotency_key(request)
        if not self.public:
            self._authenticate(request)
            if request.actor.is_buyer:
                self._check_buyer(request.actor)
            elif method in self.only_buyers:
                raise CheckoutCredentialRequired()
            else:
                self._check_scopes(request, self.scopes.get(method))
        if key_problem:
            raise key_problem
        if method not in self.inputs and self._has_body(request):
            raise RequestBodyNotAllowed()
        self._query = self._read_query(request)

    @property
    def verb(self) -> str:
        """The verb in upper case; HEAD counts as GET."""
        return "GET" if self.request.method == "HEAD" else self.request.method

    def _take_idempotency_key(self, request) -> errors.FlintError | None:
        """Put the key on the request, so that every answer echoes it; one of our own if none came."""
        handler: Callable | None = getattr(self, self.verb.lower(), None)
        if not hasattr(handler, "idempotent"):
            return None
        http, given = request._request, request.headers.get("Idempotency-Key")
        http.idempotency_key_given = given is not None
        try:
            http.idempotency_key = idempotency.take_key(given)
        except errors.FlintError as problem:
            return problem
        return None

    def _authenticate(self, request) -> None:
        try:
            self.perform_authentication(request)
        except errors.Conflict:
            # A buyer whose session has ended; a route that was never open to buyers has no more to say to this one.
            if self.verb in self.buyers:
                raise
            raise CheckoutSessionScopeMismatch() from None

    def _check_scopes(self, request, wanted: Scopes) -> None:
        if wanted is None:
            return
        any_of = (wanted,) if isinstance(wanted, str) else tuple(wanted)
        if implied(request.api_key.scopes).isdisjoint(any_of):
            mode = "any" if len(any_of) > 1 else "all"
            raise InsufficientScope(
                scope_requirement={"mode": mode, "scopes": list(any_of)}, missing_scopes=list(any_of)
            )

    def _check_buyer(self, actor: Actor) -> None:
        """Keep a buyer to the routes made for buyers, to its own order and to its own session."""
        if self.verb not in self.buyers:
            raise CheckoutSessionScopeMismatch()
        if self.kwargs.get("order_id", actor.order_id) != actor.order_id:
            raise CheckoutSessionOrderMismatch()
        if self.kwargs.get("checkout_session_id", actor.id) != actor.id:
            raise CheckoutSessionScopeMismatch()

    def _has_body(self, request) -> bool:
        return request.META.get("CONTENT_LENGTH") not in (None, "", "0")

    def _read_query(self, request) -> Query:
        actor = getattr(request, "actor", None)
        return self.queries.get(self.verb, Query).of(request.GET, actor.environment_id if actor else "")

    def payload(self) -> Any:
        """
        Return the parsed body, None if there is none.

        :raises UnsupportedContentType: if it is not declared as JSON.
        :raises InvalidJson: if it is not JSON.
        """
        if not hasattr(self, "_payload"):
            self._payload = self._read_payload()
        return self._payload

    def _read_payload(self) -> Any:
        if not self._has_body(self.request):
            return None
        http = self.request._request
        charset = (http.content_params.get("charset") or "utf-8").lower()
        if http.content_type != "application/json" or charset not in ("utf-8", "utf8"):
            raise UnsupportedContentType()
        body = http.body
        if len(body) < int(http.META["CONTENT_LENGTH"]):
            raise InvalidRequestBody("The body was cut off on its way.")
        return wire.loads(body)

    # For the methods of subclasses

    def validated(
        self, input_class: type[Input] | None = None, data: Any = None, context: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """
        Return the body, or ``data``, as the input's values.

        :raises InvalidRequestBody: if the body is no object.
        :raises ValidationError: with everything that is wrong with its fields.
        """
        input_class = input_class or self.inputs[self.verb]
        data = self.payload() if data is None else data
        if data is None and input_class.body_optional:
            data = {}
        if not isinstance(data, dict):
            raise InvalidRequestBody()
        serializer = input_class(context=context) if context else shared(input_class)
        return serializer.run_validation(data)

    def query(self, query_class: type[Query] | None = None) -> Any:
        """Return the query string as its declared query class; naming it again is for the reader, and checked."""
        if query_class is not None and not isinstance(self._query, query_class):
            raise TypeError(f"Declare queries = {{{self.verb!r}: {query_class.__name__}}} on {type(self).__name__}.")
        return self._query

    def reply(self, data: Any = None, status: int | None = None, **meta: Any) -> Reply:
        """
        Answer with an Output, with a row for the declared output, or with plain JSON.

        :param meta: further members of ``meta``, such as ``warnings=[…]``.
        """
        return self._reply(self._shown(data), status, meta)

    def reply_page(self, page: Page, output_class: type[Output] | None = None, **meta: Any) -> Reply:
        """Answer with a page of a list."""
        if output_class is None:
            (output_class,) = self.outputs[self.verb]
        output = self._output(output_class)
        return self._reply([output.to_representation(item) for item in page.items], None, meta, page.next_page_token)

    def _reply(self, data: Any, status: int | None, meta: dict[str, Any], next_page_token: str | None = None) -> Reply:
        return Reply(
            wire.dumps(data),
            request_id=self.request.request_id,
            status=status or self.statuses.get(self.verb, 200),
            meta=meta,
            next_page_token=next_page_token,
        )

    def as_replayed(self, reply: Reply) -> Reply:
        """Return the answer to a repeat: what was answered first. For those few that must tell that it is one."""
        return reply

    def _shown(self, data: Any) -> Any:
        if isinstance(data, models.Model):
            return self._output(self.outputs[self.verb]).to_representation(data)
        if isinstance(data, Output):
            output = data if data.context else self._output(type(data))
            return output.to_representation(data.instance)
        return data.data if isinstance(data, BaseSerializer) else data

    def _output(self, output_class: type[Output]) -> Output:
        """Return what shows rows to the caller; a buyer is not shown what is only the merchant's."""
        actor = getattr(self.request, "actor", None)
        return shared(output_class, self._query.expand, for_buyer=actor is not None and actor.is_buyer)

    # DRF's own doors

    def perform_content_negotiation(self, request, force=False) -> tuple[None, str]:
        """Answer in JSON whatever the caller would accept; there is nothing else."""
        return None, "application/json"

    def handle_exception(self, exc: Exception) -> HttpResponse:
        """Answer a refusal in the contract's form."""
        return handle(exc, {"request": self.request, "view": self})


class UnknownRoute(ApiView):
    """Everything under /v1/ that is no route."""

    public = True
    schema = None

    def initial(self, request, *args, **kwargs):
        raise RouteNotFound()
