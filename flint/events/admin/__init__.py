"""What is told to merchants, in the admin: endpoints and deliveries, with the buttons of developers."""

from flint.events.admin.deliveries import WebhookDeliveryAdmin
from flint.events.admin.endpoints import WebhookEndpointAdmin

__all__ = ["WebhookDeliveryAdmin", "WebhookEndpointAdmin"]
