"""What processors told us, as a work list: what failed or fits nothing, and what people do about it."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone

from flint.actors import Actor
from flint.admin import EnvironmentFilter, ReadOnlyAdmin, badge, moment, staff_actor
from flint.errors import FlintError
from flint.merchants.staff import Right, access_of
from payments.models import ProcessorNotice
from payments.services.notices import MAX_REASON, retry_notice, set_aside_notice

AT_ONCE = 200
"""How many notices are acted on by one click at most."""


class WorkFilter(admin.SimpleListFilter):
    """Keeps to what somebody should look at."""

    title = "what is left to do"
    parameter_name = "work"

    def lookups(self, request: HttpRequest, model_admin: ReadOnlyAdmin) -> list[tuple[str, str]]:
        return [("people", "Waits for people"), ("late", "Waits too long")]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        match self.value():
            case "people":
                return queryset.needing_people()
            case "late":
                return queryset.waiting_too_long(timezone.now())
        return queryset


@admin.register(ProcessorNotice)
class ProcessorNoticeAdmin(ReadOnlyAdmin):
    """What processors told us, whether it had its effect, and two buttons for when it had none."""

    group = "Setup"
    icon = "notifications"
    list_display = ("type", "status_badge", "reference", "error", "attempts", "next_try", "told", "handled")
    list_display += ("environment_column",)
    list_filter = (WorkFilter, "status", "created_at", EnvironmentFilter)
    list_select_related = ("environment__merchant",)
    list_disable_select_all = True
    actions = ("retry_selected", "set_aside_selected")
    fields = ("id", "processor", "notice_id", "type", "reference", "status", "attempts", "last_error", "told")
    fields += ("handled", "next_try", "set_aside_words")
    readonly_fields = fields
    change_form_outer_before_template = "admin/payments/notice_buttons.html"

    def extra_urls(self) -> list[URLPattern]:
        stem = "payments_processornotice"
        return [
            path("<str:object_id>/retry/", self.admin_site.admin_view(self.retry_view), name=f"{stem}_retry"),
            path("<str:object_id>/set-aside/", self.admin_site.admin_view(self.set_aside_view), name=f"{stem}_aside"),
        ]

    def waiting(self, request: HttpRequest) -> list[tuple[str, int, str]]:
        theirs = self.get_queryset(request).order_by()
        late = theirs.waiting_too_long(timezone.now())
        return [
            ("notices of processors wait for people", theirs.needing_people().count(), "work=people"),
            ("notices of processors wait too long", late.count(), "work=late"),
        ]

    # One notice

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict | None = None
    ) -> HttpResponse:
        """Show a notice, with the buttons that the user may press."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        notice = self.find(request, object_id)
        may = access_of(request.user).may(Right.HANDLE_NOTICES, notice.environment_id)
        more = {
            "may_retry": may and notice.status != "handled",
            "may_set_aside": may and not notice.has_ended,
            "retry_url": reverse("admin:payments_processornotice_retry", args=[notice.id]),
            "set_aside_url": reverse("admin:payments_processornotice_aside", args=[notice.id]),
            "max_reason": MAX_REASON,
        }
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **more})

    def retry_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Have one notice handled now."""
        return self._act_on_one(request, object_id, retry_notice, "The notice is tried again now.")

    def set_aside_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Set one notice aside, for the reason that was typed."""
        reason = request.POST.get("reason", "")
        return self._act_on_one(
            request, object_id, lambda **known: set_aside_notice(reason=reason, **known), "The notice is set aside."
        )

    def _act_on_one(
        self, request: HttpRequest, object_id: str, verb: Callable[..., ProcessorNotice], done: str
    ) -> HttpResponse:
        notice = self.find(request, object_id)
        self.refuse_unless(request, Right.HANDLE_NOTICES, notice)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        try:
            verb(notice_id=notice.id, actor=self._actor(request, notice))
        except FlintError as refusal:
            messages.error(request, refusal.message)
        else:
            messages.success(request, done)
        return HttpResponseRedirect(reverse("admin:payments_processornotice_change", args=[notice.id]))

    # A selection

    def has_handle_permission(self, request: HttpRequest) -> bool:
        return bool(access_of(request.user).merchant_ids(Right.HANDLE_NOTICES))

    @admin.action(description="Retry now", permissions=["handle"])
    def retry_selected(self, request: HttpRequest, notices: QuerySet) -> None:
        """Have each of the chosen notices handled now."""
        self._act_on_each(request, notices, retry_notice, "tried again now")

    @admin.action(description="Set aside…", permissions=["handle"])
    def set_aside_selected(self, request: HttpRequest, notices: QuerySet) -> HttpResponse | None:
        """Ask for a reason, then set each of the chosen notices aside."""
        reason = request.POST.get("reason")
        chosen = list(notices[:AT_ONCE])
        if reason and reason.strip():
            self._act_on_each(request, notices, lambda **k: set_aside_notice(reason=reason, **k), "set aside")
            return None
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Set notices aside",
            "notices": chosen,
            "max_reason": MAX_REASON,
            "error": "Say why nothing has to be done." if reason is not None else "",
        }
        request.current_app = self.admin_site.name
        status = 400 if reason is not None else 200
        return TemplateResponse(request, "admin/payments/set_aside.html", context, status=status)

    def _act_on_each(
        self, request: HttpRequest, notices: QuerySet, verb: Callable[..., ProcessorNotice], done: str
    ) -> None:
        chosen = list(notices[:AT_ONCE])
        access = access_of(request.user)
        if not all(access.may(Right.HANDLE_NOTICES, notice.environment_id) for notice in chosen):
            raise PermissionDenied
        count = 0
        for notice in chosen:
            try:
                verb(notice_id=notice.id, actor=self._actor(request, notice))
                count += 1
            except FlintError as refusal:
                messages.warning(request, f"{notice}: {refusal.message}")
        if count:
            messages.success(request, f"{count} {'notice is' if count == 1 else 'notices are'} {done}.")

    @staticmethod
    def _actor(request: HttpRequest, notice: ProcessorNotice) -> Actor:
        return staff_actor(request, notice.environment_id)

    # Columns

    def _moment(self, notice: ProcessorNotice, at: datetime | None) -> str:
        return moment(at, notice.environment.merchant.reporting_timezone)

    @admin.display(description="Status")
    def status_badge(self, notice: ProcessorNotice) -> str:
        return badge(notice.status)

    @admin.display(description="Error")
    def error(self, notice: ProcessorNotice) -> str:
        text = notice.last_error
        return f"{text[:80]}…" if len(text) > 80 else text or "–"

    @admin.display(description="Told")
    def told(self, notice: ProcessorNotice) -> str:
        return self._moment(notice, notice.told_at)

    @admin.display(description="Ended")
    def handled(self, notice: ProcessorNotice) -> str:
        return self._moment(notice, notice.handled_at)

    @admin.display(description="Next try")
    def next_try(self, notice: ProcessorNotice) -> str:
        return self._moment(notice, notice.next_at)

    @admin.display(description="Set aside")
    def set_aside_words(self, notice: ProcessorNotice) -> Any:
        return f"By {notice.set_aside_by}: {notice.set_aside_reason}" if notice.set_aside_by else "–"
