"""The example's pages. Served where a demo key is at hand, of a sandbox, and nowhere else."""

import inspect
import json
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.staticfiles import finders
from django.core import signing
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_GET, require_POST

from flint.errors import FlintError
from flint.merchants.selectors import authenticate
from payments.examples import shop as shop_module
from payments.examples.shop import Refused, Shop

COOKIE, SALT = "flint_example", "payments.examples"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)


@never_cache
@ensure_csrf_cookie
@require_GET
def embedded(request: HttpRequest) -> HttpResponse:
    """Show the shop's page, with the source of both its parts beside it."""
    the_shop()
    context = {
        "server_source": inspect.getsource(shop_module),
        "browser_source": _text_of("examples/embedded.js"),
        "has_order": bool(_checkout_of(request)),
    }
    response = render(request, "examples/embedded.html", context)
    response["Content-Security-Policy"] = POLICY
    response["Referrer-Policy"] = "same-origin"
    return response


@require_POST
def act(request: HttpRequest, verb: str) -> JsonResponse:
    """Do what the page's script asks: ``start``, ``read``, ``pay`` or ``resume``."""
    shop, checkout = the_shop(), _checkout_of(request)
    if verb == "start":
        checkout = shop.check_out(settings.BASE_URL + reverse("example_embedded"))
    elif checkout is None:
        raise Http404
    try:
        answer = JsonResponse(_done(shop, checkout, verb, json.loads(request.body or b"{}")))
    except Refused as refusal:
        return JsonResponse({"error": refusal.error}, status=refusal.status)
    except (KeyError, TypeError, json.JSONDecodeError):
        error = {"code": "INVALID_REQUEST", "message": "The page's script sent something else than it should."}
        return JsonResponse({"error": error}, status=400)
    if verb == "start":
        _remember(answer, checkout)
    return answer


def the_shop() -> Shop:
    """Return the example's shop. :raises Http404: where there is no key for it, or one that is not of a sandbox."""
    key = settings.EXAMPLE_API_KEY
    if not key and settings.HOME.seed.exists():
        key = json.loads(settings.HOME.seed.read_text()).get("api_key", "")
    try:
        is_live = authenticate(key, timezone.now()).environment.is_live
    except FlintError:
        raise Http404 from None
    if is_live:
        raise Http404
    return Shop(settings.INTERNAL_URL, key)


def _done(shop: Shop, checkout: dict[str, str], verb: str, sent: dict[str, Any]) -> dict[str, Any]:
    match verb:
        case "start" | "read":
            return shop.read(checkout)
        case "pay":
            return shop.pay(checkout, sent["confirmation_token"], sent["seen_money"], sent["key"])
        case "resume":
            return shop.resume(checkout)
    raise Http404


def _remember(response: HttpResponse, checkout: dict[str, str]) -> None:
    response.set_cookie(
        COOKIE,
        signing.dumps(checkout, salt=SALT),
        max_age=24 * 3600,
        path=reverse("example_embedded"),
        secure=settings.IS_HTTPS,
        httponly=True,
        samesite="Lax",
    )


def _checkout_of(request: HttpRequest) -> dict[str, str] | None:
    try:
        return signing.loads(request.COOKIES.get(COOKIE, ""), salt=SALT, max_age=24 * 3600)
    except signing.BadSignature:
        return None


def _text_of(path: str) -> str:
    return Path(finders.find(path)).read_text()
