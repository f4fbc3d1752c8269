import os
import subprocess
import sys

import pytest
from django.conf import settings
from django.db import connection

from config.management.commands.migrate import LOCK


@pytest.mark.skipif(
    connection.vendor != "postgresql", reason="waits on PostgreSQL alone"
)
@pytest.mark.django_db(transaction=True)
def test_migrate_waits_for_its_turn() -> None:
    database = connection.settings_dict
    environ = os.environ | {
        "DATABASE_URL": "postgres://{USER}:{PASSWORD}@{HOST}/{NAME}".format(**database),
        "DJANGO_SETTINGS_MODULE": "config.settings",
    }
    command = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        process = subprocess.Popen(command, cwd=settings.BASE_DIR, env=environ)  # noqa: S603
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(5)
        cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])
    assert process.wait(30) == 0
