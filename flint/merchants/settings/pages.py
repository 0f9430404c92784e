"""Settings in the admin: what holds in an environment, section by section, who changed it when, and forms to do so."""

import zoneinfo
from dataclasses import dataclass
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect, QueryDict
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from rest_framework.exceptions import ValidationError

from flint.admin import ReadOnlyAdmin, environment_badge, moment, staff_actor, words
from flint.api.errors import invalid_fields
from flint.api.serializers import shared
from flint.errors import FlintError
from flint.events.models import Event
from flint.merchants.models import Environment, Settings
from flint.merchants.settings import forms
from flint.merchants.settings.changing import SettingsVersionConflict, update_settings
from flint.merchants.settings.reading import settings_of
from flint.merchants.settings.sections import Section, sections
from flint.merchants.staff import Access, Right, access_of

STEM = "merchants_settings"
SHOWN_CHANGES = 20


def readers(access: Access) -> list[str]:
    """Return the environments whose settings a user may see: to look around, or to change a section of."""
    rights = {Right.READ_SETUP, *(section.right for section in sections.values())}
    return sorted({found for right in rights for found in access.environment_ids(right)})


@dataclass(frozen=True, slots=True)
class Shown:
    """One section on the page: what it holds in words, and where it is changed by whom it is for."""

    section: Section
    rows: list[tuple[str, Any, bool]]
    url: str


@admin.register(Settings)
class SettingsAdmin(ReadOnlyAdmin):
    """Every environment has a page, whether anything was chosen there or not; so pages go by the environment's id."""

    right = Right.READ_SETUP
    group = "Setup"
    icon = "tune"
    title = "Settings"
    rank = 6

    def theirs(self, access: Access) -> Q:
        return Q(environment_id__in=readers(access))

    def has_view_permission(self, request: HttpRequest, obj: Settings | None = None) -> bool:
        return bool(readers(access_of(request.user)))

    def extra_urls(self) -> list[URLPattern]:
        edit = self.admin_site.admin_view(self.edit_view)
        return [path("<str:object_id>/edit/", edit, name=f"{STEM}_edit")]

    def changelist_view(self, request: HttpRequest, extra_context: dict | None = None) -> HttpResponse:
        """List the environments."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        theirs = Environment.objects.filter(id__in=readers(access_of(request.user))).select_related("merchant")
        found = [
            {
                "name": str(each),
                "badge": environment_badge(each),
                "url": reverse(f"admin:{STEM}_change", args=[each.id]),
            }
            for each in theirs.order_by("merchant__name", "kind", "id")
        ]
        return self._page(request, "list", title="Settings", environments=found)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict | None = None
    ) -> HttpResponse:
        """Show what holds in an environment, and who changed it."""
        environment = self._environment(request, object_id)
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        settings, access = settings_of(environment.id), access_of(request.user)
        context = {
            "title": f"Settings of {environment}",
            "environment": environment,
            "badge": environment_badge(environment),
            "settings": settings,
            "shown": [self._shown(section, settings, access) for section in sections.values()],
            "changes": changes_in(environment),
        }
        return self._page(request, "page", **context)

    def edit_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask what a section is to hold, and keep it; whoever read an older version is told so instead."""
        environment = self._environment(request, object_id)
        section = self._section(request, environment)
        if request.method not in ("GET", "HEAD", "POST"):
            return HttpResponseNotAllowed(["GET", "HEAD", "POST"])
        settings = settings_of(environment.id)
        kept = section.filled(settings.sections.get(section.name, {}))
        widgets = forms.form_of(section, kept, environment.id)
        problems, meanwhile, status = [], [], 200
        if request.method == "POST":
            typed = forms.with_pictures(section, request.POST, request.FILES, kept)
            try:
                self._keep(request, environment, section, typed)
            except FlintError as refusal:
                widgets = forms.typed_form(section, typed, kept, environment.id)
                problems, status = forms.put_errors(widgets, by_path(refusal, section)), 400
                settings = settings_of(environment.id)
                if isinstance(refusal, SettingsVersionConflict):
                    meanwhile = changes_in(environment)[:1]
            else:
                messages.success(request, f"{section.title}: kept.")
                return HttpResponseRedirect(_address(environment))
        context = {
            "title": f"{section.title}: {environment}",
            "environment": environment,
            "badge": environment_badge(environment),
            "back_url": f"{_address(environment)}#{section.name}",
            "back_text": f"Settings of {environment}",
            "section": section,
            "version": settings.version,
            "widgets": widgets,
            "problems": problems,
            "meanwhile": meanwhile,
            "timezones": sorted(zoneinfo.available_timezones()),
        }
        return self._page(request, "form", status=status, **context)

    def _keep(self, request: HttpRequest, environment: Environment, section: Section, typed: QueryDict) -> None:
        """:raises FlintError: if what was typed does not fit, or the settings have changed since the form was made."""
        body = forms.body_of(section, typed)
        version = typed.get("version", "")
        try:
            members = shared(section.takes).run_validation(body)
        except ValidationError as error:
            raise invalid_fields(error.detail) from None
        update_settings(
            data={section.name: members, "expected_version": int(version) if version.isdecimal() else 0},
            actor=staff_actor(request, environment.id),
        )

    def _environment(self, request: HttpRequest, object_id: str) -> Environment:
        """:raises Http404: if it is not the user's. :raises PermissionDenied: if its settings are not for them."""
        access = access_of(request.user)
        if object_id not in readers(access):
            if access.may(Right.READ_SALES, object_id):
                raise PermissionDenied
            raise Http404("There is no such page, or it is not yours to see.")
        return Environment.objects.select_related("merchant").get(id=object_id)

    def _section(self, request: HttpRequest, environment: Environment) -> Section:
        """Return the section that an address names, or the first that is the user's to change."""
        access = access_of(request.user)
        theirs = [each for each in sections.values() if access.may(each.right, environment.id)]
        name = request.GET.get("section") or (theirs[0].name if theirs else "")
        if name and name not in sections:
            raise Http404("There is no such section.")
        found = [each for each in theirs if each.name == name]
        if not found:
            raise PermissionDenied
        return found[0]

    def _shown(self, section: Section, settings: Settings, access: Access) -> Shown:
        chosen = settings.sections.get(section.name, {})
        values = section.filled(chosen)
        rows = []
        for name, member in section.takes().fields.items():
            choices = section.choices[name](settings.environment_id) if name in section.choices and values[name] else ()
            told = forms.told(member, values[name], choices)
            rows.append((member.label or words(name), told, name not in chosen))
        url = f"{reverse(f'admin:{STEM}_edit', args=[settings.environment_id])}?section={section.name}"
        return Shown(section, rows, url if access.may(section.right, settings.environment_id) else "")

    def _page(self, request: HttpRequest, template: str, *, status: int = 200, **context: Any) -> HttpResponse:
        request.current_app = self.admin_site.name
        whole = {**self.admin_site.each_context(request), "opts": self.opts, **context}
        return TemplateResponse(request, f"admin/settings/{template}.html", whole, status=status)


def _address(environment: Environment) -> str:
    return reverse(f"admin:{STEM}_change", args=[environment.id])


def changes_in(environment: Environment) -> list[dict[str, Any]]:
    """Return the latest changes of an environment's settings, newest first: when, who, and what became what."""
    events = Event.objects.filter(
        environment_id=environment.id, type="settings.updated", subject_id=Settings.id_of(environment.id)
    )
    return [
        {
            "at": moment(event.created_at, environment.merchant.reporting_timezone),
            "who": event.actor_label or words(event.actor_kind),
            "what": [_change(each) for each in event.data["changes"]] or ["Metadata"],
        }
        for event in events.order_by("-created_at", "-id")[:SHOWN_CHANGES]
    ]


def _change(change: dict[str, Any]) -> str:
    """Write one change for people; a long or a private value was not kept, so only its name is told."""
    section_name, _, name = change["field"].partition(".")
    section = sections.get(section_name)
    member = section.takes().fields.get(name) if section else None
    if member is None:
        return words(change["field"])
    label = f"{section.title}, {member.label or words(name)}"
    if "after" not in change:
        return f"{label}: changed"
    default = section.defaults.get(name)
    before, after = (
        forms.told(member, default if change[side] is None else change[side]) for side in ("before", "after")
    )
    return f"{label}: {_plain(before)} → {_plain(after)}"


def _plain(told: Any) -> str:
    """Take the markup out of a colour."""
    text = str(told)
    return text.partition(">")[2].partition("<")[0] if text.startswith("<span") else text


def by_path(refusal: FlintError, section: Section) -> list[tuple[str, str]]:
    """Return what is wrong, by its path within the section."""
    details = refusal.facts.get("details") or [{"param": refusal.param or "", "message": refusal.message}]
    prefix = f"{section.name}."
    return [(str(each.get("param", "")).removeprefix(prefix), each["message"]) for each in details]
