"""The receipt as a page, for whoever has its signed address, and the way to it from a checkout that was paid."""

from collections.abc import Sequence

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from flint.languages import NAMES, language_of
from flint.merchants.logos import logo_path
from flint.merchants.settings import section_of
from payments.checkout.links import Link, adds_links
from payments.checkout.page import Page
from payments.checkout.policy import guarded
from payments.checkout.views import for_buyers
from payments.messages.addresses import order_of, receipt_url
from payments.messages.receipts import is_available, receipt_of


@for_buyers
@require_GET
def show_receipt(request: HttpRequest, token: str) -> HttpResponse:
    """Show an order's receipt as the order is now. There is nothing to do on it but to print it."""
    order = order_of(token)
    if order is None or not is_available(order):
        raise Http404
    language = language_of(request)
    merchant = order.environment.merchant
    context = {
        "order": order,
        "merchant": merchant,
        "logo": logo_path(order.environment_id, section_of(order.environment_id, "branding")),
        "support": merchant.support_email or merchant.email,
        "language": language,
        "languages": NAMES.items(),
        "is_test": not order.environment.is_live,
        "receipt": receipt_of(order, language),
    }
    return guarded(render(request, "checkout/receipt.html", context))


@adds_links
def to_the_receipt(page: Page) -> Sequence[Link]:
    """From the page of a session that was paid."""
    if page.state != "paid" or not page.may_read or not is_available(page.order):
        return []
    return [Link(page.language.say("Show the receipt"), receipt_url(page.order, page.language))]
