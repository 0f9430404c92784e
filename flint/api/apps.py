from django.apps import AppConfig


class ApiConfig(AppConfig):
    """The conventions of the public HTTP contract, once and for all rooms."""

    name = "flint.api"
    label = "api"

    def ready(self) -> None:
        from flint.api import schema  # noqa: F401  registers how our fields look in the OpenAPI document
