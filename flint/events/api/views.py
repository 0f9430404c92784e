"""The webhook operations."""

from django.http import StreamingHttpResponse

from flint.api.idempotency import idempotent
from flint.api.paging import InvalidPageToken, Page, paginate
from flint.api.queries import ListQuery
from flint.api.serializers import Success
from flint.api.views import ApiView
from flint.events.api.inputs import (
    EndpointInput,
    EndpointQuery,
    EventTypeQuery,
    ResendInput,
    SendTestInput,
    StreamQuery,
    UpdateEndpointInput,
    WebhookEventQuery,
)
from flint.events.api.outputs import (
    WebhookDeliveryActionOutput,
    WebhookDeliveryAttemptOutput,
    WebhookDeliveryOutput,
    WebhookEndpointOutput,
    WebhookEventOutput,
    WebhookEventTypesOutput,
    WebhookSecretOutput,
)
from flint.events.models import WebhookEvent
from flint.events.webhooks import endpoints, registry, resending, selectors
from flint.events.webhooks.endpoints import InvalidEventType
from flint.events.webhooks.publishing import open_feed
from flint.events.webhooks.streaming import Stream
from flint.merchants.scopes import implied

READ, WRITE = "webhooks.read", "webhooks.write"
ADDRESS = ["INVALID_URL_HOST", "INVALID_URL_SCHEME", "INVALID_URL", "URL_TOO_LONG", "INVALID_EVENT_TYPE"]


class EndpointCollection(ApiView):
    tag = "Webhooks"
    scopes = {"GET": (READ, WRITE), "POST": WRITE}
    inputs = {"POST": EndpointInput}
    queries = {"GET": EndpointQuery}
    outputs = {"GET": [WebhookEndpointOutput], "POST": WebhookEndpointOutput}
    statuses = {"POST": 201}
    codes = {"POST": [*ADDRESS, "INVALID_API_VERSION", "RESOURCE_LIMIT_EXCEEDED"]}
    names = {"GET": "list_webhook_endpoints", "POST": "create_webhook_endpoint"}

    def get(self, request):
        """List webhook endpoints, newest first."""
        return self.reply_page(paginate(endpoints.in_use(request.actor), self.query()))

    @idempotent
    def post(self, request):
        """
        Create a webhook endpoint.

        It is told of what happens from now on. The answer holds the secret that its messages are signed with; it is
        not shown again.
        """
        endpoint, secret = endpoints.create_endpoint(data=self.validated(), actor=request.actor)
        endpoint.shown_secret = secret
        return self.reply(endpoint)


class EndpointView(ApiView):
    tag = "Webhooks"
    scopes = {"GET": (READ, WRITE), "PATCH": WRITE, "DELETE": WRITE}
    inputs = {"PATCH": UpdateEndpointInput}
    outputs = {"GET": WebhookEndpointOutput, "PATCH": WebhookEndpointOutput, "DELETE": Success}
    codes = {"PATCH": [*ADDRESS, "INVALID_API_VERSION", "API_VERSION_CHANGED"]}
    names = {
        "GET": "get_webhook_endpoint",
        "PATCH": "update_webhook_endpoint",
        "DELETE": "delete_webhook_endpoint",
    }

    def get(self, request, webhook_endpoint_id: str):
        """Get a webhook endpoint."""
        return self.reply(endpoints.find_endpoint(webhook_endpoint_id, request.actor))

    @idempotent
    def patch(self, request, webhook_endpoint_id: str):
        """Change a webhook endpoint. What waits to be sent goes to the address that it has then."""
        data = self.validated()
        if data.get("description", "") is None:
            data["description"] = ""
        return self.reply(
            endpoints.update_endpoint(webhook_endpoint_id=webhook_endpoint_id, data=data, actor=request.actor)
        )

    @idempotent
    def delete(self, request, webhook_endpoint_id: str):
        """Delete a webhook endpoint. What waits to be sent to it is not sent any more."""
        endpoints.delete_endpoint(webhook_endpoint_id=webhook_endpoint_id, actor=request.actor)
        return self.reply(Success({}))


class RotateSecret(ApiView):
    tag = "Webhooks"
    scopes = {"POST": WRITE}
    outputs = {"POST": WebhookSecretOutput}
    codes = {"POST": ["WEBHOOK_SECRET_ROTATION_OVERLAP_ACTIVE"]}
    names = {"POST": "rotate_webhook_endpoint_secret"}

    @idempotent
    def post(self, request, webhook_endpoint_id: str):
        """
        Give a webhook endpoint a new secret.

        For 24 hours messages are signed with both secrets. The new one is shown in this answer only.
        """
        secret = endpoints.rotate_secret(webhook_endpoint_id=webhook_endpoint_id, actor=request.actor)
        return self.reply(WebhookSecretOutput({"secret": secret}))


class SendTestEvent(ApiView):
    tag = "Webhooks"
    scopes = {"POST": WRITE}
    inputs = {"POST": SendTestInput}
    outputs = {"POST": WebhookDeliveryActionOutput}
    codes = {"POST": ["INVALID_EVENT_TYPE", "WEBHOOK_ENDPOINT_NOT_ACTIVE"]}
    names = {"POST": "send_webhook_test_event"}

    @idempotent(external=True)
    def post(self, request, webhook_endpoint_id: str):
        """
        Send a webhook endpoint a made-up event, at once.

        The answer tells what came of it. It is tried once, and the event is marked as a test.
        """
        attempt = resending.send_test(
            webhook_endpoint_id=webhook_endpoint_id,
            event_type=self.validated()["event_type"],
            actor=request.actor,
        )
        return self.reply(attempt)


class EventTypeCollection(ApiView):
    tag = "Webhooks"
    scopes = {"GET": (READ, WRITE)}
    queries = {"GET": EventTypeQuery}
    outputs = {"GET": [WebhookEventTypesOutput]}
    codes = {"GET": ["INVALID_PAGE_TOKEN"]}
    names = {"GET": "list_webhook_event_types"}

    def get(self, request):
        """List the types that a webhook endpoint may ask for, by the source of their events."""
        if "page_token" in self.query().values:
            raise InvalidPageToken(param="page_token")
        return self.reply_page(Page([{"event_source": "merchant", "event_types": registry.types()}]))


class EventCollection(ApiView):
    tag = "Webhooks"
    scopes = {"GET": (READ, WRITE)}
    queries = {"GET": WebhookEventQuery}
    outputs = {"GET": [WebhookEventOutput]}
    names = {"GET": "list_webhook_events"}

    def get(self, request):
        """
        List what was told, newest first.

        Events are told, and listed here, from the moment that the environment has its first endpoint.
        """
        return self.reply_page(paginate(selectors.messages(request.actor).defer("body"), self.query()))


class EventView(ApiView):
    tag = "Webhooks"
    scopes = {"GET": (READ, WRITE)}
    outputs = {"GET": WebhookEventOutput}
    names = {"GET": "get_webhook_event"}

    def get(self, request, webhook_event_id: str):
        """Get what was told, with the message itself for a key that may read what it is about."""
        message = selectors.messages(request.actor).find(id=webhook_event_id)
        message.shows_payload = may_read(message, request.api_key.scopes)
        return self.reply(message)


def may_read(message: WebhookEvent, scopes: list[str]) -> bool:
    """Whether these scopes let somebody read what a message is about. A test is about nothing."""
    needed = registry.scope_of(message.type)
    return message.is_test or bool(needed and needed in implied(scopes))


class EventDeliveryCollection(ApiView):
    tag = "Webhooks"
    scopes = {"GET": (READ, WRITE)}
    queries = {"GET": ListQuery}
    outputs = {"GET": [WebhookDeliveryOutput]}
    names = {"GET": "list_webhook_event_deliveries"}

    def get(self, request, webhook_event_id: str):
        """List the deliveries of an event, one per endpoint, newest first."""
        message = selectors.messages(request.actor).defer("body").find(id=webhook_event_id)
        rows = selectors.deliveries(request.actor).filter(webhook_event=message)
        return self.reply_page(paginate(rows, self.query()))


class DeliveryView(ApiView):
    tag = "Webhooks"
    scopes = {"GET": (READ, WRITE)}
    outputs = {"GET": WebhookDeliveryOutput}
    names = {"GET": "get_webhook_delivery"}

    def get(self, request, webhook_delivery_id: str):
        """Get a delivery."""
        return self.reply(selectors.deliveries(request.actor).find(id=webhook_delivery_id))


class AttemptCollection(ApiView):
    tag = "Webhooks"
    scopes = {"GET": (READ, WRITE)}
    queries = {"GET": ListQuery}
    outputs = {"GET": [WebhookDeliveryAttemptOutput]}
    names = {"GET": "list_webhook_delivery_attempts"}

    def get(self, request, webhook_delivery_id: str):
        """List the tries of a delivery, newest first."""
        delivery = selectors.deliveries(request.actor).find(id=webhook_delivery_id)
        rows = selectors.attempts(request.actor).filter(delivery=delivery).select_related("delivery")
        return self.reply_page(paginate(rows, self.query()))


class ResendDelivery(ApiView):
    tag = "Webhooks"
    scopes = {"POST": WRITE}
    inputs = {"POST": ResendInput}
    outputs = {"POST": WebhookDeliveryActionOutput}
    codes = {
        "POST": [
            "WEBHOOK_DELIVERY_IN_FLIGHT",
            "WEBHOOK_ENDPOINT_NOT_ACTIVE",
            "WEBHOOK_EVENT_PAYLOAD_EXPIRED",
        ]
    }
    names = {"POST": "resend_webhook_delivery"}

    @idempotent(external=True)
    def post(self, request, webhook_delivery_id: str):
        """
        Send what an endpoint was told once more, at once.

        It goes to the endpoint's present address, with the same id and body. The answer tells what came of it.
        """
        attempt = resending.resend(
            webhook_delivery_id=webhook_delivery_id,
            reason_message=self.validated().get("reason_message", ""),
            actor=request.actor,
        )
        return self.reply(attempt)


class EventStream(ApiView):
    """
    What is told, as server-sent events. It is not in the document: its answer is no JSON, and lasts.

    See ``flint/docs/webhooks.md``.
    """

    scopes = {"GET": (READ, WRITE)}
    queries = {"GET": StreamQuery}
    schema = None

    def get(self, request):
        """Open a stream, from now on or from a cursor; the environment is told of from then on."""
        query = self.query().values
        if "event_type" in query and query["event_type"] not in registry.types():
            raise InvalidEventType(param="event_type")
        open_feed(request.actor.environment_id)
        stream = Stream(
            request.api_key,
            self._output(WebhookEventOutput).to_representation,
            event_type=query.get("event_type", ""),
            after=query.get("after_event_id") or request.headers.get("Last-Event-ID", "")[:64],
        )
        response = StreamingHttpResponse(stream, content_type="text/event-stream")
        response["X-Accel-Buffering"] = "no"
        return response
