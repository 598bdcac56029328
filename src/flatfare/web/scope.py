"""Whose rows somebody sees: the one place where pages and API are narrowed to a team.

A visitor with a scope such as ``team=search`` asks every question with that filter, however
the address is written; what cannot be narrowed is not shown to that visitor at all.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from flatfare.core.errors import NotAuthorised
from flatfare.service.reporting.keys import LABEL, is_label

Filters = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Scope:
    """Labels and the values of each that are seen; no labels at all means everything is."""

    labels: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, str]]) -> "Scope":
        """From labels and values; values of one label are alternatives."""
        held: dict[str, list[str]] = {}
        for key, value in pairs:
            held.setdefault(key.removeprefix(LABEL), []).append(value)
        return cls(tuple((key, tuple(dict.fromkeys(values))) for key, values in sorted(held.items())))

    def __str__(self) -> str:
        return ", ".join(f"{key}={value}" for key, values in self.labels for value in values)

    @property
    def is_whole(self) -> bool:
        """Everything is seen."""
        return not self.labels

    def narrowed(self, filters: Iterable[tuple[str, str]]) -> Filters:
        """The filters with those of the scope; ``NotAuthorised`` where they ask beyond it."""
        rest = list(filters)
        added: Filters = []
        for key, allowed in self.labels:
            asked = {value for name, value in rest if _means(name, key)}
            seen = [value for value in allowed if value in asked] if asked else list(allowed)
            if asked - set(allowed):
                beyond = min(asked - set(allowed))
                raise NotAuthorised(f"{key}={beyond[:60]} is not yours to see: you see {self}.")
            rest = [(name, value) for name, value in rest if not _means(name, key)]
            added += [(f"{LABEL}{key}", value) for value in seen]
        return [*rest, *added]

    def sees(self, labels: Mapping[str, str]) -> bool:
        """A row with these labels is within the scope."""
        return all(labels.get(key) in allowed for key, allowed in self.labels)


def _means(name: str, label: str) -> bool:
    return name == f"{LABEL}{label}" or (name == label and is_label(name))


EVERYTHING = Scope()
