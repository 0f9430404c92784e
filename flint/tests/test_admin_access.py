"""
Who may see and do what in the admin: every role at every address, and nobody at any.

The addresses are walked in the URL conf, so a new one fails here until somebody says who may use it.
"""

import uuid
from datetime import timedelta

import pytest
from django.apps import apps
from django.contrib import admin
from django.test import Client
from django.urls import get_resolver, reverse

from flint.admin import ReadOnlyAdmin
from flint.merchants import services
from flint.merchants.models import ApiKey, Environment, Merchant, Role, StaffMember
from flint.merchants.staff import ROLE_RIGHTS, Right, access_of
from flint.merchants.tests.factories import ApiKeyFactory, UserFactory
from flint.testing import stories
from flint.testing.staff import page, signed_in
from flint.testing.stories import line
from refunds.tests.disputing import dispute

OWNER, FINANCE, SUPPORT, DEVELOPER = Role.OWNER, Role.FINANCE, Role.SUPPORT, Role.DEVELOPER
ALL = frozenset(Role)
SALES = ("orders_order", "orders_customer", "payments_paymentintent", "payments_processornotice", "refunds_refund")
SALES += ("outbox_message", "payments_checkoutsession", "refunds_dispute")
SALES += ("payments_paymentmethod", "payments_paymentlink", "orders_ledgerentry")
SALES += ("invoices_invoice", "invoices_invoicepaymentterm")
RECONCILIATION = ("payments_reconcilerun", "payments_reconciledifference")
BALANCE = ("payments_payout", "payments_balancetransaction", "reports_report", "orders_periodclose")
SETUP = ("merchants_merchant", "merchants_environment", "merchants_apikey", "stripe_processor_stripeaccount")
SETUP += ("events_webhookendpoint", "events_webhookdelivery")

MAY_READ = {
    **{f"invoices_creditnote_{view}": ALL for view in ("changelist", "change", "document")},
    "invoices_invoice_document": ALL,
    **{f"{model}_{view}": ALL for model in (*SALES, *RECONCILIATION) for view in ("changelist", "change")},
    **{f"{model}_{view}": {OWNER, DEVELOPER} for model in SETUP for view in ("changelist", "change")},
    **{f"{model}_{view}": {OWNER, FINANCE} for model in BALANCE for view in ("changelist", "change")},
    "orders_order_find": ALL,
    "merchants_settings_changelist": {OWNER, FINANCE, DEVELOPER},
    "merchants_settings_change": {OWNER, FINANCE, DEVELOPER},
    "merchants_staffmember_changelist": {OWNER},
    "merchants_staffmember_change": {OWNER},
}
MAY_ACT = {
    "orders_order_refund": {OWNER, SUPPORT, FINANCE},
    "orders_order_note": {OWNER, SUPPORT, FINANCE},
    "orders_order_receipt": {OWNER, SUPPORT, FINANCE},
    "orders_order_pay_link": {OWNER, SUPPORT, FINANCE},
    "orders_order_pay_address": {OWNER, SUPPORT, FINANCE},
    "payments_paymentlink_switch": {OWNER, FINANCE},
    "orders_order_invoice": {OWNER, FINANCE},
    **{
        f"invoices_invoice_{act}": {OWNER, FINANCE}
        for act in ("issue", "void", "write_off", "late_fee", "waive_fee", "new_link")
    },
    **{f"invoices_invoice_{act}": {OWNER, FINANCE} for act in ("record_payment", "reverse_payment")},
    **{
        f"invoices_invoice_{act}": {OWNER, SUPPORT, FINANCE}
        for act in ("send", "remind", "pause_reminders", "resume_reminders")
    },
    "invoices_invoice_credit": {OWNER, FINANCE},
    **{f"invoices_creditnote_{act}": {OWNER, FINANCE} for act in ("issue", "allocate", "reverse", "void")},
    "invoices_creditnote_refund": {OWNER, SUPPORT, FINANCE},
    "invoices_invoicepaymentterm_new": {OWNER, FINANCE},
    "invoices_invoicepaymentterm_archive": {OWNER, FINANCE},
    "payments_checkoutsession_close": {OWNER, SUPPORT, FINANCE},
    "payments_reconcilerun_start": {OWNER, FINANCE},
    "reports_report_new": {OWNER, FINANCE},
    "reports_report_download": {OWNER, FINANCE},
    "orders_periodclose_close": {OWNER, FINANCE},
    "payments_reconciledifference_retry": {OWNER, FINANCE},
    "payments_reconciledifference_ignore": {OWNER, FINANCE},
    "refunds_refund_explain": {OWNER, SUPPORT, FINANCE},
    "refunds_refund_try_again": {OWNER, SUPPORT, FINANCE},
    "refunds_refund_paid_outside": {OWNER, SUPPORT, FINANCE},
    "refunds_refund_set_aside": {OWNER, SUPPORT, FINANCE},
    "refunds_refund_ask": {OWNER, SUPPORT, FINANCE},
    "orders_order_surplus": {OWNER, SUPPORT, FINANCE},
    "payments_paymentintent_ask": {OWNER, FINANCE, DEVELOPER},
    "events_webhookendpoint_test": {OWNER, DEVELOPER},
    "events_webhookendpoint_switch": {OWNER, DEVELOPER},
    "events_webhookdelivery_resend": {OWNER, DEVELOPER},
    "merchants_merchant_surplus": {OWNER},
    "merchants_merchant_profile": {OWNER},
    "merchants_settings_edit": {OWNER, FINANCE, DEVELOPER},
    "refunds_dispute_write_off": {OWNER, FINANCE},
    "refunds_dispute_collect_again": {OWNER, FINANCE},
    "refunds_dispute_note_loss": {OWNER, FINANCE},
    "payments_processornotice_retry": {OWNER, FINANCE, DEVELOPER},
    "payments_processornotice_aside": {OWNER, FINANCE, DEVELOPER},
    "stripe_processor_stripeaccount_keys": {OWNER, DEVELOPER},
    "stripe_processor_stripeaccount_check": {OWNER, DEVELOPER},
    "stripe_processor_stripeaccount_disconnect": {OWNER, DEVELOPER},
}
# Django's own, about nobody's rows. The first three are for everybody; the rest want somebody who is staff.
SITE = {"login", "logout", "jsi18n"} | {"index", "search", "password_change", "password_change_done", "autocomplete"}
SITE |= {"view_on_site", "app_list"}


def walk() -> dict[str, str]:
    """Return the admin's addresses by name, with their parameters still in them."""
    patterns = get_resolver().url_patterns
    (root,) = [each for each in patterns if getattr(each, "namespace", None) == "admin"]
    found = {}

    def into(resolver, before: str) -> None:
        for each in resolver.url_patterns:
            where = before + str(each.pattern)
            if hasattr(each, "url_patterns"):
                into(each, where)
            elif each.name:
                found[each.name] = where

    into(root, str(root.pattern))
    return found


@pytest.fixture
def rows(merchant, environment) -> dict[str, str]:
    """One row of every model of the admin, by the stem of its addresses."""
    customer = apps.get_model("orders.Customer").objects.create(environment=environment, email="ada@buyer.example")
    order = stories.paid_order(environment, line(2_000), customer_id=customer.id)
    refund = stories.refund(order, amount_money=stories.eur(500))
    stories.deliver_notices(environment)
    notice = apps.get_model("payments.ProcessorNotice").objects.filter(environment=environment).order_by("id").first()
    member = services.add_staff(merchant=merchant, user=UserFactory(), role=OWNER)
    keys = {"secret_key": "sk_test_1", "publishable_key": "pk_test_1", "webhook_secret": "whsec_1"}
    apps.get_model("stripe_processor.StripeAccount").objects.create(environment=environment, **keys)
    method = apps.get_model("payments.PaymentMethod").objects.create(
        environment=environment, customer=customer, processor="sandbox"
    )
    message = apps.get_model("outbox.Message").objects.filter(order=order).order_by("id").first()
    payout = apps.get_model("payments.Payout").objects.create(
        environment=environment,
        processor="sandbox",
        reference="sbo_1",
        initiated_by="scheduled",
        amount=1_000,
        currency="EUR",
        made_at=order.created_at,
    )
    movement = apps.get_model("payments.BalanceTransaction").objects.create(
        environment=environment,
        processor="sandbox",
        reference="sbb_1",
        type="payout",
        amount=-1_000,
        fee_amount=0,
        net_amount=-1_000,
        currency="EUR",
        occurred_at=order.created_at,
    )
    seen = {"since": order.created_at, "until": order.created_at + timedelta(days=1)}
    run = apps.get_model("payments.ReconcileRun").objects.create(environment=environment, processor="sandbox", **seen)
    seen = {"first_seen_at": order.created_at, "last_seen_at": order.created_at}
    difference = apps.get_model("payments.ReconcileDifference").objects.create(
        environment=environment, processor="sandbox", kind="payment", reference="sbp_1", problem="not_ours", **seen
    )
    asked = apps.get_model("reports.Report").objects.create(
        environment=environment,
        report_type="journal_v1",
        currency="EUR",
        interval_start_at=order.created_at - timedelta(days=1),
        interval_end_at=order.created_at,
        timezone="UTC",
        watermark=1,
    )
    month = apps.get_model("orders.PeriodClose").objects.create(
        environment=environment,
        label="2020-01",
        timezone="UTC",
        start_at=order.created_at - timedelta(days=2_000),
        end_at=order.created_at - timedelta(days=1_970),
    )
    told = {"api_version": "2026-09-07", "body": "{}", "created_at": order.created_at}
    endpoint = apps.get_model("events.WebhookEndpoint").objects.create(
        environment=environment, url="https://shop.example.com/hooks", secret="whsec_1"
    )
    event = apps.get_model("events.WebhookEvent").objects.create(
        environment=environment, type="order.paid", fact="1", is_test=True, **told
    )
    delivery = apps.get_model("events.WebhookDelivery").objects.create(
        environment=environment, webhook_endpoint=endpoint, webhook_event=event, due_at=order.created_at
    )
    return {
        "events_webhookendpoint": endpoint.id,
        "events_webhookdelivery": delivery.id,
        "reports_report": asked.id,
        "orders_periodclose": month.id,
        "payments_reconcilerun": run.id,
        "payments_reconciledifference": difference.id,
        "orders_order": order.id,
        "orders_customer": customer.id,
        "orders_ledgerentry": order.entries.order_by("sequence").first().id,
        "payments_paymentintent": order.payment_intents.get().id,
        "payments_paymentmethod": method.id,
        "payments_paymentlink": stories.payment_link(environment).id,
        "invoices_invoice": stories.issued_invoice(stories.open_order(environment)).invoice.id,
        "invoices_creditnote": stories.credit_note(stories.issued_invoice(stories.open_order(environment)).invoice).id,
        "invoices_invoicepaymentterm": stories.payment_term(environment).id,
        "outbox_message": message.id,
        "payments_checkoutsession": stories.checkout(stories.open_order(environment)).session.id,
        "payments_processornotice": notice.id,
        "refunds_refund": refund.id,
        "refunds_dispute": dispute(order, case_type="inquiry").id,
        "payments_payout": payout.id,
        "payments_balancetransaction": movement.id,
        "merchants_merchant": merchant.id,
        "merchants_environment": environment.id,
        "merchants_settings": environment.id,
        "merchants_apikey": ApiKeyFactory(environment=environment).id,
        "merchants_staffmember": member.id,
        "stripe_processor_stripeaccount": environment.id,
    }


def address(name: str, rows: dict[str, str]) -> str:
    stem = max((model for model in rows if name.startswith(f"{model}_")), key=len)
    return reverse(f"admin:{name}", args=[] if is_of_many(name) else [rows[stem]])


def is_of_many(name: str) -> bool:
    """Whether an address is about no row in particular."""
    return name.endswith(("_changelist", "_find"))


@pytest.fixture
def rival(db) -> Merchant:
    return services.create_merchant(name="Rival", email="owner@rival.example")


def test_every_address_has_an_answer_to_who_may_use_it():
    assert set(walk()) == set(MAY_READ) | set(MAY_ACT) | SITE


def test_every_page_of_rows_is_read_only_and_kept_to_merchants():
    assert all(isinstance(shown, ReadOnlyAdmin) for shown in admin.site._registry.values())


@pytest.mark.parametrize("role", [*Role, "superuser"])
def test_a_role_reads_what_it_may_and_nothing_else(role, merchant, rows):
    browser = signed_in(merchant, role) if role != "superuser" else signed_in(None, is_superuser=True)
    answers = {name: browser.get(address(name, rows)).status_code for name in MAY_READ}
    assert answers == {name: 200 if role == "superuser" or role in roles else 403 for name, roles in MAY_READ.items()}


@pytest.mark.parametrize("role", [*Role, "superuser"])
def test_a_role_acts_where_it_may(role, merchant, rows):
    browser = signed_in(merchant, role) if role != "superuser" else signed_in(None, is_superuser=True)
    order = rows["orders_order"]
    may = role == "superuser" or role in MAY_ACT["orders_order_refund"]
    refund = {"token": uuid.uuid4(), "how": "all"}
    assert browser.get(reverse("admin:orders_order_refund", args=[order])).status_code == (200 if may else 403)
    told = browser.post(reverse("admin:orders_order_refund", args=[order]), refund)
    noted = browser.post(reverse("admin:orders_order_note", args=[order]), {"text": "Hello"})
    assert (told.status_code, noted.status_code) == ((302, 302) if may else (403, 403))
    shown = page(browser.get(reverse("admin:orders_order_change", args=[order])))
    assert (reverse("admin:orders_order_note", args=[order]) in shown) == may


def test_a_button_shows_only_to_who_may_use_it(merchant, rows):
    order = rows["orders_order"]
    url = reverse("admin:orders_order_refund", args=[order])
    here = reverse("admin:orders_order_change", args=[order])
    assert url in page(signed_in(merchant, SUPPORT).get(here))
    assert url not in page(signed_in(merchant, DEVELOPER).get(here))


@pytest.mark.parametrize("method", ["get", "post"])
def test_nobody_gets_to_sign_in_and_no_further(method, rows):
    browser = Client()
    for name in [*MAY_READ, *MAY_ACT]:
        where = address(name, rows)
        response = getattr(browser, method)(where)
        assert response.status_code == 302 and response.url == f"{reverse('admin:login')}?next={where}", name


def test_nobody_is_shown_nothing_of_the_site_itself():
    for name in SITE - {"login", "logout"}:
        args = {"view_on_site": [1, "x"], "app_list": ["orders"]}.get(name, [])
        assert Client().get(reverse(f"admin:{name}", args=args)).status_code == 302, name


def test_a_user_who_is_not_staff_gets_nowhere(merchant, rows):
    browser = signed_in(merchant, OWNER, is_staff=False)
    assert all(browser.get(address(name, rows)).status_code == 302 for name in [*MAY_READ, *MAY_ACT])


def test_staff_of_no_merchant_see_nothing(rows):
    browser = signed_in(None)
    for name in [*MAY_READ, *MAY_ACT]:
        assert browser.get(address(name, rows)).status_code in (403, 404), name
        assert browser.post(address(name, rows)).status_code in (403, 404), name
    first = page(browser.get(reverse("admin:index")))
    assert "not on the staff of any merchant" in first
    assert "changelist" not in first and reverse("admin:orders_order_changelist") not in first


@pytest.mark.parametrize("role", Role)
def test_rows_of_another_merchant_do_not_exist(role, rows, rival):
    browser = signed_in(rival, role)
    for name in [*MAY_READ, *MAY_ACT]:
        if is_of_many(name):
            continue
        allowed = name in MAY_ACT or role in MAY_READ[name]
        for where in (address(name, rows), reverse(f"admin:{name}", args=["ord_01J00000000000000000000000"])):
            for method in (browser.get, browser.post):
                assert method(where).status_code in ({404} if allowed else {403, 404}), (where, method)


def test_lists_hold_rows_of_ones_own_merchants_only(merchant, rows, rival):
    mine, theirs = signed_in(merchant, OWNER), signed_in(rival, OWNER)
    for model, row in rows.items():
        where, link = reverse(f"admin:{model}_changelist"), reverse(f"admin:{model}_change", args=[row])
        assert link in page(mine.get(where)), model
        assert link not in page(theirs.get(where)), model


def test_searching_and_filtering_do_not_look_over_the_fence(rows, rival, environment):
    browser = signed_in(rival, OWNER)
    orders = reverse("admin:orders_order_changelist")
    link = reverse("admin:orders_order_change", args=[rows["orders_order"]])
    assert link not in page(browser.get(orders, {"environment": environment.id}))
    for term in (rows["orders_order"], rows["payments_paymentintent"], rows["refunds_refund"], "ada@", "4242"):
        assert link not in page(browser.get(orders, {"q": term})), term


def test_roles_count_for_their_merchant_only(merchant, environment, rival, rows):
    user = UserFactory()
    services.add_staff(merchant=merchant, user=user, role=DEVELOPER)
    services.add_staff(merchant=rival, user=user, role=OWNER)
    browser = Client()
    browser.force_login(user)
    url = reverse("admin:orders_order_refund", args=[rows["orders_order"]])
    assert browser.post(url, {"token": uuid.uuid4(), "how": "all"}).status_code == 403
    assert not access_of(user).may(Right.REFUND, environment.id)
    assert access_of(user).merchant_ids(Right.READ_STAFF) == [rival.id]


def test_a_membership_that_ends_ends_at_once(merchant, rows):
    browser = signed_in(merchant, OWNER)
    where = address("orders_order_change", rows)
    assert browser.get(where).status_code == 200
    StaffMember.objects.filter(user=browser.user).delete()
    assert browser.get(where).status_code == 404


def test_every_role_is_in_the_table_and_owners_may_everything():
    assert set(ROLE_RIGHTS) == set(Role)
    assert ROLE_RIGHTS[OWNER] == set(Right)


@pytest.mark.parametrize("who", ["owner", "superuser"])
def test_nothing_is_added_changed_or_deleted_through_forms(who, merchant, rows):
    browser = signed_in(merchant, OWNER) if who == "owner" else signed_in(None, is_superuser=True)
    for model, row in rows.items():
        here = reverse(f"admin:{model}_change", args=[row])
        assert browser.post(here, {"name": "Changed", "status": "closed"}).status_code in (403, 405), model
        for path in ("add/", f"{row}/delete/", f"{row}/history/"):
            there = reverse(f"admin:{model}_changelist") + path
            assert browser.get(there).status_code == browser.post(there).status_code == 404, there
        shown = page(browser.get(here))
        assert "_save" not in shown and "deletelink" not in shown
        listed = browser.post(
            reverse(f"admin:{model}_changelist"), {"action": "delete_selected", "_selected_action": row, "post": "yes"}
        )
        # Where rows can be chosen, an action that is not offered leads back to the list.
        assert listed.status_code in (200, 302)
        assert browser.get(here).status_code == 200, model
    assert Merchant.objects.get(id=merchant.id).name == merchant.name
    assert Environment.objects.filter(id=rows["merchants_environment"]).exists()


def test_an_address_cannot_ask_about_columns_that_are_not_shown(merchant, environment):
    key = ApiKeyFactory(environment=environment)
    browser = signed_in(merchant, OWNER)
    for lookup in ("digest__startswith", "environment__api_keys__digest__startswith"):
        asked = browser.get(reverse("admin:merchants_apikey_changelist"), {lookup: key.digest[:4]})
        assert asked.status_code == 400


def test_a_key_shows_how_it_begins_and_no_more(merchant, environment):
    key = ApiKeyFactory(environment=environment)
    browser = signed_in(merchant, OWNER)
    for url in (reverse("admin:merchants_apikey_changelist"), reverse("admin:merchants_apikey_change", args=[key.id])):
        shown = page(browser.get(url))
        assert key.prefix in shown
        assert key.secret not in shown and key.secret[len(key.prefix) :][:8] not in shown and key.digest not in shown
    assert ApiKey.objects.filter(id=key.id).exists()
