"""Every bound field of a file as a column of values, with the reason where one cannot be read.

What the short cut in SQL leaves over is read by the core and joined back by its text.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flatfare.core.labels import VALUE_LENGTH_MAX
from flatfare.service.importing.columns import Bound, FileMapping
from flatfare.service.importing.fields import CURRENCY_ENDINGS, plain
from flatfare.service.importing.order import Order
from flatfare.service.importing.parsing import Parsed, parsed, text_of
from flatfare.service.importing.sources import Raw
from flatfare.service.importing.words import Words
from flatfare.store.engine import named, quoted, translated

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_BATCH = 50_000
_TEXT_LENGTH_MAX = 2_000
_CONTROL = "'[\\x00-\\x1f]'"


@dataclass(slots=True)
class Readable:
    """A file whose columns were bound: the SQL of each field's value, and what else is known of it."""

    engine: "DuckDBPyConnection"
    raw: Raw
    mapping: FileMapping
    order: Order
    parsed: dict[str, Parsed]
    base: str  # the rows with each field's value by the short cut, as v_<field>
    joined: set[str]  # fields whose odd texts are in a table of words
    notes: list[str] = field(default_factory=list)  # what a person should know of how it was read

    def value(self, name: str) -> str:
        """A field's value in SQL; null where the file has no such field."""
        found = self.parsed.get(name)
        if found is None:
            return "NULL"
        return f"coalesce(v_{name}, {_words(name)}.value)" if name in self.joined else f"v_{name}"

    def more(self, name: str, part: str) -> str:
        """A further value that comes with a field, such as the digits of an amount."""
        found = self.parsed.get(name)
        sql = next((sql for own, _, sql in found.more if own == part), None) if found else None
        if sql is None:
            return "NULL"
        return f"coalesce({sql}, {_words(name)}.{part})" if name in self.joined else sql

    def problem(self, name: str) -> str | None:
        """Why a field cannot be read, in SQL; None where every value can."""
        return f"{_words(name)}.problem" if name in self.joined else None

    def relation(self) -> str:
        """The file's rows with the words of each field joined; what follows selects from it."""
        joins = [
            f"LEFT JOIN {_words(name)} ON {_words(name)}.text = {self.parsed[name].odd_text}"
            for name in sorted(self.joined)
        ]
        return " ".join([f"{self.base} AS raw", *joins])

    def labels(self, extra: Mapping[str, str] | None = None) -> str:
        """The row's labels as canonical JSON, in SQL; labels without a value are left out."""
        values = {key: text_of(bound) for key, bound in self.mapping.labels.items()} | dict(extra or {})
        if not values:
            return "'{}'"
        parts = [
            f"{quoted(_json_key(key))} || CAST(to_json({values[key]}) AS VARCHAR)" for key in sorted(values)
        ]
        return f"'{{' || concat_ws(',', {', '.join(parts)}) || '}}'"

    def problems(self) -> list[str]:
        """What can be wrong with a row's fields by themselves, each null where it is not."""
        found = [problem for name in self.parsed if (problem := self.problem(name))]
        texts = self._texts()
        if texts and self._has_crooked_text(texts):
            found += [_text_problem(name, value, most) for name, value, most in texts]
        return found

    def _texts(self) -> list[tuple[str, str, int]]:
        """(name, SQL, longest) of each free text that is kept."""
        fields = [
            (name, self.value(name), _TEXT_LENGTH_MAX)
            for name, bound in self.mapping.fields.items()
            if bound.ours.sort in ("key", "text")
        ]
        labels = self.mapping.labels.items()
        return fields + [(f"label.{key}", text_of(bound), VALUE_LENGTH_MAX) for key, bound in labels]

    def _has_crooked_text(self, texts: list[tuple[str, str, int]]) -> bool:
        """Whether any text of the file is too long or not plain: one look at all of them together."""
        together = f"regexp_matches(concat_ws('', {', '.join(value for _, value, _ in texts)}), {_CONTROL})"
        longer = " OR ".join(f"strlen({value}) > {most}" for _, value, most in texts)
        row = self.engine.execute(f"SELECT bool_or({together} OR {longer}) FROM {self.relation()}").fetchone()
        return bool(row and row[0])

    def unzoned(self) -> str | None:
        """A predicate: the row has a moment that names no zone; None where that cannot be."""
        parts = [f"u_{name}" for name, found in self.parsed.items() if found.unzoned]
        return " OR ".join(parts) or None

    def content(self) -> str:
        """The row as the source wrote it, as text: each column that has a value, by its name."""
        columns = sorted(self.raw.columns, key=lambda column: column.name)
        parts = [f"{quoted(column.name + '=')} || CAST({column.sql} AS VARCHAR)" for column in columns]
        return f"concat_ws(chr(31), {', '.join(parts)})"


def readable(engine: "DuckDBPyConnection", raw: Raw, mapping: FileMapping, order: Order) -> Readable:
    """Work out how each field reads, and let the core read what is odd."""
    comma = order.decimal_comma if order.decimal_comma is not None else raw.is_comma_likely
    fields = {
        name: parsed(name, bound, order, comma=comma, ending=_currency(bound, mapping))
        for name, bound in mapping.fields.items()
    }
    base = _based(engine, raw, fields)
    file = Readable(engine, raw, mapping, order, fields, base, set())
    for name, found in fields.items():
        if found.odd_text is not None and _read_odd(engine, base, name, found):
            file.joined.add(name)
    return file


def _based(engine: "DuckDBPyConnection", raw: Raw, fields: Mapping[str, Parsed]) -> str:
    """The rows with every value by the short cut; text is read once and kept, typed values cost nothing."""
    inner = [f"{found.inner} AS i_{name}" for name, found in fields.items() if found.inner]
    values = [f"{found.value} AS v_{name}" for name, found in fields.items()]
    values += [
        f"coalesce({found.unzoned}, false) AS u_{name}" for name, found in fields.items() if found.unzoned
    ]
    rows = f"(SELECT {', '.join(['*', *inner])} FROM {raw.relation})"
    query = f"SELECT {', '.join(['*', *values])} FROM {rows}"
    if not raw.is_text:
        return f"({query})"
    with translated("Reading the file"):
        engine.execute(f"CREATE TABLE stage.parsed AS {query}")
    return "stage.parsed"


def _currency(bound: Bound, mapping: FileMapping) -> str | None:
    """The currency of an amount that the row or the column's name gives, in SQL."""
    if bound.ours.sort != "amount":
        return None
    if "currency" in mapping.fields:
        return f"upper({text_of(mapping.fields['currency'])})"
    named = currency_named(bound)
    return None if named is None else quoted(named)


def currency_named(bound: Bound) -> str | None:
    """The currency that the name of an amount's column ends with."""
    endings = {plain(column.name).rpartition("_")[2] for column in bound.columns} & set(CURRENCY_ENDINGS)
    return endings.pop().upper() if endings else None


def _words(name: str) -> str:
    return named(f"words_{name}")


def _read_odd(engine: "DuckDBPyConnection", base: str, name: str, found: Parsed) -> bool:
    """Let the core read each distinct text that the short cut left; returns whether there was any."""
    odd = f"(SELECT {found.odd_text} AS text FROM {base})"
    with translated("Reading the file"):
        some = engine.execute(f"SELECT count(text) FROM {odd}").fetchone()
        if not some or not some[0]:  # the usual case, and much cheaper to find than the distinct texts
            return False
        engine.execute(f"CREATE TEMP TABLE odd AS SELECT DISTINCT text FROM {odd} WHERE text IS NOT NULL")
        _write_words(engine, name, found)
        engine.execute("DROP TABLE odd")
    return True


def _write_words(engine: "DuckDBPyConnection", name: str, found: Parsed) -> None:
    """What the core reads from each text of the table ``odd``, in pages so that memory stays bounded."""
    more = "".join(f", {own} {kind}" for own, kind, _ in found.more)
    engine.execute(
        f"CREATE TEMP TABLE {_words(name)} (text VARCHAR, value {found.kind}{more}, problem VARCHAR)"
    )
    counted = engine.execute("SELECT count(*) FROM odd").fetchone()
    with engine.appender(f"words_{name}") as appender:
        for start in range(0, int(counted[0]) if counted else 0, _BATCH):
            page = f"SELECT text FROM odd WHERE rowid >= {start} AND rowid < {start + _BATCH}"
            appender.append_rows(_read_all(found, engine.execute(page).fetchall()))


def _read_all(found: Parsed, texts: Iterable[tuple[str]]) -> list[Words]:
    assert found.read is not None
    return [(text, *found.read(text)) for (text,) in texts]


def _json_key(key: str) -> str:
    return f'"{key}":'


def _text_problem(name: str, value: str, length_max: int) -> str:
    return (
        f"CASE WHEN length({value}) > {length_max} OR regexp_matches({value}, {_CONTROL}) THEN "
        f"'Found a value of ' || length({value}) || ' characters for {name}: "
        f"it is plain text on one line, of at most {length_max}.' END"
    )
