"""The routes of payment links: the merchant's, and the two that anybody may call."""

from django.http import HttpResponse
from django.utils import timezone

from flint.actors import Actor
from flint.api.idempotency import idempotent
from flint.api.paging import paginate
from flint.api.views import ApiView
from flint.errors import InvalidInput
from payments.api.links.inputs import (
    REFUSED_BY_LINKS,
    CreateLinkInput,
    LinkQuery,
    ReadLinkQuery,
    ResolveLinkInput,
    UpdateLinkInput,
)
from payments.api.links.outputs import PayLinkOutput, PaymentLinkOutput, PublicPaymentLinkOutput, public_view
from payments.api.sessions import reading
from payments.api.sessions.outputs import LaunchResultOutput, launch_result
from payments.models import PaymentLink
from payments.models.links import PaymentLinkNotFound
from payments.services.links.changing import create_link, update_link
from payments.services.links.context import new_context
from payments.services.links.limiting import count_resolve
from payments.services.links.recovery import create_pay_link
from payments.services.links.resolving import resolve_link

READ, WRITE = "checkouts.payment_links.read", "checkouts.payment_links.write"
ORIGIN_HEADERS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
    "Access-Control-Allow-Headers": "Content-Type, Idempotency-Key, Flint-Version, X-Request-Id",
    "Access-Control-Expose-Headers": "Idempotency-Key, Idempotency-Replayed, Retry-After, X-Request-Id",
    "Access-Control-Max-Age": "600",
}
"""Lets scripts of any page read the answers: nothing of them depends on who asks, and no cookie is looked at."""


class IdempotencyKeyRequired(InvalidInput):
    code = "IDEMPOTENCY_KEY_REQUIRED"
    message = "Send an Idempotency-Key, so that a retry does not order twice."


class LinkRoute(ApiView):
    """A route under payment links."""

    tag = "Payment links"
    scopes = {"GET": READ, "POST": WRITE, "PATCH": WRITE}


class LinkCollection(LinkRoute):
    inputs = {"POST": CreateLinkInput}
    queries = {"GET": LinkQuery}
    outputs = {"GET": [PaymentLinkOutput], "POST": PaymentLinkOutput}
    statuses = {"POST": 201}
    names = {"GET": "list_payment_links", "POST": "create_payment_link"}
    codes = {"POST": REFUSED_BY_LINKS}

    def get(self, request):
        """List payment links."""
        rows = PaymentLink.objects.of(request.actor).select_related("environment")
        return self.reply_page(paginate(rows, self.query(LinkQuery)))

    @idempotent
    def post(self, request):
        """
        Make a payment link.

        It is in use at once. Each buyer who follows it gets an order and a checkout of their own.
        """
        return self.reply(create_link(data=self.validated(), actor=request.actor))


class LinkView(LinkRoute):
    inputs = {"PATCH": UpdateLinkInput}
    queries = {"GET": ReadLinkQuery}
    outputs = {"GET": PaymentLinkOutput, "PATCH": PaymentLinkOutput}
    names = {"GET": "get_payment_link", "PATCH": "update_payment_link"}
    codes = {
        "GET": ["PAYMENT_LINK_NOT_FOUND"],
        "PATCH": ["PAYMENT_LINK_NOT_FOUND", "EXPECTED_VERSION_REQUIRED", "PAYMENT_LINK_CHANGED", *REFUSED_BY_LINKS],
    }

    def get(self, request, payment_link_id: str):
        """Read a payment link."""
        return self.reply(PaymentLink.objects.of(request.actor).select_related("environment").find(id=payment_link_id))

    @idempotent
    def patch(self, request, payment_link_id: str):
        """
        Change a payment link, or take it out of use.

        Orders that it made stay what they are. A page that shows the link as it was is told so when it orders.
        """
        return self.reply(update_link(payment_link_id=payment_link_id, data=self.validated(), actor=request.actor))


class PublicLinkRoute(ApiView):
    """A route for anybody who has a link's id, from any page."""

    tag = "Payment links"
    public = True
    http_method_names = ["get", "head", "post", "options"]

    def initial(self, request, *args, **kwargs):
        """Act for the link's merchant, in a name that only what the link makes is under."""
        super().initial(request, *args, **kwargs)
        if request.method == "OPTIONS":
            return
        links = PaymentLink.objects.select_related("environment__merchant")
        self.link = links.filter(id=kwargs["payment_link_id"]).order_by("id").first()
        if self.link is None:
            raise PaymentLinkNotFound()
        request.actor = Actor(
            kind="system",
            environment_id=self.link.environment_id,
            id=self.link.id,
            label="Payment link",
            request_id=request.request_id,
        )

    def options(self, request, *args, **kwargs):
        """Tell a browser that scripts of other pages may call."""
        return HttpResponse(status=204)

    def finalize_response(self, request, response, *args, **kwargs):
        """Let scripts of any page read the answer, refusals included."""
        response = super().finalize_response(request, response, *args, **kwargs)
        for name, value in ORIGIN_HEADERS.items():
            response[name] = value
        return response


class PublicLinkView(PublicLinkRoute):
    outputs = {"GET": PublicPaymentLinkOutput}
    names = {"GET": "get_public_payment_link"}
    codes = {"GET": ["PAYMENT_LINK_NOT_FOUND"]}

    def get(self, request, payment_link_id: str):
        """
        Show a payment link to a buyer.

        Needs no credential. `resolution_context` goes into the resolve; read it afresh when it has run out.
        """
        return self.reply(PublicPaymentLinkOutput(public_view(self.link, new_context(self.link, at=timezone.now()))))


class LinkResolution(PublicLinkRoute):
    inputs = {"POST": ResolveLinkInput}
    outputs = {"POST": LaunchResultOutput}
    statuses = {"POST": 201}
    names = {"POST": "resolve_payment_link"}
    codes = {
        "POST": [
            "PAYMENT_LINK_NOT_FOUND",
            "PAYMENT_LINK_INACTIVE",
            "PAYMENT_LINK_MAX_COMPLETIONS_REACHED",
            "PAYMENT_LINK_RESOLUTION_CONTEXT_INVALID",
            "PAYMENT_LINK_RESOLUTION_CONTEXT_REFRESH_REQUIRED",
            "PAYMENT_LINK_CHANGED_RETRY",
            "PAYMENT_LINK_RESOLUTION_RATE_LIMITED",
            "PAYMENT_LINK_RESOLUTION_UNAVAILABLE",
            "IDEMPOTENCY_KEY_REQUIRED",
            "UNKNOWN_LINE_ITEM_KEY",
            "QUANTITY_NOT_ADJUSTABLE",
            "QUANTITY_BELOW_MIN",
            "QUANTITY_ABOVE_MAX",
            "AMOUNT_NOT_ADJUSTABLE",
            "AMOUNT_REQUIRED",
            "AMOUNT_BELOW_MIN",
            "AMOUNT_ABOVE_MAX",
            "AMOUNT_TOO_LARGE",
            "DONATION_AMOUNT_REQUIRED",
            "INVALID_DONATION_AMOUNT",
            "CURRENCY_MISMATCH",
            "UNKNOWN_CUSTOM_FIELD_KEY",
            "REQUIRED_CUSTOM_FIELD_MISSING",
            "INVALID_DROPDOWN_VALUE",
            "INVALID_CHECKBOX_VALUE",
            "CUSTOM_FIELD_VALUE_TOO_LONG",
            "METADATA_TOO_MANY_KEYS",
            "METADATA_TOO_LARGE",
        ]
    }

    def initial(self, request, *args, **kwargs):
        """:raises IdempotencyKeyRequired, PaymentLinkResolutionRateLimited: before anything is looked at."""
        super().initial(request, *args, **kwargs)
        if request.method == "OPTIONS":
            return
        if not request._request.idempotency_key_given:
            raise IdempotencyKeyRequired(param="Idempotency-Key")
        count_resolve(self.link.id, request.META.get("REMOTE_ADDR", ""))

    @idempotent
    def post(self, request, payment_link_id: str):
        """
        Order by a payment link.

        Needs no credential, but an `Idempotency-Key`: repeat an unclear call with the same key and the same
        `resolution_context`. Makes an order and an open checkout session on it, whose `url` leads to the hosted page.
        """
        resolved = resolve_link(
            payment_link_id=payment_link_id, data=self.validated(), actor=request.actor, at=timezone.now()
        )
        session = reading.read_session(resolved.session.id, actor=request.actor, url=True)
        return self.reply(LaunchResultOutput(launch_result(session, resolved.checkout_auth_token)))


class OrderPayLink(ApiView):
    tag = "Orders"
    scopes = {"POST": "checkouts.checkout_sessions.write"}
    outputs = {"POST": PayLinkOutput}
    statuses = {"POST": 201}
    names = {"POST": "create_order_pay_link"}
    codes = {"POST": ["ORDER_NOT_FOUND", "ORDER_CLOSED", "ORDER_ALREADY_PAID"]}

    @idempotent
    def post(self, request, order_id: str):
        """
        Make a link to pay what an order owes.

        The address stays the same for good. Whoever opens it pays what is owed at that moment; however many there are,
        and wherever else the order is being paid, it is collected once.
        """
        return self.reply(create_pay_link(order_id=order_id, actor=request.actor))
