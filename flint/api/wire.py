"""JSON as it travels: strict and exact on the way in, orjson on the way out."""

import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, NoReturn

import orjson

from flint.errors import InvalidInput
from flint.money import Money

MAX_DEPTH = 32
"""How many objects and arrays may sit inside each other; the contract's own shapes need six."""

UNSTORABLE = re.compile(rb"\\u(?:0000|[dD][89a-fA-F][0-9a-fA-F]{2})")
"""Escapes that may stand for what PostgreSQL or UTF-8 cannot hold: NUL, and halves of surrogate pairs."""


class InvalidJson(InvalidInput):
    code = "INVALID_JSON"
    message = "The body is not JSON as this API takes it."


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise InvalidJson("A name occurs twice in one object; which of the two was meant cannot be known.")
    return members


def _no_constant(name: str) -> NoReturn:
    raise InvalidJson(f"{name} is not JSON.")


# A number with a fraction or an exponent stays exactly what was written: a Decimal, which only percentages accept.
_decoder = json.JSONDecoder(object_pairs_hook=_object, parse_float=Decimal, parse_constant=_no_constant)


def loads(raw: bytes) -> Any:
    """
    Read JSON without guessing: no duplicate names, no NaN, nothing that cannot be stored, no bottomless nesting.

    Whole numbers are ``int``, all others exact ``Decimal``, so a float cannot pass for an integer.

    :raises InvalidJson: with the reason.
    """
    try:
        value = _decoder.decode(raw.decode())
    except UnicodeDecodeError:
        raise InvalidJson("The body is not UTF-8.") from None
    except json.JSONDecodeError as error:
        raise InvalidJson(f"The body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}.") from None
    except RecursionError:
        raise InvalidJson("The body is nested too deeply.") from None
    except (ValueError, ArithmeticError):
        raise InvalidJson("The body holds a number that is too long.") from None
    if raw.count(b"{") + raw.count(b"[") > MAX_DEPTH:
        _check_depth(value)
    if UNSTORABLE.search(raw):
        _check_text(value)
    return value


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    return value if isinstance(value, list) else []


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [child for parent in level for child in _children(parent)]
        if not level:
            return
    raise InvalidJson("The body is nested too deeply.")


def _check_text(value: Any) -> None:
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str) and not is_storable(item):
            raise InvalidJson("A text holds a NUL character or half of a surrogate pair.")
        waiting.extend(_children(item))


def is_storable(text: str) -> bool:
    """Tell whether PostgreSQL can hold a text: no NUL, and nothing that UTF-8 cannot encode."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def canonical(value: Any) -> bytes:
    """Write parsed JSON so that equal requests give equal bytes, however their members were ordered."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str).encode()


def timestamp(at: datetime) -> str:
    """Write a time as the contract does: RFC 3339, UTC, milliseconds."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def wire_money(money: Money) -> dict[str, int | str]:
    """Write money as the contract does: minor units and currency."""
    return {"amount": money.amount, "currency": money.currency}


def percent_text(ten_thousandths: int) -> str:
    """Write a percentage, held in ten-thousandths of a percent, in digits: 107500 is ``10.75``."""
    sign, (whole, rest) = "-" if ten_thousandths < 0 else "", divmod(abs(ten_thousandths), 10_000)
    return f"{sign}{whole}.{rest:04d}".rstrip("0").rstrip(".")


@lru_cache(maxsize=4096)
def wire_percent(ten_thousandths: int) -> orjson.Fragment:
    """Write a percentage as an exact JSON number; see :func:`percent_text`."""
    return orjson.Fragment(percent_text(ten_thousandths))


def _default(value: Any) -> Any:
    if isinstance(value, Money):
        return wire_money(value)
    if isinstance(value, datetime):
        return timestamp(value)
    if isinstance(value, frozenset | set):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} has no form on the wire")


def dumps(value: Any) -> bytes:
    """Write JSON. Money and times take the contract's form by themselves."""
    return orjson.dumps(value, default=_default, option=orjson.OPT_PASSTHROUGH_DATETIME)
