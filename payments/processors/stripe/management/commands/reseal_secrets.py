"""``manage.py reseal_secrets``: move every stored secret to the first of the encryption keys."""

from django.core.management.base import BaseCommand, CommandError

from flint.sealing import Unsealable
from payments.processors.stripe import accounts


class Command(BaseCommand):
    """Run after a new key was put in front of FLINT_ENCRYPTION_KEYS; then the old one can go."""

    help = "Seal stored processor secrets with the first of FLINT_ENCRYPTION_KEYS."

    def handle(self, *args, **options) -> None:
        try:
            count = accounts.reseal()
        except Unsealable as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"Sealed the secrets of {count} Stripe accounts anew.")
