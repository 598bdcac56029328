"""Kinds of checks, how one becomes a verifier with its parameters, and which version that is.

A version is a hash of all that decides: the rule's source, the libraries that do the work, and
the parameters. A changed rule is another version by itself, and one that only reads better is not.
"""

import functools
import hashlib
import importlib
import importlib.metadata
import inspect
import json
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import msgspec

import flatfare.verifiers
from flatfare.core.checks.finding import Finding, Ruling, finding
from flatfare.core.checks.question import Ask
from flatfare.core.checks.submission import Submission
from flatfare.core.errors import BadInput, BadUsage, Conflict, NotFound
from flatfare.core.outcome import VerifierKind
from flatfare.verifiers.sources import rules_hash

GROUP = "flatfare.verifiers"
"""The group of entry points under which a distribution offers kinds of its own."""

VERSION_LENGTH = 16


class Parameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a check is told; each kind has its own."""

    def check(self) -> None:
        """Refuse what the types let through, with ``BadInput``."""

    def material(self) -> str:
        """What else decides beside the values here, such as the content of a file they name."""
        return ""


class OnOutput(Parameters, frozen=True, kw_only=True):
    """Judges the output, or what stands at a JSON Pointer in it."""

    at: str | None = None


@dataclass(frozen=True, slots=True)
class Means:
    """What a check needs besides the submission where it asks a model, for one task."""

    ask: Ask
    producers: tuple[str, ...] = ()  # the models that did the work, as far as that is known


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of check: what a module of this package, or an entry point, offers as ``KIND``.

    ``judge`` takes a submission and parameters of the stated type. ``engines`` are the
    distributions that do the work, whose versions are part of the verifier's. A kind that asks
    a model has ``chosen``, which says by which parameters it judges with given means; its
    ``judge`` takes the means third.
    """

    name: str
    parameters: type[Parameters]
    judge: Callable[..., Ruling]
    kind: VerifierKind = VerifierKind.CODE
    engines: tuple[str, ...] = ()
    chosen: Callable[[Any, Means], Parameters] | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """A kind of check with its parameters: a verifier."""

    name: str
    version: str
    of: Kind
    parameters: Parameters
    means: Means | None = None

    @property
    def kind(self) -> VerifierKind:
        """Who judges."""
        return self.of.kind

    @property
    def asks(self) -> bool:
        """Whether it asks a model, and so needs means."""
        return self.of.chosen is not None

    def judge(self, submission: Submission) -> Finding:
        """What it finds of a submission; ``BadUsage`` where it asks a model and has no means to."""
        if not self.asks:
            ruling = self.of.judge(submission, self.parameters)
        elif self.means is None:
            raise BadUsage(f"The verifier {self.name!r} asks a model, and was given no means to ask one.")
        else:
            ruling = self.of.judge(submission, self.parameters, self.means)
        return finding(self.name, self.version, self.of.kind, submission, ruling)


def verifier(
    kind: str,
    parameters: Mapping[str, object] | None = None,
    *,
    name: str | None = None,
    means: Means | None = None,
) -> Check:
    """The verifier of a kind with these parameters; ``name`` tells two of one kind apart.

    ``means`` are for kinds that ask a model. Which of several models judges is part of the version.

    >>> verifier("exact-match", {"ignore": ["case"]}).judge(Submission("YES", expected="yes")).judgement
    <Judgement.PASS: 'pass'>
    """
    found = named(kind)
    checked = checked_parameters(found, parameters or {})
    if means is not None and found.chosen is not None:
        checked = found.chosen(checked, means)
    return Check(name or found.name, version_of(found, checked), found, checked, means)


def checked_parameters(kind: Kind, given: Mapping[str, object]) -> Parameters:
    """The parameters as the kind takes them; ``BadInput`` names the key that cannot be."""
    known = [field.name for field in msgspec.structs.fields(kind.parameters)]
    for key in given:
        if key not in known:
            near = get_close_matches(str(key), known, 1)
            meant = f" Did you mean {near[0]!r}?" if near else ""
            raise BadInput(
                f"Found the parameter {key!r} of {kind.name!r}: it takes {', '.join(known)}.{meant}"
            )
    try:
        checked = msgspec.convert(dict(given), kind.parameters)
    except msgspec.ValidationError as problem:
        raise BadInput(f"Found a parameter of {kind.name!r} that it cannot use: {_told(problem)}.") from None
    try:
        checked.check()
    except BadInput as problem:
        raise BadInput(f"Found a parameter of {kind.name!r} that it cannot use. {problem}") from None
    return checked


def _told(problem: msgspec.ValidationError) -> str:
    """Its sentence, with the key named as it was written."""
    what, _, where = str(problem).partition(" - at `")
    place = where.rstrip("`").removeprefix("$.").removeprefix("$")
    what = what.replace("`", "'").replace("Object missing required field", "it needs")
    return f"{place!r}: {what[0].lower()}{what[1:]}" if place else what


def page_of(kind: Kind) -> str:
    """What the kind checks, as its module says it: Markdown."""
    module = importlib.import_module(kind.judge.__module__)
    return inspect.cleandoc(module.__doc__ or f"{kind.name} has no description.")


def summary_of(kind: Kind) -> str:
    """The first sentence of its page."""
    return page_of(kind).partition("\n\n")[0].replace("\n", " ").rstrip(".")


# --- finding kinds


def names() -> list[str]:
    """Every kind there is, without importing those of other distributions."""
    return sorted({*_own(), *_offered()})


def named(name: str) -> Kind:
    """The kind of that name; ``NotFound`` says which there are."""
    own, offered = _own(), _offered()
    if name in own and name in offered:
        raise Conflict(
            f"Found two kinds of verifier called {name!r}, one offered by {offered[name].value!r}."
        )
    if name in own:
        return own[name]
    if name not in offered:
        near = get_close_matches(name, names(), 1)
        meant = f" Did you mean {near[0]!r}?" if near else ""
        raise NotFound(f"No verifier is called {name!r}. There are {', '.join(names())}.{meant}")
    loaded = offered[name].load()
    if not isinstance(loaded, Kind) or loaded.name != name:
        raise BadUsage(
            f"The entry point {offered[name].value!r} is not the kind {name!r}: let it name a Kind."
        )
    return loaded


@functools.cache
def _own() -> Mapping[str, Kind]:
    found = {}
    for module in pkgutil.iter_modules(flatfare.verifiers.__path__, "flatfare.verifiers."):
        kind = getattr(importlib.import_module(module.name), "KIND", None)
        if isinstance(kind, Kind):
            found[kind.name] = kind
    return found


@functools.cache
def _offered() -> Mapping[str, importlib.metadata.EntryPoint]:
    return {point.name: point for point in importlib.metadata.entry_points(group=GROUP)}


# --- versions


def version_of(kind: Kind, parameters: Parameters) -> str:
    """Sixteen hexadecimal digits that change with anything that decides."""
    parts = [
        kind.name,
        str(kind.kind),
        rules_hash(kind.judge.__module__),
        json.dumps([f"{engine} {_version(engine)}" for engine in kind.engines]),
        msgspec.json.encode(parameters, order="sorted").decode(),
        parameters.material(),
    ]
    content = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.sha256(content.encode()).hexdigest()[:VERSION_LENGTH]


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "none"
