"""The report once more, in plain Python over single calls and tasks: slow, obvious, and no SQL."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import ceil
from zoneinfo import ZoneInfo

from flatfare.core.moments import datetime_of
from flatfare.store.book import Value

Record = Mapping[str, Value]
CALL_KEYS = {"model": "model", "provider": "provider", "key": "key_id", "purpose": "purpose"}
TASK_KEYS = ("path", "name", "action", "outcome", "day", "week", "month", "quarter", "year")
PERIODS = ("day", "week", "month", "quarter", "year")
HEADLINE = ("work", "verification")
TOKENS_IN = ("input", "cache_read", "cache_write", "cache_write_5m", "cache_write_1h", "tool_use_input")


@dataclass
class Group:
    """What a group adds up to."""

    tasks: int = 0
    verified: int = 0
    failed: int = 0
    assumed: int = 0
    reversed: int = 0
    open: int = 0
    cost_nano: int = 0
    success_nano: int = 0
    success_squared: int = 0
    failure_squared: int = 0
    costed_tasks: int = 0
    unknown_cost_tasks: int = 0
    unknown_cost_calls: int = 0
    verification_nano: int = 0
    rework_nano: int = 0
    open_nano: int = 0
    outside_nano: int = 0
    outside_calls: int = 0
    unknown_outside_calls: int = 0
    simulation_nano: int = 0
    unknown_simulation_calls: int = 0
    test_nano: int = 0
    unknown_test_calls: int = 0
    calls: int = 0
    called_tasks: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    reported_nano: int = 0
    computed_nano: int = 0
    costs: list[int] = field(default_factory=list)

    def percentile(self, hundredths: int) -> int | None:
        """Nearest rank."""
        ranked = sorted(self.costs)
        return ranked[ceil(len(ranked) * hundredths / 100) - 1] if ranked else None

    @property
    def is_there(self) -> bool:
        return bool(
            self.tasks
            or self.open
            or self.outside_calls
            or self.simulation_nano
            or self.unknown_simulation_calls
            or self.test_nano
            or self.unknown_test_calls
        )


def present(rows: Iterable[Record]) -> list[Record]:
    """The calls as their newest revisions say: what was taken back is gone."""
    newest: dict[Value, Record] = {}
    for row in rows:
        if row.get("n", 1) == 1 and int(row.get("revision") or 0) >= int(  # type: ignore[arg-type]
            newest.get(row["id"], {}).get("revision") or 0  # type: ignore[arg-type]
        ):
            newest[row["id"]] = row
    return list(newest.values())


def recomputed(
    calls: Iterable[Record],
    tasks: Iterable[Record],
    by: Sequence[str],
    *,
    now_us: int,
    time_zone: str = "UTC",
    filters: Mapping[str, Sequence[str]] | None = None,
    since_us: int | None = None,
    until_us: int | None = None,
) -> dict[tuple[str | None, ...], Group]:
    """Every group by its keys."""
    asking = _Asking([*by, *(filters or {})], len(by), filters or {}, now_us, time_zone, since_us, until_us)
    of_task: dict[Value, list[Record]] = defaultdict(list)
    for call in present(calls):
        of_task[call.get("task_id")].append(call)
    known = {task["id"]: {**task, "path": _path(task, of_task.get(task["id"], []))} for task in tasks}
    groups: dict[tuple[str | None, ...], Group] = defaultdict(Group)
    for id_ in {*known, *of_task} - {None}:
        _add_task(groups, asking, known.get(id_), of_task.get(id_, []))
    for call in of_task.get(None, []):
        _add_outside(groups, asking, call)
    return {keys: group for keys, group in groups.items() if group.is_there}


def _path(task: Record, calls: Iterable[Record]) -> str | None:
    """The path that was told, else the models of the calls for work."""
    if task.get("path") is not None:
        return str(task["path"])
    models = {str(call["model"]) for call in calls if call["purpose"] == "work" and call.get("model")}
    return " + ".join(sorted(models)) or None


@dataclass
class _Asking:
    keys: list[str]
    shown: int
    filters: Mapping[str, Sequence[str]]
    now_us: int
    time_zone: str
    since_us: int | None
    until_us: int | None

    def within(self, at_us: int) -> bool:
        return (self.since_us is None or at_us >= self.since_us) and (
            self.until_us is None or at_us < self.until_us
        )

    def group(self, values: Sequence[str | None]) -> tuple[str | None, ...] | None:
        for key, wanted in self.filters.items():
            if values[self.keys.index(key)] not in wanted:
                return None
        return tuple(values[: self.shown])

    def of_task(self, task: Record | None, at_us: int, state: str) -> list[str | None]:
        return [self._of_task(key, task, at_us, state) for key in self.keys]

    def _of_task(self, key: str, task: Record | None, at_us: int, state: str) -> str | None:
        if key in PERIODS:
            return period(key, at_us, self.time_zone)
        if key == "outcome":
            return state
        if task is None or key in CALL_KEYS:
            return None
        column = {"action": "name"}.get(key, key)
        if column in ("path", "name", "session", "source"):
            return _text(task.get(column))
        return json.loads(str(task["labels"])).get(key)

    def of_call(self, values: Sequence[str | None], call: Record | None, purpose: str) -> list[str | None]:
        """The task's own values, and the call's where it has none."""
        merged = []
        for key, value in zip(self.keys, values, strict=True):
            if key == "purpose":
                merged.append(purpose)
            elif call is None or value is not None or key in TASK_KEYS:
                merged.append(value)
            elif key in CALL_KEYS:
                merged.append(_text(call.get(CALL_KEYS[key])))
            elif key in ("session", "source"):
                merged.append(_text(call.get(key)))
            else:
                merged.append(json.loads(str(call.get("labels") or "{}")).get(key))
        return merged


def _text(value: Value) -> str | None:
    return None if value is None else str(value)


def period(key: str, at_us: int, time_zone: str) -> str:
    """A period as the report writes it."""
    local: datetime = datetime_of(at_us).astimezone(ZoneInfo(time_zone))
    if key == "week":
        monday = local - timedelta(days=local.weekday())
        return f"{monday.isocalendar().year}-W{monday.isocalendar().week:02d}"
    if key == "quarter":
        return f"{local.year}-Q{(local.month + 2) // 3}"
    return local.strftime({"day": "%Y-%m-%d", "month": "%Y-%m", "year": "%Y"}[key])


def _state(task: Record | None, now_us: int) -> str:
    if task is None or task.get("matures_at_us") is None or int(str(task["matures_at_us"])) > now_us:
        return "open"
    return str(task["outcome"]) if task["outcome"] in ("verified", "failed", "reversed") else "assumed"


@dataclass
class _Part:
    """What one group has of one task."""

    work: int | None = None
    judged: int | None = None
    rework: int | None = None
    lacks: bool = False
    unknown_calls: int = 0
    calls: int | None = None
    tokens_in: int = 0
    tokens_out: int = 0
    reported: int = 0
    computed: int = 0

    @property
    def cost(self) -> int | None:
        known = [amount for amount in (self.work, self.judged, self.rework) if amount is not None]
        return sum(known) if known else None


def _add_task(
    groups: dict[tuple[str | None, ...], Group], asking: _Asking, task: Record | None, calls: list[Record]
) -> None:
    opened = (
        min(int(str(call["at_us"])) for call in calls) if task is None else int(str(task["opened_at_us"]))
    )
    if not asking.within(opened):
        return
    state = _state(task, asking.now_us)
    own = asking.of_task(task, opened, state)
    parts: dict[tuple[str | None, ...], _Part] = {}
    headline = [call for call in calls if call["purpose"] in HEADLINE]
    # Amounts are placed by all keys looked at, those only filtered by included.
    placed = [(tuple(asking.of_call(own, call, str(call["purpose"]))), call) for call in headline]
    by_purpose: dict[str, list[tuple[tuple[str | None, ...], Record]]] = {
        purpose: [(values, call) for values, call in placed if call["purpose"] == purpose]
        for purpose in HEADLINE
    }
    sole = _agreed([asking.of_call([None] * len(own), call, str(call["purpose"])) for call in headline], own)
    amounts = {
        "work": None if task is None else task.get("given_nano"),
        "verification": None if task is None else task.get("given_verification_nano"),
    }

    def part_at(values: Sequence[str | None]) -> _Part:
        return parts.setdefault(tuple(values), _Part())

    def task_place(purpose: str) -> list[str | None]:
        merged = [
            sole[at] if value is None and key not in TASK_KEYS else value
            for at, (key, value) in enumerate(zip(asking.keys, own, strict=True))
        ]
        return [
            purpose if key == "purpose" else value for key, value in zip(asking.keys, merged, strict=True)
        ]

    replaced = {}
    for purpose, pairs in by_purpose.items():
        whole = bool(pairs) and all(call.get("cost_nano") is not None for _, call in pairs)
        replaced[purpose] = not whole and amounts[purpose] is not None
    for values, call in placed:
        part = part_at(values)
        purpose = str(call["purpose"])
        part.calls = (part.calls or 0) + 1
        part.tokens_in += sum(int(str(call.get(name) or 0)) for name in TOKENS_IN)
        part.tokens_out += int(str(call.get("output") or 0)) + int(str(call.get("reasoning") or 0))
        part.reported += int(str(call.get("reported_nano") or 0))
        part.computed += int(str(call.get("computed_nano") or 0))
        if replaced[purpose]:
            # The task's own amount stands in another group: what this one's share is, nobody knows.
            moved = values != tuple(task_place(purpose))
            part.lacks |= moved
            part.unknown_calls += moved and call.get("cost_nano") is None
        elif call.get("cost_nano") is None:
            part.lacks = True
            part.unknown_calls += 1
        else:
            name = "work" if purpose == "work" else "judged"
            setattr(part, name, (getattr(part, name) or 0) + int(str(call["cost_nano"])))
    if replaced["work"] or not by_purpose["work"]:
        part = part_at(task_place("work"))
        if replaced["work"]:
            part.work = (part.work or 0) + int(str(amounts["work"]))
            if not by_purpose["work"]:
                part.reported += int(str(amounts["work"]))
        else:
            part.lacks = True
        if not headline and task is not None:
            if task.get("given_calls") is not None:
                part.calls = (part.calls or 0) + int(str(task["given_calls"]))
            part.tokens_in += int(str(task.get("given_input_tokens") or 0))
            part.tokens_out += int(str(task.get("given_output_tokens") or 0))
    if replaced["verification"]:
        part = part_at(task_place("verification"))
        part.judged = (part.judged or 0) + int(str(amounts["verification"]))
    if task is not None and task.get("rework_nano") is not None:
        part = part_at(task_place("rework"))
        part.rework = (part.rework or 0) + int(str(task["rework_nano"]))
    elif task is not None and task.get("rework_ms"):
        part_at(task_place("rework")).lacks = True
    _count(groups, asking, state, parts)
    _add_beside(groups, asking, own, task, calls)


def _agreed(values: list[list[str | None]], own: Sequence[str | None]) -> list[str | None]:
    """The value of each key on which all calls agree."""
    columns = list(zip(*values, strict=True)) if values else [(None,)] * len(own)
    return [column[0] if len(set(column)) == 1 else None for column in columns]


def _count(
    groups: dict[tuple[str | None, ...], Group],
    asking: _Asking,
    state: str,
    parts: dict[tuple[str | None, ...], _Part],
) -> None:
    merged: dict[tuple[str | None, ...], list[_Part]] = defaultdict(list)
    for values, part in parts.items():
        keys = asking.group(values)
        if keys is not None:
            merged[keys].append(part)
    for keys, several in merged.items():
        group = groups[keys]
        costs = [part.cost for part in several if part.cost is not None]
        cost, lacks = sum(costs) if costs else None, any(part.lacks for part in several)
        if state == "open":
            group.open += 1
            group.open_nano += cost or 0
            continue
        setattr(group, state, getattr(group, state) + 1)
        group.tasks += 1
        group.cost_nano += cost or 0
        group.costed_tasks += cost is not None
        group.unknown_cost_tasks += lacks
        group.unknown_cost_calls += sum(part.unknown_calls for part in several)
        group.verification_nano += sum(part.judged or 0 for part in several)
        group.rework_nano += sum(part.rework or 0 for part in several)
        counted = [part.calls for part in several if part.calls is not None]
        group.calls += sum(counted)
        group.called_tasks += bool(counted)
        group.input_tokens += sum(part.tokens_in for part in several)
        group.output_tokens += sum(part.tokens_out for part in several)
        group.reported_nano += sum(part.reported for part in several)
        group.computed_nano += sum(part.computed for part in several)
        if state == "verified":
            group.success_nano += cost or 0
            group.success_squared += (cost or 0) ** 2
        elif state in ("failed", "reversed"):
            group.failure_squared += (cost or 0) ** 2
        if cost is not None and not lacks:
            group.costs.append(cost)


def _add_beside(
    groups: dict[tuple[str | None, ...], Group],
    asking: _Asking,
    own: Sequence[str | None],
    task: Record | None,
    calls: list[Record],
) -> None:
    simulated = [call for call in calls if call["purpose"] == "simulation"]
    given = None if task is None else task.get("given_simulation_nano")
    whole = bool(simulated) and all(call.get("cost_nano") is not None for call in simulated)
    if given is not None and not whole:
        place = [
            "simulation" if key == "purpose" else value for key, value in zip(asking.keys, own, strict=True)
        ]
        keys = asking.group(place)
        if keys is not None:
            groups[keys].simulation_nano += int(str(given))
        simulated = []
    for call in (*simulated, *(call for call in calls if call["purpose"] == "test")):
        keys = asking.group(asking.of_call(own, call, str(call["purpose"])))
        if keys is None:
            continue
        cost = call.get("cost_nano")
        if call["purpose"] == "test":
            groups[keys].test_nano += int(str(cost or 0))
            groups[keys].unknown_test_calls += cost is None
        else:
            groups[keys].simulation_nano += int(str(cost or 0))
            groups[keys].unknown_simulation_calls += cost is None


def _add_outside(groups: dict[tuple[str | None, ...], Group], asking: _Asking, call: Record) -> None:
    at_us = int(str(call["at_us"]))
    if not asking.within(at_us):
        return
    own = asking.of_task(None, at_us, "")
    own = [None if key == "outcome" else value for key, value in zip(asking.keys, own, strict=True)]
    keys = asking.group(asking.of_call(own, call, str(call["purpose"])))
    if keys is None:
        return
    group, cost = groups[keys], int(str(call.get("cost_nano") or 0))
    if call["purpose"] == "simulation":
        group.simulation_nano += cost
        group.unknown_simulation_calls += call.get("cost_nano") is None
    elif call["purpose"] == "test":
        group.test_nano += cost
        group.unknown_test_calls += call.get("cost_nano") is None
    else:
        group.outside_nano += cost
        group.outside_calls += 1
        group.unknown_outside_calls += call.get("cost_nano") is None
