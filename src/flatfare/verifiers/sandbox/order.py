"""What is to be run and within which limits, and what came of it.

Every limit has a number: there is no way to say "without limit". The standard library
only, since the process that builds the sandbox imports nothing else.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

FOLDER = "/task"
"""Where the command runs: the one folder it may write to."""

MEGABYTE = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """What a command may use before it is stopped."""

    seconds: float = 60.0
    memory_bytes: int = 1024 * MEGABYTE
    processes: int = 64
    open_files: int = 256
    file_bytes: int = 64 * MEGABYTE
    folder_bytes: int = 256 * MEGABYTE
    folder_files: int = 10_000
    output_bytes: int = MEGABYTE


@dataclass(frozen=True, slots=True)
class Order:
    """One command, the files it finds in its folder, what it may read, and what is kept afterwards.

    ``readable`` are folders of this machine that it sees under the same path, never to write;
    ``kept`` are paths in its folder that are read back when it has ended.
    """

    argv: tuple[str, ...]
    files: Mapping[str, bytes] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    readable: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)

    def to_json(self) -> bytes:
        """As it is handed to the process that builds the sandbox."""
        return json.dumps({**asdict(self), "files": _text(self.files)}).encode()

    @classmethod
    def from_json(cls, content: bytes) -> "Order":
        """The order that ``to_json`` wrote."""
        read = json.loads(content)
        return cls(
            argv=tuple(read["argv"]),
            files=_bytes(read["files"]),
            environment=read["environment"],
            readable=tuple(read["readable"]),
            kept=tuple(read["kept"]),
            limits=Limits(**read["limits"]),
        )


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended.

    ``exit_code`` is minus the signal where one killed it, as in ``subprocess``; None where it
    was ``stopped`` at a limit (``time``, ``memory`` or ``output``). ``output`` is what it wrote
    to either stream, up to the limit. ``uncontained`` says why nothing held it, if nothing did.
    """

    exit_code: int | None
    stopped: str | None = None
    output: bytes = b""
    kept: Mapping[str, bytes] = field(default_factory=dict)
    uncontained: str | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The command was not run, and why: something could not be contained, or it could not be started."""

    reason: str


def answer_to_json(answer: Ended | Refused) -> bytes:
    """As the process that built the sandbox hands it back."""
    if isinstance(answer, Refused):
        return json.dumps({"refused": answer.reason}).encode()
    written = asdict(answer)
    return json.dumps({**written, "output": _one(answer.output), "kept": _text(answer.kept)}).encode()


def answer_from_json(content: bytes) -> Ended | Refused:
    """The answer that ``answer_to_json`` wrote."""
    read = json.loads(content)
    if "refused" in read:
        return Refused(read["refused"])
    return Ended(
        exit_code=read["exit_code"],
        stopped=read["stopped"],
        output=base64.b64decode(read["output"]),
        kept=_bytes(read["kept"]),
        uncontained=read["uncontained"],
    )


def _one(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _text(files: Mapping[str, bytes]) -> dict[str, str]:
    return {path: _one(content) for path, content in files.items()}


def _bytes(files: Mapping[str, str]) -> dict[str, bytes]:
    return {path: base64.b64decode(content) for path, content in files.items()}
