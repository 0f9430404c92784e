"""Public ids: a prefix, an underscore and a ULID. Time-ordered, unguessable, one form in database and wire."""

import re
import secrets

from django.db import models
from ulid import ULID

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
PATTERN = re.compile(r"^[a-z]{2,8}_[0-9A-HJKMNP-TV-Z]{26}$")


def new_id(prefix: str) -> str:
    """Make a new id, for example ``ord_01J9Z6W2V7Q0M3T8K4B5N6P7R8``."""
    return f"{prefix}_{ULID()}"


def is_id(value: str, prefix: str | None = None) -> bool:
    """Tell whether a text has the form of an id, and of that prefix if one is given."""
    return bool(PATTERN.match(value)) and (prefix is None or value.startswith(f"{prefix}_"))


def new_number() -> str:
    """Make a number for people to read out: ten characters of Crockford's alphabet in two groups."""
    letters = "".join(secrets.choice(ALPHABET) for _ in range(10))
    return f"{letters[:5]}-{letters[5:]}"


class PublicIdField(models.CharField):
    """A primary key that is the public id itself, made when the row is."""

    def __init__(self, *args, prefix: str = "", **kwargs):
        self.prefix = prefix
        kwargs.setdefault("max_length", 40)
        kwargs.setdefault("primary_key", True)
        kwargs.setdefault("editable", False)
        super().__init__(*args, **kwargs)

    def deconstruct(self):
        name, path, args, kwargs = super().deconstruct()
        kwargs["prefix"] = self.prefix
        return name, path, args, kwargs

    def has_default(self) -> bool:
        return True

    def get_default(self) -> str:
        return new_id(self.prefix)
