"""What may be asked about webhooks."""

from django.db.models import Exists, OuterRef, QuerySet

from flint.api.fields import EnumField, IdField, ListOf, StrictBoolean, StrictString
from flint.api.queries import CreatedFilter, ListQuery, Query, Several
from flint.api.serializers import Input, Patch
from flint.events.api.outputs import SOURCES
from flint.events.models import WebhookDelivery
from flint.events.models.deliveries import DeliveryStatus
from flint.events.webhooks.targets import MAX_URL

MAX_TYPES = 250
OF_PARTNERS = {"mode", "partner_app_id"}


def _url(**options) -> StrictString:
    codes = {"code_too_long": "URL_TOO_LONG", "code_required": "MISSING_URL", "code_blank": "MISSING_URL"}
    return StrictString(max_length=MAX_URL, code="INVALID_URL", **codes, **options)


class EndpointInput(Input):
    """
    Where to be told, and of what. No `enabled_events` are all of them.

    `api_version` is `default`, which follows the merchant, or a version.
    """

    reserved = OF_PARTNERS

    url = _url()
    description = StrictString(required=False, min_length=0, max_length=500, code_too_long="DESCRIPTION_TOO_LONG")
    enabled_events = ListOf(
        StrictString(max_length=64, code="INVALID_EVENT_TYPE"), required=False, max_length=MAX_TYPES
    )
    event_sources = ListOf(EnumField(["merchant"], code="INVALID_EVENT_SOURCES"), required=False, min_length=1)
    enabled = StrictBoolean(required=False)
    api_version = StrictString(required=False, max_length=10, code="INVALID_API_VERSION")


class UpdateEndpointInput(Patch):
    """What to change of an endpoint. `expected_api_version` guards against a change that somebody else made."""

    reserved = OF_PARTNERS
    guards = ("expected_api_version",)

    url = _url()
    description = StrictString(min_length=0, max_length=500, code_too_long="DESCRIPTION_TOO_LONG", allow_null=True)
    enabled_events = ListOf(StrictString(max_length=64, code="INVALID_EVENT_TYPE"), max_length=MAX_TYPES)
    event_sources = ListOf(EnumField(["merchant"], code="INVALID_EVENT_SOURCES"), min_length=1)
    enabled = StrictBoolean()
    api_version = StrictString(max_length=10, code="INVALID_API_VERSION")
    expected_api_version = StrictString(max_length=10, code="INVALID_API_VERSION")


class SendTestInput(Input):
    """Which type to try an endpoint with."""

    event_type = StrictString(max_length=64, code="INVALID_EVENT_TYPE")


class ResendInput(Input):
    """Why it is sent again, for the record."""

    body_optional = True

    reason_message = StrictString(required=False, max_length=500)


class EndpointQuery(ListQuery):
    """Which endpoints to list."""

    event_sources = Several(SOURCES, code="INVALID_EVENT_SOURCES")

    def apply(self, rows: QuerySet) -> QuerySet:
        rows = super().apply(rows)
        return rows if "merchant" in self.values.get("event_sources", ["merchant"]) else rows.none()


class EventTypeQuery(ListQuery):
    """The list of types has one page."""


class WebhookEventQuery(CreatedFilter, ListQuery):
    """Which events to list. Test events are left out unless `include` names them."""

    event_type = StrictString(required=False, max_length=64, code="INVALID_EVENT_TYPE", lookup="type")
    event_source = Several(SOURCES, code="INVALID_EVENT_SOURCE")
    resource_type = StrictString(required=False, max_length=32, code="INVALID_RESOURCE_TYPE", lookup="resource_type")
    resource_id = StrictString(required=False, max_length=40, code="INVALID_RESOURCE_ID", lookup="resource_id")
    request_id = StrictString(required=False, lookup="request_id")
    webhook_endpoint_id = IdField("whep", required=False)
    delivery_status = EnumField(DeliveryStatus.values, required=False, code="INVALID_STATUS")
    include = Several(["test_events"], code="INVALID_INCLUDE")

    def apply(self, rows: QuerySet) -> QuerySet:
        rows = super().apply(rows)
        if "test_events" not in self.values.get("include", ()):
            rows = rows.filter(is_test=False)
        if "merchant" not in self.values.get("event_source", ["merchant"]):
            return rows.none()
        of_delivery = {"webhook_endpoint_id": "webhook_endpoint_id", "delivery_status": "status"}
        wanted = {column: self.values[name] for name, column in of_delivery.items() if name in self.values}
        if wanted:
            rows = rows.filter(Exists(WebhookDelivery.objects.filter(webhook_event=OuterRef("pk"), **wanted)))
        return rows


class StreamQuery(Query):
    """Where to go on in the stream, and of which type."""

    event_type = StrictString(required=False, max_length=64, code="INVALID_EVENT_TYPE")
    after_event_id = IdField("whev", required=False)
