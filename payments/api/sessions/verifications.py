"""Codes by which a buyer shows whose checkout it is."""

from flint.api.fields import EmailField, EnumField, IdField, StrictString, TimestampField
from flint.api.idempotency import idempotent
from flint.api.serializers import Input, Output
from flint.api.views import ApiView
from payments.api.sessions import reading
from payments.api.sessions.outputs import CheckoutAccessOutput, CheckoutSessionOutput
from payments.models.verifications import VerificationChannel, VerificationPurpose
from payments.services.sessions.verifying import confirm_verification, request_verification

CHANNELS = [*VerificationChannel.values, "auto"]


class VerificationInput(Input):
    """What the code is for, and where it goes."""

    purpose = EnumField(VerificationPurpose.values)
    channel = EnumField(CHANNELS, required=False)
    email = EmailField(required=False)


class VerificationCodeInput(Input):
    """The code that was sent."""

    code = StrictString(pattern=r"[0-9]{6}", code="CUSTOMER_VERIFICATION_CODE_INVALID")


class CustomerVerificationOutput(Output):
    """A code that is on its way."""

    customer_verification_id = IdField("ver", source="id")
    checkout_session_id = IdField("cs", source="session_id")
    purpose = EnumField(VerificationPurpose.values)
    channel = EnumField(VerificationChannel.values)
    email = StrictString(required=False, source="shown_email")
    created_at = TimestampField()
    expires_at = TimestampField()


class VerifiedOutput(Output):
    """The session, and the secret that acts for the customer from now on. It is shown this once."""

    checkout_session = CheckoutSessionOutput()
    checkout_access = CheckoutAccessOutput(required=False)


class VerificationCollection(ApiView):
    tag = "Checkout sessions"
    buyers = ("POST",)
    only_buyers = ("POST",)
    inputs = {"POST": VerificationInput}
    outputs = {"POST": CustomerVerificationOutput}
    statuses = {"POST": 201}
    names = {"POST": "create_checkout_customer_verification"}
    codes = {
        "POST": [
            "CHECKOUT_SESSION_NOT_FOUND",
            "CHECKOUT_CUSTOMER_ALREADY_AUTHORIZED",
            "CHECKOUT_CUSTOMER_CONFLICT",
            "CUSTOMER_VERIFICATION_NOT_OFFERED",
            "CUSTOMER_VERIFICATION_TEXT_UNAVAILABLE",
            "CUSTOMER_VERIFICATION_LIMIT_REACHED",
            "CUSTOMER_VERIFICATION_RATE_LIMITED",
            "CUSTOMER_VERIFICATION_UNAVAILABLE",
            "FIELD_REQUIRED",
        ]
    }

    @idempotent
    def post(self, request, checkout_session_id: str):
        """
        Email the buyer a code of six digits, which is good for a quarter of an hour and five tries.

        A new one takes the place of the one before. The answer is the same whether or not the address is a customer's.
        """
        data = self.validated()
        made = request_verification(
            checkout_session_id=checkout_session_id,
            purpose=data["purpose"],
            channel=data.get("channel", ""),
            email=data.get("email", ""),
            actor=request.actor,
        )
        return self.reply(made)


class VerificationConfirmation(ApiView):
    tag = "Checkout sessions"
    buyers = ("POST",)
    only_buyers = ("POST",)
    inputs = {"POST": VerificationCodeInput}
    outputs = {"POST": VerifiedOutput}
    names = {"POST": "confirm_checkout_customer_verification"}
    codes = {
        "POST": [
            "CHECKOUT_SESSION_NOT_FOUND",
            "RESOURCE_NOT_FOUND",
            "CHECKOUT_CUSTOMER_CONFLICT",
            "CUSTOMER_VERIFICATION_CODE_INVALID",
            "CUSTOMER_VERIFICATION_UNAVAILABLE",
        ]
    }

    @idempotent(external=True)
    def post(self, request, checkout_session_id: str, customer_verification_id: str):
        """
        Take the code. The new secret acts for the customer with the address; those from before still do not.

        Until then nobody was told whether there is such a customer; where there was none, there is one now.
        """
        token = confirm_verification(
            checkout_session_id=checkout_session_id,
            customer_verification_id=customer_verification_id,
            code=self.validated()["code"],
            actor=request.actor,
        )
        session = reading.read_session(checkout_session_id, actor=request.actor)
        shown = {"checkout_session": session, "checkout_access": {"checkout_auth_token": token}}
        return self.reply(VerifiedOutput(shown))
