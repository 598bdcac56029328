"""Which of a file's columns are which of our fields: by the order's word first, then by usual names.

Every column ends up somewhere a person can see: read as a field, a label, left out
on request, or named as not recognised.
"""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from flatfare.core.errors import BadInput, BadUsage
from flatfare.core.labels import checked
from flatfare.service.importing.fields import KINDS, LABEL_PREFIX, LABELS, Field, plain, readings
from flatfare.service.importing.order import Order

_SHAPED = {"prompt_tokens", "completion_tokens", "cached_tokens", "cache_write_tokens", "reasoning_tokens"}
"""Fields that providers name each in their own way."""

SWITCHES: dict[str, tuple[str, ...]] = {
    "cached": ("inside", "outside"),
    "reasoning": ("inside", "outside"),
    "rate": ("percent", "fraction"),
    "cost": ("mean", "total"),
}
"""What ``--set`` takes beside fields and labels: how the figures of a file are meant."""


@dataclass(frozen=True, slots=True)
class SourceColumn:
    """One column of a file: its own name, its name in our SQL, its type there."""

    name: str
    sql: str
    kind: str  # the DuckDB type


@dataclass(frozen=True, slots=True)
class Bound:
    """One of our fields and where its value comes from: columns of the file, or one fixed text."""

    ours: Field
    columns: tuple[SourceColumn, ...] = ()
    fixed: str | None = None
    words: Mapping[str, str] = field(default_factory=dict)
    others: tuple[SourceColumn, ...] = ()  # read where the first column is empty: rows of another shape

    def says(self) -> str:
        """Where the value comes from, for a person."""
        if self.fixed is not None:
            return f"always {self.fixed!r}"
        own = " + ".join(column.name for column in self.columns)
        return ", else ".join([own, *(column.name for column in self.others)])


@dataclass(frozen=True, slots=True)
class FileMapping:
    """How one file reads: the fields found, the labels, the switches, and what was not used."""

    fields: dict[str, Bound]
    labels: dict[str, Bound]
    switches: dict[str, str]
    unused: tuple[str, ...]

    def has(self, *names: str) -> bool:
        """Whether any of these fields is bound."""
        return any(name in self.fields for name in names)


def recognised(order: Order, columns: Iterable[SourceColumn]) -> FileMapping:
    """Bind a file's columns to our fields.

    Raises ``BadUsage`` for a name of ours that does not exist, ``BadInput`` for a
    column that the file does not have.
    """
    known = KINDS[order.kind]
    present = [column for column in columns if not _is_ignored(column, order.ignored)]
    _check_names(order, known)
    fields, labels = _asked_for(order, known, present)
    _by_usual_names(order, known, present, fields)
    _usual_labels(present, fields, labels, known)
    unused = _unused(present, fields, labels)
    if order.keep_unknown:
        for column in unused:
            labels[_label_key(column.name)] = Bound(Field("label", "text"), (column,))
        unused = []
    checked(dict.fromkeys(labels, ""))
    switches = {name: value for name, value in order.fixed.items() if _is_switch(order, name)}
    return FileMapping(fields, labels, switches, tuple(column.name for column in unused))


def _is_ignored(column: SourceColumn, ignored: Iterable[str]) -> bool:
    return any(column.name == name or plain(column.name) == plain(name) for name in ignored)


def _is_switch(order: Order, name: str) -> bool:
    return name in SWITCHES and order.fixed.get(name) in SWITCHES[name]


def _check_names(order: Order, known: Mapping[str, Field]) -> None:
    for ours in (*order.maps, *order.values):
        if ours not in known and not ours.startswith("label."):
            raise BadUsage(_no_such_field(ours, order.kind, known))
    for ours, value in order.fixed.items():
        if ours in SWITCHES and value not in SWITCHES[ours] and ours not in known:
            raise BadUsage(f"Found --set {ours}={value}: it is one of {', '.join(SWITCHES[ours])}.")
        if ours not in known and ours not in SWITCHES and not ours.startswith("label."):
            raise BadUsage(_no_such_field(ours, order.kind, known))


def _no_such_field(ours: str, kind: str, known: Mapping[str, Field]) -> str:
    near = difflib.get_close_matches(ours, [*known, "label."], n=1, cutoff=0.5)
    by_alias = next((name for name, known_field in known.items() if plain(ours) in known_field.names), None)
    hint = by_alias or (near[0] if near else None)
    asked = f" Did you mean {hint!r}?" if hint else ""
    return (
        f"Found {ours!r}, which is no field of {kind}.{asked} "
        f"The fields are: {', '.join(known)}, and label.<key>."
    )


def _asked_for(
    order: Order, known: Mapping[str, Field], present: list[SourceColumn]
) -> tuple[dict[str, Bound], dict[str, Bound]]:
    fields: dict[str, Bound] = {}
    labels: dict[str, Bound] = {}
    for ours, theirs in order.maps.items():
        if not theirs:
            continue
        bound_columns = tuple(_columns_named(theirs, present))
        _bind(ours, Bound(_field_of(ours, known), bound_columns), fields, labels)
    for ours, value in order.fixed.items():
        if not _is_switch(order, ours):
            _bind(ours, Bound(_field_of(ours, known), fixed=value), fields, labels)
    return fields, labels


def _field_of(ours: str, known: Mapping[str, Field]) -> Field:
    return known.get(ours) or Field(ours, "text")


def _bind(ours: str, bound: Bound, fields: dict[str, Bound], labels: dict[str, Bound]) -> None:
    if ours.startswith("label."):
        labels[ours.removeprefix("label.")] = bound
    else:
        fields[ours] = bound


def _columns_named(theirs: str, present: list[SourceColumn]) -> Iterable[SourceColumn]:
    """The column of this name, else the columns named between plus signs."""
    whole = _column_named(theirs, present)
    if whole:
        return [whole]
    found = []
    for part in theirs.split("+"):
        column = _column_named(part.strip(), present)
        if column is None:
            names = [column.name for column in present]
            near = difflib.get_close_matches(part.strip(), names, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise BadInput(f"The file has no column {part.strip()!r}.{hint} It has: {', '.join(names)}.")
        found.append(column)
    return found


def _column_named(name: str, present: list[SourceColumn]) -> SourceColumn | None:
    exact = next((column for column in present if column.name == name), None)
    return exact or next(
        (column for column in present if plain(name) and plain(column.name) == plain(name)), None
    )


def _by_usual_names(
    order: Order, known: Mapping[str, Field], present: list[SourceColumn], fields: dict[str, Bound]
) -> None:
    """Bind each field that the order left open to the column that bears its usual name."""
    taken = {column.name for bound in fields.values() for column in bound.columns if len(bound.columns) == 1}
    for name, known_field in known.items():
        if name in fields or name in order.maps:
            continue
        column = _usual(known_field, present, taken)
        if column:
            taken.add(column.name)
            others = tuple(_others(known_field, present, taken)) if name in _SHAPED else ()
            fields[name] = Bound(known_field, (column,), others=others)
    for name, words in order.values.items():
        if name in fields:
            bound = fields[name]
            fields[name] = Bound(bound.ours, bound.columns, bound.fixed, words, bound.others)


def _others(known_field: Field, present: list[SourceColumn], taken: set[str]) -> Iterable[SourceColumn]:
    """Further columns that bear the field's names: a log of several providers has rows of several shapes."""
    while column := _usual(known_field, present, taken):
        taken.add(column.name)
        yield column


def _usual(known_field: Field, present: list[SourceColumn], taken: set[str]) -> SourceColumn | None:
    """The free column whose name ranks first among the field's; a whole name goes before a stripped one."""
    best: tuple[int, int, int] | None = None
    chosen = None
    for place, column in enumerate(present):
        if column.name in taken or LABEL_PREFIX.fullmatch(column.name):
            continue
        for depth, reading in enumerate(readings(column.name)):
            if reading in known_field.names:
                rank = (min(depth, 1), known_field.names.index(reading), place)
                if best is None or rank < best:
                    best, chosen = rank, column
    return chosen


def _usual_labels(
    present: list[SourceColumn],
    fields: dict[str, Bound],
    labels: dict[str, Bound],
    known: Mapping[str, Field],
) -> None:
    for column in present:
        prefixed = LABEL_PREFIX.fullmatch(column.name)
        if prefixed:
            labels.setdefault(_label_key(prefixed[1]), Bound(Field("label", "text"), (column,)))
    single = {bound.columns[0].name for bound in fields.values() if len(bound.columns) == 1}
    for key, usual in LABELS.items():
        if key in known or key in labels:
            continue
        label_field = Field("label", "text", usual)
        column_found = _usual(label_field, present, single)
        if column_found:
            labels[key] = Bound(label_field, (column_found,))


def _label_key(name: str) -> str:
    kept = "".join(character if character.isalnum() or character in "_.-/" else "_" for character in name)
    key = kept.strip("_.-/")[:64] or "column"
    return key.lower() if key.lower() in LABELS else key


def _unused(
    present: list[SourceColumn], fields: Mapping[str, Bound], labels: Mapping[str, Bound]
) -> list[SourceColumn]:
    used = {
        column.name
        for bound in (*fields.values(), *labels.values())
        for column in (*bound.columns, *bound.others)
    }
    return [column for column in present if column.name not in used]
