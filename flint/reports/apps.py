from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class ReportsConfig(AppConfig):
    name = "flint.reports"
    label = "reports"

    def ready(self) -> None:
        """Have every room declare its report types."""
        autodiscover_modules("reports")
