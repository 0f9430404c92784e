"""Who did it. Every verb takes an actor, every query starts from the actor's environment, every event names one."""

from dataclasses import dataclass, field, replace
from typing import Literal

Kind = Literal["key", "staff", "customer", "processor", "system"]


@dataclass(frozen=True, slots=True)
class Command:
    """The client's own name for one wish: its idempotency key and a digest of what it asked."""

    key: str
    digest: str


@dataclass(frozen=True, slots=True)
class Actor:
    """
    Who acts, in which environment, and on account of which request.

    ``id`` is the key's or the staff user's id, a customer's checkout session, or the processor's name; ``label`` is for
    people. A customer has an ``order_id``, the one order that it acts on, and sees nothing but that. ``customer_id`` is
    the customer that its checkout acts for, if any; ``only_attempt_id`` the one attempt that it may still go on with;
    ``rights`` what else its session allows.
    """

    kind: Kind
    environment_id: str
    id: str = ""
    label: str = ""
    request_id: str = ""
    order_id: str = ""
    customer_id: str = ""
    only_attempt_id: str = ""
    rights: frozenset[str] = frozenset()
    command: Command | None = field(default=None, compare=False)

    @property
    def is_buyer(self) -> bool:
        """Whether it is a customer in a checkout, who may act on one order."""
        return self.kind == "customer"

    def with_command(self, command: Command) -> "Actor":
        """Return the same actor, acting for one idempotent command."""
        return replace(self, command=command)


def system(environment_id: str, label: str = "Flint") -> Actor:
    """Return Flint itself: a sweep, an expiry, a policy."""
    return Actor(kind="system", environment_id=environment_id, id="system", label=label)


def processor(environment_id: str, name: str) -> Actor:
    """Return a processor that told us a fact."""
    return Actor(kind="processor", environment_id=environment_id, id=name, label=name)
