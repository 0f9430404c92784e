"""JSON in and out: strict, exact, and never more than a refusal."""

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flint.api import wire
from flint.money import Money


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"{'a': 1}",
        b'{"a": 1,}',
        b'{"a": 1} {"b": 2}',
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": -Infinity}',
        b'{"a": 1, "a": 2}',
        b'{"x": {"a": 1, "a": 1}}',
        b'{"a": 01}',
        b'{"a": "tab\tinside"}',
        b'{"a": "\xff"}',
        b'\xef\xbb\xbf{"a": 1}',
        '{"a": 1}'.encode("utf-16"),
        b'{"a": "\\u0000"}',
        b'{"\\u0000": 1}',
        b'{"a": ["\\ud800"]}',
        b'{"a": "\\udc00\\ud800"}',
        b'{"a": ' + b"9" * 5000 + b"}",
        b'{"a": 1e99999999999999999999}',
        b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"a": ' + b"[" * 600 + b"]" * 600 + b"}",
        b'{"a":' * 40 + b"1" + b"}" * 40,
    ],
)
def test_what_is_not_strict_json_is_refused_by_name(raw):
    with pytest.raises(wire.InvalidJson) as refusal:
        wire.loads(raw)
    assert refusal.value.code == "INVALID_JSON"


def test_numbers_stay_exactly_what_was_written():
    assert wire.loads(b"[1, -0, 9007199254740993, 10.75, 0.1, 1e2]") == [
        1,
        0,
        9007199254740993,
        Decimal("10.75"),
        Decimal("0.1"),
        Decimal("1E+2"),
    ]
    assert isinstance(wire.loads(b"[1.0]")[0], Decimal)


def test_a_proper_surrogate_pair_and_wide_but_shallow_bodies_pass():
    assert wire.loads(b'{"a": "\\ud83d\\ude00"}') == {"a": "😀"}
    assert wire.loads(b'{"a": "\\\\u0000"}') == {"a": "\\u0000"}
    assert len(wire.loads(json.dumps([{"a": [1]}] * 500).encode())) == 500
    nested = 1
    for _ in range(wire.MAX_DEPTH - 1):
        nested = [nested]
    assert wire.loads(json.dumps({"a": nested}).encode()) == {"a": nested}


@given(st.binary(max_size=60) | st.text(max_size=40).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_no_bytes_do_more_than_be_refused(raw):
    with suppress(wire.InvalidJson):
        wire.dumps(wire.canonical(wire.loads(raw)).decode())


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_what_json_can_say_comes_back_the_same(value):
    assert wire.loads(wire.dumps(value)) == value


def test_the_canonical_form_ignores_order_and_nothing_else():
    assert wire.canonical({"a": 1, "b": {"c": 2, "d": 3}}) == wire.canonical({"b": {"d": 3, "c": 2}, "a": 1})
    assert wire.canonical([1, 2]) != wire.canonical([2, 1])
    assert wire.canonical({"a": 1}) != wire.canonical({"a": "1"})
    assert wire.canonical({"a": Decimal("1.5")}) != wire.canonical({"a": Decimal("1.6")})


@pytest.mark.parametrize(
    ("steps", "written"),
    [
        (0, "0"),
        (1, "0.0001"),
        (107_500, "10.75"),
        (100_000, "10"),
        (1_000_000, "100"),
        (-5_000, "-0.5"),
        (123_456, "12.3456"),
    ],
)
def test_percentages_are_written_exactly(steps, written):
    assert wire.dumps({"p": wire.wire_percent(steps)}) == f'{{"p":{written}}}'.encode()


def test_times_are_utc_with_milliseconds():
    at = datetime(2026, 9, 7, 14, 30, 5, 123_987, tzinfo=timezone(timedelta(hours=2)))
    assert wire.timestamp(at) == "2026-09-07T12:30:05.123Z"
    assert (
        wire.dumps([at, datetime(2026, 1, 1, tzinfo=UTC)]) == b'["2026-09-07T12:30:05.123Z","2026-01-01T00:00:00.000Z"]'
    )


def test_money_has_its_form_everywhere():
    assert wire.dumps({"m": Money(-5, "EUR")}) == b'{"m":{"amount":-5,"currency":"EUR"}}'
    with pytest.raises(TypeError):
        wire.dumps({"x": object()})
