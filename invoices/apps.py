from django.apps import AppConfig


class InvoicesConfig(AppConfig):
    name = "invoices"

    def ready(self) -> None:
        """Have invoices follow what their orders stand at."""
        from invoices import accounting, messages, settings, telling  # noqa: F401
        from invoices.api import receivables  # noqa: F401
        from invoices.services import clock, defaults, delivering, following  # noqa: F401
