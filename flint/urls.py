"""Every address of this install. Each room names its own; this page only puts them together."""

from django.contrib import admin
from django.urls import include, path

from flint import health, metrics

urlpatterns = [
    path("healthz", health.alive),
    path("readyz", health.ready),
    path("metrics", metrics.scrape),
    path("admin/", admin.site.urls),
    path("sandbox/", include("payments.processors.sandbox.urls")),
    path("", include("flint.merchants.api.urls")),
    path("", include("flint.events.api.urls")),
    path("", include("orders.api.urls")),
    path("", include("invoices.api.urls")),
    path("", include("payments.urls")),
    path("", include("payments.api.urls")),
    path("", include("refunds.api.urls")),
    path("", include("flint.reports.urls")),
    path("", include("flint.api.urls")),  # Last: it answers for every address that is none.
]
