"""Endpoints: where merchants are told, whether it works, and two buttons."""

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, path, reverse

from flint.admin import EnvironmentFilter, ReadOnlyAdmin, badge, moment, staff_actor, words
from flint.errors import FlintError
from flint.events.models import WebhookEndpoint
from flint.events.webhooks import registry
from flint.events.webhooks.endpoints import update_endpoint
from flint.events.webhooks.resending import send_test
from flint.merchants.staff import Right, access_of

STEM = "events_webhookendpoint"


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(ReadOnlyAdmin):
    """Where merchants are told what happens. The secret is never shown."""

    right = Right.READ_SETUP
    group = "Setup"
    icon = "webhook"
    title = "Webhook endpoints"
    rank = 8
    list_display = ("url", "status_badge", "wanted", "created", "environment_column")
    list_filter = ("enabled", EnvironmentFilter)
    list_select_related = ("environment__merchant",)
    search_fields = ("url", "id")
    search_help_text = "Address or endpoint id"
    fields = ("id", "url", "description", "status_badge", "wanted", "api_version", "overlap", "created", "deleted")
    readonly_fields = fields
    change_form_outer_before_template = "admin/events/endpoint_buttons.html"

    def get_queryset(self, request):
        return super().get_queryset(request).defer("secret", "previous_secret")

    def extra_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("<str:object_id>/test/", wrap(self.test_view), name=f"{STEM}_test"),
            path("<str:object_id>/switch/", wrap(self.switch_view), name=f"{STEM}_switch"),
        ]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict | None = None
    ) -> HttpResponse:
        """Show an endpoint, with the buttons that the user may press."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        endpoint = self.find(request, object_id)
        may = access_of(request.user).may(Right.HANDLE_WEBHOOKS, endpoint.environment_id)
        more = {
            "endpoint": endpoint,
            "may_switch": may and endpoint.deleted_at is None,
            "may_test": may and endpoint.is_active,
            "types": registry.types(),
            "test_url": reverse(f"admin:{STEM}_test", args=[endpoint.id]),
            "switch_url": reverse(f"admin:{STEM}_switch", args=[endpoint.id]),
        }
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **more})

    def test_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Send a made-up event now, and go to what came of it."""
        endpoint = self.find(request, object_id)
        self.refuse_unless(request, Right.HANDLE_WEBHOOKS, endpoint)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        try:
            attempt = send_test(
                webhook_endpoint_id=endpoint.id,
                event_type=request.POST.get("event_type", ""),
                actor=staff_actor(request, endpoint.environment_id),
            )
        except FlintError as refusal:
            messages.error(request, refusal.message)
            return HttpResponseRedirect(reverse(f"admin:{STEM}_change", args=[endpoint.id]))
        tell_outcome(request, attempt)
        return HttpResponseRedirect(reverse("admin:events_webhookdelivery_change", args=[attempt.delivery_id]))

    def switch_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Switch an endpoint off, or on again."""
        endpoint = self.find(request, object_id)
        self.refuse_unless(request, Right.HANDLE_WEBHOOKS, endpoint)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        wanted = request.POST.get("enabled") == "yes"
        try:
            update_endpoint(
                webhook_endpoint_id=endpoint.id,
                data={"enabled": wanted},
                actor=staff_actor(request, endpoint.environment_id),
            )
        except FlintError as refusal:
            messages.error(request, refusal.message)
        else:
            messages.success(request, "It is told of what happens from now on." if wanted else "It is told nothing.")
        return HttpResponseRedirect(reverse(f"admin:{STEM}_change", args=[endpoint.id]))

    @admin.display(description="Status")
    def status_badge(self, endpoint: WebhookEndpoint) -> str:
        if endpoint.deleted_at:
            return badge("closed", "Deleted")
        return badge("succeeded", "On") if endpoint.enabled else badge("canceled", "Off")

    @admin.display(description="Told of")
    def wanted(self, endpoint: WebhookEndpoint) -> str:
        named = ", ".join(endpoint.enabled_events[:4])
        more = len(endpoint.enabled_events) - 4
        return f"{named} and {more} more" if more > 0 else named or "Everything"

    @admin.display(description="Previous secret good until")
    def overlap(self, endpoint: WebhookEndpoint) -> str:
        return moment(endpoint.previous_secret_until, endpoint.environment.merchant.reporting_timezone)

    @admin.display(description="Deleted")
    def deleted(self, endpoint: WebhookEndpoint) -> str:
        return moment(endpoint.deleted_at, endpoint.environment.merchant.reporting_timezone)


def tell_outcome(request: HttpRequest, attempt) -> None:
    """Say what came of a try that somebody asked for."""
    if attempt.status == "delivered":
        messages.success(request, f"The endpoint took it and answered {attempt.status_code}.")
    else:
        messages.error(request, f"{words(attempt.status)}: {attempt.error_message}")
