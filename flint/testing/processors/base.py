"""One vocabulary for the other side of every processor."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import ClassVar

from django.utils import timezone

from flint.merchants.models import Environment
from flint.money import Money
from payments.processors.sandbox.effects import Effects

Post = Callable[[str, bytes, dict[str, str]], int]
"""Sends the bytes of a notice, and returns the status of the answer."""

NAMES = ("sandbox", "faults", "stripe")


class Network(ABC):
    """
    The other side of one environment: its money, its buyers, its dashboard, its time and its notices.

    References are the processor's own. Nothing here goes through Flint.
    """

    name: ClassVar[str]
    calls: ClassVar[tuple[str, ...]]
    """What a fault of a call may be planned on."""
    is_troubled = False
    """Whether a standing plan of misfortune is in force, so that an answer is known only after :meth:`settle`."""

    def __init__(self, environment_id: str):
        self.environment_id = environment_id

    # What truly happened

    @abstractmethod
    def effects(self, *, payment_intent_id: str | None = None, order_id: str | None = None) -> Effects:
        """Return every movement of money, of one payment intent or of one order of ours, oldest first."""

    @abstractmethod
    def keys(self) -> list[str]:
        """Return the idempotency keys of the calls that were carried out, each as often as it was."""

    @abstractmethod
    def forget_keys(self, at: datetime) -> None:
        """Have the keys forgotten that are older than a day by then."""

    # Misfortune

    @abstractmethod
    def plan(self, *, on: str, fault: str, times: int | None = 1, **options: object) -> None:
        """Let something go wrong the next ``times`` times, or until :meth:`clear`. Words as of the sandbox's faults."""

    @abstractmethod
    def clear(self) -> None:
        """Let everything go right again."""

    @contextmanager
    def going_wrong(self, *, on: str, fault: str, times: int | None = 1, **options: object) -> Iterator[None]:
        """Let exactly this go wrong inside the block."""
        self.plan(on=on, fault=fault, times=times, **options)
        try:
            yield
        finally:
            self.clear()

    @contextmanager
    def out_of_order(self) -> Iterator[None]:
        """Be out of reach inside the block, for every call."""
        for call in self.calls:
            self.plan(on=call, fault="unreachable", times=None)
        try:
            yield
        finally:
            self.clear()

    # Buyers

    @abstractmethod
    def authenticate(self, client_secret: str, *, passed: bool) -> None:
        """Do on the processor's page what the buyer does there."""

    @abstractmethod
    def pay_with_another_card(self, reference: str) -> None:
        """Have a payment that was declined go through there: the buyer tried another card."""

    @abstractmethod
    def hand_in_card(self, client_secret: str, token: str, *, passed: bool) -> None:
        """Do in the browser what the buyer does to leave a card there, proving who they are if their bank asks."""

    # The merchant's dashboard

    @abstractmethod
    def charge(self, money: Money, *, payment_intent_id: str = "") -> str:
        """Take a payment that no operation of ours asked for, with an id of ours in its metadata if any."""

    @abstractmethod
    def capture(self, reference: str, money: Money) -> None:
        """Take some or all of a hold."""

    @abstractmethod
    def cancel(self, reference: str, *, reason: str = "requested_by_customer") -> None:
        """Let a payment or hold go."""

    @abstractmethod
    def refund(self, reference: str, money: Money, *, operation_id: str = "") -> str:
        """Give money back, as if our operation had asked for it if one is named."""

    # Time

    @abstractmethod
    def moment(self, at: datetime) -> datetime:
        """Let the clock there show at least ``at``, without anything happening, and return what it shows."""

    @abstractmethod
    def advance(self, at: datetime) -> None:
        """Let everything happen there that was due by ``at``."""

    # Notices

    @abstractmethod
    def deliver(self, at: datetime, post: Post) -> None:
        """Send what is due, through whatever is planned for notices."""

    @abstractmethod
    def send_each(self, at: datetime, post: Post, arranged: Callable[[list], list]) -> int:
        """Send everything ever told, as ``arranged`` orders and repeats it; return how many there are to tell."""

    @abstractmethod
    def drop_notices(self) -> None:
        """Let nobody hear what was told so far."""

    @abstractmethod
    def tell(self, reference: str, status: str, *, at: datetime | None = None) -> None:
        """Tell of a payment that it is ``failed``, ``processing``, ``succeeded`` …, whether or not it is."""

    # Settling

    def settle(self, *, at: datetime | None = None) -> None:
        """
        Do what the beat does, and what the processor does by sending again, until nothing that is known is missing.

        Time at the processor stands still: what is under way there stays so.
        """
        from flint.testing import stories

        for minute in range(1, 5):
            moment = (at or timezone.now()) + timedelta(minutes=minute)
            stories.deliver_notices_once(self.environment_id, at=moment)
            stories.sweep_once(at=moment)


_racing: list[bool] = []
_networks: dict[str, Network] = {}
"""Those that are more than the sandbox as it is, by environment; forgotten after each test."""


def register(network: Network) -> None:
    """Have an environment's verbs find this network until :func:`forget_all`."""
    _networks[network.environment_id] = network


def forget_all() -> None:
    """Forget every network of a test."""
    _networks.clear()


def network_of(environment: Environment | str) -> Network:
    """Return the network of an environment; the sandbox, unless another was registered."""
    from flint.testing.processors.sandbox import SandboxNetwork

    environment_id = environment if isinstance(environment, str) else environment.id
    return _networks.get(environment_id) or SandboxNetwork(environment_id)


def settled_in_trouble(environment: Environment | str, *, at: datetime | None = None) -> bool:
    """Settle an environment whose network is in trouble, and tell whether it was; in a race, that waits for its end."""
    network = network_of(environment)
    if not network.is_troubled or _racing:
        return False
    network.settle(at=at)
    return True


def settle_all(*, at: datetime | None = None) -> None:
    """Settle every environment whose network is in trouble."""
    for environment_id in list(_networks):
        settled_in_trouble(environment_id, at=at)


@contextmanager
def racing() -> Iterator[None]:
    """Settle nothing inside the block, where several are at it at once, and everything that is in trouble after it."""
    _racing.append(True)
    try:
        yield
    finally:
        _racing.pop()
    settle_all()
