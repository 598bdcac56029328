"""How a value of the file becomes ours: a short cut in SQL, and the core's own reader for the rest.

The short cut takes only what it provably reads as the core would. Every other text is
read by the core, each distinct one once, and what the core refuses becomes the row's
reason in the core's words.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal, InvalidOperation
from functools import partial

from flatfare.core.errors import BadInput
from flatfare.core.moments import YEAR_MAX, YEAR_MIN, parse_moment
from flatfare.core.money import nano_of, parse_amount
from flatfare.core.usage import COUNT_MAX
from flatfare.service.importing.columns import Bound
from flatfare.service.importing.order import ExchangeRate, Order
from flatfare.service.importing.words import Words, read_flag, reader_of
from flatfare.store.engine import quoted

_NOTHING = "'(?i)(null|none|nan|n/a|na|-|—|undefined|nat|<na>)?'"
_INTEGERS = {
    "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT",
    "UINTEGER", "UBIGINT", "UHUGEINT",
}  # fmt: skip
_FLOATS = {"FLOAT", "DOUBLE"}
_YEAR_2000_S = 946_684_800
_YEAR_2201_S = 7_289_654_400  # no ambiguity: seconds, milli-, micro- and nanoseconds of these years are apart
_ISO = r"2(00[1-9]|0[1-9]\d|1\d\d)-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?"  # of the years the core takes


@dataclass(frozen=True, slots=True)
class Parsed:
    """One field in SQL: its value by the short cut, the text where that fails, and who reads the text.

    ``value`` becomes the column ``v_<field>``, ``inner`` a column ``i_<field>`` below it
    that the value is computed from; ``odd_text`` and ``more`` may use both.
    """

    value: str
    kind: str  # the DuckDB type of the value
    odd_text: str | None = None  # the text to be read by the core, null where the short cut took it
    read: Callable[[str], Words] | None = None
    more: tuple[tuple[str, str, str], ...] = ()  # (name, type, short cut) of further values of the words
    unzoned: str | None = None  # a predicate: the moment names no zone
    inner: str | None = None


def text_of(bound: Bound) -> str:
    """A bound field as trimmed text, null where it is empty; several columns are joined by a slash."""
    if bound.fixed is not None:
        return quoted(bound.fixed)
    if len(bound.columns) == 1:
        texts = [trimmed(plain_text(column.sql, column.kind)) for column in (*bound.columns, *bound.others)]
        text = f"coalesce({', '.join(texts)})" if bound.others else texts[0]
    else:
        parts = [f"coalesce(trim({plain_text(column.sql, column.kind)}), '')" for column in bound.columns]
        present = " AND ".join(f"{column.sql} IS NULL" for column in bound.columns)
        text = f"CASE WHEN {present} THEN NULL ELSE {' || chr(47) || '.join(parts)} END"
    return _translated(text, bound.words)


def trimmed(text: str) -> str:
    """Text without spaces around it, null where nothing is left; text that holds no space costs little."""
    return f"CASE WHEN contains({text}, ' ') THEN nullif(trim({text}), '') ELSE nullif({text}, '') END"


def _translated(text: str, words: Mapping[str, str]) -> str:
    """The text with the order's words in the place of theirs, whatever the case."""
    if not words:
        return text
    cases = " ".join(
        f"WHEN {quoted(theirs.strip().lower())} THEN {quoted(ours)}" for theirs, ours in words.items()
    )
    return f"CASE lower({text}) {cases} ELSE {text} END"


def plain_text(sql: str, kind: str) -> str:
    """A column as text: whole floats without their '.0', so that keys of two files meet."""
    if kind == "VARCHAR":
        return sql
    if kind in _FLOATS:
        whole = f"{sql} = trunc({sql}) AND abs({sql}) < 1e15"
        return (
            f"CASE WHEN {whole} THEN CAST(CAST({sql} AS BIGINT) AS VARCHAR) ELSE CAST({sql} AS VARCHAR) END"
        )
    if kind.startswith(("STRUCT", "MAP")) or kind.endswith("]"):
        return f"CAST(to_json({sql}) AS VARCHAR)"
    return f"CAST({sql} AS VARCHAR)"


def parsed(name: str, bound: Bound, order: Order, *, comma: bool, ending: str | None = None) -> Parsed:
    """How a bound field reads, by its sort."""
    sort = bound.ours.sort
    if sort in ("text", "key"):
        return Parsed(text_of(bound), "VARCHAR")
    if sort == "word":
        reader = reader_of(bound.ours.name, order.pass_at)
        return Parsed("CAST(NULL AS VARCHAR)", "VARCHAR", _meant(text_of(bound)), reader)
    if sort == "flag":
        return Parsed("CAST(NULL AS BOOLEAN)", "BOOLEAN", _meant(text_of(bound)), read_flag)
    typed = _typed(bound)
    if sort == "moment":
        found = _moment(name, typed) or _moment_text(name, text_of(bound))
        return replace(found, read=partial(_read_moment, time_format=order.time_format))
    text = _pointed(text_of(bound), comma)
    if sort == "count":
        return _count(name, typed) or _count_text(name, text)
    if sort == "amount":
        short = _amount(name, typed, order.exchange) if ending is None else None
        return short or _amount_text(name, text, ending, order.exchange)
    return Parsed("CAST(NULL AS VARCHAR)", "VARCHAR", _meant(text), _read_number)


def _typed(bound: Bound) -> tuple[str, str] | None:
    """SQL and type of a field that is one typed column."""
    if bound.fixed is not None or len(bound.columns) != 1 or bound.words or bound.others:
        return None
    column = bound.columns[0]
    return None if column.kind == "VARCHAR" else (column.sql, column.kind)


def _pointed(text: str, comma: bool) -> str:
    """The text of a number with a decimal point, where the file writes commas."""
    return f"replace(replace({text}, '.', ''), ',', '.')" if comma else text


def _meant(text: str) -> str:
    """The text, or null where it is a word for nothing.

    A pattern, since a list of so many words is planned as a join that reads every row's text.
    """
    return f"CASE WHEN regexp_full_match({text}, {_NOTHING}) THEN NULL ELSE {text} END"


def _odd(name: str, text: str) -> str:
    return f"CASE WHEN v_{name} IS NULL THEN {_meant(text)} END"


def _moment(name: str, typed: tuple[str, str] | None) -> Parsed | None:
    if typed is None:
        return None
    sql, kind = typed
    if kind in _INTEGERS or kind in _FLOATS or kind.startswith("DECIMAL"):
        return Parsed(_moment_number(sql, kind), "BIGINT", _odd(name, plain_text(sql, kind)), _read_moment)
    if kind == "DATE" or kind.startswith("TIMESTAMP"):
        micros = f"epoch_us(CAST({sql} AS TIMESTAMP))" if kind == "DATE" else f"epoch_us({sql})"
        value = (
            f"CASE WHEN i_{name} BETWEEN {_YEAR_2000_S}000000 AND {_YEAR_2201_S - 1}999999 THEN i_{name} END"
        )
        unzoned = None if kind.endswith("TIME ZONE") else f"{sql} IS NOT NULL"
        odd = _odd(name, f"CAST({sql} AS VARCHAR)")
        return Parsed(value, "BIGINT", odd, _read_moment, unzoned=unzoned, inner=micros)
    return None


def _moment_number(sql: str, kind: str) -> str:
    """Seconds, milli-, micro- or nanoseconds since 1970, told apart by their size."""
    low, high = _YEAR_2000_S, _YEAR_2201_S - 1
    whole = f"CAST({sql} AS BIGINT)"
    seconds = f"{whole} * 1000000" if kind in _INTEGERS else f"CAST(round({sql} * 1000000) AS BIGINT)"
    return (
        f"CASE WHEN {sql} BETWEEN {low} AND {high} THEN {seconds} "
        f"WHEN {sql} BETWEEN {low}000 AND {high}999 THEN {whole} * 1000 "
        f"WHEN {sql} BETWEEN {low}000000 AND {high}999999 THEN {whole} "
        f"WHEN {sql} BETWEEN {low}000000000 AND {high}999999999 THEN {whole} // 1000 END"
    )


def _moment_text(name: str, text: str) -> Parsed:
    zone = r"(Z|[+-]\d\d(:?\d\d)?)"
    own = f"i_{name}"
    value = (
        f"CASE WHEN regexp_full_match({own}, '{_ISO}') THEN epoch_us(TRY_CAST({own} AS TIMESTAMP)) "
        f"WHEN regexp_full_match({own}, '{_ISO}{zone}') THEN epoch_us(TRY_CAST({own} AS TIMESTAMPTZ)) "
        f"WHEN regexp_full_match({own}, '1\\d{{9}}') THEN CAST({own} AS BIGINT) * 1000000 "
        f"WHEN regexp_full_match({own}, '1\\d{{12}}') THEN CAST({own} AS BIGINT) * 1000 END"
    )
    unzoned = f"NOT regexp_matches({own}, '({zone}|^\\d+(\\.\\d+)?)$')"
    return Parsed(value, "BIGINT", _odd(name, own), _read_moment, unzoned=unzoned, inner=text)


def _read_moment(text: str, time_format: str | None = None) -> Words:
    try:
        return parse_moment(_reformatted(text, time_format))[0], None
    except BadInput as problem:
        said = str(problem)
        hint = " Or say how it is written, such as --time-format %m/%d/%Y."
        return None, said + hint if "a time was expected" in said and not time_format else said
    except (ValueError, OverflowError):
        return None, f"Found {text[:60]!r} where a time was expected: it is outside {YEAR_MIN} to {YEAR_MAX}."


def _reformatted(text: str, time_format: str | None) -> str:
    """The time in ISO form where it is written as the order says; else as it stands."""
    if time_format is None:
        return text
    try:
        return datetime.strptime(text.strip(), time_format).isoformat()
    except ValueError:
        return text


def _count(name: str, typed: tuple[str, str] | None) -> Parsed | None:
    if typed is None:
        return None
    sql, kind = typed
    if kind in _INTEGERS:
        is_count = f"{sql} BETWEEN 0 AND {COUNT_MAX}"
    elif kind in _FLOATS or kind.startswith("DECIMAL"):
        is_count = f"{sql} = trunc({sql}) AND {sql} BETWEEN 0 AND {COUNT_MAX}"
    else:
        return None
    value = f"CASE WHEN {is_count} THEN CAST({sql} AS BIGINT) END"
    return Parsed(value, "BIGINT", _odd(name, plain_text(sql, kind)), _read_count)


def _count_text(name: str, text: str) -> Parsed:
    value = f"CASE WHEN regexp_full_match(i_{name}, '\\d{{1,15}}') THEN CAST(i_{name} AS BIGINT) END"
    return Parsed(value, "BIGINT", _odd(name, f"i_{name}"), _read_count, inner=text)


def _read_count(text: str) -> Words:
    try:
        number = Decimal(text.replace(",", "").replace("_", ""))
    except InvalidOperation:
        return None, f"Found {text[:60]!r} where a count was expected: write a whole number like 1200."
    if not number.is_finite() or number != number.to_integral_value():
        return None, f"Found {text[:60]!r} where a count was expected: a count is a whole number."
    if number < 0:
        return None, f"Found a count of {text[:60]}: a count is never negative."
    if number > COUNT_MAX:
        return None, f"Found a count of {text[:60]}: nothing uses that much."
    return int(number), None


_AMOUNT_MORE = ("digits", "original_nano", "original_currency", "exchange", "unknown")


def _amount_parsed(
    name: str,
    value: str,
    text: str,
    has_more_digits: str,
    exchange: Mapping[str, ExchangeRate],
    inner: str | None = None,
) -> Parsed:
    digits = f"CASE WHEN v_{name} IS NOT NULL AND {has_more_digits} THEN {text} END"
    more = tuple(
        (own, "BIGINT" if own == "original_nano" else "VARCHAR", digits if own == "digits" else "NULL")
        for own in _AMOUNT_MORE
    )
    reader = partial(_read_amount, exchange=exchange)
    return Parsed(value, "BIGINT", _odd(name, text), reader, more, inner=inner)


def _amount(name: str, typed: tuple[str, str] | None, exchange: Mapping[str, ExchangeRate]) -> Parsed | None:
    if typed is None:
        return None
    sql, kind = typed
    text = f"CAST({sql} AS VARCHAR)"
    if kind in _INTEGERS:
        value = f"CASE WHEN {sql} BETWEEN 0 AND 1000000000 THEN CAST({sql} AS BIGINT) * 1000000000 END"
        return _amount_parsed(name, value, text, "false", exchange)
    if kind not in _FLOATS:
        return None
    double = f"CAST({text} AS DOUBLE)" if kind == "FLOAT" else sql  # the digits that the source wrote
    more_digits = f"v_{name} / 1e9 <> i_{name}"
    return _amount_parsed(name, _nano_of_double(f"i_{name}"), text, more_digits, exchange, double)


def _nano_of_double(double: str) -> str:
    """Nano units of a double, where its shortest decimal writing is provably on that side of the half.

    Below 1,000 a double stands within 2.4e-4 nano units of its writing; what lies
    nearer than 1e-3 to a half, and what is larger, is left to the core.
    """
    in_reach = f"({double} = 0 OR {double} >= 1e-18) AND {double} < 1000"
    is_clear = f"abs({double} * 1e9 - floor({double} * 1e9) - 0.5) > 1e-3"
    return f"CASE WHEN {in_reach} AND {is_clear} THEN CAST(round_even({double} * 1e9, 0) AS BIGINT) END"


def _amount_text(name: str, text: str, ending: str | None, exchange: Mapping[str, ExchangeRate]) -> Parsed:
    if ending:  # a currency of its own, by the column's name or another column: always the core's to read
        known = _meant(text)
        both = f"{known} IS NOT NULL AND {ending} IS NOT NULL"
        with_currency = f"CASE WHEN {both} THEN {known} || ' ' || {ending} ELSE {known} END"
        return _amount_parsed(name, "CAST(NULL AS BIGINT)", with_currency, "false", exchange)
    bare = f"ltrim({text}, '$ ')"
    plain = f"regexp_full_match({bare}, '\\d+(\\.\\d*)?([eE][+-]?\\d\\d?)?')"
    double = f"CASE WHEN {plain} THEN TRY_CAST({bare} AS DOUBLE) END"
    more_digits = f"(strlen({text}) > 16 OR v_{name} / 1e9 <> i_{name})"
    return _amount_parsed(name, _nano_of_double(f"i_{name}"), text, more_digits, exchange, double)


def _read_amount(text: str, exchange: Mapping[str, ExchangeRate]) -> Words:
    """(nano, digits, original nano, its currency, the rate, why unknown, problem) of an amount."""
    nothing: Words = (None,) * 6
    body, currency = _currency_apart(text)
    if body.lstrip().startswith("0,"):
        return *nothing, f"Found {text[:60]!r}: is the comma a decimal point? Say so with --decimal-comma."
    try:
        amount, sign = parse_amount(body)
    except BadInput as problem:
        return *nothing, str(problem)
    if amount < 0:
        return *nothing, f"Found a negative cost of {text[:60]}: a cost is never below zero."
    if amount > 10**9:
        return *nothing, f"Found an amount of {text[:60]}: no single record costs that much."
    currency = currency or sign or "USD"
    if currency == "USD":
        nano = nano_of(amount)
        return nano, text if Decimal(nano) != amount * 10**9 else None, None, None, None, None, None
    rate = exchange.get(currency)
    if rate is None:
        why = f"the source gives it in {currency}; --exchange {currency}=RATE@DATE says what that is worth"
        return None, text, nano_of(amount), currency, None, why, None
    return nano_of(amount * rate.rate), text, nano_of(amount), currency, str(rate), None, None


def _currency_apart(text: str) -> tuple[str, str | None]:
    """An amount and the three letters of a currency behind it, where there are such."""
    body, _, last = text.strip().rpartition(" ")
    if body and len(last) == 3 and last.isascii() and last.isalpha():
        return body, last.upper()
    return text, None


def _read_number(text: str) -> Words:
    """A number as plain decimal text."""
    cleaned = text.replace(",", "").strip()
    percent = cleaned.endswith("%")
    try:
        number = Decimal(cleaned.removesuffix("%").strip())
    except InvalidOperation:
        return None, f"Found {text[:60]!r} where a number was expected."
    if not number.is_finite() or abs(number.adjusted()) > 30:
        return None, f"Found {text[:60]!r} where a number was expected: it has no such size."
    plain = format(number, "f")
    return (f"{plain}%" if percent else plain), None


def fixed_problem(bound: Bound, order: Order) -> str | None:
    """Why a value given by ``--set`` cannot be one of its field; None if it can."""
    reader = parsed(bound.ours.name, bound, order, comma=False).read
    if reader is None or bound.fixed is None:
        return None
    problem = reader(bound.fixed)[-1]
    return str(problem) if problem else None
