"""Closing months in the admin: what the next one holds, why it may be closed, and the months that are closed."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone

from flint.admin import EnvironmentFilter, ReadOnlyAdmin, badge, environment_badge, moment, staff_actor, words
from flint.errors import FlintError
from flint.merchants.models import Environment
from flint.merchants.staff import Right, access_of, environments_of
from flint.reports.writing.figures import money
from orders.models import PeriodClose
from orders.services.periods import MAX_REASON, close_period, next_period, preview

REFRESH_SECONDS = 2
CHANGE = "admin:orders_periodclose_change"
LIST = "admin:orders_periodclose_changelist"


@admin.register(PeriodClose)
class PeriodCloseAdmin(ReadOnlyAdmin):
    """The months that are closed, and the way to close the next one."""

    right = Right.READ_REPORTS
    group = "Reports"
    icon = "lock_clock"
    title = "Closed months"
    rank = 9
    list_display = ("month", "timezone", "status_badge", "entry_count", "closed_by", "closed", "environment_column")
    list_filter = ("status", EnvironmentFilter)
    list_select_related = ("environment__merchant",)
    list_before_template = "admin/orders/period_buttons.html"

    def extra_urls(self) -> list[URLPattern]:
        close = self.admin_site.admin_view(self.close_view)
        return [path("<str:environment_id>/close/", close, name="orders_periodclose_close")]

    def waiting(self, request: HttpRequest) -> list[tuple[str, int, str]]:
        count = self.get_queryset(request).order_by().filter(status="closing").exclude(problem="").count()
        return [("months cannot be closed because they do not add up", count, "status__exact=closing")]

    def changelist_view(self, request: HttpRequest, extra_context: dict | None = None) -> HttpResponse:
        """List the months, with the next one of each environment that the user may close."""
        now, buttons = timezone.now(), []
        for each in environments_of(request.user, Right.CLOSE_PERIOD):
            period = next_period(each.id)
            if period:
                url = reverse("admin:orders_periodclose_close", args=[each.id])
                is_over = period.may_be_closed(now)
                buttons.append({"environment": each, "label": period.label, "url": url, "is_over": is_over})
        return super().changelist_view(request, {**(extra_context or {}), "buttons": buttons})

    def close_view(self, request: HttpRequest, environment_id: str) -> HttpResponse:
        """Show what the next month holds, ask for a reason, and close it."""
        access = access_of(request.user)
        if not access.may(self.right, environment_id):
            raise Http404("There is no such environment, or it is not yours to see.")
        if not access.may(Right.CLOSE_PERIOD, environment_id):
            raise PermissionDenied
        if request.method not in ("GET", "HEAD", "POST"):
            return HttpResponseNotAllowed(["GET", "HEAD", "POST"])
        problem = ""
        if request.method == "POST":
            try:
                close = close_period(
                    environment_id=environment_id,
                    label=request.POST.get("label", ""),
                    reason=request.POST.get("reason", ""),
                    actor=staff_actor(request, environment_id),
                )
            except FlintError as refusal:
                problem = refusal.message
            else:
                return HttpResponseRedirect(reverse(CHANGE, args=[close.id]))
        period = next_period(environment_id)
        if period is None:
            messages.info(request, "Nothing was ever booked here, so there is no month to close.")
            return HttpResponseRedirect(reverse(LIST))
        environment = Environment.objects.select_related("merchant").get(id=environment_id)
        context = {
            "title": f"Close {period.label}",
            "environment": environment,
            "environment_badge": environment_badge(environment),
            "period": period,
            "is_over": period.may_be_closed(timezone.now()),
            "ends": moment(period.end, period.timezone),
            "held": [
                {
                    "currency": each.currency,
                    "entry_count": each.entry_count,
                    "accounts": _shown(each.accounts, each.currency),
                }
                for each in preview(environment_id, period)
            ],
            "problem": problem,
            "reason": request.POST.get("reason", "")[:MAX_REASON],
            "max_reason": MAX_REASON,
        }
        return self._page(request, "period_close", status=400 if problem else 200, **context)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict | None = None
    ) -> HttpResponse:
        """Show a month: who closed it and why, what it adds up to, and its hashes."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        close = self.find(request, object_id)
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        context = {
            "title": f"{close.label}",
            "original": close,
            "close": close,
            "badge": badge(close.status),
            "environment_badge": environment_badge(close.environment),
            "refresh": REFRESH_SECONDS if close.status == "closing" and not close.problem else None,
            "closed_by": self.closed_by(close),
            "closed": self.closed(close),
            "sealed": [
                {"currency": currency, "hash": digest, "accounts": _shown(_accounts(close.totals[currency]), currency)}
                for currency, digest in sorted(close.hashes.items())
            ],
        }
        return self._page(request, "period", **context)

    def _page(self, request: HttpRequest, template: str, *, status: int = 200, **context: Any) -> HttpResponse:
        request.current_app = self.admin_site.name
        whole = {**self.admin_site.each_context(request), "opts": self.opts, **context}
        return TemplateResponse(request, f"admin/orders/{template}.html", whole, status=status)

    @admin.display(description="Month", ordering="label")
    def month(self, close: PeriodClose) -> str:
        return close.label

    @admin.display(description="Status")
    def status_badge(self, close: PeriodClose) -> str:
        return badge(close.status)

    @admin.display(description="Closed by")
    def closed_by(self, close: PeriodClose) -> str:
        return close.actor_label or words(close.actor_kind)

    @admin.display(description="Closed")
    def closed(self, close: PeriodClose) -> str:
        return moment(close.closed_at, close.timezone)


def _accounts(totals: dict[str, int]) -> dict[str, int]:
    """Return by how much each account grew, out of what it was debited and credited."""
    found: dict[str, int] = {}
    for name, amount in totals.items():
        side, is_account, account = name.partition("=")
        if is_account:
            found[account] = found.get(account, 0) + (amount if side == "debit" else -amount)
    return dict(sorted(found.items()))


def _shown(accounts: dict[str, int], currency: str) -> list[tuple[str, str]]:
    return [(words(account), money(amount, currency)) for account, amount in accounts.items()]
