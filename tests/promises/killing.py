"""Starting a process of our own and killing it at a random moment of its work."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path


def kill_somewhere(script: str, arguments: list[str], longest_s: float, dice: random.Random) -> bool:
    """Run a Python script in a process of its own and ``kill -9`` it within so many seconds.

    Returns whether it was killed; a script that ended by itself must have ended well.
    The moment is drawn anew for each run, early moments as likely as late ones.
    """
    process = subprocess.Popen(
        [sys.executable, "-c", script, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    deadline = time.monotonic() + dice.uniform(0.0, longest_s)
    while time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.0005)
    if process.poll() is None:
        process.send_signal(signal.SIGKILL)
    _, complaint = process.communicate(timeout=60)
    if process.returncode == -signal.SIGKILL:
        return True
    assert process.returncode == 0, complaint.decode()
    return False


def run_whole(script: str, arguments: list[str]) -> float:
    """Run the script undisturbed; returns how long it took, in seconds."""
    started = time.monotonic()
    subprocess.run([sys.executable, "-c", script, *arguments], check=True, capture_output=True)
    return time.monotonic() - started


def files_below(folder: Path) -> set[str]:
    """Every Parquet file below a folder, relative to it."""
    return {str(file.relative_to(folder)) for file in folder.rglob("*.parquet")}
