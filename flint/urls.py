"""Every address of this install. Each room names its own; this page only puts them together."""

from django.contrib import admin
from django.urls import include, path

from flint import health

urlpatterns = [
    path("healthz", health.alive),
    path("readyz", health.ready),
    path("v1/", include("flint.api.urls")),
    path("admin/", admin.site.urls),
]
