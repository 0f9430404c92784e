"""
The kinds of messages, and what each says. The rooms add their own:

    @says("refund", label="Refund", setting="refunds")
    def refund(message: Message, language: Language) -> Letter: ...

    @when_done("invoice")
    def keep_delivery(order: Order, message: Message, at: datetime) -> None: ...
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flint.languages import Language
from flint.messages.models import Message


class Unneeded(Exception):
    """There is nothing to say any more; ``reason`` is kept with the message."""

    def __init__(self, reason: str):
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a summary: what, how much, and a word beside it."""

    label: str
    money: str
    detail: str = ""
    is_strong: bool = False


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that goes with a message. ``read`` makes it when the message is sent, outside of any transaction."""

    name: str
    mime_type: str
    read: Callable[[], bytes]


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
    attachments: Sequence[Attachment] = ()
    reply_to: str = ""
    """Where answers go, if not to the merchant's own address."""


Writer = Callable[[Message, Language], Letter]
Done = Callable[[Any, Message, datetime], None]


@dataclass(frozen=True, slots=True)
class Kind:
    """
    A kind of message: what staff call it, and who writes it.

    ``setting`` is the member of the merchant's settings that says whether Flint sends it. One without always goes out:
    somebody asked for it.
    """

    name: str
    label: str
    write: Writer
    setting: str = ""


kinds: dict[str, Kind] = {}
done: dict[str, Done] = {}


def says(name: str, *, label: str, setting: str = "") -> Callable[[Writer], Writer]:
    """Register the function that writes a kind of message. It may raise :class:`Unneeded`."""

    def register(writer: Writer) -> Writer:
        kinds[name] = Kind(name, label, writer, setting)
        return writer

    return register


def when_done(name: str) -> Callable[[Done], Done]:
    """
    Register a function that is told when a message of a kind went out or never will: its ``status`` says which.

    It is called with the locked order in the transaction that books it, once, so that a room's own rows follow. The
    order's counts are saved after it.
    """

    def register(follow: Done) -> Done:
        done[name] = follow
        return follow

    return register


def label_of(name: str) -> str:
    """Return what staff call a kind of message."""
    return kinds[name].label if name in kinds else name.replace("_", " ").capitalize()
