"""Splits of a refund: nothing is lost, nothing is given twice, and a whole given back in steps is exactly the whole."""

from fractions import Fraction
from itertools import permutations, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orders.splitting import LineParts, line_parts, line_units
from refunds.splitting import Part, Tender, over_tenders, spread

quick = settings(max_examples=300, deadline=None, database=None, derandomize=True)
amounts = st.one_of(st.integers(0, 20), st.integers(0, 100_000), st.integers(0, 999_999_999_999))


def compositions(total: int) -> list[list[int]]:
    """Return every way to take a total in steps of at least one."""
    return [[]] if not total else [[n, *rest] for n in range(1, total + 1) for rest in compositions(total - n)]


# Untargeted amounts


@st.composite
def parts_and_amount(draw) -> tuple[list[Part], int]:
    remaining = draw(st.lists(st.tuples(amounts, st.booleans()), max_size=8))
    parts = [Part(i, amount, last) for i, (amount, last) in enumerate(remaining)]
    return parts, draw(st.integers(0, sum(part.remaining for part in parts)))


def spread_again(amount: int, parts: list[Part]) -> dict:
    """Spread a second time, unit by unit: each to the part furthest below its exact quota."""
    given_to = {part.key: 0 for part in parts}
    shared = [part for part in parts if not part.last]
    room = sum(part.remaining for part in shared)
    now = min(amount, room)
    quotas = {part.key: Fraction(now * part.remaining, room) if room else Fraction(0) for part in shared}
    for key, quota in quotas.items():
        given_to[key] = int(quota)
    for _ in range(now - sum(given_to.values())):
        given_to[max(quotas, key=lambda key: quotas[key] - given_to[key])] += 1
    for part in parts:
        if part.last:
            given_to[part.key] = min(part.remaining, amount - sum(given_to.values()))
    return {key: amount for key, amount in given_to.items() if amount}


@quick
@given(parts_and_amount())
def test_an_amount_is_spread_in_full_and_never_above_what_remains(case):
    parts, amount = case

    result = spread(amount, parts)

    remaining = {part.key: part.remaining for part in parts}
    assert sum(result.values()) == amount
    assert all(0 < back <= remaining[key] for key, back in result.items())
    if any(part.last and part.key in result for part in parts):
        assert all(result.get(part.key, 0) == part.remaining for part in parts if not part.last)


@quick
@given(parts_and_amount())
def test_spreading_agrees_with_a_second_calculation(case):
    parts, amount = case

    assert spread(amount, parts) == spread_again(amount, parts)


def test_spreading_agrees_with_a_second_calculation_on_every_small_case():
    for remaining in product(range(5), repeat=3):
        for last in product([False, True], repeat=3):
            parts = [Part(i, *pair) for i, pair in enumerate(zip(remaining, last, strict=True))]
            for amount in range(sum(remaining) + 1):
                assert spread(amount, parts) == spread_again(amount, parts)


def test_a_whole_spread_in_any_steps_ends_at_exactly_zero():
    for steps in compositions(9):
        remaining = {"a": 3, "b": 1, "tip": 3, "flat": 2}
        for step in steps:
            for key, back in spread(step, [Part(key, left, key == "flat") for key, left in remaining.items()]).items():
                remaining[key] -= back
            assert min(remaining.values()) >= 0
        assert set(remaining.values()) == {0}


def test_a_flat_tax_is_touched_only_when_all_else_is_given_back():
    parts = [Part("flat", 28, last=True), Part("a", 600), Part("b", 300)]

    assert spread(900, parts) == {"a": 600, "b": 300}
    assert spread(928, parts) == {"a": 600, "b": 300, "flat": 28}


def test_a_tied_unit_goes_to_the_earlier_part():
    assert spread(1, [Part("a", 5), Part("b", 5)]) == {"a": 1}


def test_the_published_refund_gives_back_its_share_of_the_tip():
    assert spread(1_000, [Part("goods", 4_500), Part("tip", 500)]) == {"goods": 900, "tip": 100}


@pytest.mark.parametrize("amount", [-1, 11])
def test_an_amount_that_does_not_fit_the_parts_is_refused(amount):
    with pytest.raises(ValueError, match="does not fit"):
        spread(amount, [Part("a", 7), Part("flat", 3, last=True)])


def test_a_part_that_was_given_back_too_often_is_refused():
    with pytest.raises(ValueError, match="does not fit"):
        spread(1, [Part("a", 7), Part("flat", -3, last=True)])


# Over tenders


def over_tenders_again(pieces, tenders) -> list[tuple]:
    """Lay pieces and tenders side by side on one line of units, and see which unit meets which."""
    piece_of = [key for key, amount in pieces for _ in range(amount)]
    tender_of = [tender.key for tender in tenders for _ in range(tender.refundable)]
    met = list(zip(tender_of, piece_of, strict=False))
    return [(tender, piece, met.count((tender, piece))) for tender, piece in dict.fromkeys(met)]


def test_tenders_are_filled_in_sequence_on_every_small_case():
    for sizes in product(range(4), repeat=3):
        for rooms in product(range(6), repeat=3):
            pieces, tenders = list(zip("abc", sizes, strict=True)), [Tender(i, room) for i, room in enumerate(rooms)]
            if sum(sizes) <= sum(rooms):
                assert over_tenders(pieces, tenders) == over_tenders_again(pieces, tenders)
            else:
                with pytest.raises(ValueError, match="do not fit"):
                    over_tenders(pieces, tenders)


@quick
@given(st.lists(amounts, max_size=8), st.lists(amounts, max_size=5), amounts)
def test_every_piece_is_on_tenders_in_full_and_no_tender_gives_too_much(sizes, rooms, extra):
    rooms.append(max(sum(sizes) - sum(rooms), 0) + extra)
    rows = over_tenders(list(enumerate(sizes)), [Tender(i, room) for i, room in enumerate(rooms)])

    assert all(amount > 0 for _, _, amount in rows)
    for i, size in enumerate(sizes):
        assert sum(amount for _, piece, amount in rows if piece == i) == size
    used = [sum(amount for tender, _, amount in rows if tender == i) for i in range(len(rooms))]
    assert all(amount <= room for amount, room in zip(used, rooms, strict=True))
    last = max((i for i, amount in enumerate(used) if amount), default=0)
    assert used[:last] == rooms[:last]


def test_pieces_in_any_order_end_at_exactly_zero():
    for pieces in permutations([("a", 5), ("b", 3), ("tip", 2), ("flat", 1)]):
        left = {"card": 6, "transfer": 5}
        for piece in pieces:
            for tender, _, amount in over_tenders([piece], [Tender(key, room) for key, room in left.items()]):
                left[tender] -= amount
        assert left == {"card": 0, "transfer": 0}


def test_a_piece_may_lie_on_two_tenders():
    rows = over_tenders([("line", 700), ("tip", 300)], [Tender("late", 500), Tender("early", 800)])

    assert rows == [("late", "line", 500), ("early", "line", 200), ("early", "tip", 300)]


@pytest.mark.parametrize(("piece", "room"), [(5, 4), (-1, 4), (0, -1)])
def test_pieces_that_do_not_fit_the_tenders_are_refused(piece, room):
    with pytest.raises(ValueError, match="do not fit"):
        over_tenders([("a", piece)], [Tender("card", room)])


# Units and parts of a line


def test_units_in_any_steps_are_worth_exactly_the_line():
    for total, steps in product([0, 1, 6, 7, 100, 17_925], compositions(7)):
        done, back = 0, 0
        for units in steps:
            back += line_units(total, 7, done, units)
            done += units
            assert 0 <= total * done - back * 7 < 7, "a whole minor unit away from the even share"
        assert back == total


@pytest.mark.parametrize(("refunded", "units"), [(0, 4), (3, 1), (2, -1), (-1, 1)])
def test_units_that_a_line_does_not_have_are_refused(refunded, units):
    with pytest.raises(ValueError, match="of 3"):
        line_units(10_000, 3, refunded, units)


@st.composite
def a_line_and_steps(draw) -> tuple[LineParts, list[int]]:
    subtotal = draw(amounts)
    discount = draw(st.one_of(st.just(0), st.integers(0, subtotal)))
    line = LineParts(subtotal, discount, draw(st.one_of(st.just(0), st.integers(0, 2 * (subtotal - discount)))))
    stops = sorted(draw(st.lists(st.integers(0, line.total), max_size=6)))
    return line, [stop - start for start, stop in zip([0, *stops], [*stops, line.total], strict=True)]


def assert_steps_are_the_line(line: LineParts, steps: list[int]) -> None:
    done, back = 0, []
    for step in steps:
        part = line_parts(line, done, step)
        assert part.total == step
        assert min(part.subtotal, part.discount, part.tax) >= 0
        done += step
        back.append(part)
    if line.total:
        assert sum(part.subtotal for part in back) == line.subtotal
        assert sum(part.discount for part in back) == line.discount
        assert sum(part.tax for part in back) == line.tax


@quick
@given(a_line_and_steps())
def test_a_line_given_back_in_steps_is_exactly_the_line(case):
    assert_steps_are_the_line(*case)


def test_every_small_line_given_back_in_every_way_is_exactly_the_line():
    for subtotal, discount, tax in product(range(6), range(6), range(4)):
        line = LineParts(subtotal, discount, tax)
        if discount <= subtotal and 0 < line.total <= 7 and (tax == 0 or discount < subtotal):
            for steps in compositions(line.total):
                assert_steps_are_the_line(line, steps)


def test_a_line_worth_nothing_gives_nothing_back():
    free = LineParts(1_000, 1_000, 0)

    assert line_parts(free, 0, 0) == LineParts(0, 0, 0)
    assert line_units(0, 3, 1, 2) == 0
    with pytest.raises(ValueError, match="of 0"):
        line_parts(free, 0, 1)


@pytest.mark.parametrize(("refunded", "amount"), [(0, 1_101), (1_000, 101), (0, -1), (-1, 1)])
def test_an_amount_that_a_line_does_not_have_is_refused(refunded, amount):
    with pytest.raises(ValueError, match="of 1100"):
        line_parts(LineParts(1_000, 0, 100), refunded, amount)


# Drift: where comparable systems lost the truth


def test_d139_a_returned_line_takes_its_share_of_the_discount_along():
    first, second = LineParts(15_000, 3_000, 0), LineParts(6_000, 1_200, 0)

    assert line_parts(first, 0, line_units(first.total, 1, 0, 1)) == LineParts(15_000, 3_000, 0)
    assert line_parts(second, 0, 4_800).total == 4_800


def test_d146_ten_units_at_once_or_one_by_one_are_the_same_money():
    at_once = line_units(17_925, 10, 0, 10)
    one_by_one = [line_units(17_925, 10, unit, 1) for unit in range(10)]

    assert at_once == sum(one_by_one) == 17_925
    assert one_by_one == [1_792, 1_793] * 5


def test_d147_the_last_of_three_equal_parts_takes_the_cent():
    assert [line_units(10_000, 3, unit, 1) for unit in range(3)] == [3_333, 3_333, 3_334]
