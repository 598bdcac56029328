"""Runs a command contained, or says why that cannot be done here: it never runs one uncontained unasked.

No network, its own folder in memory, the programs of the machine to read and nothing else to
see, an environment of its own, limits of time, memory, processes, files and output, and no
process left behind. How, and what stays open, is told in docs/decisions/sandbox.md.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from flatfare.verifiers.sandbox import uncontained
from flatfare.verifiers.sandbox.order import FOLDER, Ended, Order, Refused, answer_from_json

GRACE_SECONDS = 15.0  # to build the sandbox and to read back what is kept, on a busy machine

_START = (
    "import sys; sys.path.insert(0, sys.argv[1]); from flatfare.verifiers.sandbox.stage import main; main()"
)


def run(order: Order, *, allow_uncontained: bool = False) -> Ended | Refused:
    """The command's end, or the reason why it was not run.

    With ``allow_uncontained`` a platform that cannot contain it runs it all the same, with what
    limits it has, and the answer says so.
    """
    prepared = replace(
        order,
        environment={**environment(), **order.environment},
        readable=(*programs(), *order.readable),
    )
    answer = _contained(prepared) if sys.platform == "linux" else Refused(f"{sys.platform} is not Linux")
    if isinstance(answer, Refused) and allow_uncontained:
        return uncontained.run(prepared, answer.reason)
    return answer


def environment() -> Mapping[str, str]:
    """All that the command finds in its environment: nothing of this process's own."""
    folders = [f"{sys.prefix}/bin", f"{sys.base_prefix}/bin", "/usr/local/bin", "/usr/bin", "/bin"]
    return {
        "HOME": FOLDER,
        "LANG": "C.UTF-8",
        "PATH": ":".join(dict.fromkeys(folders)),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",  # sets in one order: the same submission prints the same twice
        "TMPDIR": "/tmp",
    }


def programs() -> tuple[str, ...]:
    """Where this Python and its libraries stand, if not among the system's own."""
    folders = [
        sys.prefix,
        sys.base_prefix,
        os.path.dirname(os.path.dirname(os.path.realpath(sys.executable))),
    ]
    return tuple(folder for folder in dict.fromkeys(folders) if folder not in ("/", "/usr"))


def _contained(order: Order) -> Ended | Refused:
    source = str(Path(__file__).parents[3])
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _START, source],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={},
        cwd="/",
        start_new_session=True,
    )
    try:
        answer, problem = process.communicate(order.to_json(), order.limits.seconds + GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        return Refused("the sandbox did not answer in time")
    finally:
        process.kill()  # the kernel then kills the first process of the sandbox, and with it all others
        process.communicate()
    if process.returncode != 0 or not answer:
        last = problem.decode(errors="replace").strip().splitlines()[-1:]
        return Refused(f"the sandbox could not be built ({''.join(last) or process.returncode})")
    return answer_from_json(answer)
