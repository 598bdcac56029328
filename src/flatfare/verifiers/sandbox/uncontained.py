"""Runs a command with nothing but limits around it, where its owner said that this is allowed.

It has a folder, an environment, a session and limits of time, memory per process, file and
output of its own; it can reach the network and every file that its user can.
"""

import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from flatfare.verifiers.sandbox.order import FOLDER, Ended, Order, Refused

_LIMITED = (
    "import os, resource, sys\n"
    "for which, most in zip(('RLIMIT_CPU', 'RLIMIT_AS', 'RLIMIT_FSIZE', 'RLIMIT_CORE'), sys.argv[1:5]):\n"
    "    resource.setrlimit(getattr(resource, which), (int(most), int(most)))\n"
    "os.execvp(sys.argv[5], sys.argv[5:])\n"
)


def run(order: Order, why: str) -> Ended | Refused:
    """The command's end; ``why`` it could not be contained goes with it."""
    with tempfile.TemporaryDirectory(prefix="flatfare-") as folder:
        for path, content in order.files.items():
            place = Path(folder, path)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
            if content.startswith((b"#!", b"\x7fELF")):
                place.chmod(0o755)
        exit_code, stopped, output = _watched(order, folder)
        kept = {
            path: found for path in order.kept if (found := _regular_file(Path(folder), path)) is not None
        }
        return Ended(exit_code, stopped, output, kept, why)


def _watched(order: Order, folder: str) -> tuple[int | None, str | None, bytes]:
    limits = order.limits
    most = map(str, (int(limits.seconds) + 1, limits.memory_bytes, limits.file_bytes, 0))
    environment = {name: value.replace(FOLDER, folder) for name, value in order.environment.items()}
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _LIMITED, *most, *order.argv],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**environment, "TMPDIR": folder},
        cwd=folder,
        start_new_session=True,
    )
    is_late = threading.Event()

    def too_late() -> None:
        is_late.set()
        _end(process.pid)

    clock = threading.Timer(limits.seconds, too_late)
    clock.start()
    try:
        assert process.stdout is not None
        output = process.stdout.read(limits.output_bytes + 1)
        if len(output) > limits.output_bytes:
            return None, "output", output[: limits.output_bytes]
        exit_code = process.wait()
    finally:
        clock.cancel()
        _end(process.pid)
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
    return (None, "time", output) if is_late.is_set() else (exit_code, None, output)


def _end(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def _regular_file(folder: Path, path: str) -> bytes | None:
    place = folder / path
    if place.resolve() != folder.resolve() / path or not place.is_file():
        return None
    return place.read_bytes()
