"""Pages that lead to a session: a payment link's, where a buyer orders, and a pay link's, where one order goes on."""

import contextlib
import secrets

import segno
import structlog
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods

from flint import actors
from flint.actors import Actor
from flint.errors import FlintError
from flint.languages import NAMES, Language, language_of
from flint.merchants.logos import logo_path
from flint.merchants.settings import section_of
from orders.collecting import OrderPaymentAttemptActive
from orders.services.editing import OrderClosed
from payments import services
from payments.checkout.forms import BadForm
from payments.checkout.links import Link, adds_links
from payments.checkout.ordering import OTHER, choices_of, questions_of, sentence_of, wish_of
from payments.checkout.page import Page
from payments.checkout.policy import guarded, origin_of
from payments.checkout.rendering import remembering
from payments.checkout.theme import stylesheet
from payments.checkout.views import for_buyers
from payments.models import CheckoutSession, PayLink, PaymentAttempt, PaymentLink
from payments.services.asking import ask_about_attempt
from payments.services.links.context import new_context
from payments.services.links.limiting import count_resolve
from payments.services.links.looks import theme_of
from payments.services.links.recovery import find_pay_link, visit_pay_link
from payments.services.links.resolving import resolve_link
from payments.services.sessions.ending import CheckoutPaymentResolving
from payments.services.starting import OrderAlreadyPaid

log = structlog.get_logger(__name__)


@for_buyers
@require_http_methods(["GET", "POST"])
def payment_link(request: HttpRequest, short: str) -> HttpResponse:
    """Show what a payment link offers, and make an order of what its buyer chose."""
    link, language = _link(short), language_of(request)
    if not link.is_active or link.is_full:
        return _out_of_use(request, link, language)
    if request.method == "GET":
        return _form(request, link, language)
    actor = Actor(kind="system", environment_id=link.environment_id, id=link.id, label="Payment link")
    try:
        wish = wish_of(link, request.POST, language)
        count_resolve(link.id, request.META.get("REMOTE_ADDR", ""))
        key = request.POST.get("form_key", "")[:64]
        made = resolve_link(payment_link_id=link.id, data=wish, actor=actor, at=timezone.now(), command_key=key)
    except BadForm as mistake:
        return _form(request, link, language, language.say(mistake.words, **mistake.values), mistake.field)
    except FlintError as refusal:
        log.info("payment_link.refused", payment_link_id=link.id, code=refusal.code)
        link = _link(short)
        if not link.is_active or link.is_full:
            return _out_of_use(request, link, language)
        return _form(request, link, language, *sentence_of(refusal, link, language))
    return _launch(made.session)


@require_GET
def qr_code(request: HttpRequest, short: str) -> HttpResponse:
    """Draw the address of a payment link, for a poster or a counter."""
    response = HttpResponse(content_type="image/svg+xml")
    segno.make(_link(short).url, micro=False).save(response, kind="svg", scale=8, light="#fff")
    response["Cache-Control"] = "public, max-age=86400"
    return guarded(response)


@require_GET
def link_theme(request: HttpRequest, short: str) -> HttpResponse:
    """Give the merchant's colours as a stylesheet: the page allows no style of its own in its text."""
    response = HttpResponse(stylesheet(theme_of(_link(short))), content_type="text/css")
    response["Cache-Control"] = "public, max-age=60"
    return response


@for_buyers
@require_http_methods(["GET", "POST"])
def pay_link(request: HttpRequest, token: str) -> HttpResponse:
    """
    Lead to the page that collects what an order owes now, or say kindly why there is none.

    By posting, the buyer gives up a payment that waits for their bank, to pay here instead.
    """
    link, language = find_pay_link(token), language_of(request)
    if link is None:
        raise Http404
    attempt = _under_way(link)
    if attempt is not None and request.method == "POST":
        # It may have gone through in the meantime; then the visit says so.
        with contextlib.suppress(FlintError):
            actor = actors.system(link.environment_id, "Pay link")
            services.cancel_attempt(order_id=link.order_id, attempt_id=attempt.id, data={}, actor=actor)
    number, say = link.order.order_number, language.say
    try:
        return _launch(visit_pay_link(link, at=timezone.now()))
    except OrderAlreadyPaid:
        title, words = say("Nothing is owed any more"), say("Order {number} is paid. Thank you.", number=number)
    except OrderClosed:
        title, words = say("This order is closed"), say("Nothing more is collected on order {number}.", number=number)
    except (OrderPaymentAttemptActive, CheckoutPaymentResolving):
        title = say("Somebody is paying this order right now")
        words = say("You pay nothing meanwhile. Open this page again in a moment to see what came of it.")
        return _notice(request, link, language, title, words, again=request.path, can_stop=_under_way(link) is not None)
    except FlintError as refusal:
        log.info("pay_link.refused", order_id=link.order_id, code=refusal.code)
        title = say("This order cannot be paid right now")
        words = say("Nothing was charged. The merchant has to put something right first; please ask them.")
    return _notice(request, link, language, title, words)


@adds_links
def order_again(page: Page) -> list[Link]:
    """From a checkout that is over and was not paid, the way back to the link that it came from."""
    if page.state not in ("expired", "ended") or page.session.payment_link_id is None:
        return []
    link = PaymentLink.objects.get(id=page.session.payment_link_id)
    return [Link(page.language.say("Order again"), reverse("payment_link", args=[link.short]), is_main=True)]


def _link(short: str) -> PaymentLink:
    links = PaymentLink.objects.select_related("environment__merchant").filter(short=short.lower())
    found = links.order_by("id").first()
    if found is None:
        raise Http404
    return found


def _launch(session: CheckoutSession) -> HttpResponse:
    session.refresh_from_db(fields=["launch_secret"])  # Sealed now, if it was only just made.
    response = HttpResponseRedirect(reverse("checkout_launch", args=[session.id, session.launch_secret.reveal()]))
    response.status_code = 303
    return guarded(response)


def _under_way(link: PayLink) -> PaymentAttempt | None:
    """Return the order's payment that waits for its buyer, as the processor sees it, if no open session has it."""
    attempts = PaymentAttempt.objects.filter(order_id=link.order_id, status="requires_action")
    attempt = attempts.select_related("checkout_session").order_by("-id").first()
    if attempt is None or (attempt.checkout_session is not None and attempt.checkout_session.is_open):
        return None
    ask_about_attempt(attempt.id, actor=actors.system(link.environment_id, "Pay link"))
    attempt.refresh_from_db()
    return attempt if attempt.status == "requires_action" else None


def _form(request: HttpRequest, link: PaymentLink, language: Language, error: str = "", at: str = "") -> HttpResponse:
    typed = request.POST if error else {}
    picture = link.image or {}
    origin = origin_of(picture.get("source_url", ""))
    choices = choices_of(link, language, typed)
    branding = section_of(link.environment_id, "branding")
    # What the error is about is marked; one that is about no control of the form stands above it alone.
    context = {
        "link": link,
        "merchant": link.environment.merchant,
        "theme": theme_of(link, branding),
        "logo": logo_path(link.environment_id, branding),
        "language": language,
        "languages": NAMES.items(),
        "picture": picture if origin else None,
        "choices": choices,
        "questions": questions_of(link, typed),
        "asks_currency": not link.currency and any(choice.asks_amount for choice in choices),
        "currency": typed.get("currency", ""),
        "other": OTHER,
        "error": error,
        "error_at": at,
        "resolution_context": new_context(link, at=timezone.now()).token,
        # A corrected form is a new wish; a second click on the same one is not.
        "form_key": secrets.token_urlsafe(18),
    }
    response = render(request, "checkout/link.html", context, status=422 if error else 200)
    return guarded(remembering(request, response, language), image=origin)


def _out_of_use(request: HttpRequest, link: PaymentLink, language: Language) -> HttpResponse:
    say = language.say
    if link.is_full and link.is_active:
        title, words = say("There is nothing left"), say("Everything that was offered here has been taken.")
    else:
        title, words = say("This is not offered at the moment"), say("Ask the merchant whether it will be again.")
    return _notice(request, link, language, title, link.inactive_message or words)


def _notice(
    request: HttpRequest,
    link: PaymentLink | PayLink,
    language: Language,
    title: str,
    words: str,
    *,
    again: str = "",
    can_stop: bool = False,
) -> HttpResponse:
    merchant = link.environment.merchant
    context = {
        "language": language,
        "languages": NAMES.items(),
        "merchant": merchant,
        "address": merchant.support_email or merchant.email,
        "title": title,
        "words": words,
        "again": again,
        "can_stop": can_stop,
    }
    return guarded(remembering(request, render(request, "checkout/notice.html", context), language))
