"""Simulated conversations as tau-bench, tau2-bench and their kin write them: each trial of a task a task.

The reward is a verdict; what the agent and the simulated user cost stands apart. Shapes: tau2-bench's
`Results` and `SimulationRun` (data_model/simulation.py and message.py), tau-bench's `EnvRunResult`
(types.py), both read 2026-11-21; fields that a version lacks are left out.
"""

import json
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path

from flatfare.core.errors import BadInput
from flatfare.service.importing.found import (
    Cells,
    Found,
    Reading,
    Unread,
    Work,
    as_text,
    evidence,
    mapping,
    on_one_line,
    records,
)
from flatfare.service.importing.textual import opened_text

_DOCUMENT_BYTES_MAX = 1 << 30
_BROKEN = ("error", "errors", "infrastructure")  # parts of the reasons why a simulation ended by itself
_PURPOSES = {"assistant": "work", "agent": "work", "user": "simulation"}

Record = Mapping[str, object]


def read(reading: Reading) -> Found:
    """The simulations of a file; raises ``BadInput`` where it holds none."""
    items, about = _listed(_document(reading.path, reading.name))
    if not items and (beside := _beside(reading)):
        items = [_document(file, str(file)) for file in beside]
    if items is None:
        raise BadInput(
            f"{reading.name} holds no simulations: expected an object with 'simulations', as tau2-bench "
            "writes it, or a list of results with 'task_id' and 'reward', as tau-bench does."
        )
    if not items:
        raise BadInput(f"{reading.name} holds no simulations: its list is empty.")
    shared = _shared({**about, **mapping(about.get("info"))}, [mapping(item) for item in items], reading)
    for number, item in enumerate(items, start=1):
        place = f"simulation {number}"
        simulation = mapping(item)
        if _task_of(simulation) is None:
            yield Unread(place, "Found no simulation: it names no task.", as_text(item))
            continue
        yield _work(simulation, shared, reading)


def _beside(reading: Reading) -> list[Path]:
    """The simulations of a run that keeps each in a file of its own, beside its results.json."""
    folder = Path(reading.name).parent / "simulations"
    return sorted(folder.glob("*.json")) if folder.is_dir() else []


def _document(path: Path, name: str) -> object:
    with opened_text(path) as stream:
        raw = stream.read(_DOCUMENT_BYTES_MAX + 1)
    if len(raw) > _DOCUMENT_BYTES_MAX:
        raise BadInput(f"{name} is one JSON document of more than 1 GB: split it by simulations.")
    try:
        return json.loads(raw, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError):
        pass
    try:  # JSON Lines
        lines = (line for line in raw.splitlines() if line.strip())
        return [json.loads(line, parse_float=str, parse_constant=str) for line in lines]
    except (ValueError, RecursionError) as problem:
        raise BadInput(f"{name} is no JSON: {problem}. Nothing was imported.") from problem


def _listed(document: object) -> tuple[list[object] | None, Record]:
    """The simulations in a document, and what it says of all of them."""
    if isinstance(document, list):
        is_right = any(_task_of(mapping(item)) is not None for item in document)
        return (document if is_right else None), {}
    about = mapping(document)
    for name in ("simulations", "results"):
        listed = about.get(name)
        if isinstance(listed, list):
            return listed, about
    if "info" in about and "tasks" in about:
        return [], about
    return ([about] if _task_of(about) is not None and _is_one(about) else None), {}


def _is_one(simulation: Record) -> bool:
    return any(name in simulation for name in ("reward", "reward_info", "messages", "traj", "ticks"))


def _task_of(simulation: Record) -> str | None:
    for name in ("task_id", "task_idx", "task_index"):
        if (task := as_text(simulation.get(name))) is not None:
            return task
    return None


class _Shared:
    """What holds of every simulation of a file."""

    def __init__(self, info: Record, simulations: list[Record], reading: Reading) -> None:
        agent, user = mapping(info.get("agent_info")), mapping(info.get("user_info"))
        environment = mapping(info.get("environment_info"))
        self.benchmark = "tau2" if any("reward_info" in one for one in simulations) or agent else "tau"
        self.domain = on_one_line(environment.get("domain_name") or info.get("domain") or info.get("env"))
        said = agent.get("llm") or info.get("model") or info.get("agent_llm")
        self.model = on_one_line(said) or _served(simulations)
        self.user_model = on_one_line(user.get("llm") or info.get("user_model") or info.get("user_llm"))
        effort = as_text(mapping(agent.get("llm_args")).get("reasoning_effort"))
        agent_name = agent.get("implementation") or info.get("agent") or info.get("agent_strategy")
        named = self.model and self.model + (f"@{effort}" if effort else "")
        self.path = named or _file_path(reading)
        self.is_sure = bool(named)
        self.labels: Cells = {
            "label.benchmark": self.benchmark,
            "label.domain": self.domain,
            "label.agent": on_one_line(agent_name),
            "label.effort": effort,
            "label.user_model": self.user_model,
        }


def _served(simulations: list[Record]) -> str | None:
    """The model that answered as the agent, as the responses that were kept say."""
    for simulation in simulations:
        for message in records(simulation.get("messages")):
            if message.get("role") == "assistant":
                served = on_one_line(mapping(message.get("raw_data")).get("model"))
                if served:
                    return served
    return None


def _shared(info: Record, simulations: list[Record], reading: Reading) -> _Shared:
    shared = _Shared(info, simulations, reading)
    if not shared.is_sure and "path" not in reading.order.fixed:
        reading.notes[
            f"No model is named: the path was taken from the file's name, {shared.path!r}; --set path=NAME "
            "says otherwise."
        ] += 1
    return shared


def _file_path(reading: Reading) -> str:
    """tau-bench names its files after strategy, model and temperature, then the range and the moment."""
    stem = "simulations" if reading.name == "standard input" else Path(reading.name).name
    return stem.partition(".json")[0].partition("_range_")[0] or "simulations"


def _work(simulation: Record, shared: _Shared, reading: Reading) -> Work:
    task, trial = _task_of(simulation) or "", as_text(simulation.get("trial")) or "0"
    path = reading.order.fixed.get("path", shared.path)
    domain = as_text(simulation.get("domain")) or shared.domain or reading.order.fixed.get("label.domain")
    own = as_text(simulation.get("id") or simulation.get("simulation_id"))
    key = own or "/".join(filter(None, (path, domain, task, trial)))
    opened_at = as_text(simulation.get("start_time") or simulation.get("timestamp"))
    closed_at = as_text(simulation.get("end_time"))
    messages = records(simulation.get("messages") or simulation.get("traj") or simulation.get("trajectory"))
    calls = _calls(messages, key, shared, opened_at)
    cells: Cells = {
        "task": key,
        "name": shared.benchmark,
        "path": path,
        "model": shared.model,
        "opened_at": opened_at,
        "closed_at": closed_at,
        "duration_s": None if closed_at else as_text(simulation.get("duration")),
        "label.task": on_one_line(task),
        "label.trial": trial,
        **shared.labels,
        "label.domain": domain,
        "label.ended_by": on_one_line(simulation.get("termination_reason")),
        **_costs(simulation),
    }
    return Work(cells, calls, _verdicts(simulation, key, shared, closed_at or opened_at))


def _costs(simulation: Record) -> Cells:
    """What agent, simulated user and evaluation cost, as the source gives it of the whole."""
    info, costs = mapping(simulation.get("info")), mapping(simulation.get("cost"))
    said = {
        "cost": [simulation.get("agent_cost"), costs.get("agent_cost"), simulation.get("total_cost"),
                 info.get("total_cost")],
        "simulation_cost": [simulation.get("user_cost"), costs.get("user_cost"), info.get("user_cost")],
        "verification_cost": [simulation.get("eval_cost"), costs.get("eval_cost")],
    }  # fmt: skip
    return {
        name: next((text for value in values if (text := as_text(value)) is not None), None)
        for name, values in said.items()
    }


def _calls(messages: list[Record], key: str, shared: _Shared, at: str | None) -> list[Cells]:
    """A row for each message that a model wrote; one that says no use and no cost was scripted."""
    rows: list[Cells] = []
    for number, message in enumerate(messages):
        purpose = _PURPOSES.get(as_text(message.get("role")) or "")
        usage = _usage(message)
        cost = as_text(message.get("cost"))
        if purpose is None or not (any(_is_some(count) for count in usage.values()) or _is_some(cost)):
            continue
        raw = mapping(message.get("raw_data"))
        asked = shared.model if purpose == "work" else shared.user_model
        provider, slash, name = (asked or "").partition("/")
        duration = as_text(message.get("generation_time_seconds"))
        rows.append(
            {
                "id": f"{key}/message {number}",
                "at": as_text(message.get("timestamp")) or at,
                "turn": as_text(message.get("turn_idx")) or str(number),
                "purpose": purpose,
                "provider": provider if slash else None,
                "model": as_text(raw.get("model")) or (name if slash else asked),
                "model_asked": name if slash else asked,
                "duration_s": duration,
                "cost": cost,
                **usage,
            }
        )
    return rows


def _is_some(text: str | None) -> bool:
    return text is not None and text.strip("0.") != ""


def _usage(message: Record) -> Cells:
    """Token counts as LiteLLM gives them; the details stand in the response, where it was kept."""
    usage = mapping(message.get("usage"))
    whole = mapping(mapping(message.get("raw_data")).get("usage")) or usage
    prompt = mapping(whole.get("prompt_tokens_details"))
    answer = mapping(whole.get("completion_tokens_details"))
    written = prompt.get("cache_creation_tokens") or whole.get("cache_creation_input_tokens")
    return {
        "prompt_tokens": as_text(usage.get("prompt_tokens", whole.get("prompt_tokens"))),
        "completion_tokens": as_text(usage.get("completion_tokens", whole.get("completion_tokens"))),
        "cached_tokens": as_text(prompt.get("cached_tokens")),
        "cache_write_tokens": as_text(written),
        "reasoning_tokens": as_text(answer.get("reasoning_tokens")),
    }


def _verdicts(simulation: Record, key: str, shared: _Shared, at: str | None) -> list[Cells]:
    info = mapping(simulation.get("reward_info"))
    reward = as_text(info.get("reward", simulation.get("reward")))
    ended = as_text(simulation.get("termination_reason")) or ""
    if reward is None and not any(part in ended for part in _BROKEN):
        return []
    verifier = f"{shared.benchmark}:reward" if reward is not None else f"{shared.benchmark}:run"
    grounds = info or {"reward": reward, "ended": ended, "info": simulation.get("info")}
    basis = json.dumps(info.get("reward_basis") or [])
    row: Cells = {
        "id": f"{key}/{verifier}",
        "verifier": verifier,
        "version": shared.benchmark,
        "kind": "model" if "NL_ASSERTION" in basis else "code",  # such assertions are judged by a model
        "result": _rounded(reward) if reward is not None else "0",
        "score": reward,
        "evidence": evidence(grounds),
        "at": at,
    }
    return [row]


def _rounded(reward: str) -> str:
    """The reward with the float's dust off: the benchmark takes 0.999999 for 1 (metrics/agent_metrics.py)."""
    try:
        return str(Decimal(reward).quantize(Decimal("0.000001")).normalize())
    except InvalidOperation:
        return reward
