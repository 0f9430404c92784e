"""What is kept to be paid with later: customers, their payment methods, and the setups that save them."""

import copy
from typing import Any

from flint.testing.stripe_server import shapes, sources
from flint.testing.stripe_server.errors import ApiError, invalid, missing
from flint.testing.stripe_server.sources import Source


class Vault:
    """What a book does with what is kept."""

    customers: dict[str, dict[str, Any]]
    methods: dict[str, dict[str, Any]]
    kept_sources: dict[str, Source]
    setups: dict[str, dict[str, Any]]
    trying: dict[str, tuple[str, Source]]

    # Calls of the API

    def create_customer(self, params: dict[str, Any]) -> dict[str, Any]:
        """Make a Customer."""
        made = self._keep(shapes.customer(livemode=self.livemode, created=self.clock.now(), **params))
        self.customers[made["id"]] = made
        self._tell("customer.created", made)
        return made

    def delete_customer(self, id: str) -> dict[str, Any]:
        """Delete a Customer, whose payment methods are let go of."""
        gone = self.find_customer(id)
        for method in self.methods.values():
            if method["customer"] == id:
                self.detach_method(method)
        self._tell("customer.deleted", gone)
        self.customers[id] = {"id": id, "object": "customer", "deleted": True}
        return self.customers[id]

    def attach_method(self, token: str, params: dict[str, Any]) -> dict[str, Any]:
        """Keep a payment method for a Customer. :raises ApiError: if a bank says no to that."""
        self._refuse_gone(params["customer"])
        source = self._source_of(token, param="payment_method")
        if source.outcome == "decline" and not source.declines_later:
            raise _declined(source)
        method = self.methods.get(token) or self._new_method(source)
        if method["customer"] not in (None, params["customer"]):
            raise invalid("The payment method you provided has already been attached to a customer.")
        return self._attach_to(method, params["customer"])

    def detach_method(self, method: dict[str, Any]) -> dict[str, Any]:
        """Let go of a payment method. :raises ApiError: if nobody has it."""
        if method["customer"] is None:
            # The words are Stripe's; that it gives no code with them is not documented.
            raise invalid(
                "The payment method you provided is not attached to a customer so detachment is impossible.",
                param="payment_method",
            )
        method["customer"] = None
        self._tell("payment_method.detached", method)
        return method

    def create_setup(self, params: dict[str, Any]) -> dict[str, Any]:
        """Make a SetupIntent, and confirm it if that is asked for."""
        if customer := params.get("customer"):
            self._refuse_gone(customer)
        if "payment_method" in params:
            self._source_of(params["payment_method"], param="payment_method")
        made = self._keep(
            shapes.setup_intent(
                livemode=self.livemode,
                created=self.clock.now(),
                customer=customer,
                description=params.get("description"),
                metadata=params.get("metadata", {}),
                payment_method_types=params.get("payment_method_types", ["card"]),
                usage=params.get("usage", "off_session"),
            )
        )
        self.setups[made["id"]] = made
        self._tell("setup_intent.created", made)
        if params.get("confirm"):
            self.confirm_setup(made, params)
        return made

    def confirm_setup(self, setup: dict[str, Any], params: dict[str, Any]) -> dict[str, Any]:
        """Try to save a payment method, as the browser does. :raises ApiError: 402 when a bank says no to that."""
        if setup["status"] not in ("requires_payment_method", "requires_confirmation"):
            raise self._unexpected(setup, "confirm")
        token = params.get("payment_method") or setup["payment_method"]
        if not token:
            raise invalid("You cannot confirm this SetupIntent: it lacks a payment method.", param="payment_method")
        source = self._source_of(token, param="payment_method")
        if (kind := "us_bank_account" if source.is_bank else "card") not in setup["payment_method_types"]:
            raise invalid(f"A PaymentMethod of type {kind} does not go with it.", param="payment_method")
        setup["last_setup_error"] = None
        if source.outcome == "decline" and not source.declines_later:
            self._fail_setup(setup, source.code, source.message, decline_code=source.decline_code, type="card_error")
            raise _declined(source, setup_intent=self.show(setup))
        self.trying[setup["id"]] = (token, source)
        if source.outcome == "authenticate":
            step = {"type": "three_d_secure_redirect", "source": shapes.new_id("src")}
            setup |= {
                "status": "requires_action",
                "next_action": {"type": "use_stripe_sdk", "use_stripe_sdk": step},
            }
            self._tell("setup_intent.requires_action", setup)
        else:
            self._succeed_setup(setup)
        return setup

    def cancel_setup(self, setup: dict[str, Any], params: dict[str, Any]) -> dict[str, Any]:
        """Give a SetupIntent up. :raises ApiError: if it has ended."""
        if setup["status"] in ("succeeded", "canceled", "processing"):
            raise self._unexpected(setup, "cancel")
        reason = params.get("cancellation_reason")
        setup |= {"status": "canceled", "cancellation_reason": reason, "next_action": None}
        self._tell("setup_intent.canceled", setup)
        return setup

    def authenticate_setup(self, id: str, *, passed: bool) -> None:
        """Let the buyer pass 3-D Secure while saving a card, or fail it."""
        setup = self.find_setup(id)
        if setup["status"] != "requires_action":
            return
        setup["next_action"] = None
        if passed:
            self._succeed_setup(setup)
            return
        self._fail_setup(
            setup,
            "setup_intent_authentication_failure",
            "The provided PaymentMethod has failed authentication.",
            type="invalid_request_error",
        )

    # Reading

    def find_customer(self, id: str) -> dict[str, Any]:
        """:raises ApiError: if there never was such a Customer. One that was deleted is shown as such."""
        if id not in self.customers:
            raise missing("customer", id, param="id")
        return self.customers[id]

    def find_method(self, id: str) -> dict[str, Any]:
        """:raises ApiError: if this account has no such PaymentMethod in this mode."""
        if id not in self.methods:
            return {"id": id, "object": "payment_method", **sources.find(id, param="payment_method").details}
        return self.methods[id]

    def find_token(self, id: str) -> dict[str, Any]:
        """:raises ApiError: if the browser made no such ConfirmationToken."""
        preview = sources.find(id, param="confirmation_token").details
        usage = "on_session" if id.endswith(sources.ON_SESSION) else None
        return {
            "id": id,
            "object": "confirmation_token",
            "payment_method_preview": preview,
            "setup_future_usage": usage,
        }

    def find_setup(self, id: str) -> dict[str, Any]:
        """:raises ApiError: if this account has no such SetupIntent in this mode."""
        if id not in self.setups:
            raise missing("setupintent", id, param="intent")
        return self.setups[id]

    # Inside

    def _source_of(self, token: str, *, param: str) -> Source:
        return self.kept_sources[token] if token in self.kept_sources else sources.find(token, param=param)

    def _refuse_gone(self, id: str) -> None:
        if id not in self.customers or self.customers[id].get("deleted"):
            raise invalid(f"No such customer: '{id}'", code="resource_missing", param="customer")

    def _new_method(self, source: Source) -> dict[str, Any]:
        method = shapes.payment_method(source, id=shapes.new_id("pm"), livemode=self.livemode, created=self.clock.now())
        self.methods[method["id"]] = method
        self.kept_sources[method["id"]] = source
        return self._keep(method)

    def _save_method(self, method: dict[str, Any], source: Source, customer: str) -> None:
        """Keep what was paid with for a Customer, as a payment with ``setup_future_usage`` does."""
        self.methods[method["id"]] = method
        self.kept_sources[method["id"]] = source
        self._attach_to(method, customer)

    def _attach_to(self, method: dict[str, Any], customer: str) -> dict[str, Any]:
        method["customer"] = customer
        self._tell("payment_method.attached", method)
        return method

    def _succeed_setup(self, setup: dict[str, Any]) -> None:
        token, source = self.trying.pop(setup["id"])
        method = self.methods.get(token) or self._new_method(source)
        setup |= {"status": "succeeded", "payment_method": method["id"], "last_setup_error": None}
        if setup["customer"] and method["customer"] is None:
            self._attach_to(method, setup["customer"])
        self._tell("setup_intent.succeeded", setup)

    def _fail_setup(self, setup: dict[str, Any], code: str, message: str, *, type: str, decline_code: str = "") -> None:
        error = {"code": code, "message": message, "type": type}
        if decline_code:
            error["decline_code"] = decline_code
        setup |= {"status": "requires_payment_method", "payment_method": None, "last_setup_error": error}
        self._tell("setup_intent.setup_failed", setup)

    def _unexpected(self, setup: dict[str, Any], verb: str) -> ApiError:
        return invalid(
            f"You cannot {verb} this SetupIntent because it has a status of {setup['status']}.",
            code="setup_intent_unexpected_state",
            setup_intent=copy.deepcopy(setup),
        )


def _declined(source: Source, **fields: Any) -> ApiError:
    return ApiError(402, "card_error", source.message, code=source.code, decline_code=source.decline_code, **fields)
