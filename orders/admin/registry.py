"""
What rooms to the right add to the order's pages. They append here when their ``admin`` module is loaded; nothing in
``orders`` names them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from flint.events.models import Event
from flint.merchants.staff import Right
from flint.money import Money
from orders.models import Order


@dataclass(frozen=True)
class Figure:
    """An amount in the head of the order page."""

    label: str
    money: Money
    tone: str = ""
    hint: str = ""


@dataclass
class SectionContent:
    """What a section shows of one order: its template's context, and figures for the head of the page."""

    context: dict[str, Any]
    figures: list[Figure] = field(default_factory=list)


@dataclass(frozen=True)
class Section:
    """A part of the order page. ``load`` reads all that it shows, in a fixed number of statements."""

    template: str
    load: Callable[[Order], SectionContent]


@dataclass(frozen=True)
class OrderAction:
    """
    A button on the order page, at a URL of its own below the order's.

    ``view`` is called for the URL after the order was found and :attr:`right` was checked; ``is_offered`` only decides
    whether the button shows, the service behind it decides whether it works.
    """

    name: str
    label: str
    icon: str
    right: Right
    view: Callable[[HttpRequest, Order], HttpResponse]
    is_offered: Callable[[Order], bool]


Search = Callable[[str, Sequence[str]], QuerySet | None]
"""Given a search term and environment ids, a query for the ids of matching orders, or None if it cannot match."""

order_sections: list[Section] = []
order_actions: list[OrderAction] = []
order_searches: list[Search] = []
event_words: dict[str, Callable[[Event], str]] = {}
"""How each type of event reads in the history, in plain words."""
