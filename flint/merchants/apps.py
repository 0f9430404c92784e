from django.apps import AppConfig


class MerchantsConfig(AppConfig):
    """Who is owed money, in which environment, and who may act there."""

    name = "flint.merchants"
    label = "merchants"
