"""The way from an environment's page in the admin to the network's own dashboard."""

from django.http import HttpRequest
from django.urls import reverse

from flint.merchants.admin import environment_links
from flint.merchants.models import Environment
from payments.processors.sandbox.pages import may_play


def _dashboard(request: HttpRequest, environment: Environment) -> tuple[str, str] | None:
    if not may_play(request.user, environment):
        return None
    return "Sandbox network", reverse("sandbox:overview", args=[environment.id])


environment_links.append(_dashboard)
