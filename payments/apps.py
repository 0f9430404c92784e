from django.apps import AppConfig


class PaymentsConfig(AppConfig):
    name = "payments"

    def ready(self) -> None:
        """Tell the order what this room knows of its payment in progress."""
        from payments import telling  # noqa: F401
