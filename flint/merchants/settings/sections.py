"""The sections that there are: what each may hold, what holds where nothing was chosen, and who may choose."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from rest_framework import serializers

from flint.actors import Actor
from flint.api.fields import ListOf
from flint.api.serializers import Input, Output, shared
from flint.merchants.staff import Right

Check = Callable[[Mapping[str, Any], Actor], None]
Choices = Callable[[str], Sequence[tuple[str, str]]]


class SectionInput(Input):
    """
    A sparse change of one section: what is absent stays, null goes back to the default.

    A member is always replaced as a whole. What is kept is what the members return, so that must be JSON. ``label``
    and ``help_text`` of a member are what staff read beside it.
    """

    def get_fields(self):
        fields = super().get_fields()
        for member in fields.values():
            member.required, member.allow_null = False, True
        return fields


@dataclass(frozen=True, slots=True)
class Section:
    """
    One section, declared by the room that reads it.

    :param title: what staff call it; ``explanation`` is the sentence below that.
    :param takes: what a change of it looks like. What is shown follows from that.
    :param defaults: what holds where nothing was chosen. Members that are not named here are then None.
    :param right: what staff need to change it.
    :param choices: for members that name rows: which ones staff may choose from in an environment, each with a label.
    :param check: refuses what fits each member but not the whole, by the section as it would be with its defaults.
    """

    name: str
    title: str
    takes: type[SectionInput]
    defaults: Mapping[str, Any] = field(default_factory=dict)
    explanation: str = ""
    right: Right = Right.CHOOSE_SETTINGS
    choices: Mapping[str, Choices] = field(default_factory=dict)
    check: Check | None = None

    @property
    def members(self) -> tuple[str, ...]:
        """The names of what it holds."""
        return tuple(shared(self.takes).fields)

    @property
    def shows(self) -> type[Output]:
        """How it is shown."""
        return shown_like(self.takes)

    def filled(self, chosen: Mapping[str, Any]) -> dict[str, Any]:
        """Return it with every member: what was chosen, else its default, else None."""
        return {name: chosen[name] if name in chosen else self.defaults.get(name) for name in self.members}


sections: dict[str, Section] = {}


def declare(section: Section) -> Section:
    """
    Let there be a section. For the ``ready`` of the rooms, to the right as well.

    :raises LookupError: if a default is for no member.
    """
    if unknown := set(section.defaults) - set(section.takes().fields):
        raise LookupError(f"The section {section.name} has no {', '.join(sorted(unknown))}.")
    sections[section.name] = section
    shared.cache_clear()
    return section


@cache
def shown_like(takes: type[Input]) -> type[Output]:
    """Return the output that shows what an input takes. An input may name its own as ``shown_as``."""
    if found := getattr(takes, "shown_as", None):
        return found
    members = {name: _shown(member) for name, member in takes().fields.items()}
    name = takes.__name__.removesuffix("Input") + "Output"
    return type(name, (Output,), {"__doc__": takes.__doc__, "__module__": takes.__module__, **members})


def _shown(member: serializers.Field) -> serializers.Field:
    if isinstance(member, Input):
        return shown_like(type(member))(required=False)
    if isinstance(member, ListOf):
        child = member.child
        shown = shown_like(type(child))() if isinstance(child, Input) else copy.deepcopy(child)
        return ListOf(shown, required=False)
    # Made anew, as every copy of a field is: what was set on this one would be lost.
    return type(member)(*member._args, **{**member._kwargs, "required": False})
