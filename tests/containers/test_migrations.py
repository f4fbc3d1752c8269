"""Migrations of replicas that start at once, that fail, and that are cut off."""

import re
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from .conftest import RESTRICTED, docker, environ, eventually

Migrate = Callable[..., subprocess.CompletedProcess[str]]

MIGRATION = """
import time
from django.db import migrations

class Migration(migrations.Migration):
    atomic = False
    dependencies = [("users", "0001_initial")]
    operations = [{}]
"""
APPLIED = "Applying users.0001_initial... OK"


def psql(database: str, statement: str, *, check: bool = True) -> str:
    """What PostgreSQL answers, in the database of these tests."""
    command = ["psql", "--username=postgres", "--dbname=migrations", "--tuples-only"]
    command += ["--command", statement]
    return docker("exec", database, *command, check=check).stdout.strip()


@pytest.fixture
def empty(database: str) -> Iterator[str]:
    """PostgreSQL with an empty database."""
    docker("exec", database, "createdb", "--username=postgres", "migrations")
    yield database
    docker("exec", database, "dropdb", "--username=postgres", "--force", "migrations")


@pytest.fixture
def migrate(image: str, network: str, empty: str, tmp_path: Path) -> Migrate:
    """Runs what the init container does, with one more migration if one is given."""
    url = f"postgres://postgres:x@{empty}/migrations"

    def run(
        operations: str = "", *options: str, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        options = (*options, *RESTRICTED, *environ(network, DATABASE_URL=url))
        if operations:
            file = tmp_path / "0002_more.py"
            file.write_text(MIGRATION.format(operations))
            there = f"/app/users/migrations/{file.name}"
            options += ("--volume", f"{file}:{there}:ro")
        command = [*options, image, "migrate", "--no-input"]
        return docker("run", "--rm", *command, check=check)

    return run


def test_five_replicas_at_once_migrate_once(migrate: Migrate, empty: str) -> None:
    errors = docker("logs", empty).stderr.count("ERROR")
    with ThreadPoolExecutor() as pool:
        results = [one.result() for one in [pool.submit(migrate) for _ in range(5)]]
    assert sum(APPLIED in result.stdout for result in results) == 1
    for result in results:
        assert result.stderr == ""
    assert docker("logs", empty).stderr.count("ERROR") == errors


def test_failing_migration_says_why_and_keeps_nobody_waiting(migrate: Migrate) -> None:
    result = migrate("migrations.RunSQL('SELECT 1 FROM missing')", check=False)
    assert result.returncode == 1
    assert 'relation "missing" does not exist' in result.stderr
    assert "No migrations to apply" in migrate().stdout


def test_index_is_created_concurrently_while_others_wait(migrate: Migrate) -> None:
    operations = (
        "migrations.RunPython(lambda *_: time.sleep(5)), migrations.RunSQL("
        "'CREATE INDEX CONCURRENTLY more ON users_user (email)')"
    )
    with ThreadPoolExecutor() as pool:
        runs = [pool.submit(migrate, operations) for _ in range(3)]
        assert sum(APPLIED in run.result().stdout for run in runs) == 1


def test_migration_gives_up_on_a_table_that_is_in_use(
    migrate: Migrate, empty: str
) -> None:
    migrate()
    lock = "BEGIN; LOCK TABLE users_user IN ACCESS SHARE MODE; SELECT pg_sleep(60)"
    with ThreadPoolExecutor() as pool:
        pool.submit(psql, empty, lock, check=False)
        taken = "SELECT count(*) FROM pg_locks WHERE mode = 'AccessShareLock'"
        taken += " AND relation = 'users_user'::regclass"
        eventually(lambda: psql(empty, taken) == "1")
        started = time.monotonic()
        alter = "migrations.RunSQL('ALTER TABLE users_user ADD COLUMN more int')"
        result = migrate(alter, check=False)
        assert result.returncode == 1
        assert "canceling statement due to lock timeout" in result.stderr
        assert time.monotonic() - started < 30
        psql(
            empty,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE query LIKE 'BEGIN; LOCK%'",
        )


def test_lock_of_a_process_that_is_cut_off_is_released(
    migrate: Migrate, network: str, empty: str
) -> None:
    name = f"{empty}-cut-off"
    sleep = "migrations.RunPython(lambda *_: time.sleep(600))"
    with ThreadPoolExecutor() as pool:
        pool.submit(migrate, sleep, "--name", name, check=False)
        held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
        try:
            eventually(lambda: psql(empty, held) == "1")
            docker("network", "disconnect", network, name)
            eventually(lambda: psql(empty, held) == "0", seconds=60)
        finally:
            docker("rm", "--force", name)
    assert re.search("Applying|No migrations", migrate().stdout)
