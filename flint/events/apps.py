from django.apps import AppConfig


class EventsConfig(AppConfig):
    name = "flint.events"
    label = "events"
