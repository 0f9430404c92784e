"""Putting the page together: templates, headers, and the cookie that remembers a language."""

import secrets

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from flint.languages import NAMES, Language
from flint.merchants.logos import logo_path
from flint.merchants.settings import section_of
from payments.checkout.forms import WRITTEN_BACK
from payments.checkout.links import links_of
from payments.checkout.page import Page
from payments.checkout.paying import BANK, CARD, offers_of
from payments.checkout.policy import guarded
from payments.checkout.summary import receipt_of
from payments.models import CustomerVerification
from payments.models.sessions import DEFAULT_TIPS
from payments.processors import processor_of
from payments.services.sessions.reminding import reminds

LOCALE_KEPT_FOR = 365 * 24 * 3600


SENT = "flint_sent_on"
SENT_ON = ("paid", "held", "debit")
"""States in which the buyer has done all there is to do, and goes on to the shop by itself."""


def render_page(request: HttpRequest, page: Page, status: int = 200, *, code: str = "") -> HttpResponse:
    """
    Return the page with its headers. A processor's own library is let in only where its form or step is shown.

    :param code: the code that the buyer is asked for, by its id.
    """
    session, order = page.session, page.order
    asks = page.state == "confirm" or (page.state == "open" and page.asked_amount > 0)
    processor = processor_of(session.environment.processor) if asks else None
    offers = offers_of(session)
    typed = {name: page.typed[name] for name in WRITTEN_BACK if name in page.typed}
    context = {
        "page": page,
        "session": session,
        "order": order,
        "merchant": session.environment.merchant,
        "logo": logo_path(session.environment_id, section_of(session.environment_id, "branding")),
        "language": page.language,
        "languages": NAMES.items(),
        "typed": typed,
        "contact": _contact(page, typed),
        "tip_options": session.settings.get("tip", {}).get("tip_percent_options") or DEFAULT_TIPS,
        "links": links_of(page),
        "receipt": receipt_of(session, page.language) if page.state == "paid" and page.may_read else (),
        "code": _code(page, code),
        "reminds": page.state == "open" and reminds(session),
        "saved": _chosen(page, typed),
        "attempt_key": secrets.token_urlsafe(18),
        "offers_card": CARD in offers,
        "offers_bank": BANK in offers,
        "method": "bank" if BANK in offers and (typed.get("method") == "bank" or CARD not in offers) else "card",
        "return_url": f"{settings.BASE_URL}/payment-returns/{session.id}",
    }
    if processor is not None:
        context |= {
            "form_template": processor.form_template,
            "form_script": processor.form_script if page.state == "open" or not page.action.redirect_url else "",
            "form_amount": processor.form_amount(page.asked_money) if page.state == "open" else 0,
            "collection": processor.collection(environment_id=session.environment_id),
        }
    onward = _onward(request, page)
    response = render(request, "checkout/page.html", context | {"onward": onward}, status=status)
    if onward:
        # Once: who comes back by the browser's button reads the receipt.
        response.set_cookie(
            SENT, "1", path=f"/checkout/{session.id}", secure=settings.IS_HTTPS, httponly=True, samesite="Lax"
        )
    return guarded(remembering(request, response, page.language), processor)


def _onward(request: HttpRequest, page: Page) -> str:
    """Return the shop's address for a buyer who is done here and was not sent there before."""
    if page.state not in SENT_ON or SENT in request.COOKIES:
        return ""
    return page.session.settings.get("redirects", {}).get("success_redirect_url", "")


def render_missing(request: HttpRequest, language: Language) -> HttpResponse:
    """Say that an address leads nowhere, without saying why."""
    context = {
        "language": language,
        "languages": NAMES.items(),
        "title": language.say("This link does not work"),
        "words": language.say("Open it again from the message that you got, or ask the merchant for a new one."),
    }
    response = render(request, "checkout/bare.html", context, status=404)
    return guarded(remembering(request, response, language))


def render_returned(request: HttpRequest, language: Language) -> HttpResponse:
    """Meet a buyer who comes back from the bank to a shop that named no page of its own for it."""
    context = {
        "language": language,
        "languages": NAMES.items(),
        "title": language.say("You are back from your bank"),
        "words": language.say("Go back to the shop's page to see what came of the payment. You can close this one."),
    }
    response = render(request, "checkout/bare.html", context)
    return guarded(remembering(request, response, language))


def _code(page: Page, verification_id: str) -> CustomerVerification | None:
    """Return the code that the buyer is asked for, as long as it would be taken."""
    if page.known is None or page.known.email or not verification_id:
        return None
    asked = page.session.verifications.filter(id=verification_id).order_by("id").first()
    return asked if asked is not None and asked.takes_codes(timezone.now()) else None


def _chosen(page: Page, typed: dict[str, str]) -> str:
    """Return the saved card that is chosen: what was before a mistake, else the newest."""
    cards = page.known.cards if page.known else ()
    if page.typed and "saved" in typed:
        return typed["saved"]
    return cards[0].id if cards else ""


def _contact(page: Page, typed: dict[str, str]) -> dict[str, str]:
    """Return how the buyer is reached as far as it is known: typed just now, or before, or the customer's own."""
    session = page.session
    known = session.customer
    email = session.contact_email or ("" if session.is_email_cleared or not known else known.email)
    if not email and not session.is_email_cleared and page.known:
        email = page.known.email
    phone = session.contact_phone or ("" if session.is_phone_cleared or not known else known.phone)
    return {"email": typed.get("email", email), "phone": typed.get("phone", phone)}


def remembering(request: HttpRequest, response: HttpResponse, language: Language) -> HttpResponse:
    """Have the browser remember a language that was chosen on the page."""
    if "locale" in request.GET:
        response.set_cookie(
            "flint_locale",
            language.locale,
            max_age=LOCALE_KEPT_FOR,
            path="/",
            secure=settings.IS_HTTPS,
            httponly=True,
            samesite="Lax",
        )
    return response
