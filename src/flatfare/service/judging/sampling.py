"""Sampling: a share of tasks is looked at by somebody better, so that a judge's error is known.

Who is drawn is a matter of the task's id and the plan alone: nothing about a task sways it,
nobody who does the work can tell, and asking twice gives the same answer. Labels that came
otherwise, such as those of complaints, say nothing of the tasks that nobody complained of.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from flatfare.core.calibration import is_drawn
from flatfare.core.checks.submission import Submission
from flatfare.core.currency import dollars
from flatfare.core.errors import BadInput, Conflict, NotFound
from flatfare.core.moments import iso
from flatfare.service.access.secret_box import SecretBox
from flatfare.service.actions import keeping
from flatfare.service.judging import reviewing
from flatfare.service.judging.reviewing import Wanted
from flatfare.service.tasks import defining
from flatfare.service.tasks.defining import InForce
from flatfare.service.tasks.sampled import check_terms
from flatfare.store import chains, reading, sampling
from flatfare.store.book import Book
from flatfare.store.engine import quoted, translated
from flatfare.store.lake import Lake
from flatfare.store.reviews import Review
from flatfare.store.sampling import HUMAN, Plan

AT_ONCE = 1_000
"""Tasks that are looked for at a time, for each plan."""

_STATED = ("question", "reviewers", "rate", "link", "parameters")
_OWN = ("from_us", "until_us", "is_demanded", "verifier")
_UNDECIDED = "tasks.outcome IN ('open', 'assumed')"
_ENDED = "(tasks.closed_at_us IS NOT NULL OR tasks.outcome <> 'open' OR tasks.import_id IS NOT NULL)"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
_FIELD = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class Drawn:
    """A task that a plan has drawn."""

    task_id: str
    action: str
    external_id: str | None
    labels: Mapping[str, str]
    opened_at_us: int
    models: tuple[str, ...] = ()  # that did the work

    @property
    def name(self) -> str:
        """As its source calls it."""
        return self.external_id or self.task_id


# --- plans


def create(book: Book, plan: Plan, *, by_whom: str) -> Plan:
    """Draw by a plan from now on; ``Conflict`` where one of its name stands."""
    if not _NAME.fullmatch(plan.name):
        raise BadInput(f"Found the name {plan.name[:80]!r}: letters, digits and . _ - make one.")
    if plan.judge == plan.verifier:
        raise BadInput(f"Found {plan.judge!r} as both judge and who looks again: it takes somebody better.")
    check_terms(plan.sends_to, {key: value for key, value in plan.terms.items() if key in _STATED})
    with book.writing():
        known = sampling.find(book, plan.name)
        if known is not None and known.ended_at_us is None:
            raise Conflict(
                f"There is a plan {plan.name!r} already: flatfare verifiers sample end {plan.name}"
            )
        sampling.insert(book, plan)
        _note(book, "created", plan, plan.created_at_us, by_whom)
    return plan


def end(book: Book, name: str, *, at_us: int, by_whom: str) -> Plan:
    """Draw no more by a plan; what was drawn stays."""
    with book.writing():
        plan = found(book, name)
        if not sampling.end(book, name, at_us):
            raise Conflict(
                f"The plan {name!r} is of the definition of {plan.action!r}: put one in force that says "
                "otherwise, flatfare outcomes define."
            )
        _note(book, "ended", plan, at_us, by_whom)
    return plan


def plans(book: Book, *, with_ended: bool = False) -> list[Plan]:
    """The plans that stand, those of definitions among them, by name."""
    every = [*sampling.all_of(book, with_ended=with_ended), *_of_definitions(book)]
    return sorted(every, key=lambda plan: plan.name)


def _of_definitions(book: Book) -> Iterator[Plan]:
    """A plan for each stretch of versions of a definition that say the same of sampling.

    It is called after the action and the version that began it: a task is looked at again as the
    definition says that was in force when it was opened.
    """
    by_action: dict[str, list[InForce]] = {}
    for version in defining.listed(book):
        by_action.setdefault(version.definition.action, []).append(version)
    for action, versions in by_action.items():
        for sampled, group in groupby(versions, key=lambda version: version.definition.sampled):
            stretch = list(group)
            if sampled is None:
                continue
            first, last = stretch[0], stretch[-1]
            after = versions[versions.index(last) + 1 :]
            terms: dict[str, object] = {**sampled.terms, "verifier": sampled.verifier}
            if after:
                terms["until_us"] = after[0].from_us
            if sampled.share == 1 and sampled.judge is None:
                terms["is_demanded"] = sampled.verifier in last.definition.required
            name = f"{action}@{first.definition.version}"
            yield Plan(name, sampled.share, sampled.sends_to, first.from_us, action, sampled.judge, terms)


def found(book: Book, name: str, *, with_ended: bool = False) -> Plan:
    """The plan of that name; ``NotFound`` names those there are."""
    plan = sampling.find(book, name) or next((one for one in _of_definitions(book) if one.name == name), None)
    if plan is None or (plan.ended_at_us is not None and not with_ended):
        known = ", ".join(one.name for one in plans(book)) or "none"
        raise NotFound(f"There is no sampling plan {name[:80]!r}. There are: {known}.")
    return plan


def document_of(plan: Plan) -> dict[str, object]:
    """A plan as JSON shows it."""
    terms = {key: value for key, value in plan.terms.items() if key not in _OWN}
    return {
        "plan": plan.name,
        "action": plan.action,
        "judge": plan.judge,
        "share": f"{plan.share:f}",
        "sends_to": plan.sends_to,
        "verifier": plan.verifier,
        "from": iso(plan.from_us),
        "terms": terms,
        "ended": iso(plan.ended_at_us),
    }


# --- drawing


def draws(plan: Plan, task_id: str) -> bool:
    """The plan draws this task, if it covers it."""
    return is_drawn(task_id, float(plan.share), plan.seed)


def that_draw(book: Book, action: str, task_id: str, opened_at_us: int) -> list[Plan]:
    """The plans that draw a task, for whoever has just done it and holds what it says."""
    return [plan for plan in plans(book) if plan.covers(action, opened_at_us) and draws(plan, task_id)]


def drawn_sql(plan: Plan, task_id: str) -> str:
    """The same in SQL, of a column of ids; equal to the last task."""
    seed = quoted(f"{len(plan.seed)}:{plan.seed}")
    below = math.ceil(float(plan.share) * 2**64)
    return f"(('0x' || substr(sha256({seed} || {task_id}::VARCHAR), 1, 16))::UBIGINT < {below}::UHUGEINT)"


def covered_sql(plan: Plan, tasks: str) -> str:
    """Of a relation of tasks, those that the plan draws from."""
    action = "" if plan.action is None else f" AND {tasks}.name = {quoted(plan.action)}"
    until = "" if plan.until_us is None else f" AND {tasks}.opened_at_us < {plan.until_us}"
    return f"({tasks}.opened_at_us >= {plan.from_us}{until}{action})"


def waiting(
    book: Book, lake: Lake, plan: Plan, limit: int = 100_000, *, only_ended: bool = False
) -> list[Drawn]:
    """The tasks that a plan has drawn and nobody has looked at again, the oldest first.

    With a judge, only those that it has judged; where each must be looked at to be verified, only those
    that this can still decide. ``only_ended`` leaves out what is still worked on.
    """
    ended = f"AND {_ENDED}" if only_ended else ""
    ended += f" AND {_UNDECIDED}" if plan.terms.get("is_demanded") else ""
    judged = "" if plan.judge is None else f"AND tasks.id IN (SELECT task_id FROM {_said(plan.judge)})"
    sql = f"""
        SELECT tasks.id::VARCHAR, tasks.name, tasks.external_id, tasks.labels, tasks.opened_at_us,
               (SELECT list(DISTINCT model) FROM folded WHERE folded.task_id = tasks.id
                AND purpose = 'work' AND model IS NOT NULL) AS models
        FROM tasks WHERE {covered_sql(plan, "tasks")} AND {drawn_sql(plan, "tasks.id")} {judged} {ended}
        AND tasks.id NOT IN (SELECT task_id FROM {_said(plan.verifier)})
        ORDER BY tasks.opened_at_us, tasks.id LIMIT {int(limit)}"""
    with reading.opened(book, lake, "folded", "tasks", "verdicts") as engine, translated("Drawing"):
        rows = engine.execute(sql).fetchall()
    asked = _asked(book, plan)
    return [
        Drawn(task, action, external, json.loads(labels), opened, tuple(sorted(models or ())))
        for task, action, external, labels, opened, models in rows
        if task not in asked
    ]


def kept(book: Book, drawn: Sequence[Drawn]) -> dict[str, Submission]:
    """What drawn tasks say, by their ids, where they are runs of actions that keep their results."""
    found = sampling.kept_of(book, [one.task_id for one in drawn])
    return {
        task: Submission(str(keeping.read(output, run, "output")), keeping.text_of_input(given, run))
        for task, (run, output, given) in found.items()
    }


def _said(verifier: str) -> str:
    return f"verdicts WHERE verifier = {quoted(verifier)}"


def _asked(book: Book, plan: Plan) -> set[str]:
    """Tasks that people are being asked about by this plan."""
    rows = book.rows("SELECT task_id FROM reviews WHERE plan = ?", (plan.name,))
    return {str(task) for (task,) in rows}


# --- sending to people


def ask_people_of_all(book: Book, lake: Lake, *, now_us: int, box: SecretBox | None = None) -> int:
    """Put before people what any plan has drawn and has ended, where it is known or linked to; how much.

    One that cannot be asked about, such as for want of a label, keeps no other from it, and is told then.
    """
    asked, problems = 0, list[BadInput]()
    for plan in plans(book):
        if plan.sends_to != HUMAN:
            continue
        drawn = waiting(book, lake, plan, AT_ONCE, only_ended=True)
        contents = kept(book, drawn)
        for one in drawn:
            shown = contents.get(one.task_id)
            if shown is None and "link" not in plan.terms:
                continue
            try:
                ask_people(book, plan, one, shown, at_us=now_us, asked_by=f"the plan {plan.name!r}", box=box)
                asked += 1
            except BadInput as problem:
                problems.append(problem)
    if problems:
        raise problems[0]
    return asked


def ask_people(
    book: Book,
    plan: Plan,
    drawn: Drawn,
    submission: Submission | None,
    *,
    at_us: int,
    asked_by: str,
    box: SecretBox | None = None,
) -> Review:
    """Put a drawn task before people; shown is what is given, or the plan's link filled in.

    ``Conflict`` where the plan has not drawn it: a sample that somebody adds to is none.
    """
    if plan.sends_to != HUMAN:
        raise BadInput(f"The plan {plan.name!r} sends to {plan.sends_to}, not to people.")
    if not plan.covers(drawn.action, drawn.opened_at_us) or not draws(plan, drawn.task_id):
        raise Conflict(f"The plan {plan.name!r} has not drawn the task {drawn.name}.")
    terms, link = plan.terms, plan.terms.get("link")
    rate = terms.get("rate")
    wanted = Wanted(
        task_id=drawn.task_id,
        submission=submission,
        link=None if link is None else filled(str(link), drawn),
        name=drawn.action,
        question=str(terms.get("question") or reviewing.QUESTION),
        reviewers=int(str(terms.get("reviewers") or reviewing.WANTED)),
        verifier=plan.verifier,
        rate_nano_per_hour=None if rate is None else dollars(str(rate)),
        plan=plan.name,
        labels=drawn.labels,
    )
    return reviewing.enqueue(book, wanted, at_us=at_us, asked_by=asked_by, box=box)[0]


def filled(link: str, drawn: Drawn) -> str:
    """A link with what a task has in its places: ``{task}``, ``{external_id}``, ``{label.x}``."""

    def value(found: re.Match[str]) -> str:
        from urllib.parse import quote

        return quote(_value_of(found[1], drawn), safe="")

    return _FIELD.sub(value, link)


def _value_of(key: str, drawn: Drawn) -> str:
    values = {"task": drawn.task_id, "external_id": drawn.name, "action": drawn.action}
    values |= {f"label.{name}": value for name, value in drawn.labels.items()}
    if key not in values:
        raise BadInput(
            f"The link holds {{{key}}}: it takes {{task}}, {{external_id}}, {{action}}, {{label.NAME}}."
        )
    return values[key]


def _note(book: Book, what: str, plan: Plan, at_us: int, by_whom: str) -> None:
    chains.append(
        book,
        chains.ORGANISATION,
        kind=f"sampling_plan.{what}",
        subject=plan.name,
        by_whom=by_whom,
        at_us=at_us,
        content=json.dumps(document_of(plan), sort_keys=True),
    )
