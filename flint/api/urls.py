"""Routes of the platform's own. Last in the URL conf: the final one answers for everything that is no route."""

from django.urls import path, re_path

from flint.api.developer import AuthContext
from flint.api.documents import OpenApiDocument, docs
from flint.api.views import UnknownRoute

urlpatterns = [
    path("docs", docs, name="docs"),
    path("v1/openapi.json", OpenApiDocument.as_view(), name="openapi"),
    path("v1/developer/auth-context", AuthContext.as_view(), name="auth-context"),
    re_path(r"^v1(?:/.*)?$", UnknownRoute.as_view()),
]
