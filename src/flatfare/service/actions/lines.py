"""YAML and JSON with the line of every value, so that a problem can say where it stands.

What two readers could read in two ways is refused: a key that stands twice, a fraction that
would lose digits, a date, or more than a file of that kind ever holds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

import yaml

from flatfare.core.checks.submission import Json
from flatfare.core.errors import BadInput

CHARACTERS_MAX = 1_000_000
VALUES_MAX = 50_000

Place = tuple[str | int, ...]
"""Where a value stands: the keys and positions that lead to it."""


class BadAction(BadInput):
    """An action file that cannot be used; ``problems`` are sentences, each with its file and line."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


@dataclass(slots=True)
class Lines:
    """The document, where each of its values stands, and what is wrong with it."""

    file: str
    document: Json = None
    of: dict[Place, int] = field(default_factory=dict)
    blocks: set[Place] = field(default_factory=set)  # texts that begin on the line below their key
    problems: list[str] = field(default_factory=list)

    def line(self, place: Place) -> int:
        """The line of a value, or of the nearest one around it that is there."""
        while place not in self.of and place:
            place = place[:-1]
        return self.of.get(place, 1)

    def line_within(self, place: Place, line: int) -> int:
        """The file's line of a line of a text, counted from 1."""
        return self.line(place) + line - (0 if place in self.blocks else 1)

    def said(self, place: Place, text: str) -> str:
        """A sentence with the file and the line that it is about."""
        return f"{self.file}:{self.line(place)}: {text}"

    def say(self, place: Place, text: str) -> None:
        """Note a problem."""
        self.problems.append(self.said(place, text))

    def check(self) -> None:
        """``BadAction`` where problems were noted."""
        if self.problems:
            raise BadAction(self.problems)


def parsed(text: str, file: str) -> Lines:
    """Read a document; ``BadAction`` where it is none."""
    lines = Lines(file)
    if len(text) > CHARACTERS_MAX:
        raise BadAction([f"{file}:1: The file has {len(text)} characters: at most {CHARACTERS_MAX} fit."])
    try:
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as problem:
        mark = problem.problem_mark or problem.context_mark
        raise BadAction([f"{file}:{mark.line + 1 if mark else 1}: {problem.problem}."]) from None
    except (yaml.YAMLError, RecursionError, ValueError) as problem:
        raise BadAction([f"{file}:1: This is no YAML: {str(problem).splitlines()[0]}."]) from None
    if node is None:
        raise BadAction([f"{file}:1: The file is empty."])
    lines.document = _value(node, (), lines)
    lines.check()
    return lines


if TYPE_CHECKING:
    _Fastest = yaml.SafeLoader
else:  # in C, where it was built so: twenty times as fast
    _Fastest = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Fastest):
    """Text, whole numbers, fractions, true and false: no dates."""


_Loader.yaml_implicit_resolvers = {
    sign: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
    for sign, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _value(node: yaml.Node, place: Place, lines: Lines) -> Json:
    lines.of[place] = node.start_mark.line + 1
    if len(lines.of) > VALUES_MAX:
        raise BadAction([lines.said(place, f"The file holds more than {VALUES_MAX} values.")])
    if isinstance(node, yaml.MappingNode):
        return _members(node, place, lines)
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, (*place, number), lines) for number, item in enumerate(node.value)]
    return _scalar(node, place, lines)


def _members(node: yaml.MappingNode, place: Place, lines: Lines) -> Mapping[str, Json]:
    members: dict[str, Json] = {}
    for key, value in node.value:
        name = str(key.value) if isinstance(key, yaml.ScalarNode) else ""
        line = key.start_mark.line + 1
        if not name or name == "<<":
            lines.problems.append(
                f"{lines.file}:{line}: A key is a word of its own; merged keys are not read."
            )
        elif name in members:
            lines.problems.append(f"{lines.file}:{line}: The key {name!r} stands here twice.")
        else:
            members[name] = _value(value, (*place, name), lines)
            lines.of[(*place, name)] = line
    return members


def _scalar(node: yaml.Node, place: Place, lines: Lines) -> Json:
    text, kind = str(node.value), node.tag.rpartition(":")[2]
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() in ("true", "yes", "on")
    try:
        if kind == "int":
            return int(text.replace("_", ""), 0) if not text.lstrip("+-").isdecimal() else int(text)
        if kind == "float":
            return _fraction(text)
    except (ValueError, InvalidOperation):
        lines.say(place, f"Found the number {text[:40]!r}: write it with digits and one point.")
        return None
    if getattr(node, "style", None) in ("|", ">"):
        lines.blocks.add(place)
    if kind != "str":
        lines.say(
            place,
            f"Found a value of the kind {kind!r}: text, numbers, true, false, lists and mappings are read.",
        )
    return text


def _fraction(text: str) -> Decimal:
    number = Decimal(text.replace("_", ""))
    if not number.is_finite():
        raise ValueError(text)
    return number
