"""
The one search box of the admin: whatever somebody reads out, from any page.

A room says how it finds things with :func:`finds`; any public id is found by its prefix, wherever its page is. Every
finder keeps to the environments where the user has the right to see what it shows, and asks an index.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from flint.admin import ReadOnlyAdmin
from flint.ids import PublicIdField, is_id
from flint.merchants.staff import Right, access_of

MOST = 8
"""How many of a kind are shown; more of them are in the kind's own list."""
LONGEST = 255


@dataclass(frozen=True, slots=True)
class Hit:
    """Something that was found: what it is called, what tells it from others, and its page."""

    title: str
    url: str
    detail: str = ""
    badge: str = ""


Find = Callable[[str, list[str], HttpRequest], Iterable[Hit]]
"""Given a term, the environments to look in and the request, at most ``MOST`` + 1 hits, in a fixed few statements."""


@dataclass(frozen=True, slots=True)
class Finder:
    """A kind of thing that is found. ``more`` is the name of the list that takes the same term as ``?q=``, if any."""

    label: str
    right: Right
    find: Find
    more: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """The hits of one kind, and where there are more."""

    label: str
    hits: list[Hit]
    more_url: str


finders: list[Finder] = []


def finds(label: str, right: Right, *, more: str = "") -> Callable[[Find], Find]:
    """Register how one kind of thing is found."""

    def register(find: Find) -> Find:
        finders.append(Finder(label, right, find, more))
        return find

    return register


def page_of(model_name: str, pk: str) -> str:
    """Return the address of a row's page; ``model_name`` as ``orders_order``."""
    return reverse(f"admin:{model_name}_change", args=[pk])


def search(term: str, request: HttpRequest) -> list[Found]:
    """Return what a term finds for the signed-in user, kind by kind, kinds without a hit left out."""
    if is_id(term) or is_id(_as_id(term)):
        return _by_id(_as_id(term), request)
    found = []
    access = access_of(request.user)
    for finder in finders:
        environment_ids = access.environment_ids(finder.right)
        if not environment_ids:
            continue
        hits = list(finder.find(term, environment_ids, request))
        if hits:
            more = f"{reverse(f'admin:{finder.more}_changelist')}?q=" if finder.more and len(hits) > MOST else ""
            found.append(Found(finder.label, hits[:MOST], more))
    return found


def _as_id(term: str) -> str:
    """Return a term as an id would be written: people copy them in any case."""
    prefix, _, rest = term.partition("_")
    return f"{prefix.lower()}_{rest.upper()}"


def _by_id(term: str, request: HttpRequest) -> list[Found]:
    prefix = term.partition("_")[0]
    for model, shown in admin.site._registry.items():
        key = model._meta.pk
        if not (isinstance(shown, ReadOnlyAdmin) and isinstance(key, PublicIdField) and key.prefix == prefix):
            continue
        if not shown.has_view_permission(request):
            continue
        row = shown.get_queryset(request).filter(pk=term).first()
        if row is not None:
            name = f"{model._meta.app_label}_{model._meta.model_name}"
            label = str(shown.title or model._meta.verbose_name)
            hit = Hit(title=str(row), url=page_of(name, row.pk), detail=row.pk)
            return [Found(label[:1].upper() + label[1:], [hit], "")]
    # A row without a page of its own is shown on that of its order.
    access = access_of(request.user)
    for finder in finders:
        hits = list(finder.find(term, access.environment_ids(finder.right), request))
        if hits:
            return [Found(finder.label, hits[:MOST], "")]
    return []


def find_view(request: HttpRequest) -> HttpResponse:
    """Show what a term finds; go straight to the page of the only hit."""
    access = access_of(request.user)
    if not any(access.environment_ids(finder.right) for finder in finders):
        raise PermissionDenied
    if request.method not in ("GET", "HEAD"):
        return HttpResponseNotAllowed(["GET", "HEAD"])
    term = request.GET.get("q", "").strip().replace("\x00", "")[:LONGEST]
    found = search(term, request) if term else []
    hits = [hit for each in found for hit in each.hits]
    if len(hits) == 1:
        return HttpResponseRedirect(hits[0].url)
    context = {**admin.site.each_context(request), "title": "Search", "term": term, "found": found}
    return TemplateResponse(request, "admin/find.html", context)
