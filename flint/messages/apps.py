from django.apps import AppConfig


class MessagesConfig(AppConfig):
    name = "flint.messages"
    label = "outbox"
    verbose_name = "Emails"
