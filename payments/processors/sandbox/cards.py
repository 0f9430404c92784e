"""The page on which a buyer leaves a card with the network. Opened by the setup's own secret."""

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST

from payments.processors.base import Refused
from payments.processors.sandbox import setups, tokens
from payments.processors.sandbox.models import SandboxSetup

OUTCOMES = {"pass": True, "fail": False}
FIELDS = ("number", "exp_month", "exp_year", "cvc")


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def keep_card(request: HttpRequest, client_secret: str) -> HttpResponse:
    """Ask the buyer for a card and keep it. One that is declined may be followed by another."""
    setup = _find(client_secret)
    refusal, status = "", 200
    if request.method == "POST":
        try:
            setup = _complete(request, client_secret, _typed_token(request, setup))
        except Refused as refused:
            refusal, status = refused.message, 400
    context = {"setup": setup, "is_open": setup.status != setup.Status.SUCCEEDED, "refusal": refusal}
    response = render(request, "sandbox/keep_card.html", context, status=status)
    response["Content-Security-Policy"] = (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    )
    # The address holds a secret. Not "no-referrer": that makes browsers post with "Origin: null", which CSRF refuses.
    response["Referrer-Policy"] = "same-origin"
    return response


@csrf_exempt
@require_POST
def complete_keeping(request: HttpRequest, client_secret: str) -> JsonResponse:
    """
    Leave a card from a script: form field ``token``, and ``outcome`` is ``pass`` or ``fail`` should the bank ask.

    There is no session to ride on: who knows the secret may answer, with or without a page.
    """
    _find(client_secret)
    try:
        setup = _complete(request, client_secret, request.POST.get("token", ""))
    except Refused as refused:
        return JsonResponse({"error": refused.message}, status=400)
    return JsonResponse({"status": setup.status, "error_code": setup.error_code})


def _find(client_secret: str) -> SandboxSetup:
    try:
        return SandboxSetup.objects.select_related("token").get(client_secret=client_secret)
    except SandboxSetup.DoesNotExist:
        raise Http404 from None


def _complete(request: HttpRequest, client_secret: str, token: str) -> SandboxSetup:
    outcome = request.POST.get("outcome", "pass")
    if outcome not in OUTCOMES:
        raise Refused("invalid_payment_source", "The outcome is pass or fail.")
    setups.complete(client_secret, token=token, passes=OUTCOMES[outcome], at=timezone.now())
    return _find(client_secret)


def _typed_token(request: HttpRequest, setup: SandboxSetup) -> str:
    """
    Turn what was typed into a token.

    :raises Refused: if it is no test card.
    """
    number, month, year, cvc = (request.POST.get(name, "").strip() for name in FIELDS)
    if not all(part.isascii() and part.isdigit() and len(part) <= 4 for part in (month, year)):
        raise Refused("expired_card", tokens.MESSAGES["expired_card"])
    full_year = int(year) + (2000 if len(year) <= 2 else 0)
    return tokens.tokenise(setup.environment_id, number, int(month), full_year, cvc)
