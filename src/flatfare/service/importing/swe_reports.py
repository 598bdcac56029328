"""Reports of SWE-bench style evaluations: each instance a task, whether it was resolved its verdict.

Four shapes: the report of a whole run (`schema_version` 2: `resolved_ids` …), `report.json` of one
instance (`resolved`, `tests_status`), `results.json` of the leaderboard's experiments (`resolved`,
`generated` …), and mini-SWE-agent's trajectories, which say what an instance cost (SWE-bench's
harness/reporting.py and grading.py, read 2026-11-21). Predictions name the model and who was tried.
"""

import json
from collections.abc import Iterator, Mapping
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

_DOCUMENT_BYTES_MAX = 256 << 20
_VERIFIER = "swe-bench:tests"
_WORDS = {
    "resolved": "pass",
    "unresolved": "fail",
    "error": "fail",
    "empty_patch": "fail",
    "no_generation": "fail",
    "no_logs": "fail",
}
"""What a list of instances in a report says of them. What was submitted and stands in none failed."""

Record = Mapping[str, object]


def read(reading: Reading) -> Found:
    """The instances of a report; raises ``BadInput`` where it is none."""
    document = _document(reading.path, reading.name)
    predicted = _predictions(reading)
    if isinstance(document, list):
        raise BadInput(
            f"{reading.name} is a list, as predictions are: name the report as the file, and these with "
            "--predictions FILE."
        )
    report = mapping(document)
    if "info" in report and ("trajectory_format" in report or "messages" in report):
        yield from _trajectory(report, reading)
    elif _lists(report):
        yield from _whole_run(report, predicted, reading)
    elif report and all("resolved" in mapping(said) for said in report.values()):
        for instance, said in report.items():
            yield _work(instance, mapping(said), _path(reading, predicted, None, instance), reading)
    else:
        yield Unread(
            reading.name,
            "Found no report of an evaluation: expected lists such as 'resolved_ids', or an instance with "
            "'resolved'.",
        )


def _document(path: Path, name: str) -> object:
    with opened_text(path) as stream:
        raw = stream.read(_DOCUMENT_BYTES_MAX + 1)
    if len(raw) > _DOCUMENT_BYTES_MAX:
        raise BadInput(f"{name} is one JSON document of more than 256 MB: a report is never that long.")
    try:
        return json.loads(raw, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError) as problem:
        try:
            lines = [line for line in raw.splitlines() if line.strip()]
            return [json.loads(line, parse_float=str, parse_constant=str) for line in lines]
        except (ValueError, RecursionError):
            raise BadInput(f"{name} is no JSON: {problem}. Nothing was imported.") from problem


def _predictions(reading: Reading) -> Mapping[str, Record]:
    """The predictions that the order names, by instance."""
    named = reading.choice("predictions")
    if not named:
        return {}
    if not Path(named).is_file():
        raise BadInput(f"There is no file {named}.")
    document = _document(Path(named), named)
    listed = list(document.values()) if isinstance(document, dict) else document
    found = {str(item["instance_id"]): item for item in records(listed) if "instance_id" in item}
    if not found:
        raise BadInput(f"{named} holds no predictions: expected records with 'instance_id'.")
    return found


def _lists(report: Record) -> dict[str, list[str]]:
    """The lists of instances in a report, by our words for them."""
    found = {}
    for name, value in report.items():
        word = name.removesuffix("_ids")
        if isinstance(value, list) and (name.endswith("_ids") or word in _WORDS or word == "generated"):
            found[word] = [str(item) for item in value if isinstance(item, str | int)]
    return found if "resolved" in found else {}


def _whole_run(report: Record, predicted: Mapping[str, Record], reading: Reading) -> Found:
    lists = _lists(report)
    path = _path(reading, predicted, None)
    said = {name: word for word in reversed(_WORDS) for name in lists.get(word, [])}
    tried = [
        *said,
        *lists.get("submitted", []),
        *lists.get("completed", []),
        *lists.get("generated", []),
        *predicted,
    ]
    for instance in dict.fromkeys(tried):
        word = said.get(instance, "unresolved")
        yield _work(instance, {"resolved": word == "resolved", "said": word}, path, reading)
    if left := len(set(lists.get("incomplete", [])) - set(tried)):
        reading.notes[f"Not submitted, and so no tasks: {left:,} instances."] += 1


def _path(
    reading: Reading, predicted: Mapping[str, Record], said: str | None, instance: str | None = None
) -> str:
    """Who made the patches: as the order, the predictions or the file's own place say."""
    if "path" in reading.order.fixed:
        return reading.order.fixed["path"]
    models = {as_text(item.get("model_name_or_path")) for item in predicted.values()}
    if said or len(models) == 1:
        return said or str(models.pop())
    if named := _named_by_place(Path(reading.name).absolute(), instance):
        return named
    reading.notes["Nothing names who made the patches: --set path=NAME does."] += 1
    return "swe-bench"


def _named_by_place(file: Path, instance: str | None) -> str | None:
    """The model in <model>/<instance>/report.json, <submission>/results/results.json, <model>.<run>.json.

    The harness writes a slash in a model's name as two underscores.
    """
    folders = file.parts[:-1]
    if file.name in ("report.json", "results.json"):
        within = instance if file.name == "report.json" else "results"
        named = folders[-2] if len(folders) > 1 and folders[-1] == within else ""
    else:
        named = file.name.partition(".json")[0].rpartition(".")[0]
    return named.replace("__", "/") or None


def _work(instance: str, said: Record, path: str, reading: Reading) -> Work:
    key = f"{path}/{instance}"
    is_resolved = said.get("resolved") in (True, "true", 1)
    verdict: Cells = {
        "id": f"{key}/{_VERIFIER}",
        "verifier": _VERIFIER,
        "version": as_text(reading.choice("harness")) or "unknown",
        "kind": "code",
        "result": "pass" if is_resolved else "fail",
        "evidence": evidence({instance: said}),
    }
    return Work(_task(key, instance, path), [], [verdict])


def _task(key: str, instance: str, path: str) -> Cells:
    return {
        "task": key,
        "name": "swe-bench",
        "path": path,
        "label.benchmark": "swe-bench",
        "label.instance": on_one_line(instance),
        "label.repository": on_one_line(instance.rpartition("-")[0].replace("__", "/")),
    }


def _trajectory(report: Record, reading: Reading) -> Iterator[Work | Unread]:
    """What an agent's run at one instance cost; whether it was resolved, a report says."""
    info = mapping(report.get("info"))
    stats = mapping(info.get("model_stats"))
    model = as_text(mapping(mapping(info.get("config")).get("model")).get("model_name"))
    instance = as_text(report.get("instance_id")) or Path(reading.name).name.partition(".traj")[0]
    cost = as_text(stats.get("instance_cost"))
    if cost is None:
        yield Unread(reading.name, "The trajectory says no cost: expected info.model_stats.instance_cost.")
        return
    path = _path(reading, {}, model)
    task = _task(f"{path}/{instance}", instance, path)
    yield Work({**task, "model": model, "cost": cost, "calls": as_text(stats.get("api_calls"))})
