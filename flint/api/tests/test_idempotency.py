"""One effect per key: repeats, other requests under the same key, many at once, refusals, crashes."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from flint.api import idempotency, tasks
from flint.api.models import IdempotencyRecord
from flint.api.tests import urls
from flint.merchants.models import Environment
from flint.testing.client import ApiClient
from flint.testing.fixtures import client_of

LOCAL, EXTERNAL = "/v1/shops", "/v1/external-shops"
BOTH = pytest.mark.parametrize("path", [LOCAL, EXTERNAL])


def shops(name="A"):
    """Return how many shops of a name were opened."""
    return Environment.objects.filter(name=name).count()


def in_thread(work):
    """Run something in a thread with a database connection of its own."""

    def run(*args, **kwargs):
        try:
            return work(*args, **kwargs)
        finally:
            connection.close()

    return run


@contextmanager
def crashing():
    """Let requests that open a shop crash in the middle of it."""

    def crash():
        raise ZeroDivisionError

    urls.meanwhile[0] = crash
    yield
    urls.meanwhile[0] = urls.nothing_more


class Pause:
    """Holds the first request that opens a shop until the test lets it go on."""

    def __init__(self):
        self.reached, self.go_on, self.taken = threading.Event(), threading.Event(), threading.Lock()
        urls.meanwhile[0] = self

    def __call__(self):
        if self.taken.acquire(blocking=False):
            self.reached.set()
            assert self.go_on.wait(timeout=20)


class TestKeys:
    @BOTH
    @pytest.mark.parametrize("key", ["k", "x" * 255, "with space", "~!@#$%^&*()_+`'\""])
    def test_are_echoed(self, api, path, key):
        assert api.post(path, {"name": "A"}, key=key)["Idempotency-Key"] == key

    @BOTH
    @pytest.mark.parametrize(
        ("key", "code"),
        [("", "INVALID_IDEMPOTENCY_KEY"), ("clé", "INVALID_IDEMPOTENCY_KEY"), ("a\tb", "INVALID_IDEMPOTENCY_KEY"),
         ("x" * 256, "IDEMPOTENCY_KEY_TOO_LONG")],
    )  # fmt: skip
    def test_that_cannot_be_one_are_refused(self, api, path, key, code):
        response = api.post(path, {"name": "A"}, key=key)
        assert (response.status_code, response.code) == (400, code)
        assert "Idempotency-Key" not in response
        assert shops() == 0

    @BOTH
    def test_are_made_up_when_absent_and_work_like_any_other(self, api, path):
        first = api.post(path, {"name": "A"})
        second = api.post(path, {"name": "A"})
        assert first["Idempotency-Key"] != second["Idempotency-Key"]
        assert shops() == 2

        replay = api.post(path, {"name": "A"}, key=first["Idempotency-Key"])
        assert replay.data == first.data
        assert shops() == 2

    def test_are_echoed_on_every_failure_too(self, api, environment):
        assert api.post(LOCAL, {}, key="k")["Idempotency-Key"] == "k"
        assert api.post(LOCAL, {})["Idempotency-Key"]
        assert api.post(LOCAL, b"{", key="k")["Idempotency-Key"] == "k"
        assert client_of(environment, scopes=["webhooks.read"]).post(LOCAL, {}, key="k")["Idempotency-Key"] == "k"
        assert api.post(LOCAL, {}, key="k", headers={"Authorization": None})["Idempotency-Key"] == "k"

    def test_mean_nothing_to_reads_and_to_verbs_that_keep_nothing(self, api):
        assert "Idempotency-Key" not in api.get(LOCAL, key="k")
        assert "Idempotency-Key" not in api.post("/v1/note", {}, key="k")


@BOTH
class TestRepeats:
    def test_get_the_first_answer_again(self, api, path):
        first = api.post(path, {"name": "A"}, key="k")
        second = api.post(path, {"name": "A"}, key="k")

        assert "Idempotency-Replayed" not in first
        assert "idempotency_replayed" not in first.json()["meta"]
        assert second["Idempotency-Replayed"] == "true"
        assert second.json()["meta"]["idempotency_replayed"] is True
        assert (second.status_code, second.data) == (first.status_code, first.data)
        assert second["X-Request-Id"] != first["X-Request-Id"]
        assert second.json()["request_id"] == second["X-Request-Id"]
        assert shops() == 1

    def test_are_kept_sealed(self, api, path):
        api.post(path, {"name": "Overheard"}, key="k")
        with connection.cursor() as cursor:
            cursor.execute("SELECT response_body FROM api_idempotencyrecord")
            (stored,) = cursor.fetchone()
        assert stored
        assert "Overheard" not in stored

    def test_whose_seal_is_lost_are_refused_and_done_no_second_time(self, api, path, settings):
        api.post(path, {"name": "A"}, key="k")
        settings.ENCRYPTION_KEYS = ["a key that came after the one before was thrown away"]

        response = api.post(path, {"name": "A"}, key="k")

        assert (response.status_code, response.code) == (409, "SENSITIVE_IDEMPOTENCY_RESULT_INVALID")
        assert shops() == 1

    def test_may_write_the_same_body_in_another_way(self, api, path):
        api.post(path, b'{"name": "A", "fail": "full"}', key="k")
        first = api.post(path, b'{"name": "A"}', key="k")
        second = api.post(path, b' { "name" : "\\u0041" } ', key="k")
        assert second["Idempotency-Replayed"] == "true"
        assert second.data == first.data

    def test_with_another_body_are_refused(self, api, path):
        api.post(path, {"name": "A"}, key="k")
        response = api.post(path, {"name": "B"}, key="k")
        assert (response.status_code, response.code) == (409, "IDEMPOTENCY_KEY_REUSED")
        assert response.error["error_source"] == "integration"
        assert shops("B") == 0

    def test_on_another_route_are_refused(self, api, path):
        api.post(path, {"name": "A"}, key="k")
        other = LOCAL if path == EXTERNAL else EXTERNAL
        assert api.post(other, {"name": "A"}, key="k").code == "IDEMPOTENCY_KEY_REUSED"
        assert shops() == 1

    def test_of_somebody_else_are_another_matter(self, api, other_api, path):
        api.post(path, {"name": "A"}, key="k")
        assert "Idempotency-Replayed" not in other_api.post(path, {"name": "A"}, key="k")
        assert shops() == 2

    def test_by_another_key_of_the_same_environment_are_repeats(self, api, environment, path):
        first = api.post(path, {"name": "A"}, key="k")
        assert client_of(environment).post(path, {"name": "A"}, key="k").data == first.data

    def test_still_need_the_scope(self, api, environment, path):
        api.post(path, {"name": "A"}, key="k")
        assert client_of(environment, scopes=["customers.read"]).post(path, {"name": "A"}, key="k").status_code == 403

    def test_after_a_refusal_are_a_first_time(self, api, path):
        refused = api.post(path, {"name": "A", "fail": "full"}, key="k")
        assert refused.code == "SHOP_FULL"
        assert not IdempotencyRecord.objects.exists()

        assert api.post(path, {"name": 5}, key="k").status_code == 400
        assert not IdempotencyRecord.objects.exists()

        assert "Idempotency-Replayed" not in api.post(path, {"name": "B"}, key="k")
        assert shops("B") == 1


class TestLocal:
    def test_a_refusal_rolls_back_what_was_done(self, api):
        api.post(LOCAL, {"name": "A", "fail": "full"}, key="k")
        assert shops() == 0

    def test_a_crash_rolls_back_and_frees_the_key(self, api):
        with crashing(), pytest.raises(AssertionError):
            api.post(LOCAL, {"name": "A"}, key="k")
        assert shops() == 0
        assert api.post(LOCAL, {"name": "A"}, key="k").status_code == 201

    @pytest.mark.django_db(transaction=True)
    def test_costs_three_statements(self, api):
        def statements(key):
            with CaptureQueriesContext(connection) as captured:
                api.post(LOCAL, {"name": "A"}, key=key)
            return [query["sql"] for query in captured if query["sql"] not in ("BEGIN", "COMMIT")]

        of_the_view = 1 + 1 + 1 + 1  # the key; the environment, its merchant, the new sandbox
        given = statements("k")
        assert len(given) == of_the_view + 3
        assert sum("pg_try_advisory_xact_lock" in sql for sql in given) == 1
        assert not any("SAVEPOINT" in sql for sql in given)
        assert len(statements(None)) == of_the_view + 1
        assert len(statements("k")) == 1 + 2

    @pytest.mark.django_db(transaction=True)
    def test_while_the_first_one_runs_a_repeat_is_told_so(self, api):
        pause = Pause()
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(in_thread(api.post), LOCAL, {"name": "A"}, key="k")
            assert pause.reached.wait(timeout=20)
            repeat = ApiClient(api.secret, api.environment).post(LOCAL, {"name": "A"}, key="k")
            pause.go_on.set()
            first = first.result()

        assert (repeat.status_code, repeat.code) == (409, "IDEMPOTENCY_KEY_IN_PROGRESS")
        assert repeat.error["remediation"]["retryable"] is True
        assert repeat["Retry-After"] == "1"
        assert first.status_code == 201
        assert api.post(LOCAL, {"name": "A"}, key="k").data == first.data
        assert shops() == 1

    @pytest.mark.django_db(transaction=True)
    def test_a_processor_call_under_the_same_key_in_between_wins(self, api):
        pause = Pause()
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(in_thread(api.post), LOCAL, {"name": "A"}, key="k")
            assert pause.reached.wait(timeout=20)
            other = ApiClient(api.secret, api.environment).post(EXTERNAL, {"name": "B"}, key="k")
            pause.go_on.set()
            first = first.result()

        assert other.status_code == 200
        assert (first.status_code, first.code) == (409, "IDEMPOTENCY_KEY_IN_PROGRESS")
        assert (shops("A"), shops("B")) == (0, 1)


def utterly_concurrent(api, path, requests=20):
    """Send the same request many times at the same moment; return all answers."""
    barrier = threading.Barrier(requests)

    def send(_):
        client = ApiClient(api.secret, api.environment)
        connection.ensure_connection()
        barrier.wait(timeout=30)
        return client.post(path, {"name": "A"}, key="the-one")

    with ThreadPoolExecutor(requests) as pool:
        return list(pool.map(in_thread(send), range(requests)))


@BOTH
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("round_", range(5))
def test_twenty_at_once_have_one_effect(api, path, round_):
    answers = utterly_concurrent(api, path)

    assert shops() == 1
    (shop,) = Environment.objects.filter(name="A")
    done = [answer for answer in answers if answer.status_code < 400]
    assert len([answer for answer in done if "Idempotency-Replayed" not in answer]) == 1
    assert {answer.data["shop_id"] for answer in done} == {shop.id}
    assert {answer.code for answer in answers if answer.status_code >= 400} <= {"IDEMPOTENCY_KEY_IN_PROGRESS"}
    assert api.post(path, {"name": "A"}, key="the-one").data["shop_id"] == shop.id
    assert IdempotencyRecord.objects.count() == 1


@pytest.mark.django_db(transaction=True)
class TestExternal:
    def test_runs_in_no_transaction_with_the_command_on_its_actor(self, api):
        seen = []
        urls.meanwhile[0] = lambda: seen.append((connection.in_atomic_block, IdempotencyRecord.objects.get().state))
        api.post(EXTERNAL, {"name": "A"}, key="k")

        assert seen == [(False, "in_progress")]
        (command,) = urls.ExternalShops.commands
        assert command.key == "k"
        assert command.digest == IdempotencyRecord.objects.get().digest

    def test_refuses_to_run_inside_one(self, api):
        with pytest.raises(AssertionError) as noticed, transaction.atomic():
            api.post(EXTERNAL, {"name": "A"}, key="k")
        assert isinstance(noticed.value.__cause__, RuntimeError)
        assert shops() == 0

    def test_while_the_first_one_runs_a_repeat_is_told_so(self, api):
        pause = Pause()
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(in_thread(api.post), EXTERNAL, {"name": "A"}, key="k")
            assert pause.reached.wait(timeout=20)
            other = ApiClient(api.secret, api.environment)
            repeat, changed = other.post(EXTERNAL, {"name": "A"}, key="k"), other.post(EXTERNAL, {"name": "B"}, key="k")
            elsewhere = other.post(LOCAL, {"name": "A"}, key="k")
            pause.go_on.set()
            first = first.result()

        assert repeat.code == "IDEMPOTENCY_KEY_IN_PROGRESS"
        assert changed.code == elsewhere.code == "IDEMPOTENCY_KEY_REUSED"
        assert first.status_code == 200
        assert api.post(EXTERNAL, {"name": "A"}, key="k").data == first.data

    def test_after_a_crash_nobody_repeats_until_the_lease_ends(self, api):
        with crashing(), pytest.raises(AssertionError):
            api.post(EXTERNAL, {"name": "A"}, key="k")
        record = IdempotencyRecord.objects.get()
        assert record.state == "in_progress"
        assert timedelta(seconds=50) < record.lease_until - timezone.now() <= idempotency.LEASE
        assert api.post(EXTERNAL, {"name": "A"}, key="k").code == "IDEMPOTENCY_KEY_IN_PROGRESS"
        assert len(urls.ExternalShops.commands) == 1

        IdempotencyRecord.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
        with crashing(), pytest.raises(AssertionError):
            api.post(EXTERNAL, {"name": "A"}, key="k")
        first, second = urls.ExternalShops.commands
        assert first == second
        assert IdempotencyRecord.objects.get().lease_until > timezone.now()

    def test_an_abandoned_claim_is_taken_over_by_one_and_its_late_owner_changes_nothing(self, api):
        pause = Pause()
        with ThreadPoolExecutor(1) as pool:
            late = pool.submit(in_thread(api.post), EXTERNAL, {"name": "A"}, key="k")
            assert pause.reached.wait(timeout=20)
            IdempotencyRecord.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
            taken_over = ApiClient(api.secret, api.environment).post(EXTERNAL, {"name": "A"}, key="k")
            pause.go_on.set()
            late = late.result()

        assert taken_over.status_code == late.status_code == 200
        assert taken_over.data != late.data  # Finding the earlier attempt is the service's task; this one does not.
        assert api.post(EXTERNAL, {"name": "A"}, key="k").data == taken_over.data

    def test_many_who_find_an_abandoned_claim_run_once(self, api):
        with crashing(), pytest.raises(AssertionError):
            api.post(EXTERNAL, {"name": "A"}, key="the-one")
        IdempotencyRecord.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
        Environment.objects.filter(name="A").delete()

        answers = utterly_concurrent(api, EXTERNAL)
        assert shops() == 1
        assert len([answer for answer in answers if answer.status_code == 200]) >= 1

    def test_costs_three_statements(self, api):
        with CaptureQueriesContext(connection) as captured:
            api.post(EXTERNAL, {"name": "A"}, key="k")
        statements = [query["sql"] for query in captured if query["sql"] not in ("BEGIN", "COMMIT")]
        assert len([sql for sql in statements if "api_idempotencyrecord" in sql]) == 3


class TestDigest:
    def digest(self, rf, method="post", path="/v1/a", payload=None):
        return idempotency.digest_of(getattr(rf, method)(path), payload)

    def test_covers_verb_path_query_and_body(self, rf):
        plain = self.digest(rf, payload={"a": 1})
        assert plain == self.digest(rf, payload={"a": 1})
        assert plain != self.digest(rf, payload={"a": 2})
        assert plain != self.digest(rf, payload=None)
        assert plain != self.digest(rf, method="patch", payload={"a": 1})
        assert plain != self.digest(rf, path="/v1/b", payload={"a": 1})
        assert plain != self.digest(rf, path="/v1/a?expected_version=2", payload={"a": 1})

    def test_ignores_the_order_of_members_and_parameters(self, rf):
        assert self.digest(rf, payload={"a": 1, "b": 2}) == self.digest(rf, payload={"b": 2, "a": 1})
        assert self.digest(rf, path="/v1/a?x=1&y=2") == self.digest(rf, path="/v1/a?y=2&x=1")


def test_old_records_are_purged_in_batches(api):
    for index in range(7):
        api.post(LOCAL, {"name": "A"}, key=f"k{index}")
    now = timezone.now()
    IdempotencyRecord.objects.exclude(key="k0").update(created_at=now - timedelta(hours=49))

    assert idempotency.purge_idempotency_records(at=now, batch=2) == 6
    assert [record.key for record in IdempotencyRecord.objects.all()] == ["k0"]
    assert tasks.purge_idempotency_records() == 0
