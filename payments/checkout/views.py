"""The routes of the hosted page. Each form posts to one service as the session's buyer, and leads back to the page."""

import contextlib
import hashlib
import secrets
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from flint.actors import Actor, Command
from flint.errors import Conflict, FlintError
from flint.languages import NAMES, Language, language_of
from flint.money import Money, is_known_currency
from orders.services import update_order
from orders.services.editing import OrderChangedRefreshRequired
from payments import services
from payments.checkout.access import let_in, session_of_cookie, session_of_link
from payments.checkout.forms import DEFAULT_TIPS, BadForm, contact_of, tip_of
from payments.checkout.page import Page, changed_text, decline_text, page_of, receipt_of
from payments.checkout.policy import guarded
from payments.checkout.theme import stylesheet
from payments.models import CheckoutSession
from payments.processors import processor_of
from payments.processors.base import Refused
from payments.services.sessions.changing import update_session


@never_cache
@require_GET
def launch(request: HttpRequest, session_id: str, launch_secret: str) -> HttpResponse:
    """Exchange the link for a cookie, and go to an address that holds no secret."""
    session = session_of_link(session_id, launch_secret)
    return guarded(let_in(_to_page(session), session))


@never_cache
@require_GET
def show(request: HttpRequest, session_id: str) -> HttpResponse:
    """Show the page as it is now."""
    session, buyer = session_of_cookie(request, session_id)
    return _render(request, page_of(session, buyer, language_of(request)))


@never_cache
@require_POST
def pay(request: HttpRequest, session_id: str) -> HttpResponse:
    """Pay what the page showed. The form's own key makes a second click the same payment."""
    session, buyer = session_of_cookie(request, session_id)
    language = language_of(request)
    if buyer is None:
        return _to_page(session)
    try:
        contact = contact_of(request.POST, session, language)
        expected = _expected(request.POST)
        if contact:
            update_session(checkout_session_id=session.id, data={"buyer_contact": contact}, actor=buyer)
        data: dict[str, Any] = {"action": "pay", "expected_outstanding_money": expected, "buyer_contact": contact}
        if expected.amount:
            data["payment_source"] = {"confirmation_token": _token(session, request.POST)}
        services.pay(order_id=session.order_id, data=data, actor=buyer.with_command(_command(request.POST, data)))
    except (BadForm, Refused) as problem:
        return _again(request, session, buyer, _words(problem, language))
    except OrderChangedRefreshRequired as changed:
        words = changed_text(language, expected, changed.facts["current_money"])
        return _again(request, session, buyer, words)
    except Conflict:
        pass  # Something else happened first; the page, read afresh, says what.
    except FlintError as refusal:
        return _again(request, session, buyer, refusal.message)
    return _to_page(session)


@never_cache
@require_POST
def tip(request: HttpRequest, session_id: str) -> HttpResponse:
    """Take over the tip that the buyer chose."""
    session, buyer = session_of_cookie(request, session_id)
    if buyer is not None:
        try:
            wish = tip_of(request.POST, session, language_of(request))
            update_order(order_id=session.order_id, data={"requested_tip": wish}, actor=buyer)
        except (BadForm, FlintError) as problem:
            return _again(request, session, buyer, _words(problem, language_of(request)))
    return _to_page(session)


@never_cache
@require_POST
def stop(request: HttpRequest, session_id: str) -> HttpResponse:
    """Give up the payment that waits for the buyer, so that another way to pay can be chosen."""
    session, buyer = session_of_cookie(request, session_id)
    attempt_id = session.order.active_attempt_id
    if buyer is not None and session.payment_attempts.filter(id=attempt_id).exists():
        # It may have gone through in the meantime; then the page says so.
        with contextlib.suppress(FlintError):
            services.cancel_attempt(order_id=session.order_id, attempt_id=attempt_id, data={}, actor=buyer)
    return _to_page(session)


@never_cache
@require_http_methods(["GET", "POST"])
def back(request: HttpRequest, session_id: str) -> HttpResponse:
    """Take the buyer up again after a step elsewhere, and learn what came of it. May be repeated without effect."""
    session, buyer = session_of_cookie(request, session_id)
    attempt_id = session.order.active_attempt_id
    if buyer is not None and attempt_id and session.payment_attempts.filter(id=attempt_id).exists():
        data = {"action": "resume", "order_payment_attempt_id": attempt_id}
        with contextlib.suppress(FlintError):
            services.pay(order_id=session.order_id, data=data, actor=buyer)
    return _to_page(session)


@never_cache
@require_GET
def relay(request: HttpRequest, session_id: str) -> HttpResponse:
    """Where a processor sends buyers back to: on to our page, or to the merchant's own."""
    session = CheckoutSession.objects.filter(id=session_id).order_by("id").first()
    if session is None:
        raise Http404
    if session.surface == "hosted":
        return HttpResponseRedirect(reverse("checkout_return", args=[session.id]))
    url = session.settings.get("redirects", {}).get("success_redirect_url")
    if not url:
        raise Http404
    return HttpResponseRedirect(url)


@require_GET
def theme(request: HttpRequest, session_id: str) -> HttpResponse:
    """Give the merchant's colours as a stylesheet: the page allows no style of its own in its text."""
    session, _ = session_of_cookie(request, session_id)
    return HttpResponse(stylesheet(session.settings.get("theme", {})), content_type="text/css")


def _to_page(session: CheckoutSession) -> HttpResponseRedirect:
    response = HttpResponseRedirect(reverse("checkout", args=[session.id]))
    response.status_code = 303
    return response


def _again(request: HttpRequest, session: CheckoutSession, buyer: Actor | None, words: str) -> HttpResponse:
    """Show the page afresh with what is wrong; what was typed of a card is never written back."""
    session.order.refresh_from_db()
    session.refresh_from_db(fields=["status", "terminal_reason", "contact_email", "contact_phone"])
    page = page_of(session, buyer, language_of(request))
    if page.state == "open":
        page.error = words
    return _render(request, page, status=422)


def _render(request: HttpRequest, page: Page, status: int = 200) -> HttpResponse:
    processor = processor_of(page.session.environment.processor)
    context = {
        "page": page,
        "session": page.session,
        "order": page.order,
        "merchant": page.session.environment.merchant,
        "language": page.language,
        "form_template": processor.form_template,
        "collection": processor.collection(environment_id=page.session.environment_id),
        "collection_script": processor.form_script if page.state in ("open", "confirm") else "",
        "return_url": f"{settings.BASE_URL}/payment-returns/{page.session.id}",
        "languages": NAMES.items(),
        "tip_options": page.session.settings.get("tip", {}).get("tip_percent_options") or DEFAULT_TIPS,
        "onward": _onward(page),
        "receipt": receipt_of(page) if page.state == "paid" else None,
        "attempt_key": secrets.token_urlsafe(18),
    }
    response = render(request, "checkout/page.html", context, status=status)
    if "locale" in request.GET:
        response.set_cookie("flint_locale", page.language.locale, path="/", httponly=True, samesite="Lax")
    return guarded(response, processor)


def _onward(page: Page) -> str:
    """Return where the buyer goes from a page on which nothing is left to do."""
    chosen = page.session.settings
    if page.state in ("paid", "partly", "debit", "held"):
        return chosen.get("redirects", {}).get("success_redirect_url", "")
    if page.state == "expired" and "expiration_url" in chosen.get("expiration", {}):
        return chosen["expiration"]["expiration_url"]
    return chosen.get("redirects", {}).get("cancel_redirect_url", "")


def _token(session: CheckoutSession, form: Mapping[str, str]) -> str:
    processor = processor_of(session.environment.processor)
    return processor.token_of_form(environment_id=session.environment_id, form=form)


def _expected(form: Mapping[str, str]) -> Money:
    """Return what the page asked for when it was shown. :raises BadForm: if the form was tampered with."""
    amount, currency = form.get("amount", ""), form.get("currency", "")
    if not (amount.isascii() and amount.isdigit() and len(amount) < 16 and is_known_currency(currency)):
        raise BadForm("Reload the page and try again.")
    return Money(int(amount), currency)


def _command(form: Mapping[str, str], data: Mapping[str, Any]) -> Command:
    key = form.get("attempt_key", "")[:64]
    if not key:
        raise BadForm("Reload the page and try again.")
    return Command(
        key=f"page {key}", digest=hashlib.sha256(f"{data['expected_outstanding_money']}".encode()).hexdigest()
    )


def _words(problem: Exception, language: Language) -> str:
    return decline_text(language, problem.code) if isinstance(problem, Refused) else language.say(str(problem))
