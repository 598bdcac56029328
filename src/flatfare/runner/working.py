"""One attempt's work: the steps of an action in their order, on one rung, to an output or an ending."""

import asyncio
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from flatfare.core.action import Action, Command, Ending, Rung, Step
from flatfare.core.checks.submission import Json, NotJson, read_json
from flatfare.runner.gate import Gate
from flatfare.runner.inputs import Prepared
from flatfare.runner.models import Made, Models, Prompt, Unanswered, Whose
from flatfare.runner.purse import Purse
from flatfare.runner.till import Till
from flatfare.service.actions import templates
from flatfare.service.actions.documents import plain
from flatfare.verifiers.sandbox import containing, uncontained
from flatfare.verifiers.sandbox.order import Ended, Limits, Order, Refused

PART_TRIES = 2
"""How often a part is asked about: one provider's hiccup does not throw the work on all others away."""

INPUT_FILE, OUTPUT_FILE = "input.json", "output.json"


@dataclass(frozen=True, slots=True)
class Workshop:
    """What attempts of one run are made with."""

    action: Action
    given: Prepared
    models: Models
    purse: Purse
    gate: Gate
    till: Till


@dataclass(slots=True)
class Work:
    """One attempt under way: whose it is, when it must end, and the calls it has made."""

    rung: Rung | None
    whose: Whose
    ends_at: float  # by the loop's clock
    at_us: int
    made: list[Made] = field(default_factory=list)
    is_cost_unsaid: bool = False  # commands alone do the work, and one of them says no cost


async def carried_out(shop: Workshop, work: Work) -> str:
    """The output of an attempt, JSON where there is a schema of it; ``Unanswered`` where there is none."""
    done: dict[str, Json] = {}
    output = ""
    for step in shop.action.steps:
        is_last = step is shop.action.steps[-1]
        if step.command is not None:
            output = await _run(shop, work, step, step.command, done)
        elif step.each is not None:
            parts = await _each(shop, work, step, done)
            done[step.name], output = parts, "\n\n".join(parts)
            continue
        else:
            given = _given(shop, work, done)
            output = await _ask(shop, work, step, given, is_structured=is_last)
        done[step.name] = _value(output)
    return output


async def _each(shop: Workshop, work: Work, step: Step, done: Mapping[str, Json]) -> list[str]:
    """A step's answers to each part of a text, in their order; the first that fails ends the others."""
    whole = done.get(str(step.each), shop.given.values.get(str(step.each), ""))
    text = whole if isinstance(whole, str) else json.dumps(plain(whole), ensure_ascii=False)
    parts = list(parted(text, step.characters))
    turn = asyncio.Semaphore(shop.models.together)

    async def answer(number: int, part: str) -> str:
        given = _given(shop, work, done)
        given |= {"part": part, "part_number": number, "parts": len(parts)}
        async with turn:
            for _ in range(PART_TRIES - 1):
                with _passing_suppressed():
                    return await _ask(shop, work, step, given, is_structured=False)
            return await _ask(shop, work, step, given, is_structured=False)

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(answer(number, part)) for number, part in enumerate(parts, 1)]
    except* Unanswered as problems:
        raise problems.exceptions[0] from None
    return [task.result() for task in tasks]


@contextmanager
def _passing_suppressed() -> Iterator[None]:
    """Let what may be otherwise the next time pass: a provider's error, an answer of no use."""
    try:
        yield
    except Unanswered as problem:
        if problem.ending not in (Ending.ERROR, Ending.MALFORMED):
            raise


def parted(text: str, characters: int) -> Iterator[str]:
    """A text in parts of at most so many characters, cut between paragraphs, else sentences, else anywhere.

    >>> list(parted("One. Two.", 6)), "".join(parted("a b c", 2))
    (['One. ', 'Two.'], 'a b c')
    """
    start = 0
    while len(text) - start > characters:
        window = text[start : start + characters]
        cuts = (list(re.finditer(pattern, window)) for pattern in (r"\n\s*\n", r"[.!?]\s", r"\s"))
        found = next((cut for cut in cuts if cut and cut[-1].end() > characters // 4), None)
        end = start + (found[-1].end() if found else characters)
        yield text[start:end]
        start = end
    if text[start:].strip() or not start:
        yield text[start:]


async def _ask(
    shop: Workshop, work: Work, step: Step, given: Mapping[str, Json], *, is_structured: bool
) -> str:
    rung = work.rung
    assert rung is not None, "a prompt has a ladder: the reader of action files sees to it"
    prompt = Prompt(
        text=templates.render(step.prompt, given),
        system=templates.render(step.system, given),
        schema=shop.action.output_schema if is_structured else None,
        images=shop.given.images,
        output_tokens=min(step.output_tokens or rung.output_tokens, rung.output_tokens),
    )
    seconds = shop.models.seconds_of(rung, work.ends_at - asyncio.get_running_loop().time())
    if seconds <= 0:
        raise Unanswered(Ending.LIMITED, "The deadline has passed.")
    held_nano, made = shop.purse.hold(rung, prompt, work.at_us), list[Made]()
    try:
        return await shop.models.ask(rung, prompt, work.whose, made, seconds)
    finally:
        shop.purse.book(held_nano, made)
        work.made += made


def _given(shop: Workshop, work: Work, done: Mapping[str, Json]) -> dict[str, Json]:
    """What a prompt sees."""
    today = datetime.fromtimestamp(work.at_us / 1e6, UTC).date().isoformat()
    return {"input": shop.given.values, "steps": dict(done), "today": today}


def _value(output: str) -> Json:
    try:
        return read_json(output)
    except NotJson:
        return output


async def _run(shop: Workshop, work: Work, step: Step, command: Command, done: Mapping[str, Json]) -> str:
    """What a command leaves as its output."""
    seconds = min(command.seconds, work.ends_at - asyncio.get_running_loop().time())
    if seconds <= 0:
        raise Unanswered(Ending.LIMITED, "The deadline has passed.")
    order = Order(
        argv=command.argv,
        files={**_bundled(shop.action, command), **input_files(shop.given, done)},
        environment={} if command.is_contained else _environment(shop.gate, work.whose),
        readable=command.readable,
        kept=(OUTPUT_FILE,),
        limits=Limits(seconds=seconds),
    )
    if command.cost_nano is None:
        work.is_cost_unsaid = all(one.command is not None for one in shop.action.steps)
        return _left(step, await asyncio.to_thread(_started, order, command.is_contained))
    return await _paid(shop, work, step, order, command)


async def _paid(shop: Workshop, work: Work, step: Step, order: Order, command: Command) -> str:
    """What a command leaves that costs something itself, which is booked before it starts."""
    cost_nano = command.cost_nano or 0
    shop.purse.spend(cost_nano)
    call = await shop.till.book(work.whose, f"{shop.action.name}/{step.name}", step.name, cost_nano)
    work.made.append(Made(str(call["id"]), work.whose.purpose, cost_nano))
    try:
        return _left(step, await asyncio.to_thread(_started, order, command.is_contained))
    except Unanswered:
        await shop.till.say_failed(call)
        raise


def _left(step: Step, answer: Ended | Refused) -> str:
    """The output of a command that has ended; ``Unanswered`` where it left none."""
    if isinstance(answer, Refused):
        raise Unanswered(Ending.ERROR, f"The command of {step.name!r} was not run: {answer.reason}.")
    if answer.stopped:
        ending = Ending.TIMEOUT if answer.stopped == "time" else Ending.ERROR
        raise Unanswered(ending, f"The command of {step.name!r} reached its limit of {answer.stopped}.")
    if answer.exit_code != 0:
        raise Unanswered(Ending.ERROR, f"The command of {step.name!r} ended with {answer.exit_code}.")
    content = answer.kept.get(OUTPUT_FILE, answer.output)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise Unanswered(Ending.MALFORMED, f"The command of {step.name!r} left no text.") from None


def _started(order: Order, is_contained: bool) -> Ended | Refused:
    if is_contained:
        return containing.run(order)
    freed = replace(order, environment={**containing.environment(), **order.environment})
    return uncontained.run(freed, "the action asks for it")


def _bundled(action: Action, command: Command) -> dict[str, bytes]:
    """The files of a step: those it names, and all that stand in folders it names."""
    named = [path.removeprefix("./").rstrip("/") for path in command.files]
    return {
        path: content
        for path, content in action.bundle.items()
        if any(path == name or path.startswith(f"{name}/") for name in named)
    }


def input_files(given: Prepared, done: Mapping[str, Json]) -> dict[str, bytes]:
    """The input as files: what was given as JSON, images as they are, and what former steps left."""
    files = {INPUT_FILE: json.dumps(plain(given.values), ensure_ascii=False).encode()}
    files |= {f"images/{name}": file.content for name, file in given.images.items()}
    if done:
        files["steps.json"] = json.dumps(plain(done), ensure_ascii=False).encode()
    return files


def _environment(gate: Gate, whose: Whose) -> dict[str, str]:
    """Where a command that may use the network finds the gateway, and what it says there."""
    found = {
        "FLATFARE_URL": gate.url,
        "FLATFARE_TASK": whose.task_id,
        "FLATFARE_ATTEMPT": whose.attempt_id,
        "OPENAI_BASE_URL": f"{gate.url}/v1",
        "OPENAI_API_KEY": gate.key or "none",
        "ANTHROPIC_BASE_URL": f"{gate.url}/anthropic",
        "ANTHROPIC_API_KEY": gate.key or "none",
    }
    return found | ({"FLATFARE_KEY": gate.key} if gate.key else {})
