"""The house stands: a file imports only from floors below its own, and never inside a circle."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "flatfare"
SDK = Path(__file__).parent.parent / "sdk" / "src" / "flatfare_sdk"

FLOORS = {
    "core": 1,
    "prices": 2,
    "dialects": 2,
    "store": 2,
    "config": 2,
    "service": 3,
    "gateway": 4,
    "verifiers": 4,
    "runner": 5,
    "web": 6,
    "app": 7,
    "cli": 8,
}
FACE = {"__init__", "__main__"}  # the package's face may re-export from any floor; nothing imports it


def room_of(module: str) -> str:
    """The floor's name: the first part below the package."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def imports_of(file: Path) -> list[str]:
    """Every module of its own package that a file imports, wherever in the file the import stands."""
    own = "flatfare_sdk" if file.is_relative_to(SDK) else "flatfare"
    found = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute"
            if node.module and node.module.split(".")[0] == own:
                found += [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.split(".")[0] == own]
    return found


def violations(file: Path, module: str) -> list[str]:
    """What this file imports that it must not."""
    own = room_of(module)
    if own in FACE:
        return []
    problems = []
    for imported in imports_of(file):
        other = room_of(imported)
        if other == "__version__":
            continue
        if other not in FLOORS:
            problems.append(f"{module} imports {imported}: {other!r} is on no floor")
        elif other != own and FLOORS[other] >= FLOORS[own]:
            problems.append(f"{module} (floor {FLOORS[own]}) imports {imported} (floor {FLOORS[other]})")
    return problems


def files(source: Path = SOURCE) -> list[tuple[Path, str]]:
    """Every source file with its module name."""
    return [
        (file, ".".join((source.name, *file.relative_to(source).with_suffix("").parts)))
        for file in sorted(source.rglob("*.py"))
    ]


def test_every_file_imports_downward_only() -> None:
    problems = [problem for file, module in files() for problem in violations(file, module)]
    assert problems == []


def test_every_room_stands_on_a_floor() -> None:
    rooms = {room_of(module) for _, module in files()}
    assert rooms - FACE <= set(FLOORS)


def test_core_uses_the_standard_library_only() -> None:
    import sys

    for file in sorted((SOURCE / "core").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                top = name.split(".")[0]
                assert top in sys.stdlib_module_names or top == "flatfare", f"{file}: imports {name}"


@pytest.mark.parametrize("source", [SOURCE, SDK], ids=lambda source: source.name)
def test_no_circle_among_modules(source: Path) -> None:
    graph = {}
    known = {module.removesuffix(".__init__") for _, module in files(source)}
    for file, module in files(source):
        name = module.removesuffix(".__init__")
        targets = set()
        for imported in imports_of(file):
            target = imported if imported in known else imported.rpartition(".")[0]
            if target in known and target not in (name, source.name):
                targets.add(target)
        graph[name] = targets
    seen: dict[str, int] = {}

    def visit(name: str, trail: tuple[str, ...]) -> None:
        if name in trail:
            circle = " → ".join((*trail[trail.index(name) :], name))
            raise AssertionError(f"modules import one another in a circle: {circle}")
        if seen.get(name):
            return
        for target in graph.get(name, ()):
            visit(target, (*trail, name))
        seen[name] = 1

    for name in graph:
        visit(name, ())


@pytest.mark.parametrize(
    ("source", "module", "expected"),
    [
        ("from flatfare.service import report", "flatfare.core.money", 1),
        ("import flatfare.cli", "flatfare.store.book", 1),
        ("from flatfare.core import money", "flatfare.store.book", 0),
        ("def f():\n    from flatfare.web import api", "flatfare.service.report", 1),
    ],
)
def test_the_check_can_fail(tmp_path: Path, source: str, module: str, expected: int) -> None:
    file = tmp_path / "module.py"
    file.write_text(source, encoding="utf-8")
    assert len(violations(file, module)) == expected
