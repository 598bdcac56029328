"""An action file becomes an action, or a list of everything that is wrong with it, line by line."""

import re
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from enum import StrEnum
from pathlib import Path

from flatfare.core import labels
from flatfare.core.action import (
    CLIMBABLE,
    SAME,
    SIZE_UNITS,
    STOP,
    Action,
    Answer,
    Check,
    Command,
    Ending,
    Limits,
    Reading,
    Rung,
    Step,
    circle,
)
from flatfare.core.action_price import ActionPrice, parse_price
from flatfare.core.checks.submission import Json, check_path
from flatfare.core.definition import Definition
from flatfare.core.errors import BadInput
from flatfare.core.guard import EFFORTS
from flatfare.core.moments import parse_span
from flatfare.core.path import Rung as Model
from flatfare.service.actions import templates
from flatfare.service.actions.lines import BadAction, Lines, Place, parsed
from flatfare.service.actions.sections import Section, wrong
from flatfare.service.actions.words import size_bytes
from flatfare.service.tasks import defining

OUTPUT_SCHEMA = "output-schema"
"""The verifier that every structured answer passes first."""

BUNDLE_BYTES_MAX, FILES_MAX = 4_000_000, 1000
"""What goes with an action: commands, suites of tests."""


class Awaited(StrEnum):
    """Who may be awaited."""

    HUMAN = "human"
    CUSTOMER = "customer"


_NAME = re.compile(r"[a-z][a-z0-9-]{0,63}")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_OF_OUTCOMES = ("window", "reopening", "signals", "rework_rate", "sampling")
_KEYS = (
    *("action", "version", "description", "input", "files", "output", "steps", "ladder", "verifiers"),
    *("outcome", "limits", "price", "privacy", *_OF_OUTCOMES),
)
_GIVEN = ("input", "steps", "part", "part_number", "parts", "today")


def read_file(file: Path) -> Action:
    """The action that a file says; ``BadAction`` with every problem otherwise."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise BadAction([f"{file}:1: The file cannot be read: {problem}."]) from None
    return read(text, str(file), folder=str(file.resolve().parent))


def read(
    text: str, file: str = "action.yaml", *, folder: str = "", bundle: Mapping[str, bytes] | None = None
) -> Action:
    """The action that a text says; ``BadAction`` with every problem otherwise.

    The files that it names come from ``folder``, or from the ``bundle`` that was published with it.
    """
    lines = parsed(text, file)
    top = Section(lines, (), lines.document, _KEYS)
    name = top.text("action", pattern=_NAME, expected="lower-case letters, digits and dashes, a letter first")
    ladder = tuple(_rung(section) for section in top.sections("ladder", _RUNG))
    input_schema, output_schema = top.schema("input") or {}, top.schema("output")
    checks = tuple(_check(section) for section in top.sections("verifiers", _CHECK))
    steps = tuple(_step(section) for section in top.sections("steps", _STEP))
    made = Action(
        name=name,
        version=top.number("version", 1, least=1),
        description=top.text("description"),
        steps=steps,
        ladder=ladder,
        checks=checks,
        definition=_definition(top, name, checks, output_schema is not None),
        price=_price(top),
        limits=_limits(top),
        input_schema=input_schema,
        output_schema=output_schema,
        files={key: top.word("files", key, Reading) for key in top.below("files")},
        keep_us=_kept(top),
        source=text,
        folder=folder,
    )
    _check_whole(lines, made)
    found = _bundled(lines, made) if bundle is None else bundle
    lines.check()
    return replace(made, bundle=found)


_RUNG = ("name", "model", "effort", "output_tokens", "tries", "seconds", "answer", "temperature", "climb")
_STEP = (
    *("name", "system", "prompt", "each", "characters", "output_tokens"),
    *("run", "files", "seconds", "readable", "uncontained", "cost"),
)


_CHECK = ("name", "kind", "awaits", "from", "parameters", "weight")


def _rung(section: Section) -> Rung:
    provider, slash, model = section.text("model").partition("/")
    if not slash or not provider or not model:
        section.say(
            "model",
            wrong("model", section.held.get("model"), "a provider and a model, such as openai/gpt-5-mini"),
        )
    effort = section.held.get("effort")
    if effort is not None and effort not in EFFORTS:
        section.say("effort", wrong("effort", effort, " or ".join(EFFORTS)))
    climb = {}
    for ending, target in section.below("climb").items():
        if ending not in CLIMBABLE:
            section.lines.say(
                (*section.place, "climb", ending), wrong("climb", ending, " or ".join(CLIMBABLE))
            )
        else:
            climb[Ending(ending)] = str(target)
    return Rung(
        name=section.text("name", model or provider),
        model=Model(model, provider, effort if isinstance(effort, str) else None),
        output_tokens=section.number("output_tokens", 4096, least=1, most=1_000_000),
        tries=section.number("tries", 1, least=1, most=100),
        seconds=float(section.fraction("seconds", Decimal(120), least="0.1", most="3600") or 120),
        answer=section.word(None, "answer", Answer, Answer.TOOL),
        temperature=section.fraction("temperature", None, most="2"),
        climb=climb,
    )


def _step(section: Section) -> Step:
    command = None
    if "run" in section.held:
        command = Command(
            argv=section.texts("run"),
            files=section.texts("files"),
            seconds=float(section.fraction("seconds", Decimal(60), least="0.1", most="3600") or 60),
            readable=section.texts("readable"),
            is_contained=not section.flag("uncontained", False),
            cost_nano=section.money("cost"),
        )
        if not command.argv or not command.argv[0]:
            section.say(
                "run", "'run' is empty: state the command and its arguments, such as [python3, total.py]."
            )
        for key in ("prompt", "system", "each"):
            if key in section.held:
                section.say(key, f"Found '{key}' beside 'run': a step is a prompt or a command.")
    elif not section.text("prompt", "").strip():
        section.say("prompt", "A step is a prompt or a command: write 'prompt' or 'run'.")
    limit = section.held.get("output_tokens")
    return Step(
        name=section.text("name", pattern=_WORD, expected="a word: letters, digits and '_'"),
        prompt=section.text("prompt", ""),
        system=section.text("system", ""),
        each=section.text("each", "") or None,
        characters=section.number("characters", 12_000, least=100, most=10_000_000),
        command=command,
        output_tokens=None
        if limit is None
        else section.number("output_tokens", 4096, least=1, most=1_000_000),
    )


def _check(section: Section) -> Check:
    section.fraction("weight", None, least="0.000001")
    awaits = section.held.get("awaits")
    if "from" in section.held and (awaits, section.held["from"]) != ("human", "reviews"):
        section.say("from", "'from' says where people's word comes from: {awaits: human, from: reviews}.")
    if awaits is not None:
        section.word(None, "awaits", Awaited)
        for key in ("kind", "parameters"):
            if key in section.held:
                section.say(key, f"Found {key!r} beside 'awaits': who is awaited judges by themselves.")
    kind = str(awaits) if awaits is not None else section.text("kind")
    name = section.text("name", kind if awaits is None else None)
    if name == OUTPUT_SCHEMA or name.startswith("signal:"):
        section.say("name", f"Found the name {name!r}: Flatfare uses it itself. Choose another.")
    line = section.lines.line(section.place)
    return Check(name, kind, awaits is not None, section.below("parameters"), line)


def _definition(top: Section, name: str, checks: tuple[Check, ...], is_structured: bool) -> Definition:
    """The outcome definition that publishing this action puts in force, each part at its own line."""
    rule = top.section("outcome", ("verified_when", "silence"))
    listed = top.held.get("verifiers")
    given = [one for one in listed if isinstance(one, Mapping)] if isinstance(listed, list) else []
    weighted = [
        {"name": check.name, "weight": one.get("weight", 1), "from": one.get("from")}
        for check, one in zip(checks, given, strict=False)
    ]
    if not weighted and is_structured:
        weighted = [{"name": OUTPUT_SCHEMA, "weight": 1}]
    document: dict[str, object] = {"action": name or "unnamed"}
    parts: tuple[tuple[Place, str, object], ...] = (
        (("verifiers",), "verifiers", weighted),
        (("outcome", "verified_when"), "verified_when", rule.held.get("verified_when")),
        (("outcome", "silence"), "silence", rule.held.get("silence")),
        *(((key,), key, top.held.get(key)) for key in _OF_OUTCOMES),
    )
    for place, key, value in parts:
        if value is None:
            continue
        try:
            defining.of_document({**document, key: value})
        except BadInput as problem:
            top.lines.say(place, str(problem))
        else:
            document[key] = value
    return defining.of_document(document)


def _price(top: Section) -> ActionPrice:
    given = top.held.get("price")
    if given is None:
        top.say("price", "'price' is missing: what a verified outcome costs, such as price: \"5.00\".")
        return parse_price("1.00")
    try:
        price = parse_price(_plain(given))
    except BadInput as problem:
        field = re.match(r"price((?:\.\w+|\[\d+\])+)", str(problem))
        steps = re.findall(r"\w+", field[1]) if field else []
        place = ("price", *(int(step) if step.isdigit() else step for step in steps))
        top.lines.say(place, str(problem))
        return parse_price("1.00")
    if price.size is not None and price.size not in SIZE_UNITS:
        top.lines.say(("price", "size"), wrong("size", price.size, " or ".join(SIZE_UNITS)))
    return price


def _plain(value: Json) -> Json:
    """With numbers that have a fraction as text, as amounts are written."""
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, Mapping):
        return {key: _plain(member) for key, member in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _limits(top: Section) -> Limits:
    section, usual = top.section("limits", ("cost", "attempts", "deadline", "input")), Limits()
    deadline_us = section.read("deadline", parse_span)
    if deadline_us == 0:
        section.say("deadline", "A deadline of 0 leaves no time: write it like 90s or 10m.")
    return Limits(
        cost_nano=section.money("cost"),
        attempts=section.number("attempts", usual.attempts, least=1, most=1000),
        deadline_us=deadline_us or usual.deadline_us,
        input_bytes=section.read("input", size_bytes) or usual.input_bytes,
    )


def _kept(top: Section) -> int:
    section = top.section("privacy", ("keep",))
    return 0 if section.held.get("keep") in (None, "none") else section.read("keep", parse_span) or 0


# --- what only shows when all is read


def _check_whole(lines: Lines, action: Action) -> None:
    _check_names(lines, action)
    _check_ladder(lines, action)
    _check_files(lines, action)
    _check_prompts(lines, action)
    if not action.steps:
        lines.say((), "There are no steps: say how the work is done, with a prompt or a command.")
    if not action.definition.required:
        lines.say((), "Nothing says when the work is done: state verifiers, or an output schema.")


def _bundled(lines: Lines, action: Action) -> dict[str, bytes]:
    """The files that the action names beside its own, so that a published version holds all that decides."""
    found: dict[str, bytes] = {}
    named: list[tuple[Place, str]] = [
        (("steps", number, "files", place), path)
        for number, step in enumerate(action.steps)
        for place, path in enumerate(step.command.files if step.command else ())
    ]
    for number, check in enumerate(action.checks):
        suite = check.parameters.get("suite") if check.kind == "command" else None
        named += [(("verifiers", number, "parameters", "suite"), suite)] if isinstance(suite, str) else []
    for place, path in named:
        try:
            found |= _files_at(action.folder, check_path(path.removeprefix("./").rstrip("/")))
        except (BadInput, OSError) as problem:
            lines.say(place, f"{path!r} cannot be taken along: {problem}")
    if sum(map(len, found.values())) > BUNDLE_BYTES_MAX:
        lines.say((), f"The files that go with the action are larger than {BUNDLE_BYTES_MAX} bytes.")
    return found


def _files_at(folder: str, path: str) -> dict[str, bytes]:
    if not folder:
        raise BadInput("only an action file on this machine can name files beside it.")
    place = Path(folder) / path
    if not place.is_dir():
        return {path: place.read_bytes()}
    files = [file for file in sorted(place.rglob("*")) if file.is_file() and "__pycache__" not in file.parts]
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files[:FILES_MAX]}


def _check_names(lines: Lines, action: Action) -> None:
    listed: tuple[tuple[str, list[str]], ...] = (
        ("ladder", [rung.name for rung in action.ladder]),
        ("steps", [step.name for step in action.steps]),
        ("verifiers", [check.name for check in action.checks]),
    )
    for section, names in listed:
        for number, name in enumerate(names):
            if name in names[:number]:
                lines.say(
                    (section, number), f"Two {section} are called {name!r}: give each a name of its own."
                )


def _check_ladder(lines: Lines, action: Action) -> None:
    names = [rung.name for rung in action.ladder]
    if not names and any(step.command is None for step in action.steps):
        lines.say(("ladder",), "A prompt needs a model: state a ladder of at least one.")
    for number, rung in enumerate(action.ladder):
        for ending, target in rung.climb.items():
            if target not in (*names, SAME, STOP):
                known = ", ".join((*names, SAME, STOP))
                lines.say(
                    ("ladder", number, "climb", ending), f"Found the rung {target!r}: there are {known}."
                )
    if round_trip := circle(action.ladder):
        text = (
            f"The ladder climbs in a circle: {' → '.join(round_trip)}. A rung leads only to others that end."
        )
        lines.say(("ladder", names.index(round_trip[0]), "climb"), text)


def _check_files(lines: Lines, action: Action) -> None:
    properties = action.input_schema.get("properties", {})
    for name in action.files:
        try:
            labels.checked({name: ""})
        except BadInput as problem:
            lines.say(("files", name), str(problem))
        if not isinstance(properties, Mapping) or name not in properties:
            lines.say(("files", name), f"Found the file {name!r}: it is no property of the input.")


def _check_prompts(lines: Lines, action: Action) -> None:
    properties = action.input_schema.get("properties")
    members = frozenset(properties) if isinstance(properties, Mapping) else None
    done: list[str] = []
    for number, step in enumerate(action.steps):
        if step.each and step.each not in (members or ()) and step.each not in done:
            lines.say(
                ("steps", number, "each"), f"Found {step.each!r}: it is no property of the input and no step."
            )
        given: dict[str, frozenset[str] | None] = dict.fromkeys(_GIVEN)
        given |= {"input": members, "steps": frozenset(done)}
        if not step.each:
            given = {name: known for name, known in given.items() if not name.startswith("part")}
        for key, text in (("system", step.system), ("prompt", step.prompt)):
            try:
                templates.check(text, given)
            except templates.BadTemplate as problem:
                line = lines.line_within(("steps", number, key), problem.line)
                lines.problems.append(f"{lines.file}:{line}: {problem}")
        done.append(step.name)
