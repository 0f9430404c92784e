"""What holds in an environment: what its merchant chose, and the defaults for the rest. One query each."""

from collections.abc import Mapping
from typing import Any

from flint.merchants.models import Settings
from flint.merchants.settings.sections import sections

Effective = dict[str, dict[str, Any]]


def settings_of(environment_id: str) -> Settings:
    """Return an environment's settings. One that never chose anything has none stored, and the first version."""
    found = Settings.objects.filter(environment_id=environment_id).order_by("id").first()
    return found or Settings(environment_id=environment_id, id=Settings.id_of(environment_id))


def section_of(environment_id: str, name: str) -> dict[str, Any]:
    """
    Return one section with every member: what was chosen, else its default, else None.

    :raises KeyError: if no room declares such a section.
    """
    section = sections[name]
    return section.filled(settings_of(environment_id).sections.get(name, {}))


def effective_of(environment_id: str) -> Effective:
    """Return all sections as :func:`section_of` does, for who needs more than one."""
    return filled(settings_of(environment_id).sections)


def filled(chosen: Mapping[str, Mapping[str, Any]]) -> Effective:
    """Return all sections with every member."""
    return {name: section.filled(chosen.get(name, {})) for name, section in sections.items()}
