"""How one kind of object is compared: the registry, and what a comparison has at hand while it looks."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, ClassVar

import structlog
from django.db.models import QuerySet

from flint.actors import Actor
from flint.money import Money
from payments.processors.base import DoesNotFit, NoAnswer, Processor, Unreachable
from payments.reconciling.differences import Found

log = structlog.get_logger(__name__)


class Look:
    """
    One environment seen side by side with its processor over ``[since, until)``, and what was found of one batch.

    ``alive`` is called before each question to the processor; it raises when somebody else has taken the run over.
    """

    def __init__(
        self,
        processor: Processor,
        *,
        actor: Actor,
        since: datetime,
        until: datetime,
        at: datetime,
        alive: Callable[[], None] = lambda: None,
    ):
        self.processor = processor
        self.actor = actor
        self.environment_id = actor.environment_id
        self.since, self.until, self.at = since, until, at
        self.alive = alive
        self.found: list[Found] = []
        self.imported = 0

    def differs(
        self,
        reference: str,
        problem: str,
        text: str,
        *,
        ours: Money | None = None,
        theirs: Money | None = None,
        order_id: str | None = None,
    ) -> None:
        """Keep that an object differs: ``problem`` is a code, ``text`` a sentence for people."""
        self.found.append(Found(reference, problem, text, ours, theirs, order_id))

    def learn(self, reference: str, record: Callable[[], bool], *, theirs: Money | None = None) -> bool:
        """
        Import one object: ``record`` books it and tells whether that changed anything.

        Return False if it did not fit or broke; the difference is kept, and the next object is looked at.

        :raises Unreachable, NoAnswer: if the processor cannot be asked.
        """
        self.alive()
        try:
            self.imported += record()
        except DoesNotFit as mismatch:
            self.differs(reference, "does_not_fit", sentence(str(mismatch)), theirs=theirs)
        except (Unreachable, NoAnswer):
            # It says nothing about this object: the whole run breaks off, and is taken up again.
            raise
        except Exception as error:
            # One bad row never stops the run: it is on the list, and comes up again in every later run.
            log.exception("reconcile.failed", reference=reference)
            self.differs(reference, "not_importable", f"It could not be booked: {error}"[:2000], theirs=theirs)
        else:
            return True
        return False


class Comparison(ABC):
    """
    Compares one kind of object. Everything comes in batches, each in a constant number of statements.

    States have a ``reference`` and a ``created_at``; rows of ours have an ``id`` and a ``reference``.
    """

    kind: ClassVar[str]

    @abstractmethod
    def listed(self, look: Look, *, until: datetime) -> Iterator[Any]:
        """Go through the processor's objects made in ``[look.since, until)``, newest first."""

    @abstractmethod
    def compare(self, states: Sequence[Any], look: Look) -> None:
        """Compare states with our rows; import what is new, and call ``look.differs`` on what cannot be."""

    @abstractmethod
    def retrieve(self, look: Look, reference: str) -> Any | None:
        """Return one object as the processor has it now, or None."""

    @abstractmethod
    def ours(self, look: Look) -> QuerySet:
        """Return our rows of the window that moved money and name their object by ``reference``."""

    @abstractmethod
    def absent(self, row: Any, look: Look) -> None:
        """Call ``look.differs`` on a row of ours whose object the processor does not have."""


_comparisons: dict[str, Comparison] = {}


def reconciles(kind: str) -> Callable[[type[Comparison]], type[Comparison]]:
    """Register how a kind of object is compared: ``payment``, ``refund``, ``dispute``, ``payout``."""

    def register(comparison: type[Comparison]) -> type[Comparison]:
        comparison.kind = kind
        _comparisons[kind] = comparison()
        return comparison

    return register


def comparisons() -> list[Comparison]:
    """Return every registered comparison, payments first: the others hang on them."""
    return sorted(_comparisons.values(), key=lambda each: each.kind != "payment")


def comparison_of(kind: str) -> Comparison:
    """Return the comparison of a kind. :raises LookupError: if nobody registered one."""
    return _comparisons[kind]


def sentence(text: str) -> str:
    """Write a message of a program as a sentence."""
    return f"{text[:1].upper()}{text[1:]}".rstrip(".") + "."
