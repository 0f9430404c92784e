"""What buyers are told exists in every language, with the same blanks, and is written as their region does."""

import ast
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from string import Formatter

import pytest
from babel.messages.pofile import read_po
from django.conf import settings
from django.test import RequestFactory

from flint.languages import FOLDER, LANGUAGES, Language, language_of
from flint.money import Money

ROOMS = ("flint", "orders", "invoices", "payments", "refunds")
SAID_BY = {"say", "count", "phrase", "BadForm"}
IN_TEMPLATE = re.compile(r"""\{%\s*say\s+(?:"([^"]*)"|'([^']*)')""")
BESIDE_ENGLISH = [code for code in LANGUAGES if code != "en"]


@cache
def said() -> dict[str, str]:
    """Every text that is said to buyers, with a place where it is."""
    return {**dict(in_python()), **dict(in_templates())}


def in_python() -> Iterator[tuple[str, str]]:
    for path in sources("*.py"):
        source = path.read_text()
        for node in ast.walk(ast.parse(source)):
            # A command says things too, but to whoever runs it.
            if not isinstance(node, ast.Call) or "anguage" not in source or ast.unparse(node.func).startswith("self."):
                continue
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            # The plural form is the second text of count(); other arguments fill in blanks, or name a field.
            texts = node.args[: 2 if name == "count" else 1] if name in SAID_BY else []
            for text in texts:
                if isinstance(text, ast.Constant) and isinstance(text.value, str) and len(text.value) > 1:
                    yield text.value, f"{path.name}:{node.lineno}"


def in_templates() -> Iterator[tuple[str, str]]:
    folders = [settings.BASE_DIR / "templates", *(settings.BASE_DIR / room / "templates" for room in ROOMS)]
    for path in (path for folder in folders for path in folder.rglob("*.*")):
        for double, single in IN_TEMPLATE.findall(path.read_text()):
            yield double or single, path.name


def sources(pattern: str) -> Iterator[Path]:
    for room in ROOMS:
        for path in (settings.BASE_DIR / room).rglob(pattern):
            if not {"tests", "migrations", "testing"} & set(path.parts):
                yield path


def blanks(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def test_there_is_something_to_say():
    texts = said()
    assert len(texts) > 80
    assert {"Pay {amount}", "Email", "The card has expired. Check the date, or try another card."} <= set(texts)


@pytest.mark.parametrize("code", BESIDE_ENGLISH)
def test_every_text_is_translated_with_its_blanks(code):
    with (FOLDER / f"{code}.po").open("rb") as source:
        catalogue = read_po(source, locale=code, abort_invalid=True)
    assert [message.id for message in catalogue if message.id and message.fuzzy] == []
    known = {}
    for message in catalogue:
        forms = message.id if isinstance(message.id, tuple) else (message.id,)
        strings = message.string if isinstance(message.string, tuple) else (message.string,) * len(forms)
        known |= dict(zip(forms, strings, strict=False))

    missing = {text: place for text, place in said().items() if not known.get(text)}
    different = {text: known[text] for text in said() if text in known and blanks(text) != blanks(known[text])}
    unsaid = set(known) - set(said()) - {""}

    assert (missing, different, unsaid) == ({}, {}, set())


@pytest.mark.parametrize("code", BESIDE_ENGLISH)
def test_a_language_says_it_in_its_own_words(code):
    same = [text for text in said() if Language(code).say(text) == text and len(text) > 12]
    assert same == []


@pytest.mark.parametrize(
    ("asked", "locale"),
    [
        ("de-AT,de;q=0.9,en;q=0.8", "de_AT"),
        ("fr-CA", "fr_CA"),
        ("es-MX,es;q=0.5", "es_MX"),
        ("nl-NL,nl;q=0.9,de;q=0.5,en;q=0.3", "de"),
        ("en;q=0.1,fr;q=0.7", "fr"),
        ("de-CH-1996, fr;q=0.5", "de_CH"),
        ("es-419", "es_419"),
        ("zh-CN,zh;q=0.9", "en"),
        ("*;q=0.5", "en"),
        ("de;q=high", "de"),
        ("", "en"),
        ("'; DROP TABLE; q=1," * 200, "en"),
    ],
)
def test_the_buyers_browser_says_what_they_read(asked, locale):
    assert language_of(RequestFactory().get("/", headers={"Accept-Language": asked})).locale == locale


def test_a_choice_comes_before_the_browsers_wish():
    request = RequestFactory().get("/", {"locale": "es"}, headers={"Accept-Language": "de"})
    request.COOKIES["flint_locale"] = "fr"
    assert language_of(request).locale == "es"
    request = RequestFactory().get("/", {"locale": "tlh"}, headers={"Accept-Language": "de"})
    request.COOKIES["flint_locale"] = "fr_CA"
    assert language_of(request).locale == "fr_CA"


@pytest.mark.parametrize(
    ("locale", "money", "text"),
    [
        ("en", Money(123_456, "EUR"), "€1,234.56"),
        ("de", Money(123_456, "EUR"), "1.234,56\xa0€"),
        ("de_AT", Money(123_456, "EUR"), "€\xa01.234,56"),
        ("fr", Money(123_456, "EUR"), "1\u202f234,56\xa0€"),
        ("es", Money(1_234_567, "EUR"), "12.345,67\xa0€"),
        ("es_MX", Money(123_456, "MXN"), "$1,234.56"),
        ("de", Money(1_234, "JPY"), "1.234\xa0¥"),
        ("en", Money(1_234_567, "KWD"), "KWD1,234.567"),
        ("fr", Money(-1_500, "KWD"), "-1,500\xa0KWD"),
    ],
)
def test_amounts_are_written_as_in_the_region_with_the_currencys_own_digits(locale, money, text):
    assert Language(locale).money(money) == text


@pytest.mark.parametrize(
    ("locale", "text"),
    [
        ("en", "November 25, 2026"),
        ("en_GB", "25 November 2026"),
        ("de", "25. November 2026"),
        ("fr", "25 novembre 2026"),
        ("es", "25 de noviembre de 2026"),
    ],
)
def test_days_are_written_as_in_the_region(locale, text):
    assert Language(locale).date(datetime(2026, 11, 25, 23, tzinfo=UTC), UTC) == text


@pytest.mark.parametrize(("locale", "texts"), [("en", ["12.5%", "10%"]), ("de", ["12,5\xa0%", "10\xa0%"])])
def test_percentages_are_written_as_in_the_language(locale, texts):
    assert [Language(locale).percent(steps) for steps in (125_000, 100_000)] == texts
