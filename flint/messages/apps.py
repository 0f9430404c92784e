from django.apps import AppConfig


class MessagesConfig(AppConfig):
    name = "flint.messages"
    label = "outbox"
    verbose_name = "Emails"

    def ready(self) -> None:
        """Declare who sends what."""
        from flint.messages import muting  # noqa: F401
