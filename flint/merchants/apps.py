from django.apps import AppConfig


class MerchantsConfig(AppConfig):
    """Who is owed money, in which environment, and who may act there."""

    name = "flint.merchants"
    label = "merchants"

    def ready(self) -> None:
        """Declare the settings that are no single room's."""
        from flint.merchants.settings import own  # noqa: F401
