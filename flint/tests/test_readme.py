"""What the README promises by name is there, and what is there by name is in the README."""

import re

import pytest
from django.conf import settings

from flint import settings as settings_page
from flint.merchants.models import Role
from flint.merchants.staff import ROLE_RIGHTS, Right
from payments.processors.sandbox.tokens import BEHAVIOURS

README = (settings.BASE_DIR / "README.md").read_text()


def rows_of(heading: str) -> list[list[str]]:
    """Return the cells of the first table under a heading, without its head."""
    section = README.split(f" {heading}\n", 1)[1]
    table = re.search(r"(?:^\|.*\n)+", section, re.M)[0].splitlines()
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in table if not row.startswith("| ---")]


def test_every_variable_of_the_settings_is_explained():
    read = set(re.findall(r"^    ([A-Z_]{6,}) ", settings_page.__doc__, re.M))
    told = {re.search(r"`(\w+)`", row[0])[1] for row in rows_of("Configuration")[1:]}
    assert told - {"FLINT_PORT"} == read


def test_the_roles_are_as_the_admin_has_them():
    head, *rows = rows_of("Who may do what in the admin")
    told = {
        (role, re.search(r"`(\w+)`", row[0])[1])
        for row in rows
        for role, cell in zip(head[1:], row[1:], strict=True)
        if cell
    }
    assert told == {(role, right.value) for role, rights in ROLE_RIGHTS.items() for right in rights}
    assert set(head[1:]) == set(Role.values)
    assert len(rows) == len(Right)


def test_every_token_of_the_sandbox_is_explained():
    told = set()
    for row in rows_of("The sandbox processor")[1:]:
        first, *others = re.findall(r"`([^`]+)`", row[0])
        stem = re.match(r"pm_(?:card_(?:chargeDeclined)?|usBankAccount_)", first)[0]
        told.add(first)
        for other in others:
            told.add(other if other.startswith("pm_") else stem + other.strip("…_"))
    debit_cards = {"pm_card_visa_debit", "pm_card_mastercard_debit"}
    assert told | debit_cards == {f"pm_{name}" for name in BEHAVIOURS}


@pytest.mark.parametrize("path", re.findall(r"\]\(([^)#:]+)\)", README))
def test_every_file_it_shows_is_there(path):
    assert (settings.BASE_DIR / path).exists()
