"""The sandbox network behind Flint's processor contract. Each call is a transaction of its own, as if remote."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from flint.money import Money
from payments.processors import base
from payments.processors.base import (
    BalanceState,
    BalanceTransactionState,
    DisputeState,
    Notice,
    PaymentRequest,
    PaymentState,
    PayoutState,
    RefundRequest,
    RefundState,
    SetupRequest,
    SetupState,
)
from payments.processors.sandbox import balance, faults, lists, network, notices, operations, setups, tokens
from payments.processors.sandbox.accounts import publishable_key_of
from payments.processors.sandbox.models import (
    SandboxBalanceTransaction,
    SandboxDispute,
    SandboxPayment,
    SandboxPayout,
    SandboxRefund,
)
from payments.processors.sandbox.states import dispute_state, movement_state, payment_state, payout_state, refund_state


class SandboxProcessor(base.Processor):
    """A simulated network. It is strict about amounts and states, idempotent per operation id, and fails on cue."""

    name = "sandbox"
    form_template = "sandbox/card_form.html"

    def token_of_form(self, *, environment_id: str, form: Mapping[str, str]) -> str:
        if form.get("method") == "bank":
            return tokens.tokenise_bank_account(
                environment_id, form.get("routing_number", ""), form.get("account_number", ""), prefix="ctoken"
            )
        month, _, year = form.get("expiry", "").replace(" ", "").partition("/")
        if not (month.isdecimal() and year.isdecimal() and len(year) in (2, 4) and len(month) <= 2):
            raise base.Refused("expired_card", tokens.MESSAGES["expired_card"])
        return tokens.tokenise(
            environment_id,
            form.get("number", ""),
            int(month),
            int(year) + (2000 if len(year) == 2 else 0),
            form.get("cvc", ""),
            prefix="ctoken",
        )

    def option_of(self, *, environment_id: str, token: str) -> str:
        _, source = tokens.find_source(environment_id, token)
        return source.type

    def confirm(self, request: PaymentRequest) -> PaymentState:
        def perform() -> str:
            is_kept = setups.check_owner(
                environment_id=request.environment_id,
                token=request.token,
                customer_reference=request.customer_reference,
            )
            return network.start_payment(
                environment_id=request.environment_id,
                money=request.money,
                capture_method=request.capture_method,
                token=request.token,
                at=timezone.now(),
                operation_id=request.operation_id,
                payment_intent_id=request.payment_intent_id,
                order_id=request.order_id or "",
                return_url=request.return_url,
                is_kept=is_kept,
                is_off_session=request.is_off_session,
                keep_for=request.keep_for,
            ).reference

        parameters = {
            "payment_intent_id": request.payment_intent_id,
            "order_id": request.order_id,
            "amount": request.money.amount,
            "currency": request.money.currency,
            "capture_method": request.capture_method,
            "token": request.token,
            "return_url": request.return_url,
            "customer_reference": request.customer_reference,
            "is_off_session": request.is_off_session,
            "keep_for": request.keep_for,
        }
        return self._on_payment("confirm", request.environment_id, request.operation_id, parameters, perform)

    def retrieve_payment(self, *, environment_id: str, reference: str) -> PaymentState | None:
        return self._payment(environment_id, reference=reference)

    def find_payment(
        self, *, environment_id: str, operation_id: str, since: datetime | None = None
    ) -> PaymentState | None:
        return self._payment(environment_id, operation_id=operation_id) if operation_id else None

    def capture(self, *, environment_id: str, reference: str, operation_id: str, money: Money) -> PaymentState:
        def perform() -> str:
            payment = network.lock_payment(environment_id, reference)
            network.capture(payment, money=money, at=timezone.now())
            return reference

        parameters = {"reference": reference, "amount": money.amount, "currency": money.currency}
        return self._on_payment("capture", environment_id, operation_id, parameters, perform)

    def cancel(self, *, environment_id: str, reference: str, operation_id: str, reason: str = "") -> PaymentState:
        def perform() -> str:
            payment = network.lock_payment(environment_id, reference)
            network.cancel(payment, reason=reason, at=timezone.now())
            return reference

        parameters = {"reference": reference, "reason": reason}
        return self._on_payment("cancel", environment_id, operation_id, parameters, perform)

    def refund(self, request: RefundRequest) -> RefundState:
        base.refuse_inside_transaction()

        def perform() -> str:
            payment = network.lock_payment(request.environment_id, request.payment_reference)
            return network.refund(
                payment,
                money=request.money,
                at=timezone.now(),
                reason=request.reason,
                operation_id=request.operation_id,
                refund_id=request.refund_id,
            ).reference

        parameters = {
            "refund_id": request.refund_id,
            "payment_reference": request.payment_reference,
            "amount": request.money.amount,
            "currency": request.money.currency,
            "reason": request.reason,
        }
        with faults.around_call(request.environment_id, "refund"), transaction.atomic(durable=True):
            reference = operations.once(request.environment_id, request.operation_id, "refund", parameters, perform)
            return refund_state(SandboxRefund.objects.get(reference=reference))

    def retrieve_refund(self, *, environment_id: str, reference: str) -> RefundState | None:
        return self._refund(environment_id, reference=reference)

    def find_refund(
        self, *, environment_id: str, operation_id: str, since: datetime | None = None
    ) -> RefundState | None:
        return self._refund(environment_id, operation_id=operation_id) if operation_id else None

    def retrieve_dispute(self, *, environment_id: str, reference: str) -> DisputeState | None:
        with faults.around_call(environment_id, "retrieve"):
            found = SandboxDispute.objects.filter(environment_id=environment_id, reference=reference)
            dispute = found.order_by("reference").first()
            return dispute and dispute_state(dispute)

    def list_payments(self, *, environment_id: str, since: datetime, until: datetime) -> Iterator[PaymentState]:
        window = {"environment_id": environment_id, "since": since, "until": until}
        return lists.newest_first(SandboxPayment.objects.all(), payment_state, **window)

    def list_refunds(self, *, environment_id: str, since: datetime, until: datetime) -> Iterator[RefundState]:
        window = {"environment_id": environment_id, "since": since, "until": until}
        return lists.newest_first(SandboxRefund.objects.all(), refund_state, **window)

    def list_disputes(self, *, environment_id: str, since: datetime, until: datetime) -> Iterator[DisputeState]:
        window = {"environment_id": environment_id, "since": since, "until": until}
        return lists.newest_first(SandboxDispute.objects.all(), dispute_state, **window)

    def begin_setup(self, request: SetupRequest) -> SetupState:
        return setups.begin(request)

    def retrieve_setup(self, *, environment_id: str, reference: str) -> SetupState | None:
        return setups.find(environment_id, reference=reference)

    def find_setup(self, *, environment_id: str, operation_id: str, since: datetime | None = None) -> SetupState | None:
        return setups.find(environment_id, operation_id=operation_id) if operation_id else None

    def detach(self, *, environment_id: str, token: str, operation_id: str) -> None:
        setups.forget(environment_id=environment_id, token=token)

    def retrieve_payout(self, *, environment_id: str, reference: str) -> PayoutState | None:
        with faults.around_call(environment_id, "retrieve"):
            found = SandboxPayout.objects.filter(environment_id=environment_id, reference=reference)
            payout = found.order_by("reference").first()
            return payout and payout_state(payout)

    def list_payouts(self, *, environment_id: str, since: datetime, until: datetime) -> Iterator[PayoutState]:
        window = {"environment_id": environment_id, "since": since, "until": until}
        return lists.newest_first(SandboxPayout.objects.all(), payout_state, **window)

    def list_balance_transactions(
        self, *, environment_id: str, since: datetime, until: datetime, payout_reference: str = ""
    ) -> Iterator[BalanceTransactionState]:
        rows = SandboxBalanceTransaction.objects.all()
        window = {"environment_id": environment_id, "since": since, "until": until}
        if payout_reference:
            rows = rows.filter(settled_by=payout_reference).exclude(type="payout", source_reference=payout_reference)
            window |= {"since": None, "until": None}
        return lists.newest_first(rows, movement_state, moment="occurred_at", **window)

    def balances(self, *, environment_id: str) -> list[BalanceState]:
        with faults.around_call(environment_id, "retrieve"):
            return balance.balances(environment_id)

    def read_notice(self, *, environment_id: str, headers: Mapping[str, str], body: bytes, at: datetime) -> Notice:
        return notices.read(environment_id=environment_id, headers=headers, body=body, at=at)

    def collection(self, *, environment_id: str) -> dict[str, Any]:
        return {"publishable_key": publishable_key_of(environment_id)}

    def _on_payment(
        self,
        kind: str,
        environment_id: str,
        operation_id: str,
        parameters: dict[str, Any],
        perform: Callable[[], str],
    ) -> PaymentState:
        base.refuse_inside_transaction()
        with faults.around_call(environment_id, kind), transaction.atomic(durable=True):
            reference = operations.once(environment_id, operation_id, kind, parameters, perform)
            return payment_state(SandboxPayment.objects.get(reference=reference))

    def _payment(self, environment_id: str, **lookup: str) -> PaymentState | None:
        with faults.around_call(environment_id, "retrieve"):
            found = SandboxPayment.objects.filter(environment_id=environment_id, **lookup)
            payment = found.order_by("created_at", "reference").first()
            return payment and payment_state(payment)

    def _refund(self, environment_id: str, **lookup: str) -> RefundState | None:
        with faults.around_call(environment_id, "retrieve"):
            found = SandboxRefund.objects.filter(environment_id=environment_id, **lookup)
            refund = found.order_by("created_at", "reference").first()
            return refund and refund_state(refund)
