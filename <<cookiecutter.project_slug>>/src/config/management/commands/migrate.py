"""`migrate`, safe to be run by several replicas at once and beside a serving one."""

import time
from typing import Any

from django.core.management.commands import migrate
from django.db import connections
from django.db.backends.utils import CursorWrapper

LOCK = 5432064265
"""Any number, the same in every version of this service."""

SESSION = """
-- If this process is cut off, PostgreSQL notices within half a minute and unlocks.
SET tcp_keepalives_idle = 10;
SET tcp_keepalives_interval = 5;
SET tcp_user_timeout = '30s';
-- Requests would queue behind a migration that waits for a table.
SET lock_timeout = '5s';
"""


class Command(migrate.Command):
    """Django's command; on PostgreSQL, one process at a time.

    The others wait, and then find nothing to do. A migration that would have to wait
    for a table for more than 5 seconds fails, and an orchestrator tries again.
    https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS
    """

    def handle(self, *args: Any, **options: Any) -> None:
        connection = connections[options["database"]]
        if connection.vendor != "postgresql":
            super().handle(*args, **options)
            return
        with connection.cursor() as cursor:
            cursor.execute(SESSION)
            while not self.try_lock(cursor):
                time.sleep(1)
        try:
            super().handle(*args, **options)
        finally:
            # Lock and settings are the connection's.
            connection.close()

    def try_lock(self, cursor: CursorWrapper) -> bool:
        """Take the lock if it is free, and say so; a query must not wait for it.

        CREATE INDEX CONCURRENTLY of the process that has it would wait for that query.
        """
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [LOCK])
        return bool(cursor.fetchone()[0])
