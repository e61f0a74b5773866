"""A real PostgreSQL server for the tests: its own folder, its own port on 127.0.0.1, synced writes; it never outlives the tests.

The server refuses to run as root, so root's tests run it as another user. A shell stands between the test process and the server
and holds the other end of a pipe: when the test process ends, however it ends, the pipe closes, the shell stops the server and
removes its folder.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

USER = "desk"
# Whoever signs in by this name is asked for a password; `desk` is not.
CAREFUL_USER = "careful"
_ACCESS = f"host all {CAREFUL_USER} 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n"
_KEEPER = """
folder=$1; shift
"$@" >>"$folder/log" 2>&1 </dev/null &
server=$!
read -r word
kill -QUIT "$server" 2>/dev/null
wait "$server"
[ "$word" = keep ] || rm -rf "$folder"
"""
_START_SECONDS = 60.0


class NoServer(Exception):
    """Why this machine cannot run a PostgreSQL server."""


class Server:
    """A cluster in a temporary folder; `start` and `crash` may be called in turn, `close` removes it."""

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        self._programs = _programs()
        self._account = _account()
        self._settings = {"fsync": "on", **(settings or {})}
        self._folder = Path(tempfile.mkdtemp(prefix="desk-pg-"))
        self.port = _free_port()
        self._keeper: subprocess.Popen[bytes] | None = None
        self._made = 0
        self._initialise()

    def _initialise(self) -> None:
        if self._account is not None:
            os.chown(self._folder, self._account.pw_uid, self._account.pw_gid)
        data = self._folder / "data"
        command = [self._programs / "initdb", "-D", data, "-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8"]
        self._popen([*map(str, command), "--no-sync"], stdout=subprocess.DEVNULL).wait()
        if not (data / "PG_VERSION").exists():
            shutil.rmtree(self._folder)
            raise NoServer("initdb failed")
        (data / "pg_hba.conf").write_text(_ACCESS)

    def start(self) -> None:
        """Starts the server and waits until it answers; a server that was killed recovers first."""
        # The parts of a killed server need a moment to let go of its memory.
        for _ in range(10):
            self._launch()
            if self._answers():
                return
            self._leave(keep=True)
        raise NoServer((self._folder / "log").read_text())

    def crash(self, how: signal.Signals = signal.SIGQUIT) -> None:
        """Ends the server without a shutdown (SIGQUIT) or its first process without warning (SIGKILL); the folder stays."""
        os.kill(int((self._folder / "data" / "postmaster.pid").read_text().split()[0]), how)
        self._leave(keep=True)

    def close(self) -> None:
        """Ends the server and removes its folder."""
        if self._keeper is not None:
            self._leave(keep=False)
        shutil.rmtree(self._folder, ignore_errors=True)

    def url(self, template: str = "template1") -> str:
        """The address of a fresh database: a copy of `template`, which nobody may be connected to."""
        self._made += 1
        name = f"desk_{self._made}"
        self.run(f'create database "{name}" template "{template}"')
        return self.address(name)

    def address(self, database: str, user: str = USER) -> str:
        """The address of a database that exists, or not."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def drop(self, url: str) -> None:
        """Removes a database, whoever is connected to it."""
        self.run(f'drop database "{url.rpartition("/")[2]}" with (force)')

    def run(self, statement: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """Runs one statement outside of any transaction; its rows, if it has any."""
        with psycopg.connect(self.address(database), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def _launch(self) -> None:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "shared_buffers": "32MB",
            **self._settings,
        }
        words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        server = [str(self._programs / "postgres"), "-D", str(self._folder / "data"), *words]
        self._keeper = self._popen(["sh", "-c", _KEEPER, "sh", str(self._folder), *server], stdin=subprocess.PIPE)

    def _answers(self) -> bool:
        begun = time.monotonic()
        while time.monotonic() < begun + _START_SECONDS:
            try:
                self.run("select 1")
            except psycopg.OperationalError:
                time.sleep(0.05)
                if not (self._folder / "data" / "postmaster.pid").exists() and time.monotonic() > begun + 1:
                    return False
            else:
                return True
        return False

    def _leave(self, *, keep: bool) -> None:
        assert self._keeper is not None
        self._keeper.communicate(b"keep\n" if keep else None)
        self._keeper = None

    def _popen(
        self, command: list[str], *, stdin: int = subprocess.DEVNULL, stdout: int | None = None
    ) -> subprocess.Popen[bytes]:
        account = self._account
        if account is None:
            return subprocess.Popen(command, cwd="/", stdin=stdin, stdout=stdout)
        return subprocess.Popen(
            command,
            cwd="/",
            stdin=stdin,
            stdout=stdout,
            user=account.pw_uid,
            group=account.pw_gid,
            extra_groups=[],
        )


@contextmanager
def running(settings: Mapping[str, str] | None = None) -> Iterator[Server]:
    """A server of the test's own, which it may kill; the test is skipped where no server can run."""
    try:
        server = Server(settings)
    except NoServer as why:
        pytest.skip(str(why))
    try:
        server.start()
        yield server
    finally:
        server.close()


def _programs() -> Path:
    """The folder with initdb and postgres."""
    told = shutil.which("pg_config")
    if told:
        found = Path(subprocess.run([told, "--bindir"], check=True, capture_output=True, text=True).stdout.strip())
        if (found / "initdb").is_file():
            return found
    on_path = shutil.which("initdb")
    if on_path:
        return Path(on_path).resolve().parent
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        if (folder / "initdb").is_file():
            return folder
    raise NoServer("no PostgreSQL server is installed: neither pg_config nor initdb was found")


def _account() -> pwd.struct_passwd | None:
    """Whom root's tests run the server as; None where the tests do not run as root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise NoServer("PostgreSQL refuses to run as root, and there is no user postgres or nobody to run it as")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
