"""Choosing: one way in, for the API and for staff, with a version that tells who came too late."""

from collections.abc import Callable, Mapping
from typing import Any

from django.db import transaction

from flint.actors import Actor
from flint.api.metadata import merge
from flint.errors import Conflict
from flint.events import services as events
from flint.merchants.models import Settings
from flint.merchants.settings.sections import sections

TOLD_LENGTH = 64
"""Up to how many characters a text is told in the history; of a longer one, and of an address, only that it changed."""


Follow = Callable[[str, frozenset[str]], None]

_followers: dict[str, list[Follow]] = {}


def when_chosen(section: str) -> Callable[[Follow], Follow]:
    """
    Register who is told of a section that was changed, in the transaction that changes it.

    It is given the environment's id and the names of the members that differ; what it reads is as chosen.
    """

    def register(follow: Follow) -> Follow:
        _followers.setdefault(section, []).append(follow)
        return follow

    return register


class SettingsVersionConflict(Conflict):
    code = "VERSION_CONFLICT"
    message = "The settings have changed since you read them. Read them again and decide anew."


def update_settings(*, data: Mapping[str, Any], actor: Actor) -> Settings:
    """
    Change sections of the actor's environment. ``data`` is a validated request of the contract.

    A member that is null goes back to its default, and so does a section with all its members.

    :raises SettingsVersionConflict: if ``expected_version`` is stale.
    :raises FlintError: whatever the check of a section refuses with.
    """
    with transaction.atomic():
        settings = _lock(actor.environment_id)
        if "expected_version" in data and data["expected_version"] != settings.version:
            raise SettingsVersionConflict(param="expected_version", current_version=settings.version)
        chosen, metadata = dict(settings.sections), settings.metadata
        for name, section in sections.items():
            if name not in data:
                continue
            patched = {**chosen.get(name, {}), **data[name]} if data[name] is not None else {}
            chosen[name] = {member: value for member, value in patched.items() if value is not None}
            if section.check is not None:
                section.check(section.filled(chosen[name]), actor)
        if "metadata" in data:
            metadata = merge(metadata, data["metadata"])
        chosen = {name: members for name, members in chosen.items() if members}
        changed = changes_of(settings.sections, chosen)
        if not changed and metadata == settings.metadata:
            return settings
        settings.sections, settings.metadata = chosen, metadata
        settings.version += 1
        settings.save(update_fields=["sections", "metadata", "version", "updated_at"])
        events.record_apart(
            actor.environment_id,
            "settings.updated",
            subject=settings,
            actor=actor,
            version=settings.version,
            changes=changed,
        )
        _tell_followers(actor.environment_id, changed)
    return settings


def _tell_followers(environment_id: str, changed: list[dict[str, Any]]) -> None:
    by_section: dict[str, set[str]] = {}
    for each in changed:
        section, _, member = each["field"].partition(".")
        by_section.setdefault(section, set()).add(member)
    for section, members in by_section.items():
        for follow in _followers.get(section, []):
            follow(environment_id, frozenset(members))


def changes_of(before: Mapping[str, Mapping], after: Mapping[str, Mapping]) -> list[dict[str, Any]]:
    """Return what differs, member by member: ``field``, and ``before`` and ``after`` where they are short and plain."""
    found = []
    for name in sorted({*before, *after}):
        old, new = before.get(name, {}), after.get(name, {})
        for member in sorted({*old, *new}):
            if old.get(member) != new.get(member):
                told = {"field": f"{name}.{member}"}
                if _is_plain(old.get(member)) and _is_plain(new.get(member)):
                    told |= {"before": old.get(member), "after": new.get(member)}
                found.append(told)
    return found


def _is_plain(value: Any) -> bool:
    """Whether a value may be told: no address of a person, and not longer than a line."""
    if isinstance(value, str):
        return len(value) <= TOLD_LENGTH and "@" not in value
    if isinstance(value, list):
        return len(value) <= 5 and all(not isinstance(each, list | dict) and _is_plain(each) for each in value)
    return value is None or isinstance(value, bool | int)


def _lock(environment_id: str) -> Settings:
    """Return the environment's row, locked; the first who chooses anything makes it."""
    Settings.objects.get_or_create(environment_id=environment_id, defaults={"id": Settings.id_of(environment_id)})
    return Settings.objects.select_for_update(of=("self",)).get(environment_id=environment_id)
