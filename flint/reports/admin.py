"""Reports in the admin: ask for one, see how it gets on, download it, and see what it adds up to."""

import zoneinfo
from datetime import date, datetime, timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone

from flint.admin import EnvironmentFilter, ReadOnlyAdmin, badge, environment_badge, moment, staff_actor, words
from flint.errors import FlintError
from flint.merchants.models import Environment
from flint.merchants.staff import Right, access_of, environments_of
from flint.reports import services
from flint.reports.models import Format, Report
from flint.reports.registry import ROWS, types
from flint.reports.services.handing_out import filename, refuse_if_expired, response_of
from flint.reports.writing.figures import money

REFRESH_SECONDS = 2
CHANGE = "admin:reports_report_change"
TROUBLE_FOR = timedelta(days=7)


class ReportForm(forms.Form):
    """What to report on, by days of a time zone; both days belong to it."""

    report_type = forms.ChoiceField(choices=lambda: [(name, each.title) for name, each in types().items()])
    currency = forms.CharField(min_length=3, max_length=3)
    first_day = forms.DateField()
    last_day = forms.DateField()
    timezone = forms.ChoiceField(choices=lambda: [(name, name) for name in sorted(zoneinfo.available_timezones())])
    format = forms.ChoiceField(choices=Format.choices)

    def clean_currency(self) -> str:
        return self.cleaned_data["currency"].upper()

    def interval(self, now: datetime) -> tuple[datetime, datetime]:
        """Return when the first day begins and when the last one is over; a day that goes on ends now."""
        zone = zoneinfo.ZoneInfo(self.cleaned_data["timezone"])
        after = self.cleaned_data["last_day"] + timedelta(days=1)
        start, end = (datetime(each.year, each.month, each.day, tzinfo=zone) for each in (self._first, after))
        return start, now if self.cleaned_data["last_day"] == now.astimezone(zone).date() else end

    @property
    def _first(self) -> date:
        return self.cleaned_data["first_day"]


@admin.register(Report)
class ReportAdmin(ReadOnlyAdmin):
    """Every report that was asked for, in the admin or over the API."""

    right = Right.READ_REPORTS
    group = "Reports"
    icon = "summarize"
    rank = 8
    list_display = (
        "title_column",
        "interval",
        "currency",
        "format",
        "status_badge",
        "row_count",
        "asked_by",
        "created",
    )
    list_display += ("environment_column",)
    list_filter = ("status", "report_type", "created_at", EnvironmentFilter)
    list_select_related = ("environment__merchant",)
    list_before_template = "admin/reports/buttons.html"

    def extra_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("<str:environment_id>/new/", view(self.new_view), name="reports_report_new"),
            path("<str:object_id>/download/", view(self.download_view), name="reports_report_download"),
        ]

    def waiting(self, request: HttpRequest) -> list[tuple[str, int, str]]:
        lately = self.get_queryset(request).order_by().filter(created_at__gte=timezone.now() - TROUBLE_FOR)
        count = lately.filter(failure_reason="data_unavailable").count()
        return [("reports did not add up in the last week", count, "status__exact=failed")]

    def changelist_view(self, request: HttpRequest, extra_context: dict | None = None) -> HttpResponse:
        """List the reports, with a button for each environment of which one may be asked for."""
        buttons = [
            {"environment": each, "url": reverse("admin:reports_report_new", args=[each.id])}
            for each in environments_of(request.user, Right.READ_REPORTS)
        ]
        return super().changelist_view(request, {**(extra_context or {}), "buttons": buttons})

    def new_view(self, request: HttpRequest, environment_id: str) -> HttpResponse:
        """Ask what to report on, and have it written."""
        if not access_of(request.user).may(self.right, environment_id):
            raise Http404("There is no such environment, or it is not yours to see.")
        environment = Environment.objects.select_related("merchant").get(id=environment_id)
        if request.method not in ("GET", "HEAD", "POST"):
            return HttpResponseNotAllowed(["GET", "HEAD", "POST"])
        form = ReportForm(request.POST) if request.method == "POST" else ReportForm(initial=_last_month(environment))
        problem = ""
        if request.method == "POST" and form.is_valid():
            start, end = form.interval(timezone.now())
            try:
                report = services.create_report(
                    report_type=form.cleaned_data["report_type"],
                    currency=form.cleaned_data["currency"],
                    start=start,
                    end=end,
                    zone=form.cleaned_data["timezone"],
                    format=form.cleaned_data["format"],
                    actor=staff_actor(request, environment.id),
                )
            except FlintError as refusal:
                problem = refusal.message
            else:
                return HttpResponseRedirect(reverse(CHANGE, args=[report.id]))
        context = {
            "title": "New report",
            "environment": environment,
            "environment_badge": environment_badge(environment),
            "form": form,
            "problem": problem,
            "types": types().values(),
        }
        status = 400 if request.method == "POST" else 200
        return self._page(request, "new", status=status, **context)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict | None = None
    ) -> HttpResponse:
        """Show a report. While it is being written the page keeps itself up to date, with a script or without."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        report = self.find(request, object_id)
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        report_type = types().get(report.report_type)
        made = report.made
        context = {
            "title": self.title_column(report),
            "original": report,
            "report": report,
            "report_type": report_type,
            "badge": badge(report.status),
            "environment_badge": environment_badge(report.environment),
            "refresh": REFRESH_SECONDS if report.status == "pending" else None,
            "interval": self.interval(report),
            "asked_by": self.asked_by(report),
            "download_url": reverse("admin:reports_report_download", args=[report.id]) if made else "",
            "filename": filename(report) if made else "",
            "is_kept": made is not None and not made.is_erased and made.expires_at > timezone.now(),
            "made": made,
            "totals": _totals(report),
        }
        return self._page(request, "report", **context)

    def download_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """Hand out a report's file."""
        report = self.find(request, object_id)
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        if report.made is None:
            raise Http404("There is no file of this report.")
        try:
            refuse_if_expired(report.made)
        except FlintError as refusal:
            messages.error(request, refusal.message)
            return HttpResponseRedirect(reverse(CHANGE, args=[report.id]))
        return response_of(report.made)

    def _page(self, request: HttpRequest, template: str, *, status: int = 200, **context: Any) -> HttpResponse:
        request.current_app = self.admin_site.name
        whole = {**self.admin_site.each_context(request), "opts": self.opts, **context}
        return TemplateResponse(request, f"admin/reports/{template}.html", whole, status=status)

    @admin.display(description="Report")
    def title_column(self, report: Report) -> str:
        found = types().get(report.report_type)
        return found.title if found else report.report_type

    @admin.display(description="Interval")
    def interval(self, report: Report) -> str:
        zone = zoneinfo.ZoneInfo(report.timezone)
        start, end = (at.astimezone(zone) for at in (report.interval_start_at, report.interval_end_at))
        if (start.hour, start.minute, end.hour, end.minute, end.second) == (0, 0, 0, 0, 0):
            last = (end - timedelta(microseconds=1)).date()
            return f"{start:%d %b %Y} to {last:%d %b %Y}, {report.timezone}"
        return f"{start:%d %b %Y, %H:%M} to {end:%d %b %Y, %H:%M}, {report.timezone}"

    @admin.display(description="Status")
    def status_badge(self, report: Report) -> str:
        return badge(report.status)

    @admin.display(description="Asked for by")
    def asked_by(self, report: Report) -> str:
        return report.actor_label or words(report.actor_kind)

    @admin.display(description="Created")
    def created(self, report: Report) -> str:
        return moment(report.created_at, report.environment.merchant.reporting_timezone)


def _last_month(environment: Environment) -> dict[str, Any]:
    """Return what is asked for most: the month before this one, by the merchant's clocks."""
    zone = environment.merchant.reporting_timezone
    last = timezone.now().astimezone(zoneinfo.ZoneInfo(zone)).date().replace(day=1) - timedelta(days=1)
    newest = Report.objects.filter(environment=environment).order_by("-id").first()
    return {
        "report_type": "orders_itemized_v1",
        "currency": newest.currency if newest else "",
        "first_day": last.replace(day=1),
        "last_day": last,
        "timezone": zone,
        "format": Format.CSV,
    }


def _totals(report: Report) -> list[tuple[str, str]]:
    return [
        (name.replace("=", ": ").replace("_", " "), str(total) if name == ROWS else money(total, report.currency))
        for name, total in report.totals.items()
    ]
