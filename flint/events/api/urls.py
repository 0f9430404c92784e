from django.urls import path

from flint.events.api import views

urlpatterns = [
    path("v1/webhook-endpoints", views.EndpointCollection.as_view()),
    path("v1/webhook-endpoints/<str:webhook_endpoint_id>", views.EndpointView.as_view()),
    path("v1/webhook-endpoints/<str:webhook_endpoint_id>/rotate-secret", views.RotateSecret.as_view()),
    path("v1/webhook-endpoints/<str:webhook_endpoint_id>/test-events", views.SendTestEvent.as_view()),
    path("v1/webhook-event-types", views.EventTypeCollection.as_view()),
    path("v1/webhook-events", views.EventCollection.as_view()),
    path("v1/webhook-events/stream", views.EventStream.as_view()),
    path("v1/webhook-events/<str:webhook_event_id>", views.EventView.as_view()),
    path("v1/webhook-events/<str:webhook_event_id>/deliveries", views.EventDeliveryCollection.as_view()),
    path("v1/webhook-deliveries/<str:webhook_delivery_id>", views.DeliveryView.as_view()),
    path("v1/webhook-deliveries/<str:webhook_delivery_id>/attempts", views.AttemptCollection.as_view()),
    path("v1/webhook-deliveries/<str:webhook_delivery_id>/resend", views.ResendDelivery.as_view()),
]
