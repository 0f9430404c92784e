"""What idempotency keys were used for, and what was answered."""

from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Any

from flint.testing.stripe_server.errors import ApiError

REMEMBERED_FOR = 24 * 3600

Answer = tuple[int, dict[str, Any]]


@dataclass
class Entry:
    """One key: the request it came with, and the answer once there is one."""

    endpoint: str
    params: dict[str, Any]
    since: int
    answer: Answer | None = None


class Memory:
    """
    Answers are kept for a day, errors and 500s included, from the moment a call began to be carried out. What was
    turned down before that, by its form or because another call with the key was under way, is not kept.
    """

    def __init__(self, now: Callable[[], int]):
        self.now = now
        self.lock = Lock()
        self.entries: dict[tuple[str, str], Entry] = {}

    def begin(self, scope: str, key: str, endpoint: str, params: dict[str, Any]) -> Answer | None:
        """
        Take a key for a call, or return what it was answered before.

        :raises ApiError: ``idempotency_error`` if it was used for another call, or one is under way with it.
        """
        with self.lock:
            entry = self.entries.get((scope, key))
            if entry and self.now() - entry.since >= REMEMBERED_FOR:
                entry = None
            if entry is None:
                self.entries[scope, key] = Entry(endpoint, params, self.now())
                return None
            if entry.endpoint != endpoint:
                raise _mismatch("endpoint it was first used for")
            if entry.params != params:
                raise _mismatch("parameters it was first used with")
            if entry.answer is None:
                raise ApiError(
                    409,
                    "idempotency_error",
                    "There is another request in progress with this key.",
                    code="idempotency_key_in_use",
                )
            return entry.answer

    def end(self, scope: str, key: str, answer: Answer | None) -> None:
        """Keep an answer, or with none forget that the key was ever used."""
        with self.lock:
            if answer is None:
                self.entries.pop((scope, key), None)
            else:
                self.entries[scope, key].answer = answer


def _mismatch(what: str) -> ApiError:
    return ApiError(400, "idempotency_error", f"Keys for idempotent requests can only be used with the {what}.")
