"""A command says so: a test suite's exit code and, better, its report in the form of JUnit.

The command runs in a folder of its own with the submission's files, the output as the file
`output_file` names, and over them the files of `suite`, a folder of yours. It is contained: no
network, nothing else to write, nothing of this machine's environment, limits of time, memory,
processes, files and output ([how](../decisions/sandbox.md)). Where that cannot be had it is not
run and the verifier abstains, unless `uncontained: allow`. `readable` are folders that it may
read, such as libraries.

With `report` the tests are counted from that file: it fails unless at least `tests_min` ran and
none failed, whatever the exit code. A limit that is reached is a failure (`on_limit: abstain` to
have it otherwise). The suite's content is part of the version. What the command printed goes
with the finding and is no part of the evidence, since it may hold times.

```yaml
kind: command
parameters:
  run: [python, -m, pytest, -q, --junitxml=report.xml]
  suite: ./checks/sorting
  output_file: solution.py
  report: report.xml
  seconds: 30
```
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Literal

from flatfare.core.checks import junit
from flatfare.core.checks.exact import shortened
from flatfare.core.checks.finding import Ruling, abstained, failed, passed
from flatfare.core.checks.submission import Json, Submission, check_path
from flatfare.core.errors import BadInput
from flatfare.verifiers.kinds import Kind, Parameters
from flatfare.verifiers.sandbox import containing
from flatfare.verifiers.sandbox.order import Ended, Limits, Order, Refused

_SIZE = re.compile(r"(\d+) ?(kB|KB|MB|GB)")
_SIZES = {"kB": 1 << 10, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30}
SECONDS_MAX = 3600

Size = int | str


class Command(Parameters, frozen=True, kw_only=True):
    """What is run, with what, and within which limits; sizes are bytes or like `256 MB`."""

    run: list[str]
    suite: str | None = None
    output_file: str | None = None
    report: str | None = None
    tests_min: int = 1
    seconds: float = 60.0
    memory: Size = "1 GB"
    processes: int = 64
    file: Size = "64 MB"
    folder: Size = "256 MB"
    files: int = 10_000
    output: Size = "1 MB"
    environment: Mapping[str, str] = {}
    readable: tuple[str, ...] = ()
    on_limit: Literal["fail", "abstain"] = "fail"
    uncontained: Literal["refuse", "allow"] = "refuse"

    def check(self) -> None:
        """There is a command, every limit is one, and paths stay in the folder."""
        if not self.run or not self.run[0]:
            raise BadInput("'run' is empty: state the command and its arguments.")
        for path in filter(None, (self.output_file, self.report)):
            check_path(path)
        for folder in self.readable:
            if not folder.startswith("/") or folder == "/" or ".." in folder.split("/"):
                raise BadInput(
                    f"'readable' holds {folder!r}: state a folder from the root, and not the root."
                )
        if self.suite is not None and not Path(self.suite).is_dir():
            raise BadInput(f"'suite' is {self.suite!r}, which is no folder here.")
        self.limits()

    def material(self) -> str:
        """The suite's files, by their digests."""
        files = sorted(self.suite_files().items())
        return "".join(f"{path} {hashlib.sha256(content).hexdigest()}\n" for path, content in files)

    def limits(self) -> Limits:
        """As the sandbox takes them."""
        if not 0 < self.seconds <= SECONDS_MAX:
            raise BadInput(f"'seconds' is {self.seconds}: it is more than 0 and at most {SECONDS_MAX}.")
        if not 1 <= self.processes <= 4096 or not 1 <= self.files <= 1_000_000 or self.tests_min < 0:
            raise BadInput("'processes' is 1 to 4096, 'files' 1 to 1000000, and 'tests_min' not below 0.")
        return Limits(
            seconds=self.seconds,
            memory_bytes=_bytes("memory", self.memory),
            processes=self.processes,
            file_bytes=_bytes("file", self.file),
            folder_bytes=_bytes("folder", self.folder),
            folder_files=self.files,
            output_bytes=_bytes("output", self.output),
        )

    def suite_files(self) -> dict[str, bytes]:
        """The suite's files by their paths within it."""
        return dict(_files_of(Path(self.suite), self.limits())) if self.suite else {}


def judge(submission: Submission, parameters: Command) -> Ruling:
    """Run the command and read what came of it."""
    given = dict(submission.files)
    if parameters.output_file:
        given[parameters.output_file] = submission.output.encode("utf-8", "surrogatepass")
    order = Order(
        argv=tuple(parameters.run),
        files={**given, **parameters.suite_files()},
        environment=parameters.environment,
        readable=parameters.readable,
        kept=(parameters.report,) if parameters.report else (),
        limits=parameters.limits(),
    )
    answer = containing.run(order, allow_uncontained=parameters.uncontained == "allow")
    if isinstance(answer, Refused):
        return abstained(f"The command was not run: {answer.reason}.")
    return _with_remarks(_ruled(answer, parameters), answer)


def _ruled(answer: Ended, parameters: Command) -> Ruling:
    details: dict[str, Json] = {"exit_code": answer.exit_code, "stopped": answer.stopped}
    if answer.stopped:
        say = failed if parameters.on_limit == "fail" else abstained
        return say(f"The command was stopped: it reached its limit of {answer.stopped}.", details=details)
    if parameters.report:
        return _by_report(answer, answer.kept.get(parameters.report), parameters, details)
    if answer.exit_code == 0:
        return passed("The command ended with 0.", details=details)
    return failed(f"The command ended with {answer.exit_code}.", details=details)


def _by_report(answer: Ended, content: bytes | None, parameters: Command, details: dict[str, Json]) -> Ruling:
    if content is None:
        return failed(f"The command ended with {answer.exit_code} and left no report.", details=details)
    try:
        report = junit.read(content)
    except junit.NotAReport as problem:
        return failed(str(problem), details=details)
    broken: list[Json] = [*sorted(report.failed)]
    counts: dict[str, Json] = {"passed": len(report.passed), "skipped": len(report.skipped), "failed": broken}
    details |= counts
    score = Decimal(len(report.passed)) / report.ran if report.ran else Decimal(0)
    reasons = [
        f"{name} failed: {shortened(why)}" if why else f"{name} failed."
        for name, why in report.failed.items()
    ]
    if report.ran < parameters.tests_min:
        reasons.append(f"{report.ran} tests ran, expected at least {parameters.tests_min}.")
    if answer.exit_code != 0:
        reasons.append(f"The command ended with {answer.exit_code}.")
    if reasons:
        return failed(*reasons, score=score.quantize(Decimal("0.000001")), details=details)
    return passed(f"All {report.ran} tests passed.", score=Decimal(1), details=details)


def _with_remarks(ruling: Ruling, answer: Ended) -> Ruling:
    reasons, details = ruling.reasons, dict(ruling.details)
    if answer.uncontained:
        reasons = (*reasons, f"Nothing contained the command: {answer.uncontained}.")
        details["uncontained"] = True
    return Ruling(ruling.judgement, reasons, ruling.score, details, answer.output)


def _bytes(key: str, size: Size) -> int:
    match = _SIZE.fullmatch(size) if isinstance(size, str) else None
    found = int(match[1]) * _SIZES[match[2]] if match else size
    if not isinstance(found, int) or found < 1:
        raise BadInput(f"{key!r} is {size!r}: write a size like '256 MB', or bytes.")
    return found


def _files_of(folder: Path, limits: Limits) -> Iterator[tuple[str, bytes]]:
    total = 0
    for place in sorted(folder.rglob("*")):
        if place.is_file() and "__pycache__" not in place.parts:
            content = place.read_bytes()
            total += len(content)
            if total > limits.folder_bytes:
                raise BadInput(f"'suite' is larger than 'folder', which is {limits.folder_bytes} bytes.")
            yield place.relative_to(folder).as_posix(), content


KIND = Kind("command", Command, judge)
