"""The platform itself among the installed apps: it carries commands and the broker's tables, and has no models."""

from django.apps import AppConfig


class FlintConfig(AppConfig):
    name = "flint"
    label = "flint"

    def ready(self) -> None:
        # Makes this app the current one, so that shared tasks are sent to our broker from every process.
        from flint import celery, tracing  # noqa: F401

        tracing.check()
