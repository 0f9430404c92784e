"""
Writers that issue invoices all at once, and are killed while they do: each is a process of its own.

    python -m invoices.tests.writers <environment id> <number of writers> <seed>

Each issues drafts, in an order of its own, until there are none left. Before every statement it may kill itself with
SIGKILL, so that it dies in the middle of a transaction, and its connection with it. Prints how many died.
"""

import os
import random
import signal
import sys
from collections.abc import Callable
from typing import Any

import django

DEADLY = 0.015
"""How likely a writer is to die at one statement; an invoice takes some twenty-five."""


def issue_all(environment_id: str, *, seed: int, is_mortal: bool) -> None:
    """Issue drafts of an environment until there are none left, or until the end."""
    from django.db import connection

    from flint import actors
    from flint.errors import FlintError
    from invoices.models import Invoice
    from invoices.services.issuing import issue_invoice

    chance = random.Random(seed)

    def live_or_die(execute: Callable, sql: str, params: Any, many: bool, context: dict) -> Any:
        if chance.random() < DEADLY:
            os.kill(os.getpid(), signal.SIGKILL)
        return execute(sql, params, many, context)

    actor = actors.system(environment_id, "Writer")
    drafts = Invoice.objects.filter(environment_id=environment_id, status="draft").order_by("id")
    while waiting := list(drafts.values_list("id", flat=True)):
        invoice_id = chance.choice(waiting)
        try:
            if is_mortal:
                with connection.execute_wrapper(live_or_die):
                    issue_invoice(invoice_id=invoice_id, delivery_mode="caller_managed", actor=actor)
            else:
                issue_invoice(invoice_id=invoice_id, delivery_mode="caller_managed", actor=actor)
        except FlintError as refusal:
            # Another writer was first; nothing else may stand in the way.
            if refusal.code != "INVOICE_NOT_DRAFT":
                raise


def main(environment_id: str, writers: int, seed: int) -> int:
    """Let so many writers loose, and one that does not die after them. Return how many were killed."""
    from django.db import connections

    connections.close_all()
    children = []
    for number in range(writers):
        pid = os.fork()
        if pid == 0:
            try:
                issue_all(environment_id, seed=seed + number, is_mortal=True)
            except BaseException as crash:  # noqa: BLE001 - a child says what it came to, and never goes on as a parent.
                print(f"writer {number}: {crash!r}", file=sys.stderr, flush=True)
                os._exit(1)
            os._exit(0)
        children.append(pid)
    ends = [os.waitpid(pid, 0)[1] for pid in children]
    if any(os.WIFEXITED(end) and os.WEXITSTATUS(end) for end in ends):
        sys.exit("a writer crashed by itself")
    issue_all(environment_id, seed=seed - 1, is_mortal=False)
    return sum(os.WIFSIGNALED(end) and os.WTERMSIG(end) == signal.SIGKILL for end in ends)


if __name__ == "__main__":
    django.setup()
    print(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
