"""``manage.py connect_stripe``: let an environment collect through a Stripe account."""

from getpass import getpass

from django.core.management.base import BaseCommand, CommandError

from flint.merchants.models import Environment
from payments.processors.stripe import accounts


class Command(BaseCommand):
    """Checks the keys with Stripe, stores them sealed, and says where Stripe's notices must be sent."""

    help = "Connect an environment to a Stripe account, or give it new keys."

    def add_arguments(self, parser) -> None:
        parser.add_argument("--environment", required=True, help="its id, env_…")
        parser.add_argument("--secret-key", required=True, help="sk_… or rk_…; a single - asks for it unseen")
        parser.add_argument("--publishable-key", required=True, help="pk_…")
        parser.add_argument("--webhook-secret", required=True, help="whsec_…; a single - asks for it unseen")
        parser.add_argument("--connected-account", default="", help="acct_…, when a platform's key is used for it")
        parser.add_argument("--api-base", default="", help="a server that speaks Stripe's API, if not Stripe's own")

    def handle(self, *args, **options) -> None:
        environment = Environment.objects.filter(id=options["environment"]).order_by("id").first()
        if environment is None:
            raise CommandError("There is no such environment.")
        try:
            accounts.connect(
                environment_id=environment.id,
                secret_key=_unseen(options["secret_key"], "Secret key: "),
                publishable_key=options["publishable_key"],
                webhook_secret=_unseen(options["webhook_secret"], "Webhook secret: "),
                connected_account_id=options["connected_account"],
                api_base=options["api_base"],
            )
        except accounts.InvalidStripeKeys as refusal:
            raise CommandError(refusal.message) from None
        self.stdout.write(self.style.SUCCESS(f"{environment} now collects through Stripe."))
        self.stdout.write("In Stripe, let a webhook endpoint send payment_intent.*, charge.* (with charge.dispute.*),")
        self.stdout.write("refund.*, setup_intent.* and payout.* events to")
        self.stdout.write(f"  {accounts.webhook_url(environment.id)}")


def _unseen(value: str, prompt: str) -> str:
    return getpass(prompt) if value == "-" else value
