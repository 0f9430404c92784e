"""The 3-D Secure page: where a buyer proves who they are, or fails to. Opened by the payment's own secret."""

import re
from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST

from flint.money import Money
from payments.processors.sandbox import network
from payments.processors.sandbox.models import SandboxPayment

OUTCOMES = {"pass": True, "fail": False}
HOST = re.compile(r"^[A-Za-z0-9.-]+$")


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def three_d_secure(request: HttpRequest, client_secret: str) -> HttpResponse:
    """Ask the buyer, apply the answer once, and send them back to the shop."""
    if request.method == "POST":
        if request.POST.get("outcome") not in OUTCOMES:
            return _page(request, _find(client_secret), status=400)
        payment = _apply(client_secret, request.POST["outcome"])
        if return_origin(payment.return_url):
            return HttpResponseRedirect(payment.return_url)
        return _page(request, payment)
    return _page(request, _find(client_secret))


@csrf_exempt
@require_POST
def complete_three_d_secure(request: HttpRequest, client_secret: str) -> JsonResponse:
    """
    Answer for the buyer from a script: form field ``outcome`` is ``pass`` or ``fail``.

    There is no session to ride on: who knows the secret may answer, with or without a page.
    """
    outcome = request.POST.get("outcome")
    if outcome not in OUTCOMES:
        return JsonResponse({"error": "outcome is pass or fail"}, status=400)
    payment = _apply(client_secret, outcome)
    return JsonResponse({"status": payment.status, "error_code": payment.error_code, "return_url": payment.return_url})


def return_origin(url: str) -> str:
    """Return the origin of an http(s) address that a browser may be sent to, or nothing."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not HOST.match(parts.hostname or ""):
        return ""
    return f"{parts.scheme}://{parts.hostname}{port}"


def _find(client_secret: str) -> SandboxPayment:
    try:
        return SandboxPayment.objects.get(client_secret=client_secret)
    except SandboxPayment.DoesNotExist:
        raise Http404 from None


def _apply(client_secret: str, outcome: str) -> SandboxPayment:
    with transaction.atomic(durable=True):
        payment = network.lock_payment_by_secret(client_secret)
        if payment is None:
            raise Http404
        network.authenticate(payment, passed=OUTCOMES[outcome], at=timezone.now())
    return payment


def _page(request: HttpRequest, payment: SandboxPayment, status: int = 200) -> HttpResponse:
    context = {
        "money": Money(payment.amount, payment.currency).text(),
        "payment": payment,
        "is_open": payment.status == payment.Status.REQUIRES_ACTION,
        "return_url": payment.return_url if return_origin(payment.return_url) else "",
    }
    response = render(request, "sandbox/three_d_secure.html", context, status=status)
    # Browsers apply form-action to the redirect after the form too, so the shop's origin has to be named.
    # Flint's own relay leads on to a shop, wherever that is.
    is_relayed = payment.return_url.startswith(f"{settings.BASE_URL}/payment-returns/")
    shop = "https: http:" if is_relayed else return_origin(payment.return_url)
    form_action = " ".join(filter(None, ["'self'", shop]))
    response["Content-Security-Policy"] = (
        f"default-src 'none'; style-src 'self'; img-src 'self'; form-action {form_action}; "
        "base-uri 'none'; frame-ancestors 'none'"
    )
    # The address holds a secret. Not "no-referrer": that makes browsers post with "Origin: null", which CSRF refuses.
    response["Referrer-Policy"] = "same-origin"
    return response
