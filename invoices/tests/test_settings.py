"""What a merchant chooses once for all of its invoices: the payment term is one that there is."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connection

from flint.merchants import services
from flint.merchants.settings import section_of
from flint.testing.fixtures import client_of
from invoices.models import InvoicePaymentTerm

PATH = "/v1/settings"
NAME = "default_invoice_payment_term_id"


def term(environment, **columns):
    due = {"type": "net_days", "days": 14}
    return InvoicePaymentTerm.objects.create(environment=environment, name="14 days", calculation=due, **columns)


def test_a_payment_term_of_the_environment_can_be_the_default(api, environment):
    chosen = term(environment).id

    assert api.patch(PATH, {"invoices": {NAME: chosen}}).status_code == 200
    assert section_of(environment.id, "invoices")[NAME] == chosen


@pytest.mark.parametrize(
    ("status", "code"), [(400, "INVALID_INVOICE_PAYMENT_TERM"), (409, "INVOICE_PAYMENT_TERM_UNAVAILABLE")]
)
def test_one_that_no_invoice_could_take_cannot(api, environment, other_api, status, code):
    found = term(other_api.environment) if status == 400 else term(environment, status="archived")

    answer = api.patch(PATH, {"invoices": {NAME: found.id}})

    assert (answer.status_code, answer.code, answer.error["param"]) == (status, code, f"invoices.{NAME}")
    assert section_of(environment.id, "invoices")[NAME] is None


def test_nor_one_of_the_merchants_other_sandbox(api, environment, merchant):
    second = services.create_sandbox(merchant_id=merchant.id, name="Second")

    answer = client_of(second).patch(PATH, {"invoices": {NAME: term(environment).id}})

    assert answer.code == "INVALID_INVOICE_PAYMENT_TERM"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("whose", ["merchant", "customer"])
def test_a_term_that_becomes_a_default_while_it_is_archived_is_not_both(api, environment, whose):
    chosen = term(environment).id
    ada = api.post("/v1/customers", {"email": "ada@buyer.example"}).data["customer_id"]
    gate = Barrier(2)

    def choose():
        if whose == "merchant":
            return api.patch(PATH, {"invoices": {NAME: chosen}})
        return api.patch(f"/v1/customers/{ada}", {NAME: chosen})

    def run(act):
        gate.wait()
        try:
            return act()
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(run, [choose, lambda: api.delete(f"/v1/invoice-payment-terms/{chosen}")]))

    assert sorted(answer.status_code for answer in answers) == [200, 409]
    is_default = NAME in (api.get(PATH).data.get("invoices", {}) | api.get(f"/v1/customers/{ada}").data)
    is_archived = InvoicePaymentTerm.objects.get(id=chosen).status == "archived"
    assert is_default != is_archived
