"""
Secrets at rest: sealed with keys that the database does not hold, and never shown by accident once they are read.

``settings.ENCRYPTION_KEYS`` lists texts of any form; each becomes a key by HKDF. The first seals, all unseal, so a new
key is put in front, ``manage.py reseal_secrets`` moves every stored secret to it, and the old one can go after two
days: so long answers are kept to be given again.
"""

import base64
import hmac
from functools import cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.db import models

PURPOSE = b"flint: secrets at rest"


class Unsealable(Exception):
    """None of the keys of this install opens the secret."""


class Secret:
    """A text that shows itself only when asked to, by :meth:`reveal`."""

    __slots__ = ("_sealed",)

    def __init__(self, sealed: str):
        self._sealed = sealed

    @classmethod
    def of(cls, text: str) -> "Secret":
        """Seal a text; no text stays none."""
        return cls(_box(tuple(settings.ENCRYPTION_KEYS)).encrypt(text.encode()).decode() if text else "")

    @property
    def sealed(self) -> str:
        """What may be stored."""
        return self._sealed

    def reveal(self) -> str:
        """Return the text. :raises Unsealable: if it was sealed with a key that is gone."""
        if not self._sealed:
            return ""
        try:
            return _box(tuple(settings.ENCRYPTION_KEYS)).decrypt(self._sealed.encode()).decode()
        except InvalidToken:
            raise Unsealable("a stored secret was sealed with a key that FLINT_ENCRYPTION_KEYS lacks") from None

    def __bool__(self) -> bool:
        return bool(self._sealed)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self.reveal().encode(), other.reveal().encode())

    __hash__ = None

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__


class SealedField(models.TextField):
    """A column that holds sealed text. It takes a text or a :class:`Secret`, and gives a :class:`Secret`."""

    def from_db_value(self, value: str | None, expression, connection) -> Secret | None:
        return None if value is None else Secret(value)

    def to_python(self, value: str | Secret | None) -> Secret | None:
        return value if value is None or isinstance(value, Secret) else Secret.of(value)

    def get_prep_value(self, value: str | Secret | None) -> str | None:
        secret = self.to_python(value)
        return secret if secret is None else secret.sealed

    def value_to_string(self, obj: models.Model) -> str:
        return self.get_prep_value(self.value_from_object(obj)) or ""


@cache
def _box(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet(
        Fernet(base64.urlsafe_b64encode(HKDF(SHA256(), length=32, salt=None, info=PURPOSE).derive(key.encode())))
        for key in keys
    )
