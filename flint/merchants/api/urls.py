"""The addresses of merchants and their settings."""

from django.urls import path

from flint.merchants.api import merchants, settings
from flint.merchants.logos import logo

urlpatterns = [
    path("logos/<str:environment_id>/<str:mark>", logo, name="merchant_logo"),
    path("v1/merchants/<str:merchant_id>", merchants.MerchantView.as_view()),
    path("v1/settings", settings.SettingsView.as_view()),
    path("v1/settings/effective", settings.EffectiveSettings.as_view()),
]
