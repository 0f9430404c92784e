"""Checkout sessions in the admin: who was asked to pay what, how it ended, and whose buyers left without paying."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html

from flint.admin import EnvironmentFilter, ReadOnlyAdmin, badge, moment, staff_actor, words
from flint.errors import FlintError
from flint.merchants.staff import Right, access_of
from orders.admin.registry import Section, SectionContent, order_sections
from orders.models import Order
from payments.admin.payments import order_link
from payments.models import CheckoutSession
from payments.services.sessions.ending import close_session

SECRET = ("launch_secret",)
"""What opens a session is its buyer's; it is never even read for the admin."""

MAX_REASON = 500


class AbandonedFilter(admin.SimpleListFilter):
    """Keeps to the buyers who said how to reach them and left without paying."""

    title = "what became of it"
    parameter_name = "became"

    def lookups(self, request: HttpRequest, model_admin: ReadOnlyAdmin) -> list[tuple[str, str]]:
        return [("abandoned", "Abandoned by a buyer who can be reached")]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        return queryset.abandoned() if self.value() == "abandoned" else queryset


@admin.register(CheckoutSession)
class CheckoutSessionAdmin(ReadOnlyAdmin):
    """One checkout, with a button to close it, and in the list one to send a buyer who left a link to pay."""

    icon = "shopping_cart_checkout"
    title = "Checkouts"
    rank = 3
    list_display = ("order_column", "status_badge", "owed", "buyer", "where", "until", "created", "environment_column")
    list_display_links = ("status_badge",)
    list_filter = (AbandonedFilter, "status", "surface", "created_at", EnvironmentFilter)
    list_select_related = ("order", "environment__merchant", "recovery_attempt")
    search_fields = ("id",)
    search_help_text = "Checkout id, order id or the buyer's email address"
    fields = ("id", "order_column", "status_badge", "owed", "reason", "note", "buyer", "where", "until", "ended")
    fields += ("recovery", "superseded", "created")
    readonly_fields = fields
    change_form_outer_before_template = "admin/payments/session_buttons.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).defer(*SECRET)

    def get_search_results(self, request: HttpRequest, queryset: QuerySet, search_term: str) -> tuple[QuerySet, bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        if "@" in term:
            return queryset.filter(contact_email__iexact=term), False
        return queryset.filter(order_id=term) if term.startswith("ord_") else queryset.filter(id=term), False

    def get_list_display(self, request: HttpRequest) -> tuple:
        """Offer the link beside each buyer who left, to staff who may send one."""
        environments = access_of(request.user).environment_ids(Right.SEND_MESSAGES)

        @admin.display(description="Send")
        def send(session: CheckoutSession) -> str:
            if session.environment_id not in environments or not session.is_abandoned:
                return ""
            url = reverse("admin:orders_order_pay_link", args=[session.order_id])
            return format_html('<a class="fl-link" href="{}">Send pay link</a>', url)

        return (*self.list_display, send) if environments else self.list_display

    def extra_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.close_view)
        return [path("<str:object_id>/close/", view, name="payments_checkoutsession_close")]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict | None = None
    ) -> HttpResponse:
        """Show a checkout, with the button that the user may press."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        session = self.find(request, object_id)
        may = access_of(request.user).may(Right.CLOSE_CHECKOUT, session.environment_id)
        more = {
            "may_close": may and session.is_open,
            "close_url": reverse("admin:payments_checkoutsession_close", args=[session.id]),
            "max_reason": MAX_REASON,
        }
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **more})

    def close_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Close one open checkout, with the note that was typed."""
        session = self.find(request, object_id)
        self.refuse_unless(request, Right.CLOSE_CHECKOUT, session)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        reason = request.POST.get("reason", "").strip()[:MAX_REASON]
        try:
            close_session(
                checkout_session_id=session.id, reason=reason, actor=staff_actor(request, session.environment_id)
            )
        except FlintError as refusal:
            messages.error(request, refusal.message)
        else:
            messages.success(request, "The checkout is closed; nothing more is collected through it.")
        return HttpResponseRedirect(reverse("admin:payments_checkoutsession_change", args=[session.id]))

    @admin.display(description="Order")
    def order_column(self, session: CheckoutSession) -> str:
        return order_link(session.order)

    @admin.display(description="Status")
    def status_badge(self, session: CheckoutSession) -> str:
        return badge(session.status)

    @admin.display(description="Owed now")
    def owed(self, session: CheckoutSession) -> str:
        return session.order.outstanding_money.text()

    @admin.display(description="Buyer")
    def buyer(self, session: CheckoutSession) -> str:
        return buyer_text(session)

    @admin.display(description="Page")
    def where(self, session: CheckoutSession) -> str:
        return session.get_surface_display()

    @admin.display(description="Open until")
    def until(self, session: CheckoutSession) -> str:
        return moment(session.expires_at, session.environment.merchant.reporting_timezone)

    @admin.display(description="Ended")
    def ended(self, session: CheckoutSession) -> str:
        return moment(session.ended_at, session.environment.merchant.reporting_timezone)

    @admin.display(description="How it ended")
    def reason(self, session: CheckoutSession) -> str:
        return words(session.terminal_reason) or "–"

    @admin.display(description="Note")
    def note(self, session: CheckoutSession) -> str:
        return session.closed_reason or "–"

    @admin.display(description="Payment to go on with")
    def recovery(self, session: CheckoutSession) -> str:
        if session.recovery_attempt is None:
            return "–"
        until = moment(session.recovery_expires_at, session.environment.merchant.reporting_timezone)
        return f"{words(session.recovery_attempt.status)}, until {until}"

    @admin.display(description="Replaced by")
    def superseded(self, session: CheckoutSession) -> str:
        return session.superseded_by_id or "–"


def buyer_text(session: CheckoutSession) -> str:
    """Say how a buyer is reached, as far as they said."""
    if session.contact_erased_at and not session.contact_email:
        return "Forgotten"
    return " · ".join(each for each in (session.contact_email, session.contact_phone) if each) or "Not known"


def _load(order: Order) -> SectionContent:
    sessions = CheckoutSession.objects.filter(order_id=order.id).defer(*SECRET).order_by("-created_at", "-id")
    return SectionContent(context={"sessions": [_session(session) for session in sessions]})


def _session(session: CheckoutSession) -> dict[str, Any]:
    return {
        "id": session.id,
        "badge": badge(session.status),
        "buyer": buyer_text(session),
        "where": session.get_surface_display(),
        "when": session.created_at,
        "until": session.expires_at if session.is_open else None,
        "reason": words(session.terminal_reason),
        "note": session.closed_reason,
    }


order_sections.append(Section(template="admin/payments/sessions.html", load=_load))
