from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class EventsConfig(AppConfig):
    name = "flint.events"
    label = "events"

    def ready(self) -> None:
        """Find what the rooms tell merchants: each says so in its ``webhooks.py``."""
        autodiscover_modules("webhooks")
