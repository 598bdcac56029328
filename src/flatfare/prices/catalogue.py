"""One source's statements about one provider: its models by name, and what holds for all of them.

A name leads to at most one model of a catalogue. Models are read when they are
asked for; the rest stay text.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from fnmatch import fnmatchcase
from typing import cast

from flatfare.core.errors import BadInput
from flatfare.prices.names import Named
from flatfare.prices.statement import Raw, Statement, statement_of, texts
from flatfare.prices.windows import Window, window_of

FILE_KEYS = frozenset(("provider", "also", "rates_of", "source", "checked", "windows", "always", "models"))
MODEL_KEYS = frozenset(("also", "same_as", "whole", "free", "prices", "match", "source", "checked", "note"))


class Trust(IntEnum):
    """How far a layer is trusted; the higher wins where two say the same thing differently."""

    SHIPPED = 0
    IMPORTED = 1
    REVIEWED = 2
    OWN = 3


@dataclass(frozen=True, slots=True)
class Listed:
    """A model as one source lists it."""

    name: str
    statements: tuple[Statement, ...]
    same_as: tuple[str, ...] = ()
    is_whole: bool = False
    is_free: bool = False
    source: str = ""
    checked: str | None = None


@dataclass(slots=True)
class Catalogue:
    """What one source says about one provider, read model by model."""

    raw: Raw
    trust: Trust
    source: str
    _windows: Mapping[str, Window] | None = None
    _exact: dict[str, str] | None = None
    _patterns: list[tuple[str, str]] = field(default_factory=list)
    _clauses: list[tuple[int, str, Sequence[object]]] = field(default_factory=list)
    _order: dict[str, int] = field(default_factory=dict)
    _read: dict[str, Listed] = field(default_factory=dict)

    @property
    def models(self) -> Mapping[str, Raw]:
        """Each model's text by its first name."""
        return cast("Mapping[str, Raw]", mapping_of(self.raw.get("models"), "models"))

    @property
    def rates_of(self) -> tuple[str, ...]:
        """The providers whose models this one sells at their rates."""
        return texts(self.raw["rates_of"]) if self.raw.get("rates_of") else ()

    @property
    def always(self) -> tuple[Statement, ...]:
        """What holds for every model of the provider."""
        return self._statements(self.raw.get("always"), None)

    def find(self, named: Named) -> Listed | None:
        """The model of that name: exact before pattern before the undated name."""
        return self.find_dated(named) or self.find_undated(named)

    def find_dated(self, named: Named) -> Listed | None:
        """The model that is listed under the name as it is, snapshot's date and all."""
        return self._found(self._name_for(named.forms), named)

    def find_undated(self, named: Named) -> Listed | None:
        """The model whose snapshot the name is."""
        return self._found(self._name_for(named.undated), named) if named.undated else None

    def covering(self, named: Named) -> list[Listed]:
        """Every model whose pattern covers the name: own terms add up, so each of them counts."""
        self._index()
        return [
            self.read(name)
            for pattern, name in self._patterns
            if any(fnmatchcase(form, pattern) for form in named.forms)
        ]

    def _found(self, name: str | None, named: Named) -> Listed | None:
        if name is None or (named.is_fine_tune and not name.startswith("ft:")):
            return None
        return self.read(name)

    def read(self, name: str) -> Listed:
        """The model with that first name, its statements read."""
        if name not in self._read:
            self._read[name] = self._listed(name, mapping_of(self.models[name], name))
        return self._read[name]

    def names(self) -> tuple[str, ...]:
        """Every exact name it knows."""
        self._index()
        return tuple(self._exact or ())

    def check(self) -> None:
        """Read everything; ``BadInput`` names the first statement that cannot be read."""
        if unknown := sorted(set(self.raw) - FILE_KEYS):
            raise BadInput(f"Found {unknown[0]!r} at the top: the keys are {', '.join(sorted(FILE_KEYS))}.")
        _ = self.always, self.windows
        self._index()
        for name in self.models:
            self.read(name)

    def _listed(self, name: str, raw: Raw) -> Listed:
        if unknown := sorted(set(raw) - MODEL_KEYS):
            raise BadInput(
                f"{name}: found {unknown[0]!r}: a model's keys are {', '.join(sorted(MODEL_KEYS))}."
            )
        return Listed(
            name,
            self._statements(raw.get("prices"), name, raw),
            texts(raw["same_as"]) if raw.get("same_as") else (),
            _flag(raw, "whole"),
            _flag(raw, "free"),
            str(raw.get("source", self.source)),
            str(raw.get("checked") or self.raw.get("checked") or "") or None,
        )

    def _statements(self, rows: object, name: str | None, model: Raw | None = None) -> tuple[Statement, ...]:
        if rows is None:
            return ()
        if not isinstance(rows, list):
            raise BadInput(f"{name or 'always'}: found {rows!r} where a list of statements was expected.")
        model = model or {}
        source = str(model.get("source") or self.raw.get("source") or self.source)
        checked = model.get("checked") or self.raw.get("checked")
        found = []
        for row in rows:
            try:
                found.append(
                    statement_of(
                        mapping_of(row, "a statement"),
                        self.windows,
                        source,
                        str(checked) if checked else None,
                    )
                )
            except BadInput as problem:
                raise BadInput(f"{name or 'always'}: {problem}") from None
        return tuple(found)

    @property
    def windows(self) -> Mapping[str, Window]:
        """The named hours of this source."""
        if self._windows is None:
            raw = mapping_of(self.raw.get("windows"), "windows")
            self._windows = {name: window_of(mapping_of(value, name)) for name, value in raw.items()}
        return self._windows

    def _name_for(self, forms: Sequence[str]) -> str | None:
        self._index()
        assert self._exact is not None
        for form in forms:
            exact = self._exact.get(form)
            if exact is not None and not self._clauses:
                return exact
            clause = next(
                (name for _, name, clause in self._clauses if _clause_holds(clause, form, name.lower())), None
            )
            if exact is not None and clause is not None:
                return min(exact, clause, key=self._order.__getitem__)
            if found := exact or clause:
                return found
        for form in forms:
            for pattern, name in self._patterns:
                if fnmatchcase(form, pattern):
                    return name
        return None

    def _index(self) -> None:
        """Names to models; a source that lists its models in order of precedence keeps that order."""
        if self._exact is not None:
            return
        exact: dict[str, str] = {}
        for position, (name, value) in enumerate(self.models.items()):
            raw = mapping_of(value, name)
            self._order[name] = position
            if clause := raw.get("match"):
                if not isinstance(clause, list):
                    raise BadInput(f"{name}: found {clause!r} for match: a list was expected.")
                self._clauses.append((position, name, clause))
                continue
            others = texts(raw["also"]) if raw.get("also") else ()
            for other in (name, *others):
                lowered = other.lower()
                if "*" in lowered or "?" in lowered:
                    self._patterns.append((lowered, name))
                else:
                    exact.setdefault(lowered, name)
        self._patterns.sort(key=lambda pair: -len(pair[0]))
        self._exact = exact


def mapping_of(value: object, what: str) -> Raw:
    """The value as a mapping, nothing being an empty one; ``BadInput`` otherwise."""
    if value is None or value == "":
        return {}
    if not isinstance(value, Mapping):
        raise BadInput(f"{what}: found {str(value)[:60]!r} where a mapping was expected.")
    return value


_PATH = re.compile(r"(?:.*[/.:])?")
# No two of these match the same text, so that a name made to be slow is not.
_SNAPSHOT = re.compile(
    r"(?:[-@:._/](?:\d{3,8}|\d\d-\d\d|v\d+|e?\d+b|it"
    r"|latest|default|preview|exp|experimental|beta|extended|thinking|native-audio|customtools)|:\d+)*"
)
_DIGITS_AT_END = re.compile(r"\d+$")
_DIGITS_AT_START = re.compile(r"\d*")
_ANY_NAME = ("moderation",)  # names that do not matter: it is free


def _is_same(wanted: str, before: str, after: str) -> bool:
    """Whether what stands around a listed name leaves it the same model: a path, a snapshot, a size.

    A source that lists ``gemini-3.8-flash`` by how names start would take ``gemini-3.8-flash-cyber``
    for it, which costs twice as much; a word that is not known makes it another model.
    """
    if wanted in _ANY_NAME or wanted.startswith("ft:") or ".ft-" in wanted:
        return True
    glued = _DIGITS_AT_START.match(after)
    run = glued[0] if glued else ""
    if run and (begun := _DIGITS_AT_END.search(wanted)):
        whole = begun[0] + run  # claude-sonnet-4-2025|0514 is a date, claude-opus-4-1|1 is not
        if len(whole) not in (6, 8) and not (whole[0] == "0" and len(whole) <= 3):
            return False
    elif run:
        return False
    rest = after[len(run) :]
    if wanted[-1] in "-@":  # the text listed ends within the separator
        rest = f"-{after}"
    return _PATH.fullmatch(before) is not None and _SNAPSHOT.fullmatch(rest) is not None


def _flag(raw: Raw, key: str) -> bool:
    value = raw.get(key, False)
    if value in (True, "true", "yes"):
        return True
    if value in (False, "false", "no"):
        return False
    raise BadInput(f"Found {value!r} for {key!r}: true or false was expected.")


def _clause_holds(clause: Sequence[object], text: str, model: str) -> bool:
    """A match written as a list: ``[or, …]``, ``[and, …]``, ``[starts, text]`` …"""
    kind, *rest = clause
    if kind == "or":
        return any(_clause_holds(item, text, model) for item in rest if isinstance(item, list))
    if kind == "and":
        return all(_clause_holds(item, text, model) for item in rest if isinstance(item, list))
    wanted = str(rest[0])
    if kind == "equals":
        return text == wanted
    if kind == "starts":
        return text.startswith(wanted) and _is_same(wanted, "", text[len(wanted) :])
    if kind == "ends":
        return text.endswith(wanted) and _is_same(wanted, text[: -len(wanted)], "")
    if kind == "contains":
        before, found, after = text.partition(wanted)
        if found and before + wanted in model:  # listed by a part of its own name
            before = ""
        return bool(found) and _is_same(wanted, before, after)
    if kind == "regex":
        return re.search(wanted, text) is not None
    raise BadInput(f"Found the match {kind!r}: expected or, and, equals, starts, ends, contains, regex.")
