"""Calibrating a judge: its verdicts held against those of a better verifier, domain by domain.

What is known of a judge is what the labels of a domain show; the figures of tasks without
a label are corrected by it, in that domain and no other.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from flatfare.core.calibration import (
    Cell,
    Corrected,
    Errors,
    Judged,
    Share,
    corrected,
    corrected_over,
    differing,
    errors_of,
    gap,
    labels_needed,
)
from flatfare.core.errors import BadUsage, NotFound
from flatfare.core.family import family_of
from flatfare.core.money import estimate_text
from flatfare.core.outcome import Judgement
from flatfare.core.statistics import Interval
from flatfare.service.judging.sampling import covered_sql, drawn_sql
from flatfare.service.reporting import holdings, keys
from flatfare.store import reading
from flatfare.store.book import Book
from flatfare.store.engine import quoted, translated
from flatfare.store.lake import Lake
from flatfare.store.sampling import Plan

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

DRIFT = 0.01
"""A judge has drifted where error rates as different would come by such a chance, of all domains together."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Tasks of one domain, month and producer with the same two words."""

    domain: str | None
    month: str | None
    producer: str | None  # the model that did the work
    word: Judgement
    label: bool | None
    cell: Cell
    unknown_costs: int = 0
    cluster: str | None = None  # what goes together is one draw; None: each task is


@dataclass(frozen=True, slots=True)
class Part:
    """One domain: the judge's errors there, and its figures corrected by them."""

    domain: str | None
    errors: Errors
    corrected: Corrected
    labels_for_a_tenth: int | None  # labels with which the rate is known to a tenth of itself
    unknown_costs: int  # tasks whose cost is not wholly known: then a cost per success is at least so much
    months: tuple[tuple[str, Errors], ...]
    drift: float  # chance of months as different, did the judge not change


@dataclass(frozen=True, slots=True)
class Calibration:
    """A judge held against a better verifier."""

    judge: str
    truth: str
    confidence: float
    parts: tuple[Part, ...]
    whole: Corrected
    unknown_costs: int
    transfer: float  # chance of domains as different, did the judge err alike on all
    own_family: str | None  # of the judge
    own: Errors | None  # on work of its own family
    others: Errors | None  # on work of other families
    self_preference: Interval | None  # how much more often it passes failures of its own family
    not_drawn: int = 0  # labels left out, since the plan did not draw their tasks
    contradicted: int = 0  # tasks of which judge or truth said both at one moment: that counts as neither

    @property
    def drifted(self) -> tuple[str | None, ...]:
        """The domains in which it errs otherwise in one month than in another.

        The more domains are looked at, the smaller the chance must be in each (Bonferroni).
        """
        looked_at = [part for part in self.parts if len(part.months) > 1]
        return tuple(part.domain for part in looked_at if part.drift * len(looked_at) < DRIFT)

    @property
    def has_drifted(self) -> bool:
        """In some domain it errs otherwise in one month than in another."""
        return bool(self.drifted)


def calibrated(
    seen: Iterable[Seen],
    judge: str,
    truth: str,
    confidence: float = 0.95,
    *,
    judge_model: str | None = None,
) -> Calibration:
    """Everything that the labels say of the judge.

    ``judge_model`` is the model that judges, where the verifier is not called after it.
    """
    found = list(seen)
    domains = _by(found, lambda one: one.domain)
    parts = tuple(
        _part(domain, tasks, confidence) for domain, tasks in sorted(domains.items(), key=_in_order)
    )
    family = family_of(judge_model or judge)
    told = [one for one in found if one.producer is not None and family_of(one.producer) is not None]
    own, others = (
        errors_of(_judged(one for one in told if (family_of(one.producer or "") == family) is is_own))
        for is_own in (True, False)
    )
    unknown = sum(one.unknown_costs for one in found)
    judged = {str(domain): _judged(tasks) for domain, tasks in domains.items()}
    clusters = {str(domain): _clusters(tasks) for domain, tasks in domains.items()}
    whole = _costed(corrected_over(judged, confidence, clusters), unknown)
    return Calibration(
        judge,
        truth,
        confidence,
        parts,
        whole,
        unknown,
        differing([_judged(tasks) for tasks in domains.values()]),
        family,
        own if family else None,
        others if family else None,
        gap(others.specificity, own.specificity) if family else None,
    )


def _part(domain: str | None, tasks: list[Seen], confidence: float) -> Part:
    judged, clusters = _judged(tasks), _clusters(tasks)
    unknown = sum(one.unknown_costs for one in tasks)
    months = [
        (month, _judged(some))
        for month, some in sorted(_by(tasks, lambda one: one.month).items(), key=_in_order)
    ]
    labelled = [(month, some) for month, some in months if month is not None and some.labelled]
    return Part(
        domain,
        errors_of(judged, confidence),
        _costed(corrected(judged, confidence, clusters), unknown),
        None if clusters else labels_needed(judged, 0.1, confidence),
        unknown,
        tuple((month, errors_of(some, confidence)) for month, some in labelled),
        differing([some for _, some in labelled]),
    )


def _costed(found: Corrected, unknown: int) -> Corrected:
    """Of what is known, and at least so much, where the cost of any task is not wholly known."""
    return found.known_in_part() if unknown else found


def _by(seen: Iterable[Seen], key: Callable[[Seen], str | None]) -> dict[str | None, list[Seen]]:
    found: dict[str | None, list[Seen]] = {}
    for one in seen:
        found.setdefault(key(one), []).append(one)
    return found


def _clusters(seen: list[Seen]) -> list[Judged]:
    """The same tasks by what goes together; none where each is a draw of its own."""
    found = _by(seen, lambda one: one.cluster)
    return [] if None in found else [_judged(some) for some in found.values()]


def _in_order(item: tuple[str | None, object]) -> tuple[bool, str]:
    return item[0] is None, item[0] or ""


def _judged(seen: Iterable[Seen]) -> Judged:
    cells: dict[tuple[Judgement, bool | None], Cell] = {}
    for one in seen:
        cells[one.word, one.label] = cells.get((one.word, one.label), Cell()) + one.cell
    return Judged(cells)


def of_book(
    book: Book,
    lake: Lake,
    *,
    judge: str,
    truth: str,
    by: str = "domain",
    confidence: float = 0.95,
    judge_model: str | None = None,
    plan: Plan | None = None,
    cluster: str | None = None,
) -> Calibration:
    """Hold the judge's verdicts in a book against those of ``truth``; ``by`` names the key of a domain.

    Each verifier's latest word on a task counts; both words at one moment are none. With a plan, only
    tasks that it covers, and as labels only those of tasks that it drew: others were not chosen at
    random. ``cluster`` names a key whose values go together: trials of one case, work for one customer.
    Raises ``NotFound`` for a verifier that never spoke, naming those that did.
    """
    if judge == truth:
        raise BadUsage(f"Found {judge!r} as both judge and truth: a judge is held against another verifier.")
    with reading.opened(book, lake, "folded", "tasks", "verdicts") as engine, translated("Calibrating"):
        for name in (judge, truth):
            _check_spoke(engine, name)
        names = [by] if cluster is None else [by, cluster]
        parted = keys.resolved(names, holdings.label_keys(engine, book))
        for name, key in zip(names, parted, strict=True):
            if key.of_task == "NULL":
                raise BadUsage(
                    f"Tasks cannot be parted by {name!r}: name a label such as domain, or path or action."
                )
        together = "NULL" if cluster is None else f"coalesce({parted[1].of_task}, tasks.id::VARCHAR)"
        rows = engine.execute(_sql(judge, truth, parted[0].of_task, plan, together)).fetchall()
        not_drawn = 0 if plan is None else _not_drawn(engine, judge, truth, plan)
        contradicted = _contradicted(engine, judge, truth)
    seen = [
        Seen(domain, month, producer, Judgement(word), label, Cell(count, cost, squares), unknown, together)
        for domain, month, producer, word, label, count, cost, squares, unknown, together in rows
    ]
    found = calibrated(seen, judge, truth, confidence, judge_model=judge_model)
    return replace(found, not_drawn=not_drawn, contradicted=contradicted)


def _not_drawn(engine: "DuckDBPyConnection", judge: str, truth: str, plan: Plan) -> int:
    """Tasks that both spoke of, that the plan covers, and that it did not draw."""
    rows = engine.execute(
        f"SELECT COUNT(*) FROM tasks WHERE {covered_sql(plan, 'tasks')} AND NOT {drawn_sql(plan, 'id')} "
        f"AND id IN (SELECT task_id FROM verdicts WHERE verifier = {quoted(judge)}) "
        f"AND id IN (SELECT task_id FROM verdicts WHERE verifier = {quoted(truth)})"
    ).fetchall()
    return int(rows[0][0])


def _check_spoke(engine: "DuckDBPyConnection", verifier: str) -> None:
    if not engine.execute("SELECT 1 FROM verdicts WHERE verifier = ? LIMIT 1", [verifier]).fetchall():
        rows = engine.execute("SELECT DISTINCT verifier FROM verdicts ORDER BY 1 LIMIT 20").fetchall()
        known = ", ".join(repr(str(name)) for (name,) in rows) or "none"
        raise NotFound(f"There is no verdict of {verifier!r}. Verifiers that spoke: {known}.")


def _sql(judge: str, truth: str, domain: str, plan: Plan | None, cluster: str) -> str:
    """Counts and costs by domain, month, producer, the two words, and cluster; of a cost what is known."""
    covered = "TRUE" if plan is None else covered_sql(plan, "tasks")
    drawn = "TRUE" if plan is None else drawn_sql(plan, "told.id")
    return f"""
    WITH said AS ({_said(judge, truth)}),
    spent AS (
        SELECT task_id, SUM(n) AS n, SUM(unknown_n) AS unknown, SUM(cost_nano) AS nano,
               ARG_MAX(model, input_tokens + output_tokens) FILTER (WHERE purpose = 'work') AS model
        FROM folded WHERE purpose IN ('work', 'verification') AND task_id IS NOT NULL GROUP BY task_id),
    told AS (
        SELECT tasks.id, {domain} AS domain, {cluster} AS cluster,
               strftime(make_timestamp(opened_at_us), '%Y-%m') AS month,
               coalesce(spent.model, path) AS producer,
               coalesce(CASE WHEN {_WHOLE} THEN spent.nano
                        ELSE given_nano + coalesce(given_verification_nano, 0) END, spent.nano, 0)
               + coalesce(rework_nano, 0) AS nano,
               (NOT {_WHOLE} AND given_nano IS NULL)
               OR (rework_nano IS NULL AND coalesce(rework_ms, 0) > 0) AS lacks
        FROM tasks LEFT JOIN spent ON spent.task_id = tasks.id WHERE {covered})
    SELECT domain, month, producer, judge.judgement,
           CASE WHEN {drawn} THEN CASE truth.judgement WHEN 'pass' THEN true WHEN 'fail' THEN false END END
               AS label,
           COUNT(*), COALESCE(SUM(nano), 0)::DOUBLE, COALESCE(SUM(nano::DOUBLE * nano), 0),
           COUNT(*) FILTER (WHERE lacks), cluster
    FROM told
    JOIN said AS judge ON judge.task_id = told.id AND judge.verifier = {quoted(judge)}
    LEFT JOIN said AS truth ON truth.task_id = told.id AND truth.verifier = {quoted(truth)}
    GROUP BY ALL ORDER BY ALL"""


_WHOLE = "(coalesce(spent.n, 0) > 0 AND coalesce(spent.unknown, 0) = 0)"
"""Calls for work and verification are there, and the cost of each is known."""


def _said(judge: str, truth: str) -> str:
    """The latest word of each on each task; who says both of one attempt at one moment has said nothing."""
    return f"""
        SELECT task_id, verifier, MIN(judgement) <> MAX(judgement) AS is_contradicted,
               CASE WHEN MIN(judgement) = MAX(judgement) THEN MIN(judgement) ELSE 'abstain' END AS judgement
        FROM (SELECT task_id, verifier, judgement, RANK() OVER (PARTITION BY task_id, verifier
                     ORDER BY at_us DESC, attempt_number DESC NULLS LAST) AS place
              FROM verdicts WHERE verifier IN ({quoted(judge)}, {quoted(truth)}))
        WHERE place = 1 GROUP BY task_id, verifier"""


def _contradicted(engine: "DuckDBPyConnection", judge: str, truth: str) -> int:
    """Tasks of which one of the two said both at one moment."""
    rows = engine.execute(
        f"SELECT COUNT(DISTINCT task_id) FROM ({_said(judge, truth)}) WHERE is_contradicted"
    ).fetchall()
    return int(rows[0][0])


def document_of(found: Calibration) -> dict[str, object]:
    """The calibration as JSON shows it: shares as numbers, money as decimal text."""
    return {
        "judge": found.judge,
        "truth": found.truth,
        "confidence": found.confidence,
        "total": _corrected_document(found.whole, found.unknown_costs),
        "error_rates_transfer": None if len(found.parts) < 2 else found.transfer >= DRIFT,
        "transfer_chance": found.transfer,
        "has_drifted": found.has_drifted,
        "drifted_domains": list(found.drifted),
        "labels_not_drawn": found.not_drawn,
        "contradicted_tasks": found.contradicted,
        "self_preference": _self_preference(found),
        "domains": [
            {
                "domain": part.domain,
                **_errors_document(part.errors),
                **_corrected_document(part.corrected, part.unknown_costs),
                "labels_for_a_tenth": part.labels_for_a_tenth,
                "drift_chance": part.drift,
                "months": [{"month": month, **_errors_document(errors)} for month, errors in part.months],
            }
            for part in found.parts
        ],
    }


def _self_preference(found: Calibration) -> dict[str, object] | None:
    if found.own is None or found.others is None:
        return None
    return {
        "family": found.own_family,
        "own": _errors_document(found.own),
        "others": _errors_document(found.others),
        "failures_of_its_own_passed_more_often_by": _interval(found.self_preference),
    }


def _errors_document(errors: Errors) -> dict[str, object]:
    return {
        "sensitivity": _share(errors.sensitivity),
        "specificity": _share(errors.specificity),
        "abstained": _share(errors.abstained),
        "agreement": _share(errors.agreement),
        "kappa": errors.kappa,
    }


def _corrected_document(found: Corrected, unknown_costs: int) -> dict[str, object]:
    return {
        "tasks": found.tasks,
        "labels": found.labels,
        "judged_success_rate": found.naive_rate,
        "judged_cost_per_success": estimate_text(found.naive_cost),
        "success_rate": found.rate,
        "success_rate_interval": _interval(found.rate_interval),
        "cost_per_verified_outcome": estimate_text(found.cost_per_success),
        "cost_per_verified_outcome_interval": [
            estimate_text(end) for end in (found.cost_interval.low, found.cost_interval.high)
        ]
        if found.cost_interval
        else None,
        "cost_is_at_least": found.is_at_least,
        "rogan_gladen_rate": found.rogan_gladen,
        "weight_of_the_judge": found.weight,
        "unknown_cost_tasks": unknown_costs,
        "refused": found.refused,
        "warnings": list(found.warnings),
    }


def _share(share: Share) -> dict[str, object]:
    return {
        "count": share.count,
        "n": share.n,
        "share": share.point,
        "interval": _interval(share.interval),
    }


def _interval(interval: Interval | None) -> list[float | None] | None:
    return None if interval is None else [interval.low, interval.high]
