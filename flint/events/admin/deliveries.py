"""Deliveries: who was told what, every try, and a button to send it again."""

from datetime import timedelta

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html

from flint.admin import EnvironmentFilter, ReadOnlyAdmin, badge, moment, staff_actor, words
from flint.errors import FlintError
from flint.events.admin.endpoints import tell_outcome
from flint.events.models import WebhookDelivery, WebhookDeliveryAttempt
from flint.events.models.deliveries import MAX_ATTEMPTS, DeliveryStatus
from flint.events.webhooks.diagnoses import explanation_of
from flint.events.webhooks.endpoints import host_of
from flint.events.webhooks.resending import MAX_REASON, resend
from flint.merchants.staff import Right, access_of

STEM = "events_webhookdelivery"
LATELY = timedelta(days=7)
TONES = {"delivered": "succeeded", "pending": "pending", "failed": "failed", "suppressed": "canceled"}
MOST_SHOWN = 50


class WorkFilter(admin.SimpleListFilter):
    """Keeps to what was given up lately and somebody may want to send again."""

    title = "what is left to do"
    parameter_name = "work"

    def lookups(self, request: HttpRequest, model_admin: ReadOnlyAdmin) -> list[tuple[str, str]]:
        return [("failed", "Given up in the last week")]

    def queryset(self, request, queryset):
        return given_up(queryset) if self.value() == "failed" else queryset


def given_up(rows):
    """Keep to deliveries that were given up in the last days; tests of endpoints are nobody's work."""
    rows = rows.filter(status=DeliveryStatus.FAILED, updated_at__gte=timezone.now() - LATELY)
    return rows.filter(webhook_event__is_test=False, webhook_endpoint__deleted_at__isnull=True)


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(ReadOnlyAdmin):
    """Who was told what and how far it got."""

    right = Right.READ_SETUP
    group = "Setup"
    icon = "outgoing_mail"
    title = "Webhook deliveries"
    rank = 8
    list_display = ("type_column", "status_badge", "resource", "endpoint", "tried", "problem", "next_try", "created")
    list_display += ("environment_column",)
    list_filter = (WorkFilter, "status", "created_at", EnvironmentFilter)
    list_select_related = ("environment__merchant", "webhook_event", "webhook_endpoint")
    search_fields = ("id",)
    search_help_text = "Delivery, event or endpoint id, or the id of what it is about"
    fields = ("id", "type_column", "event_id", "status_badge", "resource", "endpoint", "tried", "problem", "advice")
    fields += ("next_try", "delivered", "created")
    readonly_fields = fields
    change_form_outer_before_template = "admin/events/delivery_attempts.html"

    def get_queryset(self, request):
        deferred = ("webhook_endpoint__secret", "webhook_endpoint__previous_secret", "webhook_event__body")
        return super().get_queryset(request).defer(*deferred)

    def get_search_results(self, request, queryset, search_term: str):
        term = search_term.strip()
        if not term:
            return queryset, False
        columns = {"whev": "webhook_event_id", "whep": "webhook_endpoint_id", "wdel": "id"}
        column = columns.get(term.partition("_")[0], "webhook_event__resource_id")
        return queryset.filter(**{column: term}), False

    def waiting(self, request: HttpRequest) -> list[tuple[str, int, str]]:
        count = given_up(self.get_queryset(request).order_by()).count()
        return [("messages to webhook endpoints were given up in the last week", count, "work=failed")]

    def extra_urls(self) -> list[URLPattern]:
        return [path("<str:object_id>/resend/", self.admin_site.admin_view(self.resend_view), name=f"{STEM}_resend")]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict | None = None
    ) -> HttpResponse:
        """Show a delivery with its tries, and the button for whoever may press it."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        delivery = self.find(request, object_id)
        may = access_of(request.user).may(Right.HANDLE_WEBHOOKS, delivery.environment_id)
        zone = delivery.environment.merchant.reporting_timezone
        rows = delivery.attempts.order_by("-number")[:MOST_SHOWN]
        more = {
            "attempts": [_shown(attempt, zone) for attempt in rows],
            "may_resend": may and delivery.status != "pending" and delivery.webhook_endpoint.is_active,
            "resend_url": reverse(f"admin:{STEM}_resend", args=[delivery.id]),
            "max_reason": MAX_REASON,
        }
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **more})

    def resend_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Send it once more, now."""
        delivery = self.find(request, object_id)
        self.refuse_unless(request, Right.HANDLE_WEBHOOKS, delivery)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        try:
            attempt = resend(
                webhook_delivery_id=delivery.id,
                reason_message=request.POST.get("reason", "").strip()[:MAX_REASON],
                actor=staff_actor(request, delivery.environment_id),
            )
        except FlintError as refusal:
            messages.error(request, refusal.message)
        else:
            tell_outcome(request, attempt)
        return HttpResponseRedirect(reverse(f"admin:{STEM}_change", args=[delivery.id]))

    @admin.display(description="Event")
    def type_column(self, delivery: WebhookDelivery) -> str:
        return f"{delivery.webhook_event.type}{' (test)' if delivery.webhook_event.is_test else ''}"

    @admin.display(description="Event id")
    def event_id(self, delivery: WebhookDelivery) -> str:
        return delivery.webhook_event_id

    @admin.display(description="Status")
    def status_badge(self, delivery: WebhookDelivery) -> str:
        return badge(TONES[delivery.status], words(delivery.status))

    @admin.display(description="About")
    def resource(self, delivery: WebhookDelivery) -> str:
        about = delivery.webhook_event.resource_id
        if delivery.webhook_event.resource_type == "order" and about:
            return format_html(
                '<a class="fl-link" href="{}">{}</a>', reverse("admin:orders_order_change", args=[about]), about
            )
        return about or "–"

    @admin.display(description="Endpoint")
    def endpoint(self, delivery: WebhookDelivery) -> str:
        where = reverse("admin:events_webhookendpoint_change", args=[delivery.webhook_endpoint_id])
        return format_html('<a class="fl-link" href="{}">{}</a>', where, host_of(delivery.webhook_endpoint))

    @admin.display(description="Tries by itself")
    def tried(self, delivery: WebhookDelivery) -> str:
        return f"{delivery.automatic_attempt_count} of {MAX_ATTEMPTS}"

    @admin.display(description="Last problem")
    def problem(self, delivery: WebhookDelivery) -> str:
        return delivery.last_error or "–"

    @admin.display(description="What helps")
    def advice(self, delivery: WebhookDelivery) -> str:
        found = explanation_of(delivery.last_diagnosis, delivery.last_response_code)
        return found.action if found else "–"

    @admin.display(description="Next try")
    def next_try(self, delivery: WebhookDelivery) -> str:
        return moment(delivery.due_at, delivery.environment.merchant.reporting_timezone)

    @admin.display(description="Delivered")
    def delivered(self, delivery: WebhookDelivery) -> str:
        return moment(delivery.delivered_at, delivery.environment.merchant.reporting_timezone)


def _shown(attempt: WebhookDeliveryAttempt, zone: str) -> dict:
    return {
        "number": attempt.number,
        "badge": badge("pending" if attempt.status == "sending" else TONES[attempt.status], words(attempt.status)),
        "trigger": words(attempt.trigger),
        "who": attempt.actor_label,
        "why": attempt.reason_message,
        "when": moment(attempt.started_at, zone),
        "took": attempt.duration_milliseconds,
        "code": attempt.status_code,
        "error": attempt.error_message,
        "excerpt": attempt.response_body_excerpt,
    }
