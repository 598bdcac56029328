"""Each fault patch turns the tests red that it names, and without it they are green.

A promise is as good as the test that shows it, and that test as good as the faults it catches.
"""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
FAULTS = HERE / "faults"
TIMEOUT_S = 300.0
TRIES = 3
"""A test that draws at random may miss a fault once; every change to the product draws again."""

QUICK = (
    *("../core/", "../gateway/test_purses.py", "../service/budgets/test_bounding.py"),
    *("test_p2_", "test_p8_", "test_p10_past"),
)
"""Where tests stand that take a second: the faults that they catch are applied at every change."""

BROKEN = re.compile(r"\b(?:Attribute|Type|Name|Import|ModuleNotFound)Error\b")
"""A patch that does not fit the product any more breaks its test in another way than it says."""

FAILED, GREEN = 1, 0
"""pytest's exit codes: some test has failed; all have passed."""


def named_by(file: Path) -> tuple[str, ...]:
    """The tests that a fault turns red, read without applying it."""
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "CAUGHT_BY":
            return tuple(ast.literal_eval(node.value))
    return ()


def faults() -> Iterator[tuple[str, str]]:
    """Each fault with each test that it names."""
    for file in sorted(FAULTS.glob("*.py")):
        for test in named_by(file):
            yield file.stem, test


def is_quick(test: str) -> bool:
    return test.startswith(QUICK)


def applied(fault: str, test: str) -> subprocess.CompletedProcess[str]:
    """Run one test with a fault; without, where its name is empty."""
    environment = {**os.environ, "FLATFARE_FAULT": fault}
    environment.pop("PYTEST_ADDOPTS", None)
    options = ["-m", "", "-q", "--no-header", "--tb=line"]
    plugins = ["-p", "tests.promises.applied_fault", "-p", "no:cacheprovider"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options, *plugins, os.path.normpath(HERE / test)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )


def check_red(fault: str, test: str) -> None:
    for _ in range(TRIES):
        done = applied(fault, test)
        if done.returncode != GREEN:
            break
    said = f"{fault} is not noticed by {test}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
    assert done.returncode == FAILED, said
    assert re.search(r"\d+ failed", done.stdout), said
    assert not re.search(r"\d+ errors?\b", done.stdout), f"it did not run: {said}"
    assert not BROKEN.search(done.stdout), f"the fault itself is broken: {said}"


PAIRS = sorted(faults())


@pytest.mark.parametrize(("fault", "test"), [pair for pair in PAIRS if is_quick(pair[1])])
def test_a_fault_turns_its_test_red(fault: str, test: str) -> None:
    check_red(fault, test)


@pytest.mark.soak
@pytest.mark.parametrize(("fault", "test"), [pair for pair in PAIRS if not is_quick(pair[1])])
def test_a_fault_in_a_gateway_turns_its_test_red(fault: str, test: str) -> None:
    check_red(fault, test)


@pytest.mark.soak
@pytest.mark.parametrize("test", sorted({test for _, test in PAIRS}))
def test_without_a_fault_each_is_green(test: str) -> None:
    done = applied("", test)
    assert done.returncode == GREEN, done.stdout[-3000:] + done.stderr[-2000:]


def test_every_fault_is_applied_somewhere() -> None:
    """A fault names the tests it turns red, or stands in one that applies it as its own control."""
    tests = "".join(file.read_text() for file in HERE.glob("test_*.py"))
    idle = [file.stem for file in FAULTS.glob("*.py") if not named_by(file) and file.stem not in tests]
    assert idle == []


def test_every_promise_that_is_shown_here_has_a_fault() -> None:
    shown = {found[1] for file in HERE.glob("test_p*.py") if (found := re.match(r"test_(p\d+)_", file.name))}
    broken = {named.split("_")[1] for _, test in PAIRS if (named := Path(test).name).startswith("test_p")}
    inside = {"p5", "p9", "p11"}  # their tests apply the faults themselves
    assert shown - inside <= broken


def test_every_part_of_no_overspend_has_a_fault() -> None:
    """P4 has parts (a) to (j): each is named in a test's docstring, and a fault turns one of them red."""
    caught = {test.rpartition("::")[2].partition("[")[0] for _, test in PAIRS}
    shown: set[str] = set()
    broken: set[str] = set()
    for file in HERE.glob("test_p4_*.py"):
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                parts = set(re.findall(r"\(([a-j])\)", ast.get_docstring(node) or ""))
                shown |= parts
                broken |= parts if node.name in caught else set()
    assert broken == shown == set("abcdefghij")
