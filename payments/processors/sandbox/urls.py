"""Pages of the sandbox network. The composition root includes them at ``sandbox/``."""

from django.urls import path

from payments.processors.sandbox import cards, pages, views

app_name = "sandbox"

urlpatterns = [
    path("3ds/<str:client_secret>", views.three_d_secure, name="three_d_secure"),
    path("3ds/<str:client_secret>/complete", views.complete_three_d_secure, name="complete_three_d_secure"),
    path("dashboard/<str:environment_id>/", pages.overview, name="overview"),
    path("dashboard/<str:environment_id>/charge/", pages.charge, name="charge"),
    path("dashboard/<str:environment_id>/payout/", pages.pay_out, name="pay_out"),
    path("dashboard/<str:environment_id>/time/", pages.pass_time, name="pass_time"),
    path("dashboard/<str:environment_id>/payments/<str:reference>/", pages.payment, name="payment"),
    path("dashboard/<str:environment_id>/<str:kind>/<str:reference>/<str:verb>/", pages.act, name="act"),
    path("cards/<str:client_secret>", cards.keep_card, name="keep_card"),
    path("cards/<str:client_secret>/complete", cards.complete_keeping, name="complete_keeping"),
]
