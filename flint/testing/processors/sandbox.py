"""The sandbox as a test's network, as it is and with a standing plan of misfortune."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from flint.money import Money
from flint.testing.processors.base import Network, Post
from payments.processors.sandbox import clock, dashboard, effects, faults, network, notices, operations, setups
from payments.processors.sandbox.accounts import account_of
from payments.processors.sandbox.models import SandboxFault, SandboxNotice, SandboxOperation, SandboxPayment


class SandboxNetwork(Network):
    """The sandbox's own tables and verbs."""

    name = "sandbox"
    calls = tuple(on for on in SandboxFault.On.values if on != "notice")

    def effects(self, *, payment_intent_id: str | None = None, order_id: str | None = None) -> effects.Effects:
        return effects.effects(self.environment_id, payment_intent_id=payment_intent_id, order_id=order_id)

    def keys(self) -> list[str]:
        operations = SandboxOperation.objects.filter(environment_id=self.environment_id)
        return list(operations.order_by("id").values_list("operation_id", flat=True))

    def forget_keys(self, at: datetime) -> None:
        assert operations.forget(at, self.environment_id) > 0

    def plan(self, *, on: str, fault: str, times: int | None = 1, **options: object) -> None:
        faults.plan(self.environment_id, on=on, fault=fault, times=times, **options)

    def clear(self) -> None:
        faults.clear(self.environment_id)

    def authenticate(self, client_secret: str, *, passed: bool) -> None:
        with transaction.atomic():
            payment = network.lock_payment_by_secret(client_secret)
            network.authenticate(payment, passed=passed, at=timezone.now())

    def pay_with_another_card(self, reference: str) -> None:
        with transaction.atomic():
            network.approve(SandboxPayment.objects.get(reference=reference), at=timezone.now())

    def hand_in_card(self, client_secret: str, token: str, *, passed: bool) -> None:
        assert setups.complete(client_secret, token=token, passes=passed)

    def charge(self, money: Money, *, payment_intent_id: str = "") -> str:
        charged = dashboard.charge(environment_id=self.environment_id, money=money, payment_intent_id=payment_intent_id)
        return charged.reference

    def capture(self, reference: str, money: Money) -> None:
        dashboard.capture(environment_id=self.environment_id, reference=reference, money=money)

    def cancel(self, reference: str, *, reason: str = "requested_by_customer") -> None:
        dashboard.cancel(environment_id=self.environment_id, reference=reference, reason=reason)

    def refund(self, reference: str, money: Money, *, operation_id: str = "") -> str:
        with transaction.atomic():
            payment = network.lock_payment(self.environment_id, reference)
            made = network.refund(payment, money=money, at=timezone.now(), operation_id=operation_id)
        return made.reference

    def moment(self, at: datetime) -> datetime:
        return at

    def advance(self, at: datetime) -> None:
        clock.advance(at, self.environment_id)

    def deliver(self, at: datetime, post: Post) -> None:
        notices.deliver(at, self.environment_id, post=post)

    def send_each(self, at: datetime, post: Post, arranged: Callable[[list], list]) -> int:
        told = list(SandboxNotice.objects.filter(environment_id=self.environment_id).order_by("created_at", "id"))
        account, url = account_of(self.environment_id), f"http://testserver/notices/sandbox/{self.environment_id}"
        for notice in arranged(told):
            body = notices.body_of(notice)
            assert post(url, body, {notices.HEADER: notices.sign(account, body, at)}) == 200
        return len(told)

    def drop_notices(self) -> None:
        SandboxNotice.objects.filter(environment_id=self.environment_id, delivered_at=None).update(next_at=None)

    def tell(self, reference: str, status: str, *, at: datetime | None = None) -> None:
        notices.write(self.environment_id, f"payment.{status}", "payment", reference, at=at or timezone.now())


STANDING = (
    ("confirm", "lose_answer", None),
    ("capture", "unreachable", 1),
    ("capture", "lose_answer", None),
    ("cancel", "unreachable", 1),
    ("cancel", "lose_answer", None),
    ("refund", "unreachable", 1),
    ("refund", "lose_answer", None),
)
"""What is always in force: nobody ever hears how a call went, and some do not get through at first."""

RENEWED = (
    ("retrieve", "unreachable", 1),
    ("notice", "duplicate", 1),
    ("notice", "reorder", 1),
    ("notice", "delay", 1),
    ("notice", "lose_answer", 1),
    ("notice", "unreachable", 1),
    ("notice", "drop", 1),
)
"""What happens each time that things are settled: a question fails, and six notices come as no notice should."""


class FaultyNetwork(SandboxNetwork):
    """The sandbox with misfortune that everything must survive. A plan of the test's own takes its place meanwhile."""

    is_troubled = True

    def __init__(self, environment_id: str):
        super().__init__(environment_id)
        self._trouble()

    @contextmanager
    def at_peace(self) -> Iterator[None]:
        """Let nothing go wrong inside the block but what the test itself plans."""
        super().clear()
        self.is_troubled = False
        try:
            yield
        finally:
            self.is_troubled = True
            super().clear()
            self._trouble()

    @contextmanager
    def going_wrong(self, *, on: str, fault: str, times: int | None = 1, **options: object) -> Iterator[None]:
        with self.at_peace(), super().going_wrong(on=on, fault=fault, times=times, **options):
            yield

    @contextmanager
    def out_of_order(self) -> Iterator[None]:
        with self.at_peace(), super().out_of_order():
            yield

    def settle(self, *, at: datetime | None = None) -> None:
        self._plan_all(RENEWED)
        super().settle(at=at)
        SandboxFault.objects.filter(environment_id=self.environment_id, on__in=["retrieve", "notice"]).delete()

    def _trouble(self) -> None:
        self._plan_all(STANDING)

    def _plan_all(self, plans: tuple[tuple[str, str, int | None], ...]) -> None:
        for on, fault, times in plans:
            self.plan(on=on, fault=fault, times=times)
