"""Encryption keys are rotated for every room's secrets, frozen documents included."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from flint.events.tests.telling import endpoint_at
from flint.management.commands.reseal_secrets import sealed_columns
from flint.testing import stories
from invoices.models import Invoice
from payments.models import CheckoutSession

NEW = "a new key that is long enough to be one"


@pytest.mark.django_db(transaction=True)
def test_every_secret_is_sealed_anew_and_says_what_it_said(environment, settings):
    old = settings.ENCRYPTION_KEYS[0]
    endpoint, secret = endpoint_at(environment, "https://shop.example.com/hooks")
    invoice = stories.issued_invoice(stories.open_order(environment)).invoice
    session = stories.checkout(stories.open_order(environment)).session
    said = Invoice.objects.get(id=invoice.id).document_link.reveal()
    launch = CheckoutSession.objects.get(id=session.id).launch_secret.reveal()
    settings.ENCRYPTION_KEYS = [NEW, old]
    told = StringIO()
    call_command("reseal_secrets", stdout=told)

    settings.ENCRYPTION_KEYS = [NEW]
    endpoint.refresh_from_db()
    assert endpoint.secret.reveal() == secret
    assert Invoice.objects.get(id=invoice.id).document_link.reveal() == said
    assert CheckoutSession.objects.get(id=session.id).launch_secret.reveal() == launch
    for model, names in sealed_columns():
        for row in model._base_manager.all():
            assert all(getattr(row, name) is None or getattr(row, name).reveal() is not None for name in names)
    assert int(told.getvalue().split(" rows")[0].split()[-1]) >= 3


@pytest.mark.django_db
def test_without_the_old_key_nothing_is_touched(environment, settings):
    endpoint, secret = endpoint_at(environment, "https://shop.example.com/hooks")
    old = settings.ENCRYPTION_KEYS
    settings.ENCRYPTION_KEYS = [NEW]
    with pytest.raises(CommandError, match="FLINT_ENCRYPTION_KEYS"):
        call_command("reseal_secrets", stdout=StringIO())
    settings.ENCRYPTION_KEYS = old
    endpoint.refresh_from_db()
    assert endpoint.secret.reveal() == secret
