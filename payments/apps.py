from django.apps import AppConfig


class PaymentsConfig(AppConfig):
    name = "payments"

    def ready(self) -> None:
        """Say what an order shows of its payments, and what it refuses while one is in progress."""
        from payments import accounting, restoring, selectors, settings, telling  # noqa: F401
        from payments.api import methods, outputs  # noqa: F401
        from payments.messages import page, queueing, writing  # noqa: F401
        from payments.reconciling import payments, payouts  # noqa: F401
        from payments.services import billing  # noqa: F401
        from payments.services.invoices import charging  # noqa: F401
        from payments.services.sessions import credentials, ending  # noqa: F401
