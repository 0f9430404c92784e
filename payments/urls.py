"""Where processors reach Flint, and where buyers pay."""

from django.urls import include, path

from payments import views
from payments.messages import page

urlpatterns = [
    path("notices/<str:processor>/<str:environment_id>", views.receive_notice, name="receive_notice"),
    path("r/<str:token>", page.show_receipt, name="receipt"),
    path("", include("payments.checkout.urls")),
    path("", include("payments.examples.urls")),
]
