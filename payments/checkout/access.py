"""How a browser gets into a session, and stays in: the link's secret is exchanged for a cookie of this one page."""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.core.cache import cache
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone

from flint.actors import Actor
from flint.errors import Conflict, Unauthenticated
from payments.models import CheckoutSession
from payments.models.sessions import Surface
from payments.services.sessions.credentials import READABLE_AFTER_PAYMENT, authenticate_buyer, new_credential

COOKIE = "flint_checkout"
KEPT_FOR = 2 * 24 * 3600
"""How long a browser may come back, in seconds: a session lives for a day, and its receipt is shown for another."""

WRONG_TRIES, WRONG_SECONDS = 20, 60
"""After so many wrong secrets for a session, its links are not looked at for a while: for that address alone."""


@dataclass(frozen=True, slots=True)
class Visit:
    """
    A browser that was let into a session. ``buyer`` is None once there is nothing left for it to do there.

    ``browser`` tells it from others that opened the same link; the payments it begins carry it in their key.
    """

    session: CheckoutSession
    buyer: Actor | None
    browser: str
    at: datetime

    @property
    def may_read(self) -> bool:
        """Whether the order is still shown: while the session is open, and for a day after its end."""
        return self.session.is_open or self.at < self.session.ended_at + READABLE_AFTER_PAYMENT


def session_of_link(request: HttpRequest, session_id: str, launch_secret: str) -> CheckoutSession:
    """Return the session that a link opens. :raises Http404: if the link is not one of ours."""
    tries = "checkout-tries-" + hashlib.sha256(f"{request.META.get('REMOTE_ADDR')} {session_id}".encode()).hexdigest()
    if cache.get(tries, 0) >= WRONG_TRIES:
        raise Http404
    session = CheckoutSession.objects.filter(id=session_id, surface=Surface.HOSTED).order_by("id").first()
    if session is None or not hmac.compare_digest(session.launch_secret.reveal().encode(), launch_secret.encode()):
        cache.add(tries, 0, WRONG_SECONDS)
        cache.incr(tries)
        raise Http404
    return session


def let_in(request: HttpRequest, response: HttpResponse, session: CheckoutSession) -> HttpResponse:
    """
    Give the browser a credential of its own, which no script can read and no other page is sent.

    One that has been let in before keeps what it has, so that it is still known as the one that paid. A link can be
    passed on, so whoever comes by one does not act for the customer: what the customer has saved stays out of reach.
    """
    if _is_let_in(request, session):
        return response
    return let_in_as(response, session, new_credential(session))


def let_in_as(response: HttpResponse, session: CheckoutSession, secret: str) -> HttpResponse:
    """Give the browser a credential, in place of the one that it may have."""
    response.set_cookie(
        COOKIE,
        secret,
        max_age=KEPT_FOR,
        path=f"/checkout/{session.id}",
        secure=settings.IS_HTTPS,
        httponly=True,
        samesite="Lax",
    )
    return response


def visit_of(request: HttpRequest, session_id: str) -> Visit:
    """
    Return who comes with the request's cookie.

    :raises Http404: for a browser that was not let in.
    """
    secret, now = request.COOKIES.get(COOKIE, ""), timezone.now()
    buyer = None
    try:
        buyer, _ = authenticate_buyer(session_id, secret, now)
    except Unauthenticated:
        raise Http404 from None
    except Conflict:
        pass  # It has ended; the page says how.
    session = CheckoutSession.objects.select_related("environment__merchant", "order", "customer").get(id=session_id)
    session.order.environment = session.environment
    return Visit(session, buyer, hashlib.sha256(secret.encode()).hexdigest()[:16], now)


def _is_let_in(request: HttpRequest, session: CheckoutSession) -> bool:
    try:
        authenticate_buyer(session.id, request.COOKIES.get(COOKIE, ""), timezone.now())
    except Unauthenticated:
        return False
    except Conflict:
        pass
    return True
