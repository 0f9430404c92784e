"""The lists of a link: its lines and its custom fields. Each part keeps its id as long as it is sent along."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from flint.errors import InvalidInput
from flint.ids import new_id
from flint.money import Money

LENGTHS = {"text": 255, "textarea": 1_000}
"""How long an answer may be where the merchant does not say."""


class InvalidLink(InvalidInput):
    code = "INVALID_REQUEST"
    message = "The payment link does not fit together."


def refuse(code: str, message: str, param: str) -> None:
    """:raises InvalidLink: with the code and the message."""
    raise InvalidLink(message, code=code, param=param)


def new_lines(before: Sequence[Mapping[str, Any]], data: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """
    Return the lines that replace those before, as they are kept. One that names its id keeps that, and its key.

    :raises InvalidLink: if an id is not of this link, or an id or a key occurs twice.
    """
    known = {line["id"]: line for line in before}
    _check_ids(data, known, "payment_link_line_item_id", "LINE_ITEM", "line_items")
    given = [item.get("key") or known.get(item.get("payment_link_line_item_id"), {}).get("key") for item in data]
    for index, key in enumerate(given):
        if key is not None and key in given[:index]:
            refuse("DUPLICATE_LINE_ITEM_KEY", "Each line has a key of its own.", f"line_items[{index}].key")
    keys = _with_derived(given, [item["name"] for item in data])
    return [
        {
            "id": item.get("payment_link_line_item_id") or new_id("pli"),
            "key": key,
            "quantity": item.get("quantity", 1),
            **{name: _kept(value) for name, value in item.items() if name not in _LINE_IDENTITY},
        }
        for item, key in zip(data, keys, strict=True)
    ]


_LINE_IDENTITY = ("payment_link_line_item_id", "key", "quantity")


def _with_derived(given: Sequence[str | None], names: Sequence[str]) -> list[str]:
    """Fill in the keys that were left out: the line's name in plain letters, numbered where it is taken."""
    taken = {key for key in given if key}
    keys = []
    for key, name in zip(given, names, strict=True):
        if not key:
            plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:80] or "item"
            key, number = plain, 2
            while key in taken:
                key, number = f"{plain}-{number}", number + 1
            taken.add(key)
        keys.append(key)
    return keys


def new_custom_fields(before: Sequence[Mapping[str, Any]], data: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """
    Return the custom fields that replace those before, in the order they are asked in.

    :raises InvalidLink: if an id is not of this link, an id or a key occurs twice, or parts of a field contradict.
    """
    known = {field["id"]: field for field in before}
    _check_ids(data, known, "payment_link_custom_field_id", "CUSTOM_FIELD", "custom_fields")
    fields = []
    for index, item in enumerate(data):
        param = f"custom_fields[{index}]"
        if item["key"] in [field["key"] for field in fields]:
            refuse("DUPLICATE_CUSTOM_FIELD_KEY", "Each custom field has a key of its own.", f"{param}.key")
        kind, options = item["custom_field_type"], item.get("options", [])
        if kind == "dropdown" and not options:
            refuse("DROPDOWN_OPTIONS_REQUIRED", "A dropdown offers at least one option.", f"{param}.options")
        if kind != "dropdown" and options:
            refuse("CUSTOM_FIELD_OPTION_NOT_APPLICABLE", "Only a dropdown has options.", f"{param}.options")
        if len(set(options)) != len(options):
            refuse("CUSTOM_FIELD_OPTION_DUPLICATE", "An option is offered once.", f"{param}.options")
        if "max_length" in item and kind not in LENGTHS:
            refuse("MAX_LENGTH_NOT_APPLICABLE", "Only texts have a length.", f"{param}.max_length")
        identity = {"id": item.get("payment_link_custom_field_id") or new_id("plf"), "position": index}
        length = {"max_length": item.get("max_length", LENGTHS[kind])} if kind in LENGTHS else {}
        rest = {name: value for name, value in item.items() if name != "payment_link_custom_field_id"}
        fields.append({"required": False, **identity, **length, **rest})
    return sorted(fields, key=lambda field: field["position"])


def _check_ids(data: Sequence[Mapping[str, Any]], known: Mapping[str, Any], name: str, word: str, param: str) -> None:
    seen: set[str] = set()
    for index, item in enumerate(data):
        given = item.get(name)
        if given is None:
            continue
        if given not in known:
            refuse(f"UNKNOWN_PAYMENT_LINK_{word}_ID", "The link has no such part.", f"{param}[{index}].{name}")
        if given in seen:
            refuse(f"DUPLICATE_PAYMENT_LINK_{word}_ID", "Each part is named once.", f"{param}[{index}].{name}")
        seen.add(given)


def _kept(value: Any) -> Any:
    if isinstance(value, Money):
        return {"amount": value.amount, "currency": value.currency}
    return [_kept(each) for each in value] if isinstance(value, list) else value
