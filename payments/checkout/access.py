"""How a browser gets into a session, and stays in: the link's secret is exchanged for a cookie of this one page."""

import hmac

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone

from flint.actors import Actor
from flint.errors import Conflict, Unauthenticated
from payments.models import CheckoutSession
from payments.models.sessions import Surface
from payments.services.sessions.credentials import authenticate_buyer, new_credential

COOKIE = "flint_checkout"
KEPT_FOR = 2 * 24 * 3600
"""How long a browser may come back, in seconds: a session lives for a day, and its receipt is shown for another."""


def session_of_link(session_id: str, launch_secret: str) -> CheckoutSession:
    """Return the session that a link opens. :raises Http404: if the link is not one of ours."""
    session = CheckoutSession.objects.filter(id=session_id, surface=Surface.HOSTED).order_by("id").first()
    if session is None or not hmac.compare_digest(session.launch_secret.reveal(), launch_secret):
        raise Http404
    return session


def let_in(response: HttpResponse, session: CheckoutSession) -> HttpResponse:
    """Give the browser a credential of its own, which no script can read and no other page is sent."""
    response.set_cookie(
        COOKIE,
        new_credential(session, acts_for_customer=session.customer_id is not None),
        max_age=KEPT_FOR,
        path=f"/checkout/{session.id}",
        secure=settings.IS_HTTPS,
        httponly=True,
        samesite="Lax",
    )
    return response


def session_of_cookie(request: HttpRequest, session_id: str) -> tuple[CheckoutSession, Actor | None]:
    """
    Return the session that a browser was let into, and its buyer; no buyer once there is nothing left to do in it.

    :raises Http404: for a browser that was not let in.
    """
    secret = request.COOKIES.get(COOKIE, "")
    buyer = None
    try:
        buyer, _ = authenticate_buyer(session_id, secret, timezone.now())
    except Unauthenticated:
        raise Http404 from None
    except Conflict:
        pass  # It has ended; the page says how.
    session = CheckoutSession.objects.select_related("environment__merchant", "order", "customer").get(id=session_id)
    session.order.environment = session.environment
    return session, buyer
