"""A PostgreSQL server for tests: started once, by whoever asks first, and stopped with the tests.

It comes with the package ``pgserver``, whose programs are run here and not its module: a server
refuses to run as root, and under root the module makes a user on the machine, which tests must not.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from importlib.util import find_spec
from pathlib import Path

_UNPRIVILEGED = "nobody"
_AS_WHOM = (
    ("setpriv", f"--reuid={_UNPRIVILEGED}", "--regid=nogroup", "--clear-groups") if os.geteuid() == 0 else ()
)
START_S = 30


def programs() -> Path | None:
    """Where the server's programs are; None where they are not installed."""
    found = find_spec("pgserver")
    if found is None or not found.submodule_search_locations:
        return None
    folder = Path(found.submodule_search_locations[0]) / "pginstall" / "bin"
    return folder if (folder / "postgres").exists() else None


class Server:
    """A server of its own on this machine; unless it is durable no file is synced: no test pulls the plug."""

    def __init__(self, folder: Path, *, is_durable: bool = False) -> None:
        self._sync = "on" if is_durable else "off"
        self._programs = programs() or Path()
        self.folder = Path(tempfile.mkdtemp(prefix="ffpg-"))  # short: a socket's path has 107 signs
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._log = folder / "postgres.log"
        if os.geteuid() == 0:
            shutil.chown(self.folder, _UNPRIVILEGED)
        self._run("initdb", "-D", str(self.folder / "data"), "-U", "postgres", "--auth=trust", "--no-sync")

    def start(self) -> None:
        """Start, and return once it answers."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *_AS_WHOM,
                    *(str(self._programs / "postgres"), "-D", str(self.folder / "data")),
                    *("-k", str(self.folder), "-h", "127.0.0.1", "-p", str(self.port)),
                    *("-c", f"fsync={self._sync}", "-c", f"full_page_writes={self._sync}"),
                    *("-c", "max_connections=200"),
                ],
                cwd="/",
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + START_S
        while not self._answers():
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.05)

    def stop(self, mode: str = "SIGINT") -> None:
        """Stop at once, its clients cut off."""
        if self._process is not None:
            self._process.send_signal(signal.Signals[mode])
            self._process.wait(START_S)
            self._process = None

    def freeze(self) -> None:
        """Let it stand still: its connections stay, and nothing answers on them."""
        for process in self._all():
            os.kill(process, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        for process in self._all():
            os.kill(process, signal.SIGCONT)

    def _all(self) -> list[int]:
        """Its processes, the first one first, so that none is begun while the others are told."""
        assert self._process is not None
        first = self._process.pid
        children = Path(f"/proc/{first}/task/{first}/children")
        return [first, *map(int, children.read_text().split())]

    def remove(self) -> None:
        """Stop, and leave nothing behind."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def new_database(self) -> str:
        """The address of an empty database."""
        name = f"book_{uuid.uuid4().hex[:12]}"
        self.sql(f"CREATE DATABASE {name} TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'")
        return self.address(name)

    def address(self, database: str) -> str:
        """The address of a database of this server."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def sql(self, statement: str, database: str = "postgres") -> None:
        """Run a statement as the server's master."""
        import psycopg

        with psycopg.connect(self.address(database), autocommit=True) as connection:
            connection.execute(statement.encode())

    def _answers(self) -> bool:
        import psycopg

        try:
            psycopg.connect(self.address("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [*_AS_WHOM, str(self._programs / program), *arguments], cwd="/", capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
