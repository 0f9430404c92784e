"""The table of drift cases says nothing that the tree does not hold."""

import re
from pathlib import Path

import pytest
from django.conf import settings

ROOT = Path(settings.BASE_DIR)
TABLE = ROOT / "flint" / "docs" / "drift-cases.md"
ROWS = re.findall(r"^\| D-(\d{3}) \| ([^|]+) \| ([^|]+) \|$", TABLE.read_text(), re.MULTILINE)
NAMED = re.compile(r"`([\w/]+\.py)::(\w+)`")
ROOMS = ("flint", "orders", "invoices", "payments", "refunds")


def names_in(path: Path) -> set[str]:
    return set(re.findall(r"^ *def (test_\w+)\(", path.read_text(), re.MULTILINE))


def test_every_case_has_one_row_in_order():
    numbers = [int(number) for number, _, _ in ROWS]

    assert len(numbers) == 126
    assert numbers == sorted(set(numbers))


@pytest.mark.parametrize(("number", "covered"), [(number, covered) for number, _, covered in ROWS])
def test_every_test_that_a_row_names_is_there(number, covered):
    named = NAMED.findall(covered)

    missing = [f"{path}::{name}" for path, name in named if name not in names_in(ROOT / path)]
    assert not missing, f"D-{number} names tests that do not exist"
    assert named or re.match(r"Arrives with |Does not apply: ", covered), f"D-{number} shows nothing"


def test_every_number_that_a_test_wears_is_a_case():
    cases = {number for number, _, _ in ROWS}
    files = [path for room in ROOMS for path in (ROOT / room).rglob("test_*.py")]
    worn = {
        (number, name)
        for path in files
        for name in names_in(path)
        for number in re.findall(r"(?:^test|(?<=\d))_d(\d{3})(?=_)", name)
    }

    assert {number for number, _ in worn} <= cases, sorted(pair for pair in worn if pair[0] not in cases)
    assert len({number for number, _ in worn}) > 80
