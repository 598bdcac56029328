"""A mapping of an action file, read key by key; what should stand there and does not is noted by line."""

import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from difflib import get_close_matches
from enum import StrEnum
from functools import partial
from typing import TypeVar

from flatfare.core.checks.submission import Json
from flatfare.core.currency import dollars
from flatfare.core.errors import BadInput
from flatfare.service.actions.lines import Lines, Place

Word = TypeVar("Word", bound=StrEnum)


class Section:
    """A mapping of the file, its place and the keys that it may hold."""

    def __init__(self, lines: Lines, place: Place, value: Json, keys: Iterable[str]) -> None:
        self.lines, self.place = lines, place
        self.held: Mapping[str, Json] = value if isinstance(value, Mapping) else {}
        if not isinstance(value, Mapping):
            lines.say(place, f"Found {shown(value)}: expected keys and values.")
        known = list(keys)
        for key in self.held:
            if key not in known:
                near = get_close_matches(key, known, 1)
                meant = f" Did you mean {near[0]!r}?" if near else ""
                lines.say((*place, key), f"Found {key!r}: expected one of {', '.join(known)}.{meant}")

    def say(self, key: str | None, text: str) -> None:
        """Note a problem with what stands at a key."""
        self.lines.say(self.place if key is None else (*self.place, key), text)

    def text(
        self,
        key: str,
        default: str | None = None,
        *,
        pattern: re.Pattern[str] | None = None,
        expected: str = "text",
    ) -> str:
        """The text at a key; required without a default."""
        value = self.held.get(key, default)
        if isinstance(value, int | Decimal) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str) or (pattern is not None and not pattern.fullmatch(value)):
            self.say(
                key,
                f"'{key}' is missing: expected {expected}." if value is None else wrong(key, value, expected),
            )
            return ""
        return value

    def number(self, key: str, default: int, *, least: int = 0, most: int = 10**9) -> int:
        """The whole number at a key."""
        value = self.held.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            self.say(key, wrong(key, value, f"a whole number from {least} to {most}"))
            return default
        return value

    def fraction(
        self, key: str, default: Decimal | None, *, least: str = "0", most: str = "1000000"
    ) -> Decimal | None:
        """The number at a key, given as a number or as text."""
        value = self.held.get(key)
        if value is None:
            return default
        try:
            number = Decimal(str(value)) if not isinstance(value, bool) else None
        except ArithmeticError:
            number = None
        if number is None or not Decimal(least) <= number <= Decimal(most):
            self.say(key, wrong(key, value, f"a number from {least} to {most}"))
            return default
        return number

    def flag(self, key: str, default: bool) -> bool:
        """True or false at a key."""
        value = self.held.get(key, default)
        if not isinstance(value, bool):
            self.say(key, wrong(key, value, "true or false"))
            return default
        return value

    def money(self, key: str) -> int | None:
        """Nano-dollars at a key."""
        return self.read(key, partial(dollars, from_zero=True))

    def read(self, key: str, read: Callable[[str], int]) -> int | None:
        """What a reader makes of the text at a key; its complaint is noted."""
        if self.held.get(key) is None:
            return None
        try:
            return read(self.text(key))
        except BadInput as problem:
            self.say(key, str(problem))
            return None

    def word(self, section: str | None, key: str, words: type[Word], default: Word | None = None) -> Word:
        """One of some words, at a key or at a key of a section."""
        held = self.held if section is None else self.below(section)
        place = (*self.place, *([section] if section else []), key)
        value = held.get(key, default)
        if isinstance(value, str) and value in list(words):
            return words(value)
        self.lines.say(place, wrong(key, value, " or ".join(words)))
        return default or next(iter(words))

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts at a key."""
        value = self.held.get(key, [])
        if not isinstance(value, list) or not all(isinstance(one, str | int) for one in value):
            self.say(key, wrong(key, value, "a list of texts"))
            return ()
        return tuple(map(str, value))

    def below(self, key: str) -> Mapping[str, Json]:
        """The mapping at a key, empty where there is none."""
        value = self.held.get(key, {})
        if not isinstance(value, Mapping):
            self.say(key, wrong(key, value, "keys and values"))
            return {}
        return value

    def section(self, key: str, keys: Iterable[str]) -> "Section":
        """The section at a key, empty where there is none."""
        return Section(self.lines, (*self.place, key), self.held.get(key, {}), keys)

    def sections(self, key: str, keys: tuple[str, ...]) -> list["Section"]:
        """The sections listed at a key."""
        value = self.held.get(key, [])
        if not isinstance(value, list):
            self.say(key, wrong(key, value, "a list"))
            return []
        return [
            Section(self.lines, (*self.place, key, number), one, keys) for number, one in enumerate(value)
        ]

    def schema(self, key: str) -> Mapping[str, Json] | None:
        """The JSON Schema at a key, of an object."""
        value = self.held.get(key)
        if value is None:
            return None
        if not isinstance(value, Mapping):
            self.say(key, wrong(key, value, "a JSON Schema"))
            return None
        if value.get("type") != "object":
            self.say(key, f"'{key}' is the JSON Schema of an object: write 'type: object' in it.")
        return value


def wrong(key: str, value: Json, expected: str) -> str:
    """The sentence for a value that cannot stand at a key."""
    return f"Found {shown(value)} as '{key}': expected {expected}."


def shown(value: Json) -> str:
    """A value as a sentence names it."""
    return "nothing" if value is None else repr(value if isinstance(value, str) else str(value))[:60]
