"""Orders as they stood, equal to what the API answered then."""

import json
from threading import Event as Signal
from threading import Thread

import pytest
from django.apps import apps
from django.db import connection, transaction

from flint.celery import collecting
from flint.sealing import SealedField
from flint.testing import stories
from flint.testing.stories import line as item
from flint.testing.stories import time_passes
from orders.as_of import read_order_as_of
from orders.keeping import KeepsVersions
from orders.models import Order, RowVersion
from orders.services import add_line_items, update_order
from orders.tests.sales import create, line, money, refused
from payments.models import PaymentOperation
from payments.tests.acts import THREE_D_SECURE, at_once, later, pay
from refunds.tests.histories import ACTS, History, clock, stood

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def tasks():
    """Tasks run where a test lets things settle, and nowhere else."""
    with collecting() as collected:
        yield collected


def path(order: Order) -> str:
    return f"/v1/orders/{order.id}"


@pytest.mark.parametrize("seed", range(0, 200, 25))
def test_an_order_stood_as_the_api_answered_then(api, seed):
    """Two hundred histories, asked about again after all is over, at each of their moments."""
    histories = [History(api, each).go(6) for each in range(seed, seed + 25)]

    for history in histories:
        for at, answer in history.answers:
            then = history.read(as_of=at.isoformat())
            assert then.status_code == 200, then.content
            # As text, so that the sequence of members counts too.
            assert json.dumps(then.data) == json.dumps(stood(answer)), (history.id, history.done)
    done = {name for history in histories for name in history.done}
    assert {"add_line", "discount", "pay", "hold", "refund", "note"} <= done


def test_every_act_of_the_histories_comes_about(api):
    wanted = {act.__name__ for act in ACTS} - {"lose_answer"}
    done: set[str] = set()
    for seed in range(1_000, 1_060):
        if wanted <= done:
            break
        done |= set(History(api, seed).go(15).done)

    assert wanted <= done


def test_a_line_that_was_taken_off_is_there_again(api):
    order = create(api, line(1_000), line(500, name="Saucer"))
    before = clock()
    line_id = order["line_items"][1]["order_line_item_id"]
    api.delete(f"/v1/orders/{order['order_id']}/line-items/{line_id}")

    then = api.get(f"/v1/orders/{order['order_id']}", {"as_of": before.isoformat()}).data
    now = api.get(f"/v1/orders/{order['order_id']}", {"as_of": clock().isoformat()}).data

    assert [each["name"] for each in then["line_items"]] == ["Cup", "Saucer"]
    assert [each["name"] for each in now["line_items"]] == ["Cup"]


def test_a_refund_that_failed_days_later_had_succeeded(api, environment):
    order = stories.open_order(environment)
    pay(api, order, "pm_card_refundFail")
    stories.refund(order)
    done, at = api.get(path(order)).data, clock()
    time_passes(environment, later(days=3))
    time_passes(environment, later(days=4))

    assert api.get(path(order)).data["refund_status"] == "none"
    then = api.get(path(order), {"as_of": at.isoformat()}).data
    assert then == stood(done)
    assert then["settlement_amounts"]["refunded_money"] == money(10_000)


def test_a_moment_before_the_order_was_created(api):
    before = clock()
    order = create(api)

    response = api.get(f"/v1/orders/{order['order_id']}", {"as_of": before.isoformat()})

    refused(response, "ORDER_NOT_CREATED_YET", 404)


@pytest.mark.parametrize("moment", ["2999-01-01T00:00:00Z", "yesterday", "2026-01-01", "2026-01-01T00:00:00"])
def test_a_moment_that_is_none_or_is_yet_to_come(api, moment):
    order = create(api)

    refused(api.get(f"/v1/orders/{order['order_id']}", {"as_of": moment}), "INVALID_AS_OF", param="as_of")


def test_somebody_elses_order_is_not_found_at_any_moment(api, other_api):
    order = create(api)

    for moment in (clock().isoformat(), "2999-01-01T00:00:00Z", "2001-01-01T00:00:00Z"):
        refused(other_api.get(f"/v1/orders/{order['order_id']}", {"as_of": moment}), "ORDER_NOT_FOUND", 404)


def test_a_buyer_sees_the_order_of_now_only(environment, api):
    launched = stories.checkout(stories.open_order(environment))
    buyer = {
        "Authorization": None,
        "X-Checkout-Session-ID": launched.session.id,
        "X-Checkout-Session-Secret": launched.checkout_auth_token,
    }
    address = f"/v1/orders/{launched.session.order_id}"

    assert api.get(address, headers=buyer).status_code == 200
    response = api.get(address, {"as_of": clock().isoformat()}, headers=buyer)
    refused(response, "CHECKOUT_SESSION_SCOPE_MISMATCH", 403)


def test_an_expanded_customer_is_the_one_of_today(api):
    customer = api.post("/v1/customers", {"email": "ada@example.org", "name": "Ada"}).data
    order = create(api, customer_id=customer["customer_id"])
    at = clock()
    api.patch(f"/v1/customers/{customer['customer_id']}", {"name": "Countess"})

    then = api.get(f"/v1/orders/{order['order_id']}", {"as_of": at.isoformat(), "expand": "customer"}).data

    assert (then["customer_id"], then["customer"]["name"]) == (customer["customer_id"], "Countess")


def test_a_change_counts_from_its_commit_and_not_from_its_beginning(environment):
    """What began before a moment and was committed after it is not seen at that moment, not even asked meanwhile."""
    order, actor = stories.open_order(environment), stories.actor_in(environment)
    changed, go_on = Signal(), Signal()

    def slowly() -> None:
        try:
            with transaction.atomic():
                update_order(order_id=order.id, data={"buyer_note": "Late"}, actor=actor)
                changed.set()
                assert go_on.wait(30)
        finally:
            connection.close()

    writer = Thread(target=slowly)
    writer.start()
    assert changed.wait(30)
    between = clock()
    go_on.set()
    writer.join()

    assert read_order_as_of(order.id, at=between, actor=actor).buyer_note == ""
    assert read_order_as_of(order.id, at=clock(), actor=actor).buyer_note == "Late"


def test_whoever_asks_waits_for_a_change_that_is_being_committed(environment):
    """A change may be dated before a moment and be visible only after it; the answer must not depend on when I ask."""
    order, actor = stories.open_order(environment), stories.actor_in(environment)
    dated, go_on = Signal(), Signal()
    moment = []

    def slowly() -> None:
        try:
            with transaction.atomic():
                update_order(order_id=order.id, data={"buyer_note": "Dated"}, actor=actor)
                with connection.cursor() as cursor:
                    cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
                moment.append(clock())
                dated.set()
                assert go_on.wait(30)
        finally:
            connection.close()

    def ask() -> str:
        return read_order_as_of(order.id, at=moment[0], actor=actor).buyer_note

    def let_go() -> None:
        # The reader's own lock shows once it waits.
        with connection.cursor() as cursor:
            for _ in range(10_000):
                cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
                if cursor.fetchone()[0]:
                    break
        go_on.set()

    writer = Thread(target=slowly)
    writer.start()
    assert dated.wait(30)
    first, _ = at_once(ask, let_go)
    writer.join()

    assert first == ask() == "Dated"


def test_two_orders_that_change_at_once_do_not_disturb_each_other(environment):
    actor = stories.actor_in(environment)
    orders = [stories.open_order(environment) for _ in range(2)]

    def edit(order: Order) -> list:
        seen = []
        for count in range(5):
            add_line_items(order_id=order.id, line_items=[item(100 + count)], actor=actor)
            at = clock()
            seen.append((at, read_order_as_of(order.id, at=at, actor=actor).total_amount))
        return seen

    answers = at_once(lambda: edit(orders[0]), lambda: edit(orders[1]))

    for order, seen in zip(orders, answers, strict=True):
        assert [total for _, total in seen] == [10_100, 10_201, 10_303, 10_406, 10_510]
        for at, total in seen:
            assert read_order_as_of(order.id, at=at, actor=actor).total_amount == total


def test_all_that_one_transaction_changed_has_one_time(api, environment):
    order = stories.open_order(environment)
    pay(api, order)

    times = RowVersion.objects.filter(order_id=order.id).order_by("id").values_list("recorded_at", "model")
    moments = sorted({at for at, _ in times})

    # Created; the attempt begun; the payment settled.
    assert len(moments) == 3
    assert {model for at, model in times if at == moments[0]} == {"orders.order", "orders.lineitem"}
    for at in moments:
        shown = read_order_as_of(order.id, at=at, actor=stories.actor_in(environment))
        assert shown.total_amount == sum(part.total_amount for part in shown.line_items.all())


def test_what_is_done_by_hand_is_kept_too(environment):
    order, before = stories.open_order(environment), clock()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE orders_order SET buyer_note = 'By hand' WHERE id = %s", [order.id])

    actor = stories.actor_in(environment)
    assert read_order_as_of(order.id, at=before, actor=actor).buyer_note == ""
    assert read_order_as_of(order.id, at=clock(), actor=actor).buyer_note == "By hand"


def test_what_a_rolled_back_transaction_did_was_never_so(environment):
    order, actor = stories.open_order(environment), stories.actor_in(environment)
    count = RowVersion.objects.count()
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        update_order(order_id=order.id, data={"buyer_note": "Never"}, actor=actor)
        raise ZeroDivisionError

    assert RowVersion.objects.count() == count


@pytest.mark.parametrize("change", ["UPDATE orders_rowversion SET row_id = ''", "DELETE FROM orders_rowversion"])
def test_versions_are_never_changed(environment, change):
    stories.open_order(environment)

    with pytest.raises(Exception, match="[Cc]annot (update|delete)"), connection.cursor() as cursor:
        cursor.execute(change)


def test_the_number_of_statements_does_not_grow_with_the_history(api, django_assert_num_queries):
    order = create(api)
    actor = stories.actor_in(api.environment)
    for count in range(12):
        api.patch(f"/v1/orders/{order['order_id']}", {"buyer_note": f"{count}"})
        if count in (0, 11):
            at = clock()
            # Begin, the order, its versions, commit.
            with django_assert_num_queries(4):
                read_order_as_of(order["order_id"], at=at, actor=actor)


def test_no_secret_is_ever_kept(api, environment):
    """A buyer's step and the secret in a page's address are sealed where they are; no version holds even that."""
    stories.checkout(stories.open_order(environment))
    order = stories.open_order(environment)
    waiting = pay(api, order, THREE_D_SECURE)
    (action,) = waiting.data["payment_attempt"]["pending_actions"]
    assert PaymentOperation.objects.get(payment_intent__order_id=order.id).action is not None

    kept = {name for changes in RowVersion.objects.values_list("changes", flat=True) for name in changes or {}}
    assert not kept & {"action", "launch_secret", "command_key", "command_digest", "receipt_email", "reference"}
    assert action["client_action"]["stripe"]["payment_intent"]["client_secret"] not in str(
        list(RowVersion.objects.values_list("changes", flat=True))
    )


def test_a_sealed_column_is_left_out_wherever_versions_are_kept():
    found = []
    for model in apps.get_models():
        sealed = {field.column for field in model._meta.concrete_fields if isinstance(field, SealedField)}
        for trigger in getattr(model._meta, "triggers", ()):
            if isinstance(trigger, KeepsVersions):
                assert sealed <= set(trigger.left_out(model))
                found.append(model.__name__)
    assert {"Order", "LineItem", "PaymentOperation", "CheckoutSession", "Refund"} <= set(found)
