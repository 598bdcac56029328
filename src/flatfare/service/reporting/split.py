"""Split tasks: one fact per task and group, where calls say which groups a task belongs to.

A task's calls go each to their own group, and the task counts in every group where work
or verification was done for it. What belongs to the task and to none of its calls (a
total its source gave, rework) goes to the value that all its calls agree on, or where
they do not to the group without a value.
"""

from flatfare.service.reporting.facts import Costing, Sources, tasks_sql
from flatfare.service.reporting.holdings import HEADLINE_PURPOSES
from flatfare.service.reporting.keys import PURPOSE, Key, Kind
from flatfare.service.reporting.whole import late_values, moment, moved_join

_BESIDE = frozenset({"simulation", "test"})
_SUMMED = (
    *("work", "judged", "rework", "fixed", "work_unknown_n", "judged_unknown_n"),
    *("simulation", "simulation_unknown_n", "test", "test_unknown_n", "calls", "tokens_in", "tokens_out"),
    *("computed_n", "computed", "reported_n", "reported"),
)
_FLAGS = ("work_lacks", "judged_lacks", "rework_lacks")


def split_facts(sources: Sources) -> str:
    """One fact per task and group: keys as ``k…``, state, figures. What stands beside has no state."""
    question = sources.question
    every = range(len(question.keys))
    parts = " UNION ALL BY NAME ".join(
        [
            _empty(sources),
            _own(sources),
            *_of_the_task(sources),
            _simulated(sources),
            *_given_simulation(sources),
        ]
    )
    kept = question.passes({question.keys[at]: f"v{at}" for at in every})
    keys = [f"v{at}" for at in range(len(question.by))]
    named = "".join(f", {key} AS k{key[1:]}" for key in keys)
    sums = ", ".join(f"CAST(SUM({name}) AS BIGINT) AS {name}" for name in _SUMMED)
    flags = ", ".join(f"COALESCE(BOOL_OR({name}), FALSE) AS {name}" for name in _FLAGS)
    return (
        f"WITH {_tables(sources)} SELECT CAST(state AS INTEGER) AS state{named}, {sums}, {flags}, "
        f"MAX(tries) AS tries FROM ({parts}) WHERE {kept} AND {question.within('moment')} "
        f"GROUP BY {', '.join(['id', 'state', *keys])}"
    )


def is_plain(sources: Sources) -> bool:
    """No task has an amount or verification of its own, and each part is its own group.

    Then ``plain_facts`` says the same as ``split_facts`` in a fraction of the time,
    given that every task that has calls has a row.
    """
    held, question = sources.holdings, sources.question
    return (
        not held.has_task_amounts
        and not held.has_given_size
        and "verification" not in held.purposes
        and all(key.kind is not Kind.BOTH and key.name != PURPOSE for key in question.keys)
        and all(key.kind is not Kind.CALL or key in question.by for key, _ in question.filters)
    )


def plain_facts(sources: Sources) -> str:
    """One fact per task and group, where nothing has to be looked at across a task's groups."""
    question = sources.question
    sums = sources.call_sums(HEADLINE_PURPOSES)
    texts = {f"t{at}": key.of_task for at, key in enumerate(question.keys) if key.kind is Kind.TASK}
    kept = question.passes({key: f"v{at}" for at, key in enumerate(question.keys)})
    named = "".join(f", v{at} AS k{at}" for at in range(len(question.by)))
    costing = Costing(sources, frozenset(sums))
    figures = ", ".join(f"{sql} AS {name}" for name, sql in costing.columns().items())
    moment = "opened_at_us" if question.needs_moment else "NULL"
    home = (
        f"SELECT CAST(state AS INTEGER) AS state, {moment} AS moment{_keys(sources, 'c')}, {figures} "
        f"FROM ({tasks_sql(sources, texts)}) AS t "
        f"LEFT JOIN ({_calls(sources, HEADLINE_PURPOSES, sums)}) AS home ON home.task_id = t.id"
    )
    parts = [f"SELECT * EXCLUDE (moment) FROM ({home}) WHERE {kept} AND {question.within('moment')}"]
    if sources.holdings.purposes & _BESIDE:
        parts.append(_plain_beside(sources, texts, kept))
    values = ", ".join(f"v{at}" for at in range(len(question.keys)))
    return f"SELECT * EXCLUDE ({values}){named} FROM ({' UNION ALL BY NAME '.join(parts)})"


def _plain_beside(sources: Sources, texts: dict[str, str], kept: str) -> str:
    """Calls beside the work, summed by group at once; tasks are only looked at where their keys are."""
    question = sources.question
    sums = sources.call_sums(_BESIDE)
    part = Costing(sources, frozenset(sums))
    calls = _calls(sources, _BESIDE, sums)
    needs_task = question.needs_moment or any(key.kind is not Kind.CALL for key in question.keys)
    moment = "opened_at_us" if question.needs_moment else "NULL"
    if needs_task:
        calls = f"SELECT * FROM ({calls}) AS beside JOIN ({tasks_sql(sources, texts)}) AS t ON t.id = task_id"
    figures = {
        "simulation": part.sum("simulation_nano"),
        "simulation_unknown_n": part.sum("simulation_unknown"),
        "test": part.sum("test_nano"),
        "test_unknown_n": part.sum("test_unknown"),
    }
    added = ", ".join(f"CAST(SUM({sql}) AS BIGINT) AS {name}" for name, sql in figures.items())
    keys = [f"v{at}" for at in range(len(question.keys))]
    placed = f"SELECT *, {moment} AS moment{_keys(sources, 'c')} FROM ({calls})"
    return (
        f"SELECT CAST(NULL AS INTEGER) AS state, {', '.join(keys)}, {added} FROM ({placed}) "
        f"WHERE {kept} AND {question.within('moment')} GROUP BY {', '.join(keys)}"
    )


def _empty(sources: Sources) -> str:
    """No row, and every column: the parts after it say only what they have."""
    sums = ", ".join(f"CAST(NULL AS BIGINT) AS {name}" for name in (*_SUMMED, "tries", "moment"))
    flags = ", ".join(f"CAST(NULL AS BOOLEAN) AS {name}" for name in _FLAGS)
    keys = "".join(
        f", CAST(NULL AS {'DATE' if key.kind is Kind.PERIOD else 'VARCHAR'}) AS v{at}"
        for at, key in enumerate(sources.question.keys)
    )
    return (
        f"SELECT CAST(NULL AS UUID) AS id, CAST(NULL AS INTEGER) AS state{keys}, {sums}, {flags} WHERE FALSE"
    )


def _tables(sources: Sources) -> str:
    """Common tables: ``home``, the headline's calls per task and call keys; ``task``, each task once."""
    sums = sources.call_sums(HEADLINE_PURPOSES)
    costing = Costing(sources, frozenset(sums))
    at_keys = [at for at, _ in _call_keys(sources)]
    sole = "".join(
        f", CASE WHEN COUNT(c{at}) = COUNT(is_home) AND MIN(c{at}) = MAX(c{at}) THEN MIN(c{at}) END AS s{at}"
        for at in at_keys
    )
    added = "".join(f", {'MIN' if name == 'first_at_us' else 'SUM'}({name}) AS {name}" for name in sums)
    first = ", first_at_us" if sources.question.needs_moment else ""
    texts = {f"t{at}": key.of_task for at, key in enumerate(sources.question.keys) if _is_static(key)}
    selected = {
        "id": "COALESCE(t.id, c.task_id)",
        "state": "COALESCE(t.state, 0)",
        "moment": moment(sources),
        **{name: f"t.{name}" for name in texts},
        **{f"s{at}": f"c.s{at}" for at in at_keys},
        **_own_amounts(costing),
    }
    body = ", ".join(f"{sql} AS {name}" for name, sql in selected.items())
    return f"""home AS MATERIALIZED ({_calls(sources, HEADLINE_PURPOSES, sums)}),
        beside AS MATERIALIZED ({_calls(sources, _BESIDE, sources.call_sums(_BESIDE))}),
        homes AS (
            SELECT task_id{added}{sole} FROM (SELECT *, TRUE AS is_home FROM home
                UNION ALL BY NAME SELECT task_id{first} FROM beside) GROUP BY task_id),
        task AS MATERIALIZED (
            SELECT {body} FROM ({tasks_sql(sources, texts)}) AS t
            FULL JOIN homes AS c ON c.task_id = t.id{moved_join(sources, "c.task_id")})"""


def _own_amounts(costing: Costing) -> dict[str, str]:
    """What belongs to a task and to none of its calls; null where its calls say it themselves."""
    none = "CAST(NULL AS BIGINT)"
    no_calls = f"{costing.sum('work_n')} + {costing.sum('judged_n')} = 0"
    given = f"CASE WHEN NOT {costing.is_whole('work')} THEN {costing.given} END" if costing.given else none
    judging = (
        f"CASE WHEN NOT {costing.is_whole('judged')} THEN {costing.judging} END" if costing.judging else none
    )
    sizes = {
        "own_calls": "given_calls",
        "own_in": "COALESCE(given_input_tokens, 0)",
        "own_out": "COALESCE(given_output_tokens, 0)",
    }
    has_size = costing.sources.holdings.has_given_size
    return {
        "own_work": given,
        "own_judged": judging,
        "own_people": costing.people or none,
        "is_unworked": f"({costing.sum('work_n')} = 0)",
        "rework": costing.rework,
        "rework_lacks": costing.rework_lacks,
        "own_simulation": costing.given_simulation or none,
        **{name: f"CASE WHEN {no_calls} THEN {sql} END" if has_size else none for name, sql in sizes.items()},
        "tries": costing.tries,
    }


def _is_static(key: Key) -> bool:
    return key.kind in (Kind.TASK, Kind.BOTH)


def _call_keys(sources: Sources) -> list[tuple[int, Key]]:
    return [(at, key) for at, key in enumerate(sources.question.keys) if key.kind in (Kind.CALL, Kind.BOTH)]


def _calls(sources: Sources, purposes: frozenset[str], sums: dict[str, str]) -> str:
    """Folded calls of these purposes, summed per task and call keys."""
    keys = "".join(f", {key.of_call} AS c{at}" for at, key in _call_keys(sources))
    body = "".join(f", CAST({sql} AS BIGINT) AS {name}" for name, sql in sums.items())
    wanted = ", ".join(repr(purpose) for purpose in sorted(purposes))
    having = " HAVING SUM(n) > 0" if sources.holdings.has_withdrawn else ""
    return (
        f"SELECT task_id{keys}{body} FROM {sources.folded} "
        f"WHERE task_id IS NOT NULL AND purpose IN ({wanted}) GROUP BY ALL{having}"
    )


def _keys(sources: Sources, of_call: str | None, purpose: str | None = None) -> str:
    """The select list of all keys: from the task, else from calls by the letter of their columns."""
    late = late_values(sources.question)
    chosen = []
    for at, key in enumerate(sources.question.keys):
        call = f"{of_call}{at}" if of_call else "CAST(NULL AS VARCHAR)"
        if key in late:
            value = late[key]
        elif key.name == PURPOSE and purpose:
            value = repr(purpose)
        elif key.kind is Kind.BOTH:
            value = f"COALESCE(t{at}, {call})"
        else:
            value = call if key.kind is Kind.CALL else f"t{at}"
        chosen.append(f", {value} AS v{at}")
    return "".join(chosen)


def _own(sources: Sources) -> str:
    """What the calls of each group cost, unless the task's own amount stands instead of them."""
    part = Costing(sources, frozenset(sources.call_sums(HEADLINE_PURPOSES)))
    elsewhere = " OR ".join(
        f"(c{at} IS DISTINCT FROM s{at}{f' AND t{at} IS NULL' if key.kind is Kind.BOTH else ''})"
        for at, key in _call_keys(sources)
        if key.name != PURPOSE
    )
    elsewhere = f"({elsewhere})" if elsewhere else "FALSE"
    figures = {"fixed": part.sum("fixed_nano"), "calls": f"{part.sum('work_n')} + {part.sum('judged_n')}"}
    for name in ("work", "judged"):
        own, unknown = f"own_{name}", part.sum(f"{name}_unknown")
        figures[name] = f"CASE WHEN {own} IS NULL THEN {part.amount(name, None)} END"
        # Where the task's own amount stands in another group, this group's share of it is not known.
        figures[f"{name}_lacks"] = (
            f"CASE WHEN {own} IS NULL THEN {unknown} > 0 ELSE {elsewhere} AND {part.sum(f'{name}_n')} > 0 END"
        )
        figures[f"{name}_unknown_n"] = unknown
    for name in ("computed", "reported"):
        figures[f"{name}_n"], figures[name] = part.basis_of_calls(name)
    figures |= {"tokens_in": part.sum("input_tokens"), "tokens_out": part.sum("output_tokens")}
    body = ", ".join(f"{sql} AS {name}" for name, sql in figures.items())
    return (
        f"SELECT id, state, moment, tries{_keys(sources, 'c')}, {body} "
        "FROM home JOIN task ON task.id = home.task_id"
    )


def _of_the_task(sources: Sources) -> list[str]:
    """The task's own amounts, each where it stands, and tasks that nobody is known to have worked on."""
    held = sources.holdings
    common = "SELECT id, state, moment, tries"
    reported = "CAST(own_work IS NOT NULL AND is_unworked AS BIGINT)"
    work = (
        f"{common}{_keys(sources, 's', 'work')}, own_work AS work, own_work IS NULL AS work_lacks, "
        f"own_calls AS calls, own_in AS tokens_in, own_out AS tokens_out, {reported} AS reported_n, "
        f"{reported} * COALESCE(own_work, 0) AS reported FROM task WHERE own_work IS NOT NULL OR is_unworked"
    )
    parts = [work]
    if (held.has_given_verification or held.has_verdict_costs) and sources.counts_given:
        parts.append(
            f"{common}{_keys(sources, 's', 'verification')}, own_judged AS judged FROM task "
            "WHERE own_judged IS NOT NULL"
        )
    if held.has_verdict_costs and sources.counts_given:
        parts.append(
            f"{common}{_keys(sources, 's', 'verification')}, own_people AS judged FROM task "
            "WHERE own_people IS NOT NULL"
        )
    if held.has_rework:
        parts.append(
            f"{common}{_keys(sources, 's', 'rework')}, rework, rework_lacks FROM task "
            "WHERE rework IS NOT NULL OR rework_lacks"
        )
    return parts


def _simulated(sources: Sources) -> str:
    """Calls beside the work, by their own groups; they count no task."""
    part = Costing(sources, frozenset(sources.call_sums(_BESIDE)))
    instead, join, whole = "FALSE", "", ""
    if part.given_simulation:
        instead = "(own_simulation IS NOT NULL AND NOT COALESCE(is_whole, FALSE))"
        join, whole = f" LEFT JOIN {_per_task(part)} AS sim ON sim.task_id = beside.task_id", ", is_whole"
    figures = {
        "simulation": f"CASE WHEN NOT {instead} THEN {part.sum('simulation_nano')} END",
        "simulation_unknown_n": f"CASE WHEN {instead} THEN 0 ELSE {part.sum('simulation_unknown')} END",
        "test": part.sum("test_nano"),
        "test_unknown_n": part.sum("test_unknown"),
    }
    body = ", ".join(f"{sql} AS {name}" for name, sql in figures.items())
    first = "COALESCE(task.moment, beside.first_at_us)" if sources.question.needs_moment else "NULL"
    joined = (
        f"SELECT beside.*, task.* EXCLUDE (moment, id), beside.task_id AS id, {first} AS moment{whole} "
        f"FROM beside LEFT JOIN task ON task.id = beside.task_id{join}"
    )
    return f"SELECT id, CAST(NULL AS INTEGER) AS state, moment{_keys(sources, 'c')}, {body} FROM ({joined})"


def _per_task(part: Costing) -> str:
    whole = "SUM(simulation_n) > 0 AND SUM(simulation_unknown) = 0"
    if "simulation_n" not in part.sums:
        whole = "FALSE"
    elif "simulation_unknown" not in part.sums:
        whole = "SUM(simulation_n) > 0"
    return f"(SELECT task_id, {whole} AS is_whole FROM beside GROUP BY task_id)"


def _given_simulation(sources: Sources) -> list[str]:
    """What the source gave for simulating a whole task, where its calls do not say."""
    part = Costing(sources, frozenset(sources.call_sums(_BESIDE)))
    if part.given_simulation is None:
        return []
    keys = _keys(sources, None, "simulation")
    given = (
        f"SELECT id, CAST(NULL AS INTEGER) AS state, moment{keys}, own_simulation AS simulation "
        f"FROM task LEFT JOIN {_per_task(part)} AS sim ON sim.task_id = task.id "
        "WHERE own_simulation IS NOT NULL AND NOT COALESCE(is_whole, FALSE)"
    )
    return [given]
