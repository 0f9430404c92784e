"""
The kinds of messages, and what each says. Rooms to the right add their own:

    @says("refund", label="Refund")
    def refund(message: Message, language: Language) -> Letter: ...
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from flint.languages import Language
from payments.checkout.summary import Row
from payments.models import Message


class Unneeded(Exception):
    """There is nothing to say any more; ``reason`` is kept with the message."""

    def __init__(self, reason: str):
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Letter:
    """What a message says, in the buyer's language: plain text everywhere, made into HTML by the template alone."""

    subject: str
    heading: str
    text: Sequence[str] = ()
    lines: Sequence[Row] = ()
    sums: Sequence[Row] = ()
    facts: Sequence[Row] = ()
    button: str = ""
    url: str = ""
    closing: Sequence[str] = ()


Writer = Callable[[Message, Language], Letter]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of message: what staff call it, and who writes it. One that staff ask for cannot be switched off."""

    name: str
    label: str
    write: Writer
    can_be_muted: bool = True


kinds: dict[str, Kind] = {}


def says(name: str, *, label: str, can_be_muted: bool = True) -> Callable[[Writer], Writer]:
    """Register the function that writes a kind of message. It may raise :class:`Unneeded`."""

    def register(writer: Writer) -> Writer:
        kinds[name] = Kind(name, label, writer, can_be_muted)
        return writer

    return register


def label_of(name: str) -> str:
    """Return what staff call a kind of message."""
    return kinds[name].label if name in kinds else name.replace("_", " ").capitalize()
