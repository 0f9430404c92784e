"""Texts, and words of closed lists."""

import re
import zoneinfo
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError as DjangoValidationError
from django.core.validators import validate_email

from flint.api import wire
from flint.api.fields.base import CodedField
from flint.pictures import MOST_BYTES, BadPicture, read_picture


class StrictString(CodedField):
    """A text, exactly as sent. Empty only where ``min_length`` is 0."""

    codes = {
        "type": "INVALID_REQUEST",
        "too_short": "INVALID_REQUEST",
        "too_long": "VALUE_TOO_LONG",
        "format": "INVALID_REQUEST",
    }
    default_error_messages = {
        "type": "This field is a text.",
        "blank": "This field is not empty.",
        "too_short": "This field has at least {min_length} characters.",
        "too_long": "This field has at most {max_length} characters.",
        "format": "This field does not have the form it should.",
    }

    def __init__(self, *, min_length: int = 1, max_length: int = 255, pattern: str | None = None, **kwargs):
        self.min_length, self.max_length = min_length, max_length
        self.pattern = pattern
        super().__init__(**kwargs)

    def possible_codes(self):
        return super().possible_codes() | ({self.code_for("blank")} if self.min_length else set())

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str) or not wire.is_storable(data):
            self.fail("type")
        if not data and self.min_length:
            self.fail("blank")
        if len(data) < self.min_length:
            self.fail("too_short", min_length=self.min_length)
        if len(data) > self.max_length:
            self.fail("too_long", max_length=self.max_length)
        if self.pattern is not None and not re.fullmatch(self.pattern, data, re.ASCII):
            self.fail("format")
        return data

    def to_representation(self, value: Any) -> str:
        return str(value)

    def openapi(self, schema, direction):
        if direction == "response":
            return {"type": "string"}
        form = {"type": "string", "minLength": self.min_length, "maxLength": self.max_length}
        return form | ({"pattern": f"^(?:{self.pattern})$"} if self.pattern else {})


class IdField(StrictString):
    """An id of one of our rows. Any other text is simply not found, by whoever looks it up."""

    codes = {"type": "INVALID_ID", "too_long": "INVALID_ID", "blank": "INVALID_ID"}

    def __init__(self, prefix: str = "", **kwargs):
        self.prefix = prefix
        super().__init__(**{"max_length": 64, **kwargs})

    def openapi(self, schema, direction):
        if direction == "response" and self.prefix:
            return {"type": "string", "pattern": f"^{self.prefix}_[0-9A-HJKMNP-TV-Z]{{26}}$"}
        return super().openapi(schema, direction)


class ExternalReferenceField(StrictString):
    """The caller's own id of something, 1 to 255 characters."""

    codes = dict.fromkeys(("type", "blank", "too_short", "too_long"), "INVALID_EXTERNAL_REFERENCE_ID")


class EmailField(StrictString):
    """An email address, as sent."""

    codes = dict.fromkeys(("type", "too_long", "format"), "INVALID_EMAIL_FORMAT")

    def to_internal_value(self, data):
        email = super().to_internal_value(data)
        try:
            validate_email(email)
        except DjangoValidationError:
            self.fail("format")
        return email

    def openapi(self, schema, direction):
        return super().openapi(schema, direction) | {"format": "email"}


class PhoneField(StrictString):
    """A telephone number with digits and the usual separators."""

    codes = dict.fromkeys(("type", "too_short", "too_long", "format"), "INVALID_PHONE_FORMAT")

    def __init__(self, **kwargs):
        super().__init__(**{"min_length": 3, "max_length": 30, "pattern": r"\+?[0-9 ()./-]+", **kwargs})


class UrlField(StrictString):
    """
    An address on the web to send somebody to: https, or http on this machine for development.

    Names and passwords in it are refused, as is everything that is no address of a host.
    """

    codes = {
        **dict.fromkeys(("type", "blank", "format"), "INVALID_URL"),
        "too_long": "URL_TOO_LONG",
        "scheme": "INVALID_URL_SCHEME",
        "host": "INVALID_URL_HOST",
    }
    default_error_messages = {
        "format": "This field is an address such as https://example.com/thanks.",
        "scheme": "This address begins with https://; http:// is for this machine alone.",
        "host": "This address names a host, and neither user nor password.",
    }
    LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

    def __init__(self, **kwargs):
        super().__init__(**{"max_length": 2048, "pattern": r"[!-~]+", **kwargs})

    def to_internal_value(self, data):
        url = super().to_internal_value(data)
        try:
            parts = urlsplit(url)
            host = parts.hostname
            _ = parts.port
        except ValueError:
            self.fail("format")
        if "\\" in url:
            self.fail("format")
        if parts.scheme != "https" and not (parts.scheme == "http" and host in self.LOOPBACK):
            self.fail("scheme")
        if not host or "@" in parts.netloc:
            self.fail("host")
        return url

    def openapi(self, schema, direction):
        return super().openapi(schema, direction) | {"format": "uri"}


class CountryField(StrictString):
    """A country by its two ISO 3166-1 letters."""

    codes = dict.fromkeys(("type", "too_short", "too_long", "format"), "INVALID_COUNTRY")

    def __init__(self, **kwargs):
        super().__init__(**{"min_length": 2, "max_length": 2, "pattern": "[A-Z]{2}", **kwargs})


class EnumField(CodedField):
    """One of a closed list of words."""

    codes = {"choice": "INVALID_REQUEST"}
    default_error_messages = {"choice": "This field is one of: {choices}."}

    def __init__(self, choices: Iterable[str], **kwargs):
        self.choices = [str(getattr(choice, "value", choice)) for choice in choices]
        super().__init__(**kwargs)

    def to_internal_value(self, data):
        if not isinstance(data, str) or data not in self.choices:
            self.fail("choice", choices=", ".join(self.choices))
        return data

    def to_representation(self, value):
        return str(value)

    def openapi(self, schema, direction):
        return {"type": "string", "enum": self.choices}


class TimezoneField(StrictString):
    """A time zone of the IANA database, such as ``Europe/Berlin``."""

    codes = dict.fromkeys(("type", "blank", "too_long", "format"), "INVALID_TIMEZONE")
    default_error_messages = {"format": "This field is a time zone of the IANA database, such as Europe/Berlin."}

    def to_internal_value(self, data):
        name = super().to_internal_value(data)
        if name not in zoneinfo.available_timezones():
            self.fail("format")
        return name


class ColorField(StrictString):
    """A colour by its red, green and blue, such as ``#1f4fd8``."""

    codes = dict.fromkeys(("type", "blank", "too_short", "too_long", "format"), "INVALID_COLOR")

    def __init__(self, **kwargs):
        super().__init__(**{"max_length": 7, "pattern": "#[0-9a-fA-F]{6}", **kwargs})


class PictureField(StrictString):
    """A PNG or JPEG in base64, of at most 64 KiB and 2000 pixels a side."""

    codes = dict.fromkeys(("type", "blank", "too_long", "format"), "INVALID_IMAGE")
    default_error_messages = {"too_long": f"A picture has at most {MOST_BYTES // 1024} KiB."}

    def __init__(self, **kwargs):
        super().__init__(**{"max_length": MOST_BYTES * 4 // 3 + 4, **kwargs})

    def to_internal_value(self, data):
        encoded = super().to_internal_value(data)
        try:
            read_picture(encoded)
        except BadPicture as problem:
            self.refuse(self.code_for("format"), str(problem))
        return encoded
