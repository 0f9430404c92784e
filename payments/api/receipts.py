"""Sending the receipt of an order once more."""

from flint.api.fields import EmailField
from flint.api.idempotency import idempotent
from flint.api.serializers import Input
from flint.api.views import ApiView
from payments.api.methods import ActionResultOutput
from payments.messages import asking


class SendReceiptInput(Input):
    """Where the receipt goes, if not to the address on file."""

    body_optional = True

    email = EmailField(required=False)


class ReceiptSending(ApiView):
    tag = "Orders"
    buyers = ("POST",)
    scopes = {"POST": "commerce.orders.write"}
    inputs = {"POST": SendReceiptInput}
    outputs = {"POST": ActionResultOutput}
    names = {"POST": "send_order_receipt"}
    codes = {
        "POST": [
            "ORDER_NOT_FOUND",
            "ORDER_RECEIPT_NOT_AVAILABLE",
            "ORDER_RECEIPT_EMAIL_UNAVAILABLE",
            "ORDER_RECEIPT_MERCHANT_MANAGED",
            "ORDER_RECEIPT_RESEND_RATE_LIMITED",
            "INVALID_EMAIL_FORMAT",
        ]
    }

    @idempotent
    def post(self, request, order_id: str):
        """
        Email the receipt of a paid order, once in five minutes to each address.

        Without an `email` it goes to the address on file. A buyer may name another one only where none is on file, and
        at most three in the order's life.
        """
        asking.send_receipt(order_id=order_id, email=self.validated().get("email", ""), actor=request.actor)
        return self.reply(ActionResultOutput({"success": True}))
