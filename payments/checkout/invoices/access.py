"""How a browser gets to an invoice, and stays there: the link's secret is exchanged for a cookie of this one page."""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.core.cache import cache
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone

from flint.actors import Actor
from flint.errors import FlintError
from invoices.links import open_by_secret
from invoices.models import Invoice
from invoices.reading import read_invoice
from payments.api.invoices.authentication import buyer_of

COOKIE = "flint_invoice"
KEPT_FOR = 7 * 24 * 3600
"""How long a browser comes back without the link, in seconds."""

WRONG_TRIES, WRONG_SECONDS = 20, 60
"""After so many wrong secrets for an invoice, its links are not looked at for a while: for that address alone."""


class LinkReplaced(Exception):
    """The link was right once; the merchant has sent another one since."""


@dataclass(frozen=True, slots=True)
class Visit:
    """A browser that was let in to an invoice, which is read with all there is to show of it."""

    invoice: Invoice
    buyer: Actor
    at: datetime


def let_in(request: HttpRequest, response: HttpResponse, invoice_id: str, secret: str) -> HttpResponse:
    """
    Let the browser in that came by a link: the secret moves out of the address into a cookie that no script can read.

    :raises Http404: if the link is not one of ours. :raises LinkReplaced: if it is one no longer.
    """
    tries = "invoice-tries-" + hashlib.sha256(f"{request.META.get('REMOTE_ADDR')} {invoice_id}".encode()).hexdigest()
    if cache.get(tries, 0) >= WRONG_TRIES:
        raise Http404
    try:
        _open(invoice_id, secret)
    except (Http404, LinkReplaced):
        cache.add(tries, 0, WRONG_SECONDS)
        cache.incr(tries)
        raise
    response.set_cookie(
        COOKIE,
        secret,
        max_age=KEPT_FOR,
        path=f"/invoices/{invoice_id}",
        secure=settings.IS_HTTPS,
        httponly=True,
        samesite="Lax",
    )
    return response


def visit_of(request: HttpRequest, invoice_id: str) -> Visit:
    """
    Return who comes with the request's cookie.

    :raises Http404: for a browser that was not let in. :raises LinkReplaced: if the link was replaced since.
    """
    buyer = buyer_of(_open(invoice_id, request.COOKIES.get(COOKIE, "")))
    invoice = read_invoice(invoice_id, actor=buyer)
    invoice.order.environment = invoice.environment
    return Visit(invoice, buyer, timezone.now())


def _open(invoice_id: str, secret: str) -> Invoice:
    try:
        return open_by_secret(invoice_id, secret)
    except FlintError as problem:
        if problem.code == "INVOICE_LINK_UNAVAILABLE":
            raise LinkReplaced from None
        raise Http404 from None
