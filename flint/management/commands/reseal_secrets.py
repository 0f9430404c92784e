"""``manage.py reseal_secrets``: move every stored secret to the first of the encryption keys."""

import pgtrigger
from django.apps import apps
from django.core.management.base import BaseCommand, CommandError
from django.db import models, transaction

from flint.api.models import IdempotencyRecord
from flint.sealing import SealedField, Secret, Unsealable

BATCH = 500
LEFT = (IdempotencyRecord,)
"""Kept for two days only, and many: the old key stays as long as that."""


class Command(BaseCommand):
    """Run after a new key was put in front of FLINT_ENCRYPTION_KEYS; two days later the old one can go."""

    help = "Seal all stored secrets with the first of FLINT_ENCRYPTION_KEYS."

    def handle(self, *args, **options) -> None:
        try:
            count = sum(reseal(model, names) for model, names in sealed_columns())
        except Unsealable as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"Sealed the secrets of {count} rows anew.")


def sealed_columns() -> list[tuple[type[models.Model], list[str]]]:
    """Return the tables that hold secrets, whatever room they are of, with their columns."""
    found = []
    for model in apps.get_models():
        names = [field.attname for field in model._meta.concrete_fields if isinstance(field, SealedField)]
        if names and model not in LEFT:
            found.append((model, names))
    return found


def reseal(model: type[models.Model], names: list[str]) -> int:
    """Seal the secrets of a table anew, a batch at a time; return of how many rows."""
    rows, last, count = model._base_manager.only("pk", *names).order_by("pk"), "", 0
    while True:
        # What a secret says stays the same, so rows that are frozen may be sealed anew as well.
        with transaction.atomic(), pgtrigger.ignore():
            batch = list((rows.filter(pk__gt=last) if last else rows).select_for_update(of=("self",))[:BATCH])
            for row in batch:
                held = {name: getattr(row, name) for name in names}
                anew = {name: Secret.of(secret.reveal()) for name, secret in held.items() if secret}
                if anew:
                    model._base_manager.filter(pk=row.pk).update(**anew)
                    count += 1
        if len(batch) < BATCH:
            return count
        last = batch[-1].pk
