"""A buyer in tests: a client that calls the API with the credential of a checkout session."""

from typing import Any

from flint.merchants.models import Environment
from flint.testing import stories
from flint.testing.client import ApiClient
from orders.models import Order
from payments.models import CheckoutSession


class Buyer(ApiClient):
    """Calls the API as the buyer of a session."""

    def __init__(self, session_id: str, token: str, environment: Environment):
        super().__init__("", environment)
        self.session_id = session_id
        self.credential = {"X-Checkout-Session-ID": session_id, "X-Checkout-Session-Secret": token}

    def call(self, method: str, path: str, *, headers: dict[str, Any] | None = None, **options: Any) -> Any:
        return super().call(
            method, path, headers={"Authorization": None, **self.credential, **(headers or {})}, **options
        )

    @property
    def session(self) -> CheckoutSession:
        """The session as it is now."""
        return CheckoutSession.objects.get(id=self.session_id)


def buyer_of(order: Order, **data: Any) -> Buyer:
    """Open a checkout session on an order and return its buyer."""
    launched = stories.checkout(order, **data)
    return Buyer(launched.session.id, launched.checkout_auth_token, order.environment)


def over(buyer: Buyer, **columns: Any) -> Buyer:
    """Let the time of a buyer's session be over; nobody has noticed yet."""
    session = buyer.session
    session.expires_at = session.created_at
    for name, value in columns.items():
        setattr(session, name, value)
    session.save()
    return buyer
