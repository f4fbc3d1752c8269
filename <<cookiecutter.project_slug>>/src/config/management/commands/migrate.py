"""`migrate`, safe to be run by several replicas at once and beside a serving one."""

from typing import Any

from django.core.management.commands import migrate
from django.db import connections

LOCK = 5432064265
"""Any number, the same in every version of this service."""


class Command(migrate.Command):
    """Django's command; on PostgreSQL, one process at a time.

    The others wait, and then find nothing to do. A change of a table that somebody else
    keeps locked for longer than 5 seconds fails, since requests would queue behind
    it; an orchestrator tries again.
    https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS
    """

    def handle(self, *args: Any, **options: Any) -> None:
        connection = connections[options["database"]]
        if connection.vendor != "postgresql":
            super().handle(*args, **options)
            return
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [LOCK])
            cursor.execute("SET lock_timeout = '5s'")
        try:
            super().handle(*args, **options)
        finally:
            # Both belong to the connection.
            connection.close()
