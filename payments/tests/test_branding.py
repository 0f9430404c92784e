"""A merchant's settings on what buyers see: colours, logo and closing words, wherever nothing else was chosen."""

import base64

import pytest
from django.core import mail
from django.test import Client

from flint.languages import Language
from flint.merchants.services import create_sandbox
from flint.merchants.settings.changing import update_settings
from flint.merchants.tests.test_settings import PIXEL
from flint.testing import stories
from flint.testing.stories import actor_in
from payments.messages.addresses import receipt_url
from payments.tests.mails import html_of, last_mail, paid
from payments.tests.test_hosted_page import let_in, opened, page_of
from payments.tests.test_link_pages import make, shown

pytestmark = pytest.mark.django_db(transaction=True)

YELLOW, GREEN = "#ffe14d", "#0a5c2b"


@pytest.fixture
def branded(environment):
    chosen = {"branding": {"primary_color": YELLOW, "logo": PIXEL}, "receipts": {"footer": "Come again.\n<b>Soon</b>."}}
    update_settings(data=chosen, actor=actor_in(environment))


def logo_in(page: str) -> str:
    """The address of the logo on a page."""
    return page.split('src="', 1)[1].split("/logos/", 1)[1].split('"', 1)[0]


@pytest.mark.usefixtures("branded")
class TestWhatTheMerchantChose:
    def test_is_on_the_hosted_page(self, api):
        session = opened(api)
        buyer = let_in(session)
        page = buyer.get(page_of(session)).content.decode()

        picture = Client().get(f"/logos/{logo_in(page)}")

        assert picture.content == base64.b64decode(PIXEL)
        assert picture.headers["Content-Type"] == "image/png"
        assert f"--accent: {YELLOW};" in buyer.get(f"{page_of(session)}/theme.css").content.decode()

    def test_is_on_the_page_of_a_payment_link_unless_the_link_has_its_own(self, api):
        link, other = make(api), make(api, theme={"primary_color": GREEN})

        assert "/logos/" in shown(Client(), link)
        assert f"--accent: {YELLOW};" in Client().get(f"/l/{link.short}/theme.css").content.decode()
        assert f"--accent: {GREEN};" in Client().get(f"/l/{other.short}/theme.css").content.decode()
        themes = [api.get(f"/v1/payment-links/{each.id}/public").data["checkout_theme"] for each in (link, other)]
        assert [theme["primary_color"] for theme in themes] == [YELLOW, GREEN]

    def test_is_on_receipts_and_in_their_mails(self, environment):
        order = paid(environment)

        page = Client().get(receipt_url(order, Language("en")).removeprefix("http://testserver")).content.decode()
        letter = last_mail()

        assert "/logos/" in page and "Come again.<br>&lt;b&gt;Soon&lt;/b&gt;." in page
        assert "Come again.\n\n<b>Soon</b>." in letter.body
        html = html_of(letter)
        assert 'src="http://' in html and "/logos/" in html
        assert f"background:{YELLOW};color:#000000;" in html
        assert "&lt;b&gt;Soon&lt;/b&gt;" in html

    def test_is_on_the_page_of_an_invoice(self, environment):
        link = stories.issued_invoice(stories.open_order(environment)).public_url

        page = Client().get(link.removeprefix("http://testserver"), follow=True).content.decode()

        assert "/logos/" in page

    def test_leaves_an_address_that_shows_no_other_picture(self, environment, api):
        address = f"/logos/{logo_in(shown(Client(), make(api)))}"
        update_settings(data={"branding": {"logo": None}}, actor=actor_in(environment))

        assert Client().get(address).status_code == 404
        assert Client().get("/logos/env_unknown/0123456789abcdef").status_code == 404


def test_who_chose_nothing_has_no_logo_and_plain_colours(environment, api):
    paid(environment)

    assert "/logos/" not in shown(Client(), make(api)) + html_of(mail.outbox[-1])
    assert "background:#1f4fd8;color:#ffffff;" in html_of(mail.outbox[-1])


def test_each_environment_has_its_own_looks(environment, merchant, branded):
    second = create_sandbox(merchant_id=merchant.id, name="Second")
    paid(second)

    assert "/logos/" not in html_of(last_mail())
