"""The routes of the hosted page. Each form posts to one service as the session's buyer, and leads back to the page."""

import contextlib
import zoneinfo
from collections.abc import Callable
from functools import wraps
from typing import Any

import structlog
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from flint.errors import Conflict, FlintError
from flint.languages import language_of
from flint.messages.outbox import is_address
from orders.services import update_order
from orders.services.editing import OrderChangedRefreshRequired
from payments import services
from payments.checkout.access import COOKIE, Visit, let_in, let_in_as, session_of_link, visit_of
from payments.checkout.forms import BadForm, address_of, contact_of, tip_of
from payments.checkout.page import is_of, page_of
from payments.checkout.paying import command_of, expected_of, source_of_form
from payments.checkout.policy import guarded
from payments.checkout.rendering import render_missing, render_page, render_returned
from payments.checkout.theme import stylesheet
from payments.checkout.words import FIELDS, TRY_AGAIN, changed_text, code_text, decline_text
from payments.models import CheckoutSession, PaymentAttempt
from payments.models.sessions import Surface
from payments.processors.base import Refused
from payments.services.sessions.changing import update_session
from payments.services.sessions.credentials import give_up_customer
from payments.services.sessions.reminding import reminds
from payments.services.sessions.verifying import confirm_verification, request_verification

log = structlog.get_logger(__name__)

View = Callable[..., HttpResponse]


def for_buyers(view: View) -> View:
    """Keep a view's answers out of every cache, and say kindly that there is nothing at an address."""

    @never_cache
    @wraps(view)
    def answered(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except Http404:
            return render_missing(request, language_of(request))

    return answered


@for_buyers
@require_GET
def launch(request: HttpRequest, session_id: str, launch_secret: str) -> HttpResponse:
    """Exchange the link for a cookie, and go to an address that holds no secret."""
    session = session_of_link(request, session_id, launch_secret)
    return guarded(let_in(request, _to_page(session), session))


@for_buyers
@require_GET
def show(request: HttpRequest, session_id: str) -> HttpResponse:
    """Show the page as it is now."""
    page = page_of(visit_of(request, session_id), language_of(request))
    return render_page(request, page, code=request.GET.get("code", ""))


@for_buyers
@require_GET
def state(request: HttpRequest, session_id: str) -> HttpResponse:
    """Tell a script how the page stands, so that it is loaded again only when there is something new."""
    visit = visit_of(request, session_id)
    _take_up(visit)
    return JsonResponse({"mark": page_of(visit_of(request, session_id), language_of(request)).mark})


@for_buyers
@require_POST
def pay(request: HttpRequest, session_id: str) -> HttpResponse:
    """Pay what the page showed. The form's own key makes a second click the same payment."""
    visit = visit_of(request, session_id)
    session, buyer, language = visit.session, visit.buyer, language_of(request)
    if buyer is None:
        return _to_page(session)
    try:
        contact = contact_of(request.POST, session)
        expected = expected_of(request.POST)
        _remember(visit, contact, request.POST.get("timezone", ""), language.locale)
        data: dict[str, Any] = {"action": "pay", "expected_outstanding_money": expected, "buyer_contact": contact}
        if expected.amount:
            data |= source_of_form(session, request.POST, may_keep=bool(buyer.customer_id))
        command = command_of(request.POST, expected, browser=visit.browser)
        services.pay(order_id=session.order_id, data=data, actor=buyer.with_command(command))
    except BadForm as mistake:
        return _again(request, visit, language.say(mistake.words, **mistake.values), mistake.field)
    except Refused as refusal:
        field = FIELDS.get(refusal.code, "")
        if request.POST.get("method") == "bank" and field:
            field = "account_number"
        return _again(request, visit, decline_text(language, refusal.code), field)
    except OrderChangedRefreshRequired as changed:
        return _again(request, visit, changed_text(language, expected, changed.facts["current_money"]))
    except Conflict:
        return _again(request, visit, language.say(TRY_AGAIN))  # The page, read afresh, most often says what it is.
    except FlintError as refusal:
        log.warning("checkout.refused", checkout_session_id=session.id, code=refusal.code)
        return _again(request, visit, language.say(TRY_AGAIN))
    return _to_page(session)


@for_buyers
@require_POST
def tip(request: HttpRequest, session_id: str) -> HttpResponse:
    """Take over the tip that the buyer chose."""
    visit, language = visit_of(request, session_id), language_of(request)
    if visit.buyer is not None:
        try:
            wish = tip_of(request.POST, visit.session, language)
            update_order(order_id=visit.session.order_id, data={"requested_tip": wish}, actor=visit.buyer)
        except BadForm as mistake:
            return _again(request, visit, language.say(mistake.words, **mistake.values), mistake.field)
        except FlintError:
            return _again(request, visit, language.say(TRY_AGAIN))
    return _to_page(visit.session)


@for_buyers
@require_POST
def contact(request: HttpRequest, session_id: str) -> HttpResponse:
    """Keep an address as soon as it was typed, where the merchant writes to those who leave. Says nothing."""
    visit = visit_of(request, session_id)
    email = request.POST.get("email", "").strip()
    if visit.buyer is not None and is_address(email) and reminds(visit.session):
        with contextlib.suppress(FlintError):
            _remember(visit, {"email": email}, request.POST.get("timezone", ""), language_of(request).locale)
    return HttpResponse(status=204)


@for_buyers
@require_POST
def ask_for_code(request: HttpRequest, session_id: str) -> HttpResponse:
    """Send a code to an address, and lead to where it is entered."""
    visit, language = visit_of(request, session_id), language_of(request)
    if visit.buyer is None:
        return _to_page(visit.session)
    try:
        email = address_of(request.POST)
        made = request_verification(
            checkout_session_id=session_id, purpose="use_saved_payment_methods", email=email, actor=visit.buyer
        )
    except BadForm as mistake:
        return _again(request, visit, language.say(mistake.words), mistake.field)
    except FlintError as refusal:
        return _again(request, visit, code_text(language, refusal.code), "code_email")
    response = HttpResponseRedirect(f"{reverse('checkout', args=[session_id])}?code={made.id}#code")
    response.status_code = 303
    return response


@for_buyers
@require_POST
def take_code(request: HttpRequest, session_id: str, verification_id: str) -> HttpResponse:
    """Take a code. The browser then acts for the customer with the address that it was sent to."""
    visit, language = visit_of(request, session_id), language_of(request)
    if visit.buyer is None:
        return _to_page(visit.session)
    try:
        secret = confirm_verification(
            checkout_session_id=session_id,
            customer_verification_id=verification_id,
            code="".join(request.POST.get("code", "").split()),
            actor=visit.buyer,
        )
    except FlintError as refusal:
        return _again(request, visit, code_text(language, refusal.code), "code", code=verification_id)
    return let_in_as(_to_page(visit.session), visit.session, secret)


@for_buyers
@require_POST
def forget(request: HttpRequest, session_id: str) -> HttpResponse:
    """Let the browser act for nobody any more."""
    visit = visit_of(request, session_id)
    if visit.buyer is None or not visit.buyer.customer_id:
        return _to_page(visit.session)
    secret = give_up_customer(visit.session, request.COOKIES[COOKIE])
    return let_in_as(_to_page(visit.session), visit.session, secret)


@for_buyers
@require_POST
def stop(request: HttpRequest, session_id: str) -> HttpResponse:
    """Give up the payment that waits for the buyer, so that another way to pay can be chosen."""
    visit = visit_of(request, session_id)
    attempt = _attempt_under_way(visit)
    if attempt is not None:
        # It may have gone through in the meantime; then the page says so.
        with contextlib.suppress(FlintError):
            services.cancel_attempt(order_id=visit.session.order_id, attempt_id=attempt.id, data={}, actor=visit.buyer)
    return _to_page(visit.session)


@for_buyers
@require_http_methods(["GET", "POST"])
def back(request: HttpRequest, session_id: str) -> HttpResponse:
    """Take the buyer up again after a step elsewhere, and learn what came of it. May be repeated without effect."""
    visit = visit_of(request, session_id)
    _take_up(visit)
    return _to_page(visit.session)


@for_buyers
@require_GET
def relay(request: HttpRequest, session_id: str) -> HttpResponse:
    """
    Where a processor sends buyers back to: on to our page, or to the merchant's own.

    The address of the latter was checked when the session was opened; nothing of the request has a say in it.
    """
    session = CheckoutSession.objects.filter(id=session_id).order_by("id").first()
    if session is None:
        raise Http404
    if session.surface == Surface.HOSTED:
        return guarded(HttpResponseRedirect(reverse("checkout_return", args=[session.id])))
    url = session.settings.get("redirects", {}).get("success_redirect_url")
    if not url:
        return render_returned(request, language_of(request))
    return guarded(HttpResponseRedirect(url))


@require_GET
def theme(request: HttpRequest, session_id: str) -> HttpResponse:
    """Give the merchant's colours as a stylesheet: the page allows no style of its own in its text."""
    visit = visit_of(request, session_id)
    response = HttpResponse(stylesheet(visit.session.settings.get("theme", {})), content_type="text/css")
    response["Cache-Control"] = "private, max-age=600"
    return response


def _to_page(session: CheckoutSession) -> HttpResponseRedirect:
    response = HttpResponseRedirect(reverse("checkout", args=[session.id]))
    response.status_code = 303
    return response


def _again(request: HttpRequest, visit: Visit, words: str, field: str = "", *, code: str = "") -> HttpResponse:
    """Show the page afresh with what is wrong; what was typed of a card is never written back."""
    page = page_of(visit_of(request, visit.session.id), language_of(request))
    if page.state != "open":
        return _to_page(visit.session)
    page.error, page.error_field, page.typed = words, field, request.POST
    return render_page(request, page, status=422, code=code)


def _attempt_under_way(visit: Visit) -> PaymentAttempt | None:
    """Return the session's own payment that is not over, if its buyer may still do something about it."""
    if visit.buyer is None or not visit.session.order.active_attempt_id:
        return None
    return visit.session.payment_attempts.filter(id=visit.session.order.active_attempt_id).order_by("id").first()


def _take_up(visit: Visit) -> None:
    attempt = _attempt_under_way(visit)
    if attempt is None or not (is_of(attempt, visit) or attempt.status == "requires_action"):
        return
    data = {"action": "resume", "order_payment_attempt_id": attempt.id}
    with contextlib.suppress(FlintError):
        services.pay(order_id=visit.session.order_id, data=data, actor=visit.buyer)


def _remember(visit: Visit, contact: dict[str, str], timezone: str, locale: str) -> None:
    """Keep how the buyer is reached, in which language, and where their clock stands, with the session."""
    data: dict[str, Any] = {"buyer_contact": contact} if contact else {}
    if timezone in zoneinfo.available_timezones() and timezone != visit.session.timezone:
        data["timezone"] = timezone
    if locale != visit.session.locale:
        data["locale"] = locale
    if data:
        update_session(checkout_session_id=visit.session.id, data=data, actor=visit.buyer)
