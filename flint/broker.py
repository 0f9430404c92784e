"""PostgreSQL as Celery's broker: messages are rows of the database Flint uses anyway, so one machine needs no Redis."""

import functools
import os

from django.db import connections
from kombu.transport import pgmq
from pgmq import PGMQueue
from psycopg.conninfo import make_conninfo
from psycopg_pool import ConnectionPool


class Channel(pgmq.Channel):
    """
    Kombu's channel, but one that lets go of a message whose acknowledgement the database did not take.

    The message comes again once it is visible; kept back, it would fill the worker's window, and a worker with a full
    window takes nothing more.
    """

    def basic_ack(self, delivery_tag: str, multiple: bool = False) -> None:
        try:
            super().basic_ack(delivery_tag, multiple)
        except Exception:
            self.qos.ack(delivery_tag)
            raise

    def basic_reject(self, delivery_tag: str, requeue: bool = False) -> None:
        try:
            super().basic_reject(delivery_tag, requeue)
        except Exception:
            self.qos.ack(delivery_tag)
            raise


class Transport(pgmq.Transport):
    """
    Kombu's PGMQ transport over one connection pool per process.

    The pool it would make itself, one for each of kombu's connections, drops the TLS options of the database's address,
    breaks on a password with a space, and waits half a minute for a server that is gone.
    """

    Channel = Channel

    def _create_pgmq_client(self) -> PGMQueue:
        # The address is never used, but an absent one would be looked for in the environment.
        return PGMQueue(conn_string="host=unused", pool=_pool(os.getpid()), init_extension=False)


@functools.cache
def _pool(process_id: int) -> ConnectionPool:
    return ConnectionPool(
        _conninfo(),
        kwargs={"autocommit": True},
        min_size=0,
        max_size=8,
        timeout=2,
        reconnect_timeout=2,
        check=ConnectionPool.check_connection,
        open=True,
    )


def close() -> None:
    """Let go of this process's connections; the next message opens new ones."""
    _pool(os.getpid()).close()
    _pool.cache_clear()


def _conninfo() -> str:
    database = connections["default"].settings_dict
    options = {name: value for name, value in database["OPTIONS"].items() if isinstance(value, str | int)}
    named = {"host": database["HOST"], "port": database["PORT"], "dbname": database["NAME"]}
    named |= {"user": database["USER"], "password": database["PASSWORD"]}
    return make_conninfo(**{**options, **{name: value for name, value in named.items() if value}})
