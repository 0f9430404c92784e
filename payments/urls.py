"""Where processors reach Flint, and where buyers pay."""

from django.urls import include, path

from payments import views

urlpatterns = [
    path("notices/<str:processor>/<str:environment_id>", views.receive_notice, name="receive_notice"),
    path("", include("payments.checkout.urls")),
]
