"""
The languages that buyers are spoken to in: choosing one, its words, and how it writes amounts and times.

Words are in ``flint/locale/<language>.po``, in the format every translation tool reads; English is the text itself.
They are compiled in memory at their first use, so nothing is built and nothing can be stale.
"""

import io
from dataclasses import dataclass
from datetime import datetime, tzinfo
from functools import cache
from pathlib import Path

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_datetime
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations
from django.http import HttpRequest

from flint.money import Money

NAMES = {"en": "English", "de": "Deutsch", "fr": "Français", "es": "Español"}
LANGUAGES = tuple(NAMES)
FOLDER = Path(__file__).parent / "locale"


def phrase(text: str) -> str:
    """Mark a text that is said elsewhere, so that it is found among those to translate."""
    return text


@dataclass(frozen=True, slots=True)
class Language:
    """One way to speak to a buyer. ``locale`` is the language with the buyer's region, as in ``de_AT``."""

    locale: str

    @property
    def code(self) -> str:
        """The language alone."""
        return self.locale[:2]

    @property
    def tag(self) -> str:
        """The language with its region as HTML writes it, for ``lang`` attributes: ``de-AT``."""
        return self.locale.replace("_", "-")

    def say(self, text: str, **values: object) -> str:
        """Return a text in this language, with ``{name}`` filled in."""
        return _catalogue(self.code).gettext(text).format(**values) if values else _catalogue(self.code).gettext(text)

    def count(self, one: str, many: str, number: int, **values: object) -> str:
        """Return the form of a text that goes with a number, which it may name as ``{number}``."""
        return _catalogue(self.code).ngettext(one, many, number).format(number=number, **values)

    def money(self, money: Money) -> str:
        """Write an amount as people of this region do, with the currency's own digits."""
        return money.text(self.locale)

    def percent(self, steps: int) -> str:
        """Write a percentage that is held in steps of 0.0001 %."""
        whole, rest = divmod(steps, 10_000)
        digits = f"{rest:04d}".rstrip("0")
        if self.code == "en":
            return f"{whole}.{digits}%" if digits else f"{whole}%"
        return f"{whole},{digits}\xa0%" if digits else f"{whole}\xa0%"

    def date(self, moment: datetime, zone: tzinfo) -> str:
        """Write a day out: ``25 November 2026``."""
        return format_date(moment.astimezone(zone), format="long", locale=self.locale)

    def time(self, moment: datetime, zone: tzinfo) -> str:
        """Write a day and the time on it, with the zone's name."""
        local = moment.astimezone(zone)
        return f"{format_datetime(local, format='medium', tzinfo=zone, locale=self.locale)} {local:%Z}"


def language_of(request: HttpRequest) -> Language:
    """
    Choose by ``?locale=``, then by the cookie that remembers an earlier choice, then by ``Accept-Language``.

    What cannot be spoken falls back to English.
    """
    wanted = [request.GET.get("locale", ""), request.COOKIES.get("flint_locale", "")]
    wanted += _accepted(request.headers.get("Accept-Language", ""))
    return next((Language(locale) for locale in map(_known, wanted) if locale), Language("en"))


def _accepted(header: str) -> list[str]:
    """Return the locales of an ``Accept-Language`` header, the best liked first."""
    found = []
    for position, part in enumerate(header[:500].split(",")):
        name, _, parameters = part.strip().partition(";")
        weight = parameters.strip().removeprefix("q=") or "1"
        try:
            liking = -int(weight.replace(".", "", 1).ljust(4, "0")[:4]) if weight.replace(".", "", 1).isdigit() else 0
        except ValueError:
            liking = 0
        found.append((liking, position, name.strip()))
    return [name for _, _, name in sorted(found)]


@cache
def _known(name: str) -> str:
    """Return a locale that is spoken here by its full name, nothing otherwise."""
    if name[:2].lower() not in LANGUAGES or len(name) > 10:
        return ""
    try:
        return str(Locale.parse(name.replace("-", "_")))
    except (UnknownLocaleError, ValueError):
        return name[:2].lower() if not name[2:3].isalpha() else ""


@cache
def _catalogue(code: str) -> NullTranslations:
    if code == "en":
        return NullTranslations()
    with (FOLDER / f"{code}.po").open("rb") as source:
        catalogue = read_po(source, locale=code)
    compiled = io.BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return Translations(compiled)
