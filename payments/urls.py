"""Where processors reach Flint."""

from django.urls import path

from payments import views

urlpatterns = [path("notices/<str:processor>/<str:environment_id>", views.receive_notice, name="receive_notice")]
