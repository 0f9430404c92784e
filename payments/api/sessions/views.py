"""The routes of checkout sessions."""

from flint.api import wire
from flint.api.idempotency import idempotent
from flint.api.paging import paginate
from flint.api.responses import Reply
from flint.api.views import ApiView
from payments.api.sessions import reading
from payments.api.sessions.inputs import (
    CloseSessionInput,
    CreateSessionInput,
    ReadSessionQuery,
    SessionQuery,
    UpdateSessionInput,
)
from payments.api.sessions.outputs import CheckoutSessionOutput, LaunchResultOutput, launch_result
from payments.services.sessions.changing import update_session
from payments.services.sessions.ending import close_session
from payments.services.sessions.launching import create_session

READ, WRITE = "checkouts.checkout_sessions.read", "checkouts.checkout_sessions.write"


class SessionRoute(ApiView):
    """A route under checkout sessions."""

    tag = "Checkout sessions"
    scopes = {"GET": READ, "POST": WRITE, "PATCH": WRITE}

    def reply_session(self, checkout_session_id: str):
        """Answer with a session as it is now."""
        actor = self.request.actor
        shows_url = self.request.api_key is not None and WRITE in self.request.api_key.scopes
        session = reading.read_session(checkout_session_id, actor=actor, expand=self._query.expand, url=shows_url)
        return self.reply(session)


class SessionCollection(SessionRoute):
    inputs = {"POST": CreateSessionInput}
    queries = {"GET": SessionQuery}
    outputs = {"GET": [CheckoutSessionOutput], "POST": LaunchResultOutput}
    statuses = {"POST": 201}
    names = {"GET": "list_checkout_sessions", "POST": "create_checkout_session"}
    codes = {
        "POST": [
            "ORDER_NOT_FOUND",
            "ORDER_CLOSED",
            "ORDER_ALREADY_PAID",
            "ORDER_NOT_PAYABLE",
            "ORDER_PAYMENT_ATTEMPT_ACTIVE",
            "ORDER_PAYMENT_LEG_CHECKOUT_ACTIVE",
            "CHECKOUT_SESSION_ALREADY_EXISTS",
            "CHECKOUT_SESSION_CURRENT_CHANGED",
            "CHECKOUT_SURFACE_CHANGE_NOT_ALLOWED",
            "CHECKOUT_REPLACEMENT_REQUIRES_ORDER",
            "CHECKOUT_PAYMENT_RESOLVING",
            "CHECKOUT_CUSTOMER_CONFLICT",
            "ORDER_COLLECTION_ALREADY_ACTIVE",
            "INVOICE_CHECKOUT_REPLACEMENT_NOT_ALLOWED",
            "PROCESSOR_NOT_CONFIGURED",
            "RESOURCE_NOT_FOUND",
            "AMOUNT_TOO_LARGE",
            "CURRENCY_MISMATCH",
        ]
    }

    def get(self, request):
        """List checkout sessions."""
        page = paginate(reading.readable_sessions(request.actor), self.query(SessionQuery))
        reading.attach_sessions(page.items, actor=request.actor)
        return self.reply_page(page)

    def as_replayed(self, reply: Reply) -> Reply:
        launched = {**wire.loads(reply.payload), "reused_existing": True}
        body = wire.dumps(launched)
        return Reply(body, request_id=self.request.request_id, status=reply.status_code, replayed=True)

    @idempotent
    def post(self, request):
        """
        Open a checkout session.

        On an order, or on one item that a new order is made of. An order's open session is never replaced silently:
        name it in `replace_checkout_session_id`. The answer shows the buyer's secret this once.
        """
        launched = create_session(data=self.validated(), actor=request.actor)
        session = reading.read_session(launched.session.id, actor=request.actor, url=True)
        return self.reply(LaunchResultOutput(launch_result(session, launched.checkout_auth_token)))


class SessionView(SessionRoute):
    buyers = ("GET", "PATCH")
    inputs = {"PATCH": UpdateSessionInput}
    queries = {"GET": ReadSessionQuery}
    outputs = {"GET": CheckoutSessionOutput, "PATCH": CheckoutSessionOutput}
    names = {"GET": "get_checkout_session", "PATCH": "update_checkout_session"}
    codes = {
        "GET": ["CHECKOUT_SESSION_NOT_FOUND"],
        "PATCH": [
            "CHECKOUT_SESSION_NOT_FOUND",
            "CHECKOUT_SESSION_UPDATE_FIELD_NOT_ALLOWED",
            "INVALID_TIMEZONE",
        ],
    }

    def get(self, request, checkout_session_id: str):
        """Read a checkout session."""
        return self.reply_session(checkout_session_id)

    @idempotent
    def patch(self, request, checkout_session_id: str):
        """
        Change a checkout session.

        A merchant changes metadata and reference, also after its end; a buyer contact and time zone while it is open.
        """
        update_session(checkout_session_id=checkout_session_id, data=self.validated(), actor=request.actor)
        return self.reply_session(checkout_session_id)


class SessionClosing(SessionRoute):
    inputs = {"POST": CloseSessionInput}
    outputs = {"POST": CheckoutSessionOutput}
    names = {"POST": "close_checkout_session"}
    codes = {"POST": ["CHECKOUT_SESSION_NOT_FOUND", "CHECKOUT_SESSION_NOT_OPEN", "CHECKOUT_PAYMENT_RESOLVING"]}

    @idempotent
    def post(self, request, checkout_session_id: str):
        """Close an open checkout session; nothing more is collected through it."""
        reason = self.validated().get("reason_message", "")
        close_session(checkout_session_id=checkout_session_id, reason=reason, actor=request.actor)
        return self.reply_session(checkout_session_id)
