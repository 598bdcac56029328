"""Test reports in the form of JUnit: which cases passed, failed or were skipped.

The file may come from code that nobody trusts: no entity is expanded, its size and depth are
bounded, and what cannot be read is ``NotAReport``. Sums in attributes are not believed, cases are
counted.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.parsers import expat

CASES_MAX = 200_000
DEPTH_MAX = 50
MESSAGE_LENGTH_MAX = 500


class NotAReport(Exception):
    """The file is no report of tests; says why, as a sentence."""


@dataclass(slots=True)
class Report:
    """Cases by name (class and name), and what went wrong with those that failed."""

    passed: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)

    @property
    def ran(self) -> int:
        """How many were not skipped."""
        return len(self.passed) + len(self.failed)


@dataclass(frozen=True, slots=True)
class Case:
    """One test as the report has it, with the suite it stands in."""

    name: str  # class and name
    state: str  # passed, failed, skipped
    suite: str | None = None
    message: str = ""
    at: str | None = None  # the suite's moment, as it was written
    tries: int = 1  # with those that were run again within the report


def read(content: bytes) -> Report:
    """The report in a file of XML, whose root is ``testsuites`` or ``testsuite``.

    >>> read(b'<testsuite><testcase classname="a" name="b"/></testsuite>').passed
    ['a::b']
    """
    return _parsed(content).report


def cases(content: bytes) -> list[Case]:
    """The cases of such a file one by one, those of a name that comes twice too.

    >>> [(case.suite, case.name, case.state) for case in cases(
    ...     b'<testsuite name="s"><testcase name="b"><error/></testcase></testsuite>')]
    [('s', 'b', 'failed')]
    """
    return _parsed(content).cases


def _parsed(content: bytes) -> "_Reader":
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.StartDoctypeDeclHandler = reader.refuse_doctype
    try:
        parser.Parse(content, True)
    except (expat.ExpatError, UnicodeDecodeError, ValueError) as problem:
        raise NotAReport(f"The test report is no XML: {problem}.") from None
    return reader


_STATES = {"failure": "failed", "error": "failed", "skipped": "skipped"}
_AGAIN = {"flakyFailure", "flakyError", "rerunFailure", "rerunError"}
"""How Surefire writes a try that was followed by another (its XML schema 3.0, read 2026-11-21)."""


class _Reader:
    def __init__(self) -> None:
        self.report = Report()
        self.cases: list[Case] = []
        self._suites: list[tuple[str | None, str | None]] = []  # name and moment, outermost first
        self._tries = 1
        self._depth = 0
        self._case: str | None = None
        self._trouble: tuple[str, str] | None = None

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise NotAReport(f"The test report nests deeper than {DEPTH_MAX}.")
        if self._depth == 1 and tag not in ("testsuites", "testsuite"):
            raise NotAReport(
                f"Found <{tag[:40]}> as the test report's root, expected <testsuites> or <testsuite>."
            )
        if tag == "testsuite":
            self._suites.append((attributes.get("name"), attributes.get("timestamp")))
        if tag in _AGAIN:
            self._tries += 1
        if tag == "testcase":
            self._tries = 1
            self._case = "::".join(filter(None, (attributes.get("classname"), attributes.get("name")))) or "?"
            self._trouble = None
        elif tag in ("failure", "error", "skipped") and (
            self._trouble is None or self._trouble[0] == "skipped"
        ):
            self._trouble = (tag, attributes.get("message", "")[:MESSAGE_LENGTH_MAX])

    def end(self, tag: str) -> None:
        self._depth -= 1
        if tag == "testsuite" and self._case is None and self._trouble and self._trouble[0] != "skipped":
            self.report.failed["(the suite itself)"] = self._trouble[1]
            self._keep("(the suite itself)", "failed", self._trouble[1])
            self._trouble = None
        if tag == "testsuite" and self._suites:
            self._suites.pop()
        if tag != "testcase" or self._case is None:
            return
        name, trouble = self._case, self._trouble
        self._case = self._trouble = None
        if self.report.ran + len(self.report.skipped) >= CASES_MAX:
            raise NotAReport(f"The test report has more than {CASES_MAX} cases.")
        self._keep(name, _STATES[trouble[0]] if trouble else "passed", trouble[1] if trouble else "")
        if trouble is None:
            self.report.passed.append(name)
        elif trouble[0] == "skipped":
            self.report.skipped.append(name)
        else:
            self.report.failed[name] = trouble[1]

    def _keep(self, name: str, state: str, message: str) -> None:
        suite = next((name for name, _ in reversed(self._suites) if name), None)
        at = next((at for _, at in reversed(self._suites) if at), None)
        self.cases.append(Case(name, state, suite, message, at, self._tries))

    def refuse_doctype(self, *_: object) -> None:
        raise NotAReport("The test report declares a document type: a report of tests has none.")
