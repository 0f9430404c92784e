"""Which messages a merchant writes itself: a section of its settings, with a member for each kind that there is."""

from collections.abc import Iterator, Mapping

from flint.api.fields import EnumField
from flint.merchants.settings import Section, SectionInput, declare, section_of
from flint.merchants.staff import Right
from flint.messages.kinds import kinds

SECTION = "customer_email_delivery"
FLINT, MERCHANT = "flint_sends", "merchant_sends"


class EmailDeliverySettingsInput(SectionInput):
    """Who sends each kind of email to customers."""

    def get_fields(self):
        """Return a member for each kind that there is, whichever room writes it."""
        options = {"required": False, "allow_null": True}
        found = (kind for kind in kinds.values() if kind.setting)
        return {kind.setting: EnumField([FLINT, MERCHANT], label=kind.label, **options) for kind in found}


class SentByFlint(Mapping[str, str]):
    """The default of each kind that there is."""

    def __getitem__(self, name: str) -> str:
        if name not in set(self):
            raise KeyError(name)
        return FLINT

    def __iter__(self) -> Iterator[str]:
        return (kind.setting for kind in kinds.values() if kind.setting)

    def __len__(self) -> int:
        return len(list(iter(self)))


declare(
    Section(
        SECTION,
        "Emails to customers",
        EmailDeliverySettingsInput,
        defaults=SentByFlint(),
        explanation="What the merchant sends itself, Flint does not. Links to pay go out only when somebody sends one.",
        right=Right.MUTE_MESSAGES,
    )
)


def is_muted(environment_id: str, kind: str) -> bool:
    """Whether the merchant writes this kind of message itself."""
    setting = kinds[kind].setting
    return bool(setting) and section_of(environment_id, SECTION)[setting] == MERCHANT
