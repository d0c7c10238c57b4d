"""A private PostgreSQL server for the tests: in a temporary directory, on a socket there, gone with the session."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tuneworth.store import open_store

DEBIAN = Path("/usr/lib/postgresql")
USER = "tests"


def programs() -> Path | None:
    """The directory of initdb and pg_ctl: that in PATH, else the newest of Debian's, which stay out of PATH."""
    found = shutil.which("pg_ctl")
    places = [Path(found).resolve().parent] if found else []
    places += sorted(DEBIAN.glob("*/bin"), key=lambda place: float(place.parent.name), reverse=True)
    return next((place for place in places if (place / "initdb").exists() and (place / "pg_ctl").exists()), None)


class Server:
    """Raises RuntimeError where it cannot be made."""

    def __init__(self, binaries: Path) -> None:
        self.binaries = binaries
        # A socket's path has 107 characters at most, so it is not below the tests' own directory.
        self.folder = Path(tempfile.mkdtemp(prefix="tuneworth-pg-", dir="/tmp"))
        self.owner: str | None = None
        if os.geteuid() == 0:  # the server refuses to run as root
            known = {user.pw_name for user in pwd.getpwall()}
            self.owner = next(name for name in ("postgres", "nobody") if name in known)
            shutil.chown(self.folder, self.owner)
        self.data = self.folder / "data"
        self._call("initdb", "--pgdata", self.data, "--auth", "trust", "--username", USER, "--encoding", "UTF8",
                   "--locale", "C", "--no-sync")  # fmt: skip
        self.start()

    def start(self) -> None:
        # Nothing here must outlive a crash of the machine, and one test after another makes a database.
        options = f"-c listen_addresses='' -c unix_socket_directories='{self.folder}' -c fsync=off"
        self._call("pg_ctl", "start", "--pgdata", self.data, "--wait", "--silent", "--log", self.folder / "log",
                   "--options", options)  # fmt: skip

    def stop(self) -> None:
        """Every connection breaks at once, as when the server is restarted in a hurry."""
        self._call("pg_ctl", "stop", "--pgdata", self.data, "--mode", "immediate", "--silent")

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database: str) -> str:
        return f"postgresql://{USER}@/{database}?host={self.folder}"

    @contextmanager
    def database(self, template: str = "template0") -> Iterator[str]:
        """The URL of a new database, dropped at the end."""
        import psycopg

        name = f"test_{uuid.uuid4().hex}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        yield self.url(name)
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def _call(self, program: str, *arguments: str | Path) -> None:
        command = [str(self.binaries / program), *map(str, arguments)]
        ended = subprocess.run(command, user=self.owner, cwd=self.folder, stdin=subprocess.DEVNULL, text=True,
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)  # fmt: skip
        if ended.returncode:
            raise RuntimeError(f"{program} failed: {ended.stderr}")


@contextmanager
def server() -> Iterator[Server]:
    """A running server whose database `stores` is an empty store, to be copied. Raises LookupError where there is none."""
    binaries = programs()
    if binaries is None:
        raise LookupError(f"PostgreSQL was not tested: no initdb and pg_ctl in PATH or below {DEBIAN}; apt-get install "
                          "postgresql")  # fmt: skip
    try:
        import psycopg
    except ImportError:
        raise LookupError("PostgreSQL was not tested: pip install 'tuneworth[postgres]'") from None
    with closing(Server(binaries)) as made:
        with psycopg.connect(made.url("postgres"), autocommit=True) as connection:
            connection.execute("CREATE DATABASE stores")
        open_store(made.url("stores")).close()
        yield made
