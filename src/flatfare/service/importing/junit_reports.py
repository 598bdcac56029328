"""JUnit reports: each test case a task, or each suite as a whole, and whether it passed its verdict.

A skipped case was not tried and is no task. What was run again within one report, as Surefire writes
it, counts as attempts.
"""

from collections.abc import Iterable
from dataclasses import replace

from flatfare.core.checks.junit import Case, NotAReport, cases
from flatfare.core.errors import BadInput
from flatfare.core.moments import iso, parse_moment
from flatfare.service.importing.found import Cells, Found, Reading, Work, evidence
from flatfare.service.importing.textual import opened_text

_DOCUMENT_BYTES_MAX = 256 << 20
_VERIFIER = "junit"


def read(reading: Reading) -> Found:
    """The cases or suites of a report; raises ``BadInput`` where it is none."""
    with opened_text(reading.path) as stream:
        raw = stream.read(_DOCUMENT_BYTES_MAX + 1)
    if len(raw) > _DOCUMENT_BYTES_MAX:
        raise BadInput(f"{reading.name} is more than 256 MB: a report of tests is never that long.")
    try:
        found = cases(raw)
    except NotAReport as problem:
        raise BadInput(f"{reading.name} is no report of tests. {problem}") from problem
    if skipped := sum(1 for case in found if case.state == "skipped"):
        reading.notes[f"Skipped, and so no tasks: {skipped:,} tests."] += 1
    ran = [_plain(case) for case in found if case.state != "skipped"]
    if reading.choice("each") == "suite":
        yield from _suites(ran, reading)
    else:
        yield from _cases(ran, reading)


def _plain(case: Case) -> Case:
    """The case with names on one line, and its moment only where it is one."""
    suite = " ".join(case.suite.split()) if case.suite else None
    return replace(case, name=" ".join(case.name.split()), suite=suite, at=_moment(case.at))


def _moment(text: str | None) -> str | None:
    try:
        return iso(parse_moment(text)[0]) if text else None
    except BadInput:
        return None


def _cases(ran: Iterable[Case], reading: Reading) -> Found:
    seen: dict[str, int] = {}
    for case in ran:
        key = f"{_run_of(case, reading)}/{case.suite or 'suite'}/{case.name}"
        seen[key] = seen.get(key, 0) + 1
        if seen[key] > 1:  # the same name twice in one suite, such as a parameter that is not told
            key += f"#{seen[key]}"
        label: Cells = {"label.suite": case.suite, "label.test": case.name[:512]}
        grounds = {"name": case.name, "state": case.state, "message": case.message}
        yield _work(key, case, case.state == "passed", case.tries, grounds, label)


def _suites(ran: Iterable[Case], reading: Reading) -> Found:
    """A suite passes if each of its cases did."""
    by_suite: dict[str, list[Case]] = {}
    for case in ran:
        by_suite.setdefault(f"{_run_of(case, reading)}/{case.suite or 'suite'}", []).append(case)
    for key, own in by_suite.items():
        grounds = [{"name": case.name, "state": case.state, "message": case.message} for case in own]
        passed = all(case.state == "passed" for case in own)
        yield _work(key, own[0], passed, 1, grounds, {"label.suite": own[0].suite})


def _run_of(case: Case, reading: Reading) -> str:
    """Which run of the tests this is: by its moment, else by the report's content."""
    return case.at or reading.sha256()[:12]


def _work(key: str, case: Case, passed: bool, tries: int, grounds: object, labels: Cells) -> Work:
    task: Cells = {
        "task": key,
        "name": "tests",
        "opened_at": case.at,
        "attempts": str(tries) if tries > 1 else None,
        **{name: value and value[:512] for name, value in labels.items()},
    }
    verdict: Cells = {
        "id": f"{key}/{_VERIFIER}",
        "verifier": _VERIFIER,
        "version": "1",
        "kind": "code",
        "result": "pass" if passed else "fail",
        "evidence": evidence(grounds),
        "at": case.at,
    }
    return Work(task, [], [verdict])
