"""Parameters of checks that ask a model: which may judge, how often, and what is done about its kinship.

A model is suspected of favouring what its own family wrote: the first of those named that is
of another family than the producer judges, and where there is none the ruling says so.
"""

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypeAlias, TypeVar

import msgspec

from flatfare.core.checks.finding import Ruling, abstained
from flatfare.core.checks.question import Marks, Material, Question, Vote, answered
from flatfare.core.checks.submission import Json
from flatfare.core.checks.votes import polled, ruling_of
from flatfare.core.errors import BadInput
from flatfare.core.family import family_of
from flatfare.verifiers.kinds import Means, OnOutput

SAMPLES_MAX = 15
CHARACTERS_MAX = 400_000

P = TypeVar("P", bound="Asked")

Worded: TypeAlias = tuple[str, str, dict[str, Json]]
"""A question in words: instructions, text, and the schema of its answer."""

Put: TypeAlias = Callable[[Worded, Marks], dict[str, Json]]
"""Puts a question and gives the object that was answered; ``NoReply`` where none counts."""


class Asked(OnOutput, frozen=True, kw_only=True):
    """Models are written `provider/model`, the provider as flatfare.yaml names it."""

    models: list[str]
    samples: int = 3
    family: Literal["another", "required", "any"] = "another"
    addressed: Literal["abstain", "ignore"] = "abstain"
    temperature: str | None = None
    tokens: int = 4000  # of an answer, what a model thinks before it included
    seconds: float = 120.0

    def check(self) -> None:
        """There is a model, and the numbers are within bounds."""
        if not self.models:
            raise BadInput("'models' is empty: state one, such as anthropic/claude-sonnet-4-5.")
        for model in self.models:
            provider, sign, name = model.partition("/")
            if not (provider and sign and name):
                raise BadInput(f"'models' holds {model!r}: write provider/model, as in openai/gpt-5-mini.")
        if not 1 <= self.samples <= SAMPLES_MAX:
            raise BadInput(f"'samples' is {self.samples}: ask 1 to {SAMPLES_MAX} times.")
        if not 16 <= self.tokens <= 100_000 or not 1 <= self.seconds <= 3600:
            raise BadInput("'tokens' runs from 16 to 100000 and 'seconds' from 1 to 3600.")
        if self.temperature is not None:
            _check_temperature(self.temperature)


def _check_temperature(text: str) -> None:
    try:
        is_one = 0 <= float(text) <= 2
    except ValueError:
        is_one = False
    if not is_one:
        raise BadInput(f"'temperature' is {text!r}: it runs from 0 to 2.")


def rubric_in(given: str | list[str] | None, file: str | None) -> list[str]:
    """The criteria of a rubric, or of its file: a line each, where the file is no list of YAML."""
    if (given is None) == (file is None):
        raise BadInput("State either 'rubric' or 'rubric_file'.")
    if file is not None:
        try:
            text = Path(file).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as problem:
            raise BadInput(f"The rubric {file} cannot be read: {problem}.") from None
        given = [line.strip().removeprefix("- ") for line in text.splitlines() if line.strip()]
    criteria = [given] if isinstance(given, str) else list(given or [])
    if not criteria or not all(text.strip() for text in criteria):
        raise BadInput("'rubric' holds no criterion, or an empty one.")
    return criteria


def chosen(parameters: P, means: Means) -> P:
    """The same parameters with the one model that is to judge this producer's work."""
    own = {family_of(name) for name in means.producers} - {None}
    others = [model for model in parameters.models if family_of(model.partition("/")[2]) not in own]
    models = others if own and parameters.family != "any" and others else parameters.models
    return msgspec.structs.replace(parameters, models=models[:1])


def kinship(parameters: Asked, means: Means) -> tuple[dict[str, Json], list[str], bool]:
    """What the evidence says of judge and producer, the note for people, and whether the judge may judge."""
    judge = family_of(parameters.models[0].partition("/")[2])
    own = {family_of(name) for name in means.producers} - {None}
    is_same = None if judge is None or not own else judge in own
    details: dict[str, Json] = {
        "model": parameters.models[0],
        "judge_family": judge,
        "producer_families": sorted(name for name in own if name),
        "same_family": is_same,
    }
    notes = []
    if is_same:
        notes.append(f"The judge is of the family that did the work ({judge}): it may favour it.")
    elif is_same is None and parameters.family != "any":
        notes.append("Whether the judge is of the family that did the work is not known.")
    return details, notes, parameters.family != "required" or is_same is False


def asked_of(
    parameters: Asked,
    means: Means,
    shown: Material,
    vote: Callable[[Put], Vote],
    *,
    one_objection: bool = False,
) -> Ruling:
    """Poll the model; ``vote`` asks for one vote with what it is given to put a question with."""
    details, notes, may_judge = kinship(parameters, means)
    if not may_judge:
        return abstained("No judge of another family than the producer's is named.", *notes, details=details)
    if shown.length > CHARACTERS_MAX:
        return abstained(
            f"There are {shown.length} characters to judge: at most {CHARACTERS_MAX} are shown to a model.",
            details=details,
        )
    if shown.hidden:
        notes.append(f"{shown.hidden} signs that no screen shows were taken out before it was judged.")
    served: set[str] = set()

    def put(question: Worded, marks: Marks) -> dict[str, Json]:
        reply = means.ask(_question(parameters, question))
        served.add(reply.model or "unsaid")
        return dict(answered(reply, marks))

    poll = polled(lambda: vote(put), parameters.samples, one_objection=one_objection)
    details |= {"served": sorted(served), "hidden_signs": shown.hidden}
    return ruling_of(poll, details, notes=notes, addressed_abstains=parameters.addressed == "abstain")


def _question(parameters: Asked, question: Worded) -> Question:
    provider, _, model = parameters.models[0].partition("/")
    instructions, text, schema = question
    return Question(
        provider=provider,
        model=model,
        instructions=instructions,
        text=text,
        schema=schema,
        tokens_max=parameters.tokens,
        temperature=parameters.temperature,
        seconds=parameters.seconds,
    )


def marks() -> Marks:
    """New ones, which nobody can know beforehand."""
    return Marks(secrets.token_hex(8), secrets.token_hex(4))
