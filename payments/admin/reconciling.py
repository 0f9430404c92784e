"""Reconciliation in the admin: the runs with their progress, a button that starts one, and the list of differences."""

from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone

from flint.admin import EnvironmentFilter, ReadOnlyAdmin, badge, environment_badge, moment, staff_actor, words
from flint.errors import FlintError
from flint.merchants.staff import Right, access_of, environments_of
from payments.admin.payments import order_link
from payments.models import ReconcileDifference, ReconcileRun
from payments.processors.base import ProcessorError
from payments.reconciling.differences import MAX_REASON, ignore_difference
from payments.reconciling.runs import begin_run, is_comparable, recheck

REFRESH_SECONDS = 3
RUNS = "admin:payments_reconcilerun_changelist"
DIFFERENCES = "admin:payments_reconciledifference_changelist"


@admin.register(ReconcileRun)
class ReconcileRunAdmin(ReadOnlyAdmin):
    """Every comparison with a processor, and the button that starts one."""

    right = Right.READ_SALES
    group = "Reconciliation"
    icon = "balance"
    rank = 6
    title = "Comparisons"
    list_display = ("window", "status_badge", "compared", "imported", "differing", "started_by", "created")
    list_display += ("environment_column",)
    list_filter = ("status", "created_at", EnvironmentFilter)
    list_select_related = ("environment__merchant",)
    list_before_template = "admin/payments/reconcile_buttons.html"

    def extra_urls(self) -> list[URLPattern]:
        start = self.admin_site.admin_view(self.start_view)
        return [path("<str:environment_id>/start/", start, name="payments_reconcilerun_start")]

    def changelist_view(self, request: HttpRequest, extra_context: dict | None = None) -> HttpResponse:
        """Show the runs, with a button for each environment that the user may compare."""
        buttons = [
            {"environment": each, "url": reverse("admin:payments_reconcilerun_start", args=[each.id])}
            for each in environments_of(request.user, Right.RECONCILE)
            if is_comparable(each)
        ]
        return super().changelist_view(request, {**(extra_context or {}), "start_buttons": buttons})

    def start_view(self, request: HttpRequest, environment_id: str) -> HttpResponse:
        """Start a run of one environment, and show how it gets on."""
        access = access_of(request.user)
        if not access.may(self.right, environment_id):
            raise Http404("There is no such environment, or it is not yours to see.")
        if not access.may(Right.RECONCILE, environment_id):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        try:
            run = begin_run(environment_id=environment_id, actor=staff_actor(request, environment_id))
        except FlintError as refusal:
            messages.warning(request, refusal.message)
            running = refusal.facts.get("reconcile_run_id")
            url = reverse("admin:payments_reconcilerun_change", args=[running]) if running else reverse(RUNS)
            return HttpResponseRedirect(url)
        return HttpResponseRedirect(reverse("admin:payments_reconcilerun_change", args=[run.id]))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict | None = None
    ) -> HttpResponse:
        """Show a run. While it goes on the page loads itself again; that needs no script."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        run = self.find(request, object_id)
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        zone = run.environment.merchant.reporting_timezone
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": f"Comparison with {run.processor}",
            "original": run,
            "run": run,
            "zone": zone,
            "refresh": REFRESH_SECONDS if run.status == "running" else None,
            "badge": badge(run.status),
            "environment_badge": environment_badge(run.environment),
            "started_by": self.started_by(run),
            "kinds": [
                {"name": words(kind), "progress": _progress(run, kind), **counts} for kind, counts in run.counts.items()
            ],
            "open_count": ReconcileDifference.objects.filter(environment=run.environment).open().count(),
            "differences_url": f"{reverse(DIFFERENCES)}?work=open&environment={run.environment_id}",
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "admin/payments/reconcile_run.html", context)

    @admin.display(description="Window")
    def window(self, run: ReconcileRun) -> str:
        return str(run)

    @admin.display(description="Status")
    def status_badge(self, run: ReconcileRun) -> str:
        return badge(run.status)

    @admin.display(description="Compared")
    def compared(self, run: ReconcileRun) -> int:
        return run.counted("compared")

    @admin.display(description="Imported")
    def imported(self, run: ReconcileRun) -> int:
        return run.counted("imported")

    @admin.display(description="Differing")
    def differing(self, run: ReconcileRun) -> int:
        return run.counted("differing")

    @admin.display(description="Started by")
    def started_by(self, run: ReconcileRun) -> str:
        return run.actor_label or words(run.actor_kind)


def _progress(run: ReconcileRun, kind: str) -> str:
    if run.status == "succeeded":
        return "done"
    place = run.cursor.get(kind, {})
    if "checked" in place:
        return "done"
    if "listed" in place:
        return "looking for what is only here"
    reached = place.get("reached", "")
    return f"looked back to {reached[:16].replace('T', ' ')}" if reached else "beginning"


class WorkFilter(admin.SimpleListFilter):
    """Keeps to what somebody should look at."""

    title = "what is left to do"
    parameter_name = "work"

    def lookups(self, request: HttpRequest, model_admin: ReadOnlyAdmin) -> list[tuple[str, str]]:
        return [("open", "Open"), ("ignored", "Ignored"), ("resolved", "Resolved")]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        match self.value():
            case "open":
                return queryset.open()
            case "ignored":
                return queryset.filter(resolved_at__isnull=True, ignored_at__isnull=False)
            case "resolved":
                return queryset.filter(resolved_at__isnull=False)
        return queryset


@admin.register(ReconcileDifference)
class ReconcileDifferenceAdmin(ReadOnlyAdmin):
    """What the processor and Flint tell differently, as a work list: look again, or ignore for a reason."""

    group = "Reconciliation"
    icon = "difference"
    rank = 7
    title = "Differences"
    list_display = ("what", "status_badge", "reference", "here", "there", "order_column", "first_seen", "last_seen")
    list_display += ("environment_column",)
    list_filter = (WorkFilter, "kind", "problem", "created_at", EnvironmentFilter)
    list_select_related = ("order", "environment__merchant")
    fields = ("id", "status_badge", "what", "text", "reference", "here", "there", "order_column", "processor")
    fields += ("first_seen", "last_seen", "resolved", "ignored_words")
    readonly_fields = fields
    change_form_outer_before_template = "admin/payments/difference_buttons.html"

    def extra_urls(self) -> list[URLPattern]:
        stem = "payments_reconciledifference"
        return [
            path("<str:object_id>/retry/", self.admin_site.admin_view(self.retry_view), name=f"{stem}_retry"),
            path("<str:object_id>/ignore/", self.admin_site.admin_view(self.ignore_view), name=f"{stem}_ignore"),
        ]

    def waiting(self, request: HttpRequest) -> list[tuple[str, int, str]]:
        count = self.get_queryset(request).order_by().open().count()
        return [("differences with a processor are open", count, "work=open")]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict | None = None
    ) -> HttpResponse:
        """Show a difference, with the buttons that the user may press."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        row = self.find(request, object_id)
        may = access_of(request.user).may(Right.RECONCILE, row.environment_id)
        more = {
            "may_retry": may and row.status != "resolved",
            "may_ignore": may and row.status == "open",
            "retry_url": reverse("admin:payments_reconciledifference_retry", args=[row.id]),
            "ignore_url": reverse("admin:payments_reconciledifference_ignore", args=[row.id]),
            "max_reason": MAX_REASON,
        }
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **more})

    def retry_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Look again at one object, and import it if it can be booked by now."""
        row = self._chosen(request, object_id)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        try:
            recheck(row, actor=staff_actor(request, row.environment_id), at=timezone.now())
        except ProcessorError:
            messages.error(request, "The processor could not be asked. Try again later.")
        else:
            row.refresh_from_db()
            if row.status == "resolved":
                messages.success(request, "Both sides agree now.")
            else:
                messages.warning(request, "It still differs.")
        return self._back(row)

    def ignore_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Take one difference off the list, for the reason that was typed."""
        row = self._chosen(request, object_id)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        actor = staff_actor(request, row.environment_id)
        try:
            ignore_difference(row.id, reason=request.POST.get("reason", ""), actor=actor)
        except FlintError as refusal:
            messages.error(request, refusal.message)
        else:
            messages.success(request, "The difference is off the work list.")
        return self._back(row)

    def _chosen(self, request: HttpRequest, object_id: str) -> ReconcileDifference:
        row = self.find(request, object_id)
        self.refuse_unless(request, Right.RECONCILE, row)
        return row

    def _back(self, row: ReconcileDifference) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:payments_reconciledifference_change", args=[row.id]))

    def _moment(self, row: ReconcileDifference, at: datetime | None) -> str:
        return moment(at, row.environment.merchant.reporting_timezone)

    @admin.display(description="Difference")
    def what(self, row: ReconcileDifference) -> str:
        return f"{words(row.kind)}: {words(row.problem).lower()}"

    @admin.display(description="Status")
    def status_badge(self, row: ReconcileDifference) -> str:
        return badge(row.status)

    @admin.display(description="Here")
    def here(self, row: ReconcileDifference) -> str:
        return row.our_money.text() if row.our_money else "–"

    @admin.display(description="At the processor")
    def there(self, row: ReconcileDifference) -> str:
        return row.their_money.text() if row.their_money else "–"

    @admin.display(description="Order")
    def order_column(self, row: ReconcileDifference) -> str:
        return order_link(row.order) if row.order and not row.order.is_hidden else "–"

    @admin.display(description="First seen")
    def first_seen(self, row: ReconcileDifference) -> str:
        return self._moment(row, row.first_seen_at)

    @admin.display(description="Last seen")
    def last_seen(self, row: ReconcileDifference) -> str:
        return self._moment(row, row.last_seen_at)

    @admin.display(description="Resolved")
    def resolved(self, row: ReconcileDifference) -> str:
        return self._moment(row, row.resolved_at)

    @admin.display(description="Ignored")
    def ignored_words(self, row: ReconcileDifference) -> Any:
        if not row.ignored_at:
            return "–"
        return f"By {row.ignored_by} on {row.ignored_at:%d %b %Y, %H:%M} UTC: {row.ignored_reason}"
