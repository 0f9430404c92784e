"""Pages of the sandbox network. The composition root includes them at ``sandbox/``."""

from django.urls import path

from payments.processors.sandbox import cards, views

app_name = "sandbox"

urlpatterns = [
    path("3ds/<str:client_secret>", views.three_d_secure, name="three_d_secure"),
    path("3ds/<str:client_secret>/complete", views.complete_three_d_secure, name="complete_three_d_secure"),
    path("cards/<str:client_secret>", cards.keep_card, name="keep_card"),
    path("cards/<str:client_secret>/complete", cards.complete_keeping, name="complete_keeping"),
]
