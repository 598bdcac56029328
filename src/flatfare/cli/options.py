"""Options that every reading command takes, written once."""

import functools
import getpass
import secrets
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar
from uuid import UUID

import click

from flatfare.cli import output
from flatfare.config import Settings, load_settings
from flatfare.core.currency import dollars
from flatfare.core.errors import BadInput, BadUsage, StoreFailure
from flatfare.core.identity import time_ordered
from flatfare.core.moments import is_span, parse_moment, parse_span
from flatfare.service import clock
from flatfare.store.book import Book, open_book
from flatfare.store.lake import Lake

P = ParamSpec("P")
R = TypeVar("R")

_PLACE = "flatfare.place"


def _remember(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if value is not None:
        ctx.meta.setdefault(_PLACE, {})[param.name] = value


def place_options() -> list[click.Parameter]:
    """``--config``, ``--database`` and ``--lake``, which work behind every command."""
    return [
        click.Option(
            ["--config"], metavar="FILE", help="Settings file.", expose_value=False, callback=_remember
        ),
        click.Option(
            ["--database"],
            metavar="URL",
            help="The book, such as sqlite:///flatfare.db.",
            expose_value=False,
            callback=_remember,
        ),
        click.Option(
            ["--lake"],
            metavar="DIR",
            help="The folder of sealed files.",
            expose_value=False,
            callback=_remember,
        ),
    ]


class Noun(click.Group):
    """A group that shows what there is where no command is asked for: ``flatfare budgets --json``."""

    def __init__(self, *args: Any, shows: str = "list", **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.shows = shows

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not ctx.resilient_parsing and self.shows in self.commands and asks_no_command(args):
            args = [self.shows, *args]
        return super().parse_args(ctx, args)


def asks_no_command(args: Sequence[str]) -> bool:
    """Whether there is no command among the arguments of a group, but for options of the one it shows."""
    places = {name for option in place_options() for name in option.opts}
    rest = iter(args)
    for word in rest:
        if word in places:
            next(rest, None)
        elif word.partition("=")[0] not in places:
            return word.startswith("-") and word not in ("-h", "--help", "--version")
    return True


def place_given(environment: Mapping[str, str]) -> list[str]:
    """What of the command line and the environment says where book, lake and settings are."""
    meta: dict[str, str] = click.get_current_context().meta.get(_PLACE, {})
    names = ("config", "database", "lake")
    variables = [f"FLATFARE_{name.upper()}" for name in (*names, "journal")]
    return [f"--{name}" for name in names if name in meta] + [one for one in variables if one in environment]


def settings_now() -> Settings:
    """The settings that this command line, the environment and the file add up to."""
    place: dict[str, str | None] = dict(click.get_current_context().meta.get(_PLACE, {}))
    file = place.pop("config", None)
    return load_settings(Path(file) if file else None, None, **place)


def pass_settings(command: Callable[Concatenate[Settings, P], R]) -> Callable[P, R]:
    """Gives the command the settings as its first argument."""

    @functools.wraps(command)
    def with_settings(*args: P.args, **kwargs: P.kwargs) -> R:
        return command(settings_now(), *args, **kwargs)

    return with_settings


class Moment(click.ParamType[int]):
    """A point in time, given as a date or a time; microseconds since 1970."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        try:
            return parse_moment(str(value))[0]
        except BadInput as problem:
            self.fail(str(problem), param, ctx)


class Span(click.ParamType[int]):
    """A length of time such as 90d or 1h; microseconds."""

    name = "span"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        try:
            return parse_span(str(value))
        except BadInput as problem:
            self.fail(str(problem), param, ctx)


class Expiry(Span):
    """When something ends: in so long, or at a time; microseconds since 1970."""

    name = "expiry"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int) or is_span(str(value)):
            return clock.now_us() + super().convert(value, param, ctx)
        try:
            return parse_moment(str(value))[0]
        except BadInput as problem:
            self.fail(f"{problem} Or write it like 90d.", param, ctx)


class Amount(click.ParamType[int]):
    """An amount of dollars such as 5.00; nano-dollars."""

    name = "amount"

    def __init__(self, *, from_zero: bool = False) -> None:
        self._from_zero = from_zero

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        try:
            return dollars(str(value), from_zero=self._from_zero)
        except BadInput as problem:
            self.fail(str(problem), param, ctx)


def format_options(command: Callable[P, R]) -> Callable[P, R]:
    """Adds ``--json`` and ``--csv``; the command gets ``shape``: 'table', 'json' or 'csv'."""
    for flag, text in (("json", "Print JSON."), ("csv", "Print CSV.")):
        command = click.option(f"--{flag}", "shape", flag_value=flag, help=text)(command)
    return click.option("--table", "shape", flag_value="table", default="table", hidden=True)(command)


def period_options(command: Callable[P, R]) -> Callable[P, R]:
    """Adds ``--since`` and ``--until``: the command gets ``since`` and ``until`` in microseconds, or None."""

    @functools.wraps(command)
    def in_order(*args: P.args, **kwargs: P.kwargs) -> R:
        since, until = kwargs.get("since"), kwargs.get("until")
        if isinstance(since, int) and isinstance(until, int) and since >= until:
            raise BadUsage("The period ends before it begins: give an --until that is later than --since.")
        return command(*args, **kwargs)

    until = click.option("--until", type=Moment(), metavar="TIME", help="Up to, and without, this time.")
    return click.option("--since", type=Moment(), metavar="TIME", help="From this time on.")(until(in_order))


def book_of(settings: Settings, *, create: bool = False) -> Book:
    """The book that the settings name."""
    return open_book(settings.database, create=create)


@contextmanager
def changing(settings: Settings, *, create: bool = False) -> Iterator[Book]:
    """The book, for a command that changes what is chained: at the end the new heads are signed."""
    from flatfare.service import vouching  # with what it needs, for such commands alone

    with book_of(settings, create=create) as book:
        yield book
        try:
            vouching.sign(book, lake_of(settings), vouching.heads_of(settings), now_us=clock.now_us())
        except StoreFailure as problem:
            output.note(f"What was done stands, and its heads are not signed: {problem}")


def is_within(at_us: int, since: int | None, until: int | None) -> bool:
    """A moment lies in the period that was asked for."""
    return (since is None or at_us >= since) and (until is None or at_us < until)


def lake_of(settings: Settings) -> Lake:
    """The lake that the settings name."""
    return Lake(settings.lake)


def user_name() -> str:
    """Who is at the terminal, for the record of who changed what."""
    try:
        return getpass.getuser()
    except OSError:
        return "unknown"


@contextmanager
def reading_options() -> Iterator[None]:
    """While options are read: what one of them says wrongly is wrong usage, and ends with 2."""
    try:
        yield
    except BadInput as problem:
        raise BadUsage(str(problem)) from None


def filter_of(text: str) -> tuple[str, str]:
    """Key and value of ``--filter key=value``; ``BadUsage`` for anything else."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise BadUsage(f"Found --filter {text!r}: write it like --filter domain=retail.")
    return key.strip(), value


def bytes_of(name: str) -> bytes:
    """What a file holds, or standard input for ``-``; ``BadInput`` where it cannot be read."""
    try:
        return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as problem:
        raise BadInput(
            f"{name} cannot be read: {problem.strerror or problem}. Give the name of a file that is there."
        ) from None


def write_file(path: str, content: bytes) -> None:
    """Write a file and say so on stderr; ``BadInput`` where it cannot be written."""
    try:
        Path(path).write_bytes(content)
    except OSError as problem:
        raise BadInput(f"{path} cannot be written: {problem.strerror or problem}.") from None
    output.note(f"Wrote {path}.")


def text_of(name: str) -> str:
    """What a file of text holds, or standard input for ``-``; ``BadInput`` where it is none."""
    try:
        return bytes_of(name).decode("utf-8")
    except UnicodeDecodeError as problem:
        raise BadInput(f"{name} is no text in UTF-8: {problem}.") from None


def new_id(given: str | None) -> UUID:
    """The id that was given, or a new one; ``BadUsage`` where it is none."""
    if given is None:
        return time_ordered(clock.now_us(), secrets.token_bytes(10))
    try:
        return UUID(given)
    except ValueError:
        raise BadUsage(f"Found the id {given[:40]!r}: expected a UUID.") from None
