"""The routes of settings: what a merchant chose in the key's environment, and what holds there."""

import copy
from typing import Any

from flint.api.fields import EnumField, IdField, MetadataField, MetadataPatchField, StrictInteger, TimestampField
from flint.api.idempotency import idempotent
from flint.api.serializers import Output, Patch
from flint.api.views import ApiView
from flint.merchants.models import Settings
from flint.merchants.settings.changing import update_settings
from flint.merchants.settings.reading import filled, settings_of
from flint.merchants.settings.sections import sections

SCOPES = ["merchant"]
RESERVED = {
    "catalog",
    "customer_account",
    "fulfillment",
    "inventory",
    "payment_limits",
    "promotions",
    "subscriptions",
    "tax",
}


class UpdateSettingsInput(Patch):
    """A sparse change: what is absent stays, at both levels; null goes back to the default."""

    reserved = RESERVED
    guards = ("expected_version",)

    metadata = MetadataPatchField()
    expected_version = StrictInteger(minimum=1, code="INVALID_EXPECTED_VERSION")

    def get_fields(self):
        found = super().get_fields()
        return {**{name: each.takes(required=False, allow_null=True) for name, each in sections.items()}, **found}


class SettingsOutput(Output):
    """What a merchant chose in an environment, by section."""

    settings_id = IdField("set")
    settings_scope = EnumField(SCOPES)
    version = StrictInteger(minimum=1)
    metadata = MetadataField(required=False)
    created_at = TimestampField(required=False)
    updated_at = TimestampField(required=False)

    def get_fields(self):
        found = super().get_fields()
        return {**found, **{name: each.shows(required=False) for name, each in sections.items()}}


def shown(settings: Settings, *, is_effective: bool = False) -> dict[str, Any]:
    """Return settings as they are shown: as they were chosen, or with the defaults that hold for the rest."""
    return {
        "settings_id": settings.id,
        "settings_scope": "merchant",
        "version": settings.version,
        "metadata": settings.metadata,
        "created_at": settings.created_at,
        "updated_at": settings.updated_at,
        **(filled(settings.sections) if is_effective else copy.deepcopy(settings.sections)),
    }


class SettingsRoute(ApiView):
    """A route under settings."""

    tag = "Settings"
    scopes = {"GET": "settings.read", "PATCH": "settings.write"}


class SettingsView(SettingsRoute):
    inputs = {"PATCH": UpdateSettingsInput}
    outputs = {"GET": SettingsOutput, "PATCH": SettingsOutput}
    names = {"GET": "get_settings", "PATCH": "update_settings"}
    codes = {"PATCH": ["VERSION_CONFLICT"]}

    def get(self, request):
        """
        Read the settings as they were chosen.

        What was never chosen is left out. ``/v1/settings/effective`` shows what holds then.
        """
        return self.reply(SettingsOutput(shown(settings_of(request.actor.environment_id))))

    @idempotent
    def patch(self, request):
        """
        Change the settings of the key's environment.

        What is left out stays, section by section and member by member; a member is replaced as a whole. Null goes
        back to the default.
        """
        settings = update_settings(data=self.validated(UpdateSettingsInput), actor=request.actor)
        return self.reply(SettingsOutput(shown(settings)))


class EffectiveSettings(SettingsRoute):
    outputs = {"GET": SettingsOutput}
    names = {"GET": "get_effective_settings"}

    def get(self, request):
        """Read the settings that hold: as they were chosen, with the defaults for the rest."""
        return self.reply(SettingsOutput(shown(settings_of(request.actor.environment_id), is_effective=True)))
