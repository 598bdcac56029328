"""Actions: a kind of task with its price, its path, its proof and its limits, fixed before work begins.

An action says everything that decides what a customer gets and pays: what is given and what
comes back, how the work is done and judged, and what it costs. A published version never
changes; what a sale is due follows from its quote alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType

from flatfare.core.action_price import ActionPrice
from flatfare.core.checks.submission import Json
from flatfare.core.definition import Definition
from flatfare.core.path import Path
from flatfare.core.path import Rung as Model

SIZE_UNITS = ("bytes", "characters", "words", "pages")
"""What an input can be measured by."""

CHARACTERS_OF_A_PAGE = 3000
"""What counts as a page where a text has none: about 500 words."""


class Reading(StrEnum):
    """How a file becomes part of the input."""

    TEXT = "text"
    PDF = "pdf"  # its text
    IMAGE = "image"  # passed on as it is


class Answer(StrEnum):
    """How a model is asked for a structured answer."""

    TOOL = "tool"  # as the arguments of a function
    NATIVE = "native"  # by the provider's own means for schemas
    PROMPTED = "prompted"  # by saying so


class Ending(StrEnum):
    """How an attempt ended."""

    VERIFIED = "verified"
    FAILED = "failed"  # judged, and not as it should be
    UNDECIDED = "undecided"  # a verifier that must speak abstained
    REFUSED = "refused"  # the model would not
    MALFORMED = "malformed"  # no answer of the output's form
    TIMEOUT = "timeout"
    ERROR = "error"  # the provider, the gateway or the command failed
    LIMITED = "limited"  # a limit or budget stood in the way: nothing dearer is tried
    AWAITED = "awaited"  # somebody else has yet to speak: a person, a customer, a signal
    INTERRUPTED = "interrupted"  # the process that carried it out ended


CLIMBABLE = (
    Ending.FAILED,
    Ending.UNDECIDED,
    Ending.REFUSED,
    Ending.MALFORMED,
    Ending.TIMEOUT,
    Ending.ERROR,
)
"""Endings after which another attempt may be made."""

SAME, STOP = "same", "stop"
"""Where a rung climbs to besides other rungs."""


@dataclass(frozen=True, slots=True)
class Rung:
    """One step of the ladder: a model, and how it is asked."""

    name: str
    model: Model
    output_tokens: int = 4096
    tries: int = 1
    seconds: float = 120.0
    answer: Answer = Answer.TOOL
    temperature: Decimal | None = None
    climb: Mapping[Ending, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Command:
    """An existing command that does a step's work: the input as a file, the answer as a file."""

    argv: tuple[str, ...]
    files: tuple[str, ...] = ()  # beside the action file
    seconds: float = 60.0
    readable: tuple[str, ...] = ()
    is_contained: bool = True  # else it has the network and this machine's rights
    cost_nano: int | None = None  # of one run; where the file does not say, it is not known


@dataclass(frozen=True, slots=True)
class Step:
    """One part of the work: a prompt to a model, or a command; ``each`` names a text that is cut in parts."""

    name: str
    prompt: str = ""
    system: str = ""
    each: str | None = None
    characters: int = 12_000
    command: Command | None = None
    output_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """A verifier that judges every attempt: a kind of check with its parameters, by a name.

    Or one that is awaited: who it is speaks later, when the work is handed in.
    """

    name: str
    kind: str
    is_awaited: bool = False
    parameters: Mapping[str, Json] = field(default_factory=lambda: MappingProxyType({}))
    line: int = 0


@dataclass(frozen=True, slots=True)
class Limits:
    """What one run may use at most."""

    cost_nano: int | None = None
    attempts: int = 10
    deadline_us: int = 600_000_000
    input_bytes: int = 1 << 20


@dataclass(frozen=True, slots=True)
class Size:
    """How much was given."""

    bytes: int = 0
    characters: int = 0
    words: int = 0
    pages: int = 0

    def by(self, unit: str | None) -> int | None:
        """The size in one of ``SIZE_UNITS``; None where the price does not ask for it."""
        if unit is None:
            return None
        return {"bytes": self.bytes, "characters": self.characters, "words": self.words, "pages": self.pages}[
            unit
        ]


@dataclass(frozen=True, slots=True)
class Action:
    """A named, versioned, priced kind of task."""

    name: str
    version: int
    description: str
    steps: tuple[Step, ...]
    ladder: tuple[Rung, ...]
    checks: tuple[Check, ...]
    definition: Definition
    price: ActionPrice
    limits: Limits = Limits()
    input_schema: Mapping[str, Json] = field(default_factory=lambda: MappingProxyType({}))
    output_schema: Mapping[str, Json] | None = None
    files: Mapping[str, Reading] = field(default_factory=lambda: MappingProxyType({}))
    keep_us: int = 0  # how long input and output are kept; 0: not at all
    source: str = ""  # the file's text, as it was published
    folder: str = ""  # where the files that it names stood when it was read
    bundle: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}))  # and what they held

    @property
    def path(self) -> Path:
        """The ladder as reports name it."""
        if not self.ladder:
            argv = [step.command.argv for step in self.steps if step.command]
            return Path(" > ".join(words[0].rpartition("/")[2] for words in argv))
        return Path.of(*(rung.model for rung in self.ladder))


def climbed(ladder: tuple[Rung, ...], rung: int, tried: int, ending: Ending) -> int | None:
    """The rung of the next attempt after one that ended so, ``tried`` being how often this rung was; or None.

    A rung is tried as often as it says, then the next one is; ``climb`` says otherwise for an ending.
    """
    if ending not in CLIMBABLE:
        return None
    own = ladder[rung]
    wanted = own.climb.get(ending)
    if wanted == STOP:
        return None
    if wanted in (None, SAME) and tried < own.tries:
        return rung
    if wanted not in (None, SAME):
        return next(number for number, other in enumerate(ladder) if other.name == wanted)
    return rung + 1 if rung + 1 < len(ladder) else None


def circle(ladder: tuple[Rung, ...]) -> tuple[str, ...]:
    """The names of rungs that climb to one another in a circle; empty where none do.

    >>> first = Rung("a", Model("m"), climb={Ending.FAILED: "b"})
    >>> circle((first, Rung("b", Model("n"), climb={Ending.ERROR: "a"})))
    ('a', 'b', 'a')
    """
    follows: dict[str, list[str]] = {}
    for number, rung in enumerate(ladder):
        named = [name for name in rung.climb.values() if name not in (SAME, STOP)]
        following = ladder[number + 1].name if number + 1 < len(ladder) else None
        follows[rung.name] = [*dict.fromkeys([*named, *([following] if following else [])])]

    def walk(name: str, trail: tuple[str, ...]) -> tuple[str, ...]:
        if name in trail:
            return (*trail[trail.index(name) :], name)
        found = (walk(other, (*trail, name)) for other in follows.get(name, ()))
        return next((one for one in found if one), ())

    return next((one for one in (walk(rung.name, ()) for rung in ladder) if one), ())
