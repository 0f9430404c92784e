"""The sandbox network's place among the installed apps."""

from django.apps import AppConfig


class SandboxConfig(AppConfig):
    """A simulated card network. It knows nothing of orders but the ids it was handed."""

    name = "payments.processors.sandbox"
    label = "sandbox"
    verbose_name = "Sandbox network"
    default_auto_field = "django.db.models.BigAutoField"
