"""
Misfortune on cue.

    faults.plan(on="confirm", fault="lose_answer")         done, but the connection closes instead of an answer
    faults.plan(on="refund", fault="drop")                 the connection closes, and nothing was done
    faults.plan(on="capture", fault="error", status=500)   an error instead; remembered like any answer from 500 up
    faults.plan(on="confirm", fault="error", status=500, after=True)     the same, but it was done
    faults.plan(on="any", fault="slow")                    done, and the answer waits until ``release()``
    faults.plan(on="retrieve", fault="garbage")            a page of some proxy instead of JSON

``ask`` is a retrieve or a list, ``any`` any call.
"""

from dataclasses import dataclass, field
from threading import Event, Lock
from typing import Any, Literal

CALLS = (
    "confirm",
    "capture",
    "cancel",
    "refund",
    "setup",
    "customer",
    "attach",
    "detach",
    "retrieve",
    "list",
    "balance",
    "ask",
    "any",
)
ASKS = ("retrieve", "list")


@dataclass
class Fault:
    """One plan. ``left`` is None for one that stays until it is cleared."""

    on: str
    kind: Literal["lose_answer", "drop", "error", "slow", "garbage"]
    left: int | None
    options: dict[str, Any]
    gate: Event = field(default_factory=Event)


class Faults:
    """Plans queue up; the oldest that fits a call is used."""

    def __init__(self):
        self.lock = Lock()
        self.plans: list[Fault] = []
        self.used: list[Fault] = []

    def plan(self, *, on: str, fault: str, times: int | None = 1, **options: Any) -> Fault:
        """Let something go wrong the next ``times`` times. :raises ValueError: if there is no such call."""
        if on not in CALLS:
            raise ValueError(f"{on} is none of {CALLS}")
        planned = Fault(on, fault, times, options)
        with self.lock:
            self.plans.append(planned)
        return planned

    def take(self, call: str) -> Fault | None:
        """Return the plan for a call, using it up by one."""
        with self.lock:
            for fault in self.plans:
                if (fault.on in (call, "any") or (fault.on == "ask" and call in ASKS)) and fault.left != 0:
                    if fault.left is not None:
                        fault.left -= 1
                    self.used.append(fault)
                    return fault
        return None

    def clear(self) -> None:
        """Forget all plans, and let go of what waits."""
        with self.lock:
            self.plans.clear()
        self.release()

    def release(self) -> None:
        """Let every slow answer go out now."""
        for fault in self.used:
            fault.gate.set()
