"""
The admin's ground rules: it shows what the user's roles let them see, edits nothing, and acts through services only.

Rooms register subclasses of :class:`ReadOnlyAdmin`; the sidebar and every permission follow from what these declare.
"""

import re
import uuid
import zoneinfo
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.contrib.auth import models as auth
from django.core.exceptions import PermissionDenied
from django.db.models import Model, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.templatetags.static import static
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from unfold.admin import ModelAdmin
from unfold.paginator import InfinitePaginator
from unfold.views import ChangeList

from flint.actors import Actor, Command
from flint.merchants.models import Environment
from flint.merchants.staff import Access, Right, access_of, environments_of

# Users and groups know Django's permissions, which mean nothing here; staff are taken on by a service.
for model in (auth.User, auth.Group):
    admin.site.unregister(model)

REQUEST_ID = re.compile(r"[\x21-\x7e]{1,255}")

TONES = {
    "good": {"paid", "succeeded", "active", "handled", "won", "prevented"},
    "warn": {"partially_paid", "partially_refunded", "requires_action", "requires_capture", "pending", "processing"}
    | {"needs_response", "warning_needs_response"},
    "info": {"open", "refunded", "received", "in_transit", "finalizing", "requires_confirmation"}
    | {"under_review", "warning_under_review"},
    "bad": {"failed", "revoked", "expired", "unmatched", "over_collected", "lost"},
}


def words(code: str) -> str:
    """Write a status or a code for people: ``partially_paid`` as "Partially paid"."""
    return code.replace("_", " ").replace(".", ": ").strip().capitalize()


def badge(status: str, text: str = "") -> str:
    """Show a status as a coloured badge."""
    tone = next((name for name, statuses in TONES.items() if status in statuses), "plain")
    return format_html('<span class="fl-badge fl-badge-{}">{}</span>', tone, text or words(status))


def badges(*statuses: str) -> str:
    """Show several statuses beside each other."""
    return format_html('<span class="fl-badges">{}</span>', format_html_join("", "{}", ((badge(s),) for s in statuses)))


def moment(at: datetime | None, zone: str = "UTC") -> str:
    """Write a time in a zone for people, with the exact one for machines."""
    if at is None:
        return "–"
    local = timezone.localtime(at, zoneinfo.ZoneInfo(zone))
    text = local.strftime("%d %b %Y, %H:%M")
    return format_html('<time datetime="{}" title="{}">{}</time>', at.isoformat(), local.strftime("%c %Z"), text)


def environment_badge(environment: Environment) -> str:
    """Show whether this is real money."""
    return format_html(
        '<span class="fl-badge fl-badge-{}" title="{}">{}</span>',
        "good" if environment.is_live else "plain",
        environment,
        environment.get_kind_display(),
    )


def staff_actor(request: HttpRequest, environment_id: str, command: Command | None = None) -> Actor:
    """Return the signed-in staff member as the actor of a verb in one environment."""
    user = request.user
    if not hasattr(request, "request_id"):
        given = request.headers.get("X-Request-Id", "")
        request.request_id = given if REQUEST_ID.fullmatch(given) else str(uuid.uuid4())
    return Actor(
        kind="staff",
        environment_id=environment_id,
        id=str(user.pk),
        label=(user.get_full_name() or user.get_username())[:255],
        request_id=request.request_id,
        command=command,
    )


class PlainChangeList(ChangeList):
    """Links rows by their ids as they are; Django would escape the underscore of every public id."""

    def url_for_result(self, result: Model) -> str:
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[result.pk])


class EnvironmentFilter(admin.SimpleListFilter):
    """Keeps to one of the user's environments."""

    title = "environment"
    parameter_name = "environment"

    def lookups(self, request: HttpRequest, model_admin: "ReadOnlyAdmin") -> list[tuple[str, str]]:
        return [(each.id, str(each)) for each in environments_of(request.user, model_admin.right)]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        return queryset.filter(environment_id=self.value()) if self.value() else queryset


class ReadOnlyAdmin(ModelAdmin):
    """
    Shows rows of the environments where the user has :attr:`right`; nothing can be added, changed or deleted.

    What is shown is named in ``list_display`` and ``fields``, never taken from the model, so that a new column stays
    unseen until somebody decides to show it. A row that is not theirs does not exist: 404.
    """

    right = Right.READ_SALES
    icon = "list"
    group = "Sales"
    rank = 5
    """Where in its group of the sidebar it stands."""
    title = ""
    """What the sidebar calls it, when not by the model's name."""
    actions = None
    list_per_page = 50
    show_full_result_count = False
    paginator = InfinitePaginator
    ordering = ("-id",)
    fields: tuple[str, ...] = ()

    def theirs(self, access: Access) -> Q:
        """Return the condition that keeps to rows which an access covers."""
        return Q(environment_id__in=access.environment_ids(self.right))

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        rows = super().get_queryset(request).filter(self.theirs(access_of(request.user)))
        return rows.select_related(*self.list_select_related) if self.list_select_related else rows

    def find(self, request: HttpRequest, object_id: str) -> Any:
        """
        Return one row.

        :raises Http404: if it is absent or not theirs.
        """
        found = self.get_object(request, unquote(object_id))
        if found is None:
            raise Http404("There is no such page, or it is not yours to see.")
        return found

    def refuse_unless(self, request: HttpRequest, right: Right, row: Any) -> None:
        """:raises PermissionDenied: if the user lacks a right where the row is."""
        if not access_of(request.user).may(right, row.environment_id):
            raise PermissionDenied

    def get_urls(self) -> list[URLPattern]:
        """Serve the list and the page of one row. There is no form, no deletion and no log of edits to serve."""
        stem = f"{self.opts.app_label}_{self.opts.model_name}"
        return [
            *self.extra_urls(),
            path("", self.admin_site.admin_view(self.changelist_view), name=f"{stem}_changelist"),
            path("<str:object_id>/change/", self.admin_site.admin_view(self.change_view), name=f"{stem}_change"),
        ]

    def extra_urls(self) -> list[URLPattern]:
        """Return what else a subclass serves."""
        return []

    def waiting(self, request: HttpRequest) -> list[tuple[str, int, str]]:
        """Return what waits for people here: how it is called, how many, and the query that lists them."""
        return []

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        # A single row has been looked up among theirs already.
        return bool(access_of(request.user).merchant_ids(self.right))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Allow what the filters offer only: any other column could be guessed at through the address."""
        columns = {each for each in self.list_filter if isinstance(each, str)}
        named = {each.parameter_name for each in self.list_filter if not isinstance(each, str)}
        return lookup in named or (lookup.split("__")[0] in columns and super().lookup_allowed(lookup, value, request))

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return PlainChangeList

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict | None = None
    ) -> HttpResponse:
        """Show one row; whatever is sent to it is refused."""
        if request.method not in ("GET", "HEAD"):
            self.find(request, object_id)
            return HttpResponseNotAllowed(["GET", "HEAD"])
        return super().change_view(request, object_id, form_url, extra_context)

    def _get_obj_does_not_exist_redirect(self, request: HttpRequest, opts: Any, object_id: str) -> HttpResponse:
        raise Http404("There is no such page, or it is not yours to see.")

    @admin.display(description="Environment")
    def environment_column(self, row: Any) -> str:
        return environment_badge(row.environment)

    @admin.display(description="Created")
    def created(self, row: Any) -> str:
        return moment(row.created_at, row.environment.merchant.reporting_timezone)


def stylesheet(request: HttpRequest) -> str:
    """Return the address of the admin's own styles."""
    return static("flint/admin.css")


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """Return the sidebar: what the user may see."""
    groups: dict[str, list[dict[str, Any]]] = {}
    # Only the first page says how much there is to do; to count for every page would be too much.
    is_start = bool(request.resolver_match) and request.resolver_match.view_name == "admin:index"
    ours = [shown for shown in admin.site._registry.values() if isinstance(shown, ReadOnlyAdmin)]
    for shown in sorted(ours, key=lambda each: each.rank):
        if shown.has_module_permission(request):
            link = reverse(f"admin:{shown.opts.app_label}_{shown.opts.model_name}_changelist")
            title = shown.title or shown.opts.verbose_name_plural
            # Upper case at the start only: "API keys".
            item = {"title": title[:1].upper() + title[1:], "icon": shown.icon, "link": link}
            if is_start:
                item["waiting"] = [
                    {"text": text, "count": count, "link": f"{link}?{query}"}
                    for text, count, query in shown.waiting(request)
                    if count
                ]
            groups.setdefault(shown.group, []).append(item)
    titles = sorted(groups, key=lambda title: title != "Sales")
    return [{"title": title, "items": groups[title]} for title in titles]
