"""The routes of an invoice's page. The button opens the invoice's checkout, which leads back here."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from flint.errors import Conflict, FlintError
from flint.languages import NAMES, Language, language_of
from flint.merchants.logos import logo_path
from flint.merchants.settings import section_of
from invoices.documents import pdf_of, pdf_of_credit_note
from invoices.models import CreditNote
from invoices.models.credit_notes import CreditNoteStatus
from payments.checkout import access as sessions
from payments.checkout.invoices.access import LinkReplaced, Visit, let_in, visit_of
from payments.checkout.invoices.page import page_of
from payments.checkout.policy import guarded
from payments.checkout.rendering import remembering, render_missing
from payments.checkout.theme import stylesheet
from payments.models import CheckoutSession
from payments.models.sessions import SessionStatus, Surface
from payments.services.invoices.launching import open_checkout
from payments.services.invoices.viewing import note_viewed

View = Callable[..., HttpResponse]


def for_buyers(view: View) -> View:
    """Keep a view's answers out of every cache, and say kindly that there is nothing at an address any more."""

    @never_cache
    @wraps(view)
    def answered(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except Http404:
            return render_missing(request, language_of(request))
        except LinkReplaced:
            return _replaced(request, language_of(request))

    return answered


@for_buyers
@require_GET
def launch(request: HttpRequest, invoice_id: str, secret: str) -> HttpResponse:
    """Exchange the link for a cookie, and go to an address that holds no secret."""
    return guarded(let_in(request, _to_page(invoice_id), invoice_id, secret))


@for_buyers
@require_GET
def show(request: HttpRequest, invoice_id: str) -> HttpResponse:
    """Show the invoice as it is now."""
    visit = visit_of(request, invoice_id)
    if request.method == "GET":
        note_viewed(visit.invoice, actor=visit.buyer)
    return _shown(request, visit)


@for_buyers
@require_GET
def state(request: HttpRequest, invoice_id: str) -> HttpResponse:
    """Tell a script how the page stands, so that it is loaded again only when there is something new."""
    return JsonResponse({"mark": page_of(visit_of(request, invoice_id), language_of(request)).mark})


@for_buyers
@require_POST
def pay(request: HttpRequest, invoice_id: str) -> HttpResponse:
    """Go to the invoice's checkout: the one that is open, or a new one."""
    visit = visit_of(request, invoice_id)
    here = f"{settings.BASE_URL}{reverse('invoice', args=[invoice_id])}"
    try:
        opened = open_checkout(
            invoice_id=invoice_id,
            data={"return_url": here},
            actor=visit.buyer,
            link_generation=visit.invoice.link_generation,
        )
        session = opened.session
    except Conflict:
        # It is being paid, or asks for nothing any more: the page says which, and the checkout can be gone back to.
        session = _session_under_way(visit)
        if session is None:
            return _to_page(invoice_id)
    except FlintError:
        return _shown(request, visit, error=language_of(request).say("This invoice cannot be paid right now"))
    response = HttpResponseRedirect(reverse("checkout", args=[session.id]))
    response.status_code = 303
    return guarded(sessions.let_in(request, response, session))


@for_buyers
@require_GET
def pdf(request: HttpRequest, invoice_id: str) -> HttpResponse:
    """Give the document."""
    invoice = visit_of(request, invoice_id).invoice
    return _file(pdf_of(invoice), invoice.number)


@for_buyers
@require_GET
def credit_note_pdf(request: HttpRequest, invoice_id: str, credit_note_id: str) -> HttpResponse:
    """Give the document of one of the invoice's credit notes."""
    visit = visit_of(request, invoice_id)
    notes = CreditNote.objects.exclude(status=CreditNoteStatus.DRAFT).filter(invoice_id=visit.invoice.id)
    note = notes.filter(id=credit_note_id).order_by("id").first()
    if note is None:
        raise Http404
    return _file(pdf_of_credit_note(note), note.number)


@require_GET
def theme(request: HttpRequest, invoice_id: str) -> HttpResponse:
    """Give the merchant's colours as a stylesheet: the page allows no style of its own in its text."""
    try:
        environment_id = visit_of(request, invoice_id).invoice.environment_id
    except (Http404, LinkReplaced):
        return HttpResponse("", content_type="text/css", status=404)
    response = HttpResponse(stylesheet(section_of(environment_id, "branding")), content_type="text/css")
    response["Cache-Control"] = "private, max-age=600"
    return response


def _shown(request: HttpRequest, visit: Visit, *, error: str = "") -> HttpResponse:
    language = language_of(request)
    page = page_of(visit, language)
    merchant = visit.invoice.environment.merchant
    context = {
        "page": page,
        "invoice": visit.invoice,
        "merchant": merchant,
        "logo": logo_path(visit.invoice.environment_id, section_of(visit.invoice.environment_id, "branding")),
        "address": merchant.support_email or merchant.email,
        "is_test": not visit.invoice.environment.is_live,
        "language": language,
        "languages": NAMES.items(),
        "error": error,
    }
    response = render(request, "invoices/page.html", context, status=422 if error else 200)
    return guarded(remembering(request, response, language))


def _session_under_way(visit: Visit) -> CheckoutSession | None:
    """Return the open session on our page in which the invoice is being paid; whoever has the link may look on."""
    found = CheckoutSession.objects.filter(
        invoice_id=visit.invoice.id, status=SessionStatus.OPEN, surface=Surface.HOSTED
    )
    session = found.order_by("id").first()
    is_current = session is not None and session.invoice_link_generation == visit.invoice.link_generation
    return session if is_current else None


def _to_page(invoice_id: str) -> HttpResponseRedirect:
    response = HttpResponseRedirect(reverse("invoice", args=[invoice_id]))
    response.status_code = 303
    return response


def _file(document: bytes, number: str) -> HttpResponse:
    response = HttpResponse(document, content_type="application/pdf")
    response["Content-Disposition"] = f'inline; filename="{number}.pdf"'
    response["X-Robots-Tag"] = "noindex"
    return response


def _replaced(request: HttpRequest, language: Language) -> HttpResponse:
    context = {
        "language": language,
        "languages": NAMES.items(),
        "title": language.say("There is a newer link"),
        "words": language.say("This one opens the invoice no more. Look for the latest message, or ask the merchant."),
    }
    response = render(request, "checkout/bare.html", context, status=410)
    return guarded(remembering(request, response, language))
