"""
Stripe behind Flint's processor contract, through Stripe's own SDK.

Every call that moves money goes out once, with our row's id as its idempotency key and our ids in the metadata. What
comes back is believed only if it shows this environment, this mode, this operation and this currency; else the outcome
counts as unknown and is asked for.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

import stripe
import structlog
from django.utils import timezone

from flint.money import Money
from payments.processors import base
from payments.processors.base import (
    BalanceState,
    BalanceTransactionState,
    DisputeState,
    DoesNotFit,
    NoAnswer,
    Notice,
    PaymentRequest,
    PaymentState,
    PayoutState,
    RefundRequest,
    RefundState,
    SetupRequest,
    SetupState,
)
from payments.processors.stripe import balance, disputes, lists, mapping, notices, setups, states
from payments.processors.stripe.accounts import account_of
from payments.processors.stripe.client import StripeRefused, is_replay, plain, talking
from payments.processors.stripe.models import StripeAccount

log = structlog.get_logger(__name__)

SHOWN = ["latest_charge", "payment_method"]
"""What a PaymentIntent brings along: the hold's expiry, the amount held, and what may be remembered of the source."""

CLOCKS_APART = timedelta(minutes=5)
"""How far Stripe's clock and ours may be from each other, generously."""

ON_ITS_WAY = timedelta(hours=1)
"""How long after it was written down a payment may have come into being at Stripe at the latest."""

LOOKED_THROUGH = 20_000
"""How many objects a search goes through before it admits that it does not know."""


class StripeProcessor(base.Processor):
    """The merchant's own Stripe account, one per environment."""

    name = "stripe"
    form_template = "checkout/stripe_form.html"
    form_script = "https://js.stripe.com/v3/"
    form_origins = {
        "script-src": ["https://js.stripe.com"],
        "frame-src": ["https://js.stripe.com", "https://hooks.stripe.com"],
        "connect-src": ["https://api.stripe.com"],
        "img-src": ["https://*.stripe.com"],
    }

    def form_amount(self, money: Money) -> int:
        return mapping.to_stripe(money)

    def is_configured(self, *, environment_id: str) -> bool:
        return StripeAccount.objects.filter(pk=environment_id).exists()

    def option_of(self, *, environment_id: str, token: str) -> str:
        with talking(account_of(environment_id), "option") as client:
            if token.startswith("ctoken_"):
                source = plain(client.v1.confirmation_tokens.retrieve(token)).get("payment_method_preview") or {}
            else:
                source = plain(client.v1.payment_methods.retrieve(token))
        return states.option_of(source)

    def may_be_kept(self, *, environment_id: str, token: str) -> bool:
        with talking(account_of(environment_id), "option") as client:
            return plain(client.v1.confirmation_tokens.retrieve(token)).get("setup_future_usage") == "on_session"

    def confirm(self, request: PaymentRequest) -> PaymentState:
        base.refuse_inside_transaction()
        account = account_of(request.environment_id)
        params = {
            "amount": mapping.to_stripe(request.money),
            "currency": request.money.currency.lower(),
            "capture_method": request.capture_method,
            "confirm": True,
            # The token decides what is paid with. Naming types instead would have Stripe refuse the whole payment
            # wherever one of them does not go with the currency or is not switched on in the account.
            "automatic_payment_methods": {
                "enabled": True,
                "allow_redirects": "always" if request.return_url else "never",
            },
            # What the buyer has to do goes through Stripe's own library, by the contract.
            "use_stripe_sdk": True,
            "metadata": {
                states.OPERATION: request.operation_id,
                states.PAYMENT_INTENT: request.payment_intent_id,
                states.ORDER: request.order_id or "",
                states.ENVIRONMENT: request.environment_id,
            },
            "expand": SHOWN,
        }
        # A bank account needs the buyer's consent, with the address and browser it was given from. A confirmation token
        # and a saved method bring it along; for a raw one Flint knows none, and none is made up: Stripe may refuse it.
        source = "confirmation_token" if request.token.startswith("ctoken_") else "payment_method"
        params[source] = request.token
        if request.customer_reference:
            params["customer"] = request.customer_reference
        if request.is_off_session:
            params["off_session"] = True
        if request.keep_for:
            params["customer"] = setups.customer_of(account, request)
            params["setup_future_usage"] = "on_session"
        if request.return_url:
            params["return_url"] = request.return_url

        def call(client: stripe.StripeClient) -> stripe.PaymentIntent:
            return client.v1.payment_intents.create(params, {"idempotency_key": request.operation_id})

        return self._move(account, "confirm", call, money=request.money, operation_id=request.operation_id)

    def retrieve_payment(self, *, environment_id: str, reference: str) -> PaymentState | None:
        return self._payment(account_of(environment_id), reference) if reference else None

    def find_payment(
        self, *, environment_id: str, operation_id: str, since: datetime | None = None
    ) -> PaymentState | None:
        # Stripe's search lags behind by a minute or more, and a repeated create might create. So the payments of that
        # time are gone through. Should a list lag as well, whoever asks asks again until its deadline.
        account = account_of(environment_id)
        window = _since(since)
        if since is not None:
            window["lte"] = int((since + ON_ITS_WAY + CLOCKS_APART).timestamp())

        def pages(client: stripe.StripeClient):
            return client.v1.payment_intents.list({"created": window, "limit": 100})

        found = self._search(account, "find_payment", operation_id, pages)
        return self._payment(account, found["id"]) if found else None

    def capture(self, *, environment_id: str, reference: str, operation_id: str, money: Money) -> PaymentState:
        base.refuse_inside_transaction()
        account = account_of(environment_id)
        params = {"amount_to_capture": mapping.to_stripe(money), "expand": SHOWN}

        def call(client: stripe.StripeClient) -> stripe.PaymentIntent:
            return client.v1.payment_intents.capture(reference, params, {"idempotency_key": operation_id})

        return self._move(account, "capture", call, money=money, reference=reference)

    def cancel(self, *, environment_id: str, reference: str, operation_id: str, reason: str = "") -> PaymentState:
        base.refuse_inside_transaction()
        account = account_of(environment_id)
        params: dict[str, Any] = {"expand": SHOWN}
        if reason in mapping.CANCEL_REASONS:
            params["cancellation_reason"] = reason

        def call(client: stripe.StripeClient) -> stripe.PaymentIntent:
            return client.v1.payment_intents.cancel(reference, params, {"idempotency_key": operation_id})

        return self._move(account, "cancel", call, reference=reference)

    def refund(self, request: RefundRequest) -> RefundState:
        base.refuse_inside_transaction()
        account = account_of(request.environment_id)
        params = {
            "payment_intent": request.payment_reference,
            "amount": mapping.to_stripe(request.money),
            "metadata": {
                states.OPERATION: request.operation_id,
                states.REFUND: request.refund_id,
                states.ENVIRONMENT: request.environment_id,
            },
        }
        if request.reason in mapping.REFUND_REASONS:
            params["reason"] = request.reason
        with talking(account, "refund") as client:
            made = client.v1.refunds.create(params, {"idempotency_key": request.operation_id})
            if is_replay(made):
                made = client.v1.refunds.retrieve(made.id)
        with _only_ours("refund", account):
            state = states.refund_state(account, plain(made))
            _expect("operation", request.operation_id, state.operation_id)
            _expect("amount", request.money, state.money)
            _expect("payment", request.payment_reference, state.payment_reference)
        return state

    def retrieve_refund(self, *, environment_id: str, reference: str) -> RefundState | None:
        return self._refund(account_of(environment_id), reference) if reference else None

    def find_refund(
        self, *, environment_id: str, operation_id: str, since: datetime | None = None
    ) -> RefundState | None:
        account = account_of(environment_id)

        def pages(client: stripe.StripeClient):
            return client.v1.refunds.list({"created": _since(since), "limit": 100})

        found = self._search(account, "find_refund", operation_id, pages)
        return self._refund(account, found["id"]) if found else None

    def begin_setup(self, request: SetupRequest) -> SetupState:
        base.refuse_inside_transaction()
        account = account_of(request.environment_id)
        made = setups.begin(account, request)
        with _only_ours("begin_setup", account):
            state = setups.setup_state(account, made)
            _expect("operation", request.operation_id, state.operation_id)
        return state

    def retrieve_setup(self, *, environment_id: str, reference: str) -> SetupState | None:
        return self._setup(account_of(environment_id), reference) if reference else None

    def find_setup(self, *, environment_id: str, operation_id: str, since: datetime | None = None) -> SetupState | None:
        account = account_of(environment_id)

        def pages(client: stripe.StripeClient):
            return client.v1.setup_intents.list({"created": _since(since), "limit": 100})

        found = self._search(account, "find_setup", operation_id, pages)
        return self._setup(account, found["id"]) if found else None

    def detach(self, *, environment_id: str, token: str, operation_id: str) -> None:
        base.refuse_inside_transaction()
        setups.forget(account_of(environment_id), token, operation_id)

    def retrieve_dispute(self, *, environment_id: str, reference: str) -> DisputeState | None:
        account = account_of(environment_id)

        def call(client: stripe.StripeClient) -> stripe.Dispute:
            return client.v1.disputes.retrieve(reference, {"expand": disputes.SHOWN})

        found = _look(account, "retrieve_dispute", call) if reference else None
        return disputes.dispute_state(account, found) if found else None

    def retrieve_payout(self, *, environment_id: str, reference: str) -> PayoutState | None:
        account = account_of(environment_id)

        def call(client: stripe.StripeClient) -> stripe.Payout:
            return client.v1.payouts.retrieve(reference)

        found = _look(account, "retrieve_payout", call) if reference else None
        return balance.payout_state(account, found) if found else None

    def list_payments(self, *, environment_id: str, since: datetime, until: datetime) -> Iterator[PaymentState]:
        return lists.payments(account_of(environment_id), since, until, SHOWN)

    def list_refunds(self, *, environment_id: str, since: datetime, until: datetime) -> Iterator[RefundState]:
        return lists.refunds(account_of(environment_id), since, until)

    def list_disputes(self, *, environment_id: str, since: datetime, until: datetime) -> Iterator[DisputeState]:
        return lists.all_disputes(account_of(environment_id), since, until)

    def list_payouts(self, *, environment_id: str, since: datetime, until: datetime) -> Iterator[PayoutState]:
        return lists.payouts(account_of(environment_id), since, until)

    def list_balance_transactions(
        self, *, environment_id: str, since: datetime, until: datetime, payout_reference: str = ""
    ) -> Iterator[BalanceTransactionState]:
        return lists.movements(account_of(environment_id), since, until, payout_reference)

    def balances(self, *, environment_id: str) -> list[BalanceState]:
        account = account_of(environment_id)
        with talking(account, "balances") as client:
            found = plain(client.v1.balance.retrieve())
        return balance.balance_states(account, found)

    def read_notice(self, *, environment_id: str, headers: Mapping[str, str], body: bytes, at: datetime) -> Notice:
        try:
            account = account_of(environment_id)
        except base.Misconfigured:
            raise base.BadSignature("no secret to check it with") from None
        return notices.read(account, headers=headers, body=body, at=at)

    def collection(self, *, environment_id: str) -> dict[str, Any]:
        account = account_of(environment_id)
        keys = {"publishable_key": account.publishable_key}
        if account.connected_account_id:
            keys["account_id"] = account.connected_account_id
        return keys

    def _move(
        self,
        account: StripeAccount,
        name: str,
        call: Callable[[stripe.StripeClient], stripe.PaymentIntent],
        *,
        money: Money | None = None,
        operation_id: str = "",
        reference: str = "",
    ) -> PaymentState:
        """Make a call that moves a PaymentIntent, and return it as it is now. A decline is an answer like any other."""
        try:
            with talking(account, name) as client:
                answer = call(client)
                if is_replay(answer):
                    answer = client.v1.payment_intents.retrieve(answer.id, {"expand": SHOWN})
        except StripeRefused as refusal:
            # A confirm that was declined has made its payment all the same, and a payment that is canceled already is
            # what a cancel was for. Any other no stands.
            intent = refusal.intent
            is_answer = name == "confirm" or (name == "cancel" and intent and intent.get("status") == "canceled")
            if not intent or not is_answer:
                raise
            answer = intent
            if intent.get("status") == "requires_payment_method" and not intent.get("last_payment_error"):
                answer = {**intent, "last_payment_error": {"code": refusal.code, "message": refusal.message}}
        with _only_ours(name, account):
            state = states.payment_state(account, plain(answer))
            _expect("currency", money and money.currency, state.money.currency)
            _expect("operation", operation_id, state.operation_id)
            _expect("payment", reference, state.reference)
        return state

    def _payment(self, account: StripeAccount, reference: str) -> PaymentState | None:
        def call(client: stripe.StripeClient) -> stripe.PaymentIntent:
            return client.v1.payment_intents.retrieve(reference, {"expand": SHOWN})

        found = _look(account, "retrieve_payment", call)
        return states.payment_state(account, found) if found else None

    def _refund(self, account: StripeAccount, reference: str) -> RefundState | None:
        found = _look(account, "retrieve_refund", lambda client: client.v1.refunds.retrieve(reference))
        return states.refund_state(account, found) if found else None

    def _setup(self, account: StripeAccount, reference: str) -> SetupState | None:
        def call(client: stripe.StripeClient) -> stripe.SetupIntent:
            return client.v1.setup_intents.retrieve(reference, {"expand": setups.SHOWN})

        found = _look(account, "retrieve_setup", call)
        return setups.setup_state(account, found) if found else None

    def _search(
        self, account: StripeAccount, name: str, operation_id: str, pages: Callable[[stripe.StripeClient], Any]
    ) -> Mapping[str, Any] | None:
        """Go through a list for what our operation made. :raises NoAnswer: if the list has no end in sight."""
        if not operation_id:
            return None
        ours = {states.OPERATION: operation_id, states.ENVIRONMENT: account.environment_id}
        with talking(account, name) as client:
            seen = 0
            for found in islice(pages(client).auto_paging_iter(), LOOKED_THROUGH):
                seen += 1
                thing = plain(found)
                if ours.items() <= (thing.get("metadata") or {}).items():
                    return thing
        if seen == LOOKED_THROUGH:
            raise NoAnswer(f"{operation_id} is not among the latest {LOOKED_THROUGH} objects at Stripe")
        return None


@contextmanager
def _only_ours(call: str, account: StripeAccount) -> Iterator[None]:
    """Turn an answer that does not fit its call into an unknown outcome: the call was made, and what it did is open."""
    try:
        yield
    except DoesNotFit as error:
        log.error("stripe.foreign_answer", call=call, environment_id=account.environment_id)
        raise NoAnswer(f"the answer to {call} is not about it: {error}") from None


def _expect(what: str, wanted: Any, found: Any) -> None:
    if wanted and wanted != found:
        raise DoesNotFit(f"{what} {found or '(none)'} instead of {wanted}")


def _look(
    account: StripeAccount, name: str, call: Callable[[stripe.StripeClient], stripe.StripeObject]
) -> dict[str, Any] | None:
    """Return an object, or None for one that is not there; any other no stands."""
    try:
        with talking(account, name) as client:
            return plain(call(client))
    except StripeRefused as refusal:
        if refusal.code != "not_found":
            raise
    return None


def _since(moment: datetime | None) -> dict[str, int]:
    moment = moment or timezone.now() - timedelta(days=1)
    return {"gte": int((moment - CLOCKS_APART).timestamp())}
