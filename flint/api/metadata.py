"""Metadata: a merchant's own flat map of text to text, with the contract's limits."""

from collections.abc import Mapping
from typing import Any

from flint.api.wire import is_storable
from flint.errors import InvalidInput

MAX_PAIRS = 50
MAX_KEY = 256
MAX_VALUE = 4_096
MAX_BYTES = 32_768
RESERVED_PREFIX = "flint_"
CODES = (
    "INVALID_METADATA_KEY",
    "METADATA_KEY_TOO_LONG",
    "METADATA_VALUE_TOO_LONG",
    "METADATA_TOO_MANY_KEYS",
    "METADATA_TOO_LARGE",
    "RESERVED_METADATA_KEY",
)


class InvalidMetadata(InvalidInput):
    code = "INVALID_METADATA"
    message = "Metadata is a flat object of texts."


def problem_of(key: Any, value: Any, *, nullable: bool = False) -> tuple[str, str] | None:
    """Return code and message of what is wrong with one pair, or None. A null value drops a key where allowed."""
    if not key or not is_storable(key):
        return "INVALID_METADATA_KEY", "A metadata key has at least one character and no NUL."
    if len(key) > MAX_KEY:
        return "METADATA_KEY_TOO_LONG", f"A metadata key has at most {MAX_KEY} characters."
    if key.startswith(RESERVED_PREFIX):
        return "RESERVED_METADATA_KEY", f"Keys that begin with {RESERVED_PREFIX} are Flint's own."
    if value is None and nullable:
        return None
    if not isinstance(value, str) or not is_storable(value):
        return "INVALID_METADATA", "A metadata value is a text."
    if len(value) > MAX_VALUE:
        return "METADATA_VALUE_TOO_LONG", f"A metadata value has at most {MAX_VALUE} characters."
    return None


def size_problem_of(metadata: Mapping[str, str]) -> tuple[str, str] | None:
    """Return code and message if the whole map is too large, or None."""
    if len(metadata) > MAX_PAIRS:
        return "METADATA_TOO_MANY_KEYS", f"Metadata has at most {MAX_PAIRS} pairs."
    if sum(len(key.encode()) + len(value.encode()) for key, value in metadata.items()) > MAX_BYTES:
        return "METADATA_TOO_LARGE", f"Keys and values together have at most {MAX_BYTES} bytes of UTF-8."
    return None


def merge(current: Mapping[str, str], patch: Mapping[str, str | None] | None, *, param: str = "metadata") -> dict:
    """
    Return the metadata after a patch: given keys are set, null values drop their key, a null patch clears all.

    :raises InvalidMetadata: with the code of the limit that the result exceeds.
    """
    if patch is None:
        return {}
    merged = {key: value for key, value in {**current, **patch}.items() if value is not None}
    if problem := size_problem_of(merged):
        raise InvalidMetadata(problem[1], code=problem[0], param=param)
    return merged
