"""What may be told to whom: the public event types, and what each is made of."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

from flint.actors import Actor, system
from flint.events.models import Event

T = TypeVar("T")
Compose = Callable[["Fact"], Mapping[str, Any] | None]

PAYLOAD_VERSION = 1


@dataclass(frozen=True)
class Fact:
    """An event that is to be told, with what other facts of the same batch have read already."""

    event: Event
    read: dict[Hashable, Any] = field(default_factory=dict)

    @cached_property
    def actor(self) -> Actor:
        """Flint itself in the environment of the event: what starts every query."""
        return system(self.event.environment_id, "Webhooks")

    def once(self, kind: str, key: str, read: Callable[[str], T]) -> T:
        """Return what ``read`` makes of a key, read once for all facts that are told together."""
        if (kind, key) not in self.read:
            self.read[kind, key] = read(key)
        return self.read[kind, key]


@dataclass(frozen=True)
class Declaration:
    """How one public type is made of an internal event."""

    type: str
    causes: tuple[str, ...]
    compose: Compose
    resource: str
    scope: str
    sample: Mapping[str, Any]
    name_resource: Callable[[Fact], str]
    name_fact: Callable[[Fact], str]


_declared: dict[str, Declaration] = {}
_by_cause: dict[str, list[Declaration]] = {}


def tells(
    type: str,
    *,
    on: str | tuple[str, ...],
    sample: Mapping[str, Any],
    resource: str = "",
    scope: str = "",
    resource_id: Callable[[Fact], str] | None = None,
    fact: Callable[[Fact], str] | None = None,
) -> Callable[[Compose], Compose]:
    """
    Declare a public event type. The decorated function returns its ``data``, or None if there is nothing to tell.

    :param on: the internal types that it is told of.
    :param sample: the ``data`` of a test event: every member that is always there.
    :param resource: the type of what it is about, if the contract attributes it to one.
    :param scope: the scope that lets a key see it in lists and in the stream.
    :param resource_id: the id of that; else the order's if it is about an order, the event's subject otherwise.
    :param fact: what several internal events have in common that are to be told as one; else each is told.
    """
    causes = (on,) if isinstance(on, str) else tuple(on)

    def declare(compose: Compose) -> Compose:
        if type in _declared:
            raise ValueError(f"{type} is declared twice")
        declaration = Declaration(
            type=type,
            causes=causes,
            compose=compose,
            resource=resource,
            scope=scope,
            sample=sample,
            name_resource=resource_id or (_order if resource == "order" else _subject),
            name_fact=fact or _event,
        )
        _declared[type] = declaration
        for cause in causes:
            _by_cause.setdefault(cause, []).append(declaration)
        return compose

    return declare


def _order(fact: Fact) -> str:
    return fact.event.order_id or ""


def _subject(fact: Fact) -> str:
    return fact.event.subject_id


def _event(fact: Fact) -> str:
    return fact.event.id


def declarations_for(event: Event) -> list[Declaration]:
    """Return what an event is told as."""
    return _by_cause.get(event.type, [])


def types() -> list[str]:
    """Return every public type, in order."""
    return sorted(_declared)


def declaration_of(type: str) -> Declaration:
    """Return how a public type is told."""
    return _declared[type]


def scope_of(type: str) -> str:
    """Return the scope that lets a key see events of a type; none for a type that is no longer told."""
    found = _declared.get(type)
    return found.scope if found else ""
