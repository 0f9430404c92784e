from django.apps import AppConfig


class RefundsConfig(AppConfig):
    name = "refunds"

    def ready(self) -> None:
        """Say how a processor's word on a refund is taken in, and what an order shows of its refunds."""
        from refunds import accounting, crediting, explaining, inbound, messages, reconciling, restoring, telling  # noqa: F401
        from refunds.api import disputes, outputs  # noqa: F401
