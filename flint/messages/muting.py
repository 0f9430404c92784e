"""Which messages a merchant writes itself."""

from collections.abc import Iterable

from django.db import transaction

from flint.actors import Actor
from flint.errors import InvalidInput
from flint.events import services as events
from flint.messages.kinds import kinds
from flint.messages.models import MessageSettings


class UnknownMessageKind(InvalidInput):
    message = "There is no such kind of message, or it is only sent when somebody asks for it."


def is_muted(environment_id: str, kind: str) -> bool:
    """Whether the merchant writes this kind of message itself."""
    return MessageSettings.objects.filter(environment_id=environment_id, muted_kinds__contains=[kind]).exists()


def mute_kinds(names: Iterable[str], *, actor: Actor) -> MessageSettings:
    """
    Have Flint send none of these kinds any more in the actor's environment, and all others.

    :raises UnknownMessageKind: for a kind that does not exist or cannot be switched off.
    """
    wanted = sorted(set(names))
    if any(name not in kinds or not kinds[name].can_be_muted for name in wanted):
        raise UnknownMessageKind(param="muted_kinds")
    with transaction.atomic():
        MessageSettings.objects.get_or_create(environment_id=actor.environment_id)
        settings = MessageSettings.objects.select_for_update().get(environment_id=actor.environment_id)
        if settings.muted_kinds == wanted:
            return settings
        settings.muted_kinds = wanted
        settings.save(update_fields=["muted_kinds", "updated_at"])
        events.record_apart(
            actor.environment_id, "message_settings.updated", subject=settings, actor=actor, muted_kinds=wanted
        )
    return settings
