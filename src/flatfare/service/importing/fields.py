"""The fields of each kind of import, and the names by which other tools call them.

Names are compared in their plain form: lower case, words parted by underscores. The
order of a field's names is their rank where a file has several of them.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Field:
    """One thing we keep: its name, what sort of value it is, and its usual names."""

    name: str
    sort: str  # text, key, moment, count, amount, number, word, flag
    names: tuple[str, ...] = ()


_CAMEL = re.compile(r"([a-z0-9])([A-Z])")
_ENTRY = re.compile(r"(\w+) (\w+):([\w\s]*)(?=\n\s*\w+ \w+:|\Z)")
_OTHER = re.compile(r"[^0-9a-z]+")
_PREFIXES = (
    "attributes_", "span_attributes_", "usage_", "response_", "request_", "body_", "data_", "payload_",
    "event_", "generation_", "observation_", "row_", "item_", "metrics_", "stats_", "result_", "info_", "_",
)  # fmt: skip
_SIGNS = {"$": " ", "€": " eur ", "£": " gbp ", "%": " percent "}

CURRENCY_ENDINGS = ("eur", "gbp", "cny", "jpy", "inr", "chf", "cad", "aud")
"""A column whose name ends in one of these holds that currency."""


def plain(name: str) -> str:
    """A column's name without its dress.

    >>> plain("Cost ($)"), plain("promptTokens"), plain("Ticket #")
    ('cost', 'prompt_tokens', 'ticket_id')
    """
    for sign, word in _SIGNS.items():
        name = name.replace(sign, word)
    stem = name.rstrip()
    name = f"{stem[:-1]} id" if stem.endswith("#") and stem != "#" else name.replace("#", " n ")
    return _OTHER.sub("_", _CAMEL.sub(r"\1_\2", name).lower()).strip("_")


def readings(name: str) -> Iterator[str]:
    """The plain name, and what is left of it behind the prefixes that exports set before theirs."""
    rest = plain(name)
    yield rest
    stripped = True
    while stripped:
        stripped = False
        for prefix in _PREFIXES:
            if rest.startswith(prefix) and len(rest) > len(prefix):
                rest, stripped = rest[len(prefix) :], True
                yield rest


def _fields(text: str) -> dict[str, Field]:
    """Fields from entries of ``name sort: usual names``; a field's own name is one of them, and the first."""
    found = {}
    for entry in _ENTRY.finditer(text):
        name, sort, names = entry.groups()
        found[name] = Field(name, sort, (name, *names.split()))
    return found


_TIMES = (
    "timestamp created_at start_time started_at time datetime date_time date created ts tstamp "
    "request_time start_timestamp start time_stamp request_timestamp event_time logged_at "
    "time_unix_nano start_time_unix_nano utc_time usage_date_utc date_utc created_on opened_on started_on day"
)
_ENDS = (
    "end_time ended_at finished_at completed_at completed_time end_timestamp closed_at closed_on "
    "completed_on date_closed end_time_unix_nano end"
)
_TASK = (
    "task_id task_key task ticket_id ticket case_id case job_id instance_id simulation_id sample_id "
    "example_id question_id query_id problem_id workflow_id global_index"
)
_SESSION = (
    "session_id conversation_id thread_id chat_id dialog_id dialogue_id gen_ai_conversation_id "
    "session conversation"
)
_MODEL = (
    "response_model gen_ai_response_model served_model model_name model_id provided_model_name llm "
    "llm_model agent_llm agent_model deployment gen_ai_request_model model_permaslug model_version"
)
_PROMPT = (
    "native_tokens_prompt prompt_tokens input_tokens tokens_prompt gen_ai_usage_input_tokens "
    "gen_ai_usage_prompt_tokens llm_usage_prompt_tokens llm_token_count_prompt prompt_token_count "
    "input_token_count num_prompt_tokens num_input_tokens tokens_in tokens_input token_in in_tokens "
    "n_input_tokens n_prompt_tokens usage_details_input usage_input input_usage prompt_token "
    "agent_prompt_tokens context_tokens input_length usage_details_prompt_tokens total_input_tokens "
    "input_tokens_no_cache"
)
_COMPLETION = (
    "native_tokens_completion completion_tokens output_tokens tokens_completion "
    "gen_ai_usage_output_tokens gen_ai_usage_completion_tokens llm_usage_completion_tokens "
    "llm_token_count_completion candidates_token_count completion_token_count output_token_count "
    "num_completion_tokens num_output_tokens tokens_out tokens_output token_out out_tokens "
    "n_output_tokens n_completion_tokens usage_details_output usage_output output_usage "
    "completion_token agent_completion_tokens generated_tokens output_length "
    "usage_details_completion_tokens total_output_tokens"
)
_COST = (
    "cost cost_usd total_cost total_cost_usd costs spend spend_usd response_cost usd price price_usd "
    "cost_total calculated_total_cost usage_cost cost_details_total usage_details_cost inference_cost "
    "llm_cost amount amount_usd usd_cost api_cost cost_in_usd cost_dollars total_price estimated_cost "
    "gen_ai_usage_cost cost_eur cost_gbp total_cost_eur total_cost_gbp spend_eur"
)

CALLS = _fields(
    f"""
    id key: call_id request_id generation_id span_id observation_id log_id response_id
        gen_ai_response_id uuid trace_span_id
    at moment: {_TIMES}
    ended_at moment: {_ENDS}
    duration_ms number: latency_ms response_time_ms request_duration_ms elapsed_ms generation_time
        delay_ms generation_time_ms
    duration_s number: latency_s duration_seconds latency_seconds elapsed_s latency request_duration_s
    task key: {_TASK} trace_id
    session text: {_SESSION}
    turn count: turn_index turn_number msg_idx message_index message_idx step step_index
    purpose word:
    role word: message_role speaker caller
    status word: call_status call_ok ok success
    http_status count: status_code http_code response_status
    provider text: gen_ai_provider_name gen_ai_system custom_llm_provider llm_provider vendor
        provider_name api_provider
    model text: {_MODEL}
    model_asked text: request_model model_requested requested_model gen_ai_request_model model_group
    endpoint text: call_type operation gen_ai_operation_name api_endpoint route
    service_tier text: tier
    region text: location cloud_region aws_region
    is_stream flag: stream streamed streaming
    prompt_tokens count: {_PROMPT}
    completion_tokens count: {_COMPLETION}
    cached_tokens count: native_tokens_cached tokens_cached input_tokens_cache_read
        cache_read_input_tokens cache_read_tokens
        prompt_tokens_details_cached_tokens input_tokens_details_cached_tokens input_cached_tokens
        cached_input_tokens prompt_cached_tokens cached_prompt_tokens
        gen_ai_usage_cache_read_input_tokens gen_ai_usage_input_tokens_cached cached_content_token_count
        prompt_cache_hit_tokens prompt_cache_read_tokens usage_details_cache_read_input_tokens
        usage_details_input_cached_tokens cache_read_input_token_count cache_hit_tokens cached
        cache_read
    cache_write_tokens count: cache_creation_input_tokens cache_creation_tokens
        gen_ai_usage_cache_creation_input_tokens prompt_cache_write_tokens
        usage_details_cache_creation_input_tokens cache_write_input_tokens
        cache_creation_input_token_count cache_write
    cache_write_5m_tokens count: input_tokens_cache_write_5m ephemeral_5m_input_tokens
        cache_creation_ephemeral_5m_input_tokens
        prompt_cache_write_5m cache_write_5m
    cache_write_1h_tokens count: input_tokens_cache_write_1h ephemeral_1h_input_tokens
        cache_creation_ephemeral_1h_input_tokens
        prompt_cache_write_1h cache_write_1h
    reasoning_tokens count: native_tokens_reasoning tokens_reasoning
        completion_tokens_details_reasoning_tokens
        output_tokens_details_reasoning_tokens thoughts_token_count output_reasoning_tokens
        usage_details_output_reasoning_tokens gen_ai_usage_reasoning_tokens
        gen_ai_usage_output_tokens_reasoning gen_ai_usage_reasoning_output_tokens thinking_tokens
        reasoning
    input_audio_tokens count: prompt_tokens_details_audio_tokens input_tokens_details_audio_tokens
        prompt_audio_tokens
    output_audio_tokens count: completion_tokens_details_audio_tokens output_tokens_details_audio_tokens
        completion_audio_tokens
    web_searches count: web_search_count web_search_requests server_tool_use_web_search_requests
        num_web_searches web_search
    total_tokens count: tokens total_token_count usage_details_total usage_total
        gen_ai_usage_total_tokens token_count
    cost amount: {_COST}
    currency text: cost_currency
    """
)

TASKS = _fields(
    f"""
    task key: {_TASK} id uuid trace_id run_id session_id conversation_id row_id
    name text: action task_name task_type workflow
    path text: system configuration config setup path_name approach method system_name
    agent text: agent_name scaffold harness framework
    model text: {_MODEL}
    session text: {_SESSION}
    opened_at moment: opened date_opened opened_date date_time_opened created_date {_TIMES}
    closed_at moment: {_ENDS} resolved_at resolved_on closed closed_date date_time_closed
    duration_s number: duration_seconds elapsed_s duration runtime_s
    matures_at moment: matured_at matures
    outcome word: success is_success succeeded resolved is_resolved solved is_solved passed is_passed
        pass is_correct correct success_flag successful verified accepted task_success outcome_status
        result verdict reward score status
    judged_at moment: verified_at outcome_at
    score number: reward scores final_score
    evidence text: evidence_hash
    verifier_kind word:
    attempts count: n_attempts num_attempts attempt_count n_tries tries
    cost amount: agent_cost agent_cost_usd {_COST}
    currency text: cost_currency
    simulation_cost amount: user_cost user_cost_usd simulator_cost user_simulator_cost user_sim_cost
    verification_cost amount: judge_cost judge_cost_usd verifier_cost eval_cost evaluation_cost
    value amount: revenue value_usd worth
    rework_minutes number: human_minutes review_minutes handling_minutes rework_min
    rework_cost amount: handoff_cost human_cost
    calls count: n_calls num_calls call_count n_agent_calls llm_calls api_calls n_llm_calls
        number_of_calls
    input_tokens count: {_PROMPT}
    output_tokens count: {_COMPLETION}
    """
)

VERDICTS = _fields(
    f"""
    id key: verdict_id judgement_id evaluation_id score_id uuid
    task key: {_TASK} trace_id run_id session_id conversation_id gen_ai_conversation_id
    verifier text: judge judge_model grader evaluator verifier_name judge_name rater reviewer checker
        gen_ai_evaluation_name
    version text: verifier_version judge_version grader_version evaluator_version prompt_version prompt
    kind word: verifier_kind annotator_kind judge_type evaluator_type grader_type
    result word: judge_pass judgement judgment passed pass is_correct correct verdict outcome resolved
        success label_value decision gen_ai_evaluation_score_label score reward
        gen_ai_evaluation_score_value
    at moment: judged_at verified_at evaluated_at reviewed_at rated_at scored_at graded_at {_TIMES}
    score number: reward rating gen_ai_evaluation_score_value
    evidence text: evidence_hash
    cost amount: judge_cost judge_cost_usd verification_cost eval_cost {_COST}
    currency text: cost_currency
    attempt count: attempt_number
    """
)

LEADERBOARD = _fields(
    """
    benchmark text: benchmark_name dataset bench suite test_suite
    domain text: subset subset_name category split
    path text: system configuration config setup path_name submission method approach system_name
    agent text: agent_name scaffold harness framework
    model text: model_name model_id llm llm_model agent_llm
    n number: total_sessions test_cases n_tasks num_tasks tasks instances n_instances total_instances
        total_tests cases samples n_samples test_size total trials count
    successes number: successful_sessions n_success num_success n_resolved resolved solved n_solved
        passed n_passed pass_num_2 pass_num_1 correct num_correct wins
    rate number: success_rate pass_rate resolve_rate resolved_rate benchmark_score pass_rate_2 pass_1
        pass_at_1 accuracy test_acc percent_resolved percent_successful resolved_percent success_percent
        score acc average_score pass_rate_1
    mean_cost amount: average_agent_cost cost_per_task cost_per_case cost_per_instance cost_per_traj_usd
        cost_per_trajectory mean_cost average_cost avg_cost cost_per_session cost_per_problem test_cost
        average_cost_usd avg_cost_usd cost_per_query cost_per_run cost_per_task_usd
    total_cost amount: total_agent_cost total_cost_usd sum_cost cost_total overall_cost
    cost amount: cost_usd costs spend price
    currency text: cost_currency
    simulation_cost amount: average_benchmark_cost average_user_cost user_cost_per_task
    total_simulation_cost amount: total_benchmark_cost total_user_cost
    calls_per_task number: average_steps calls_per_case steps_per_task average_calls avg_calls avg_steps
        mean_calls
    input_tokens count: prompt_tokens total_input_tokens total_prompt_tokens
    output_tokens count: completion_tokens total_output_tokens total_completion_tokens
    at moment: date submitted_at submission_date submission_time timestamp created_at evaluated_at
        released
    """
)

_CONVERSATION = (
    "conversation_id conversation case_id case_number case ticket_id ticket session_id messaging_session_id "
    "thread_id chat_id interaction_id record_id issue_id sys_id task_id task ticket_number ticket_no "
    "conversation_number interaction conversations_id konversations_id chat ticket_nr"
)

BOUGHT = _fields(
    f"""
    conversation key: {_CONVERSATION}
    line key: line_id outcome_id resolution_id charge_id usage_id invoice_line_id line_item_id invoice_line
        line_number line_no event_id
        id uuid
    at moment: billed_at billing_date charged_at usage_date resolution_date resolved_at resolution_time
        outcome_date date_resolved {_TIMES}
    price text: amount charge billed_amount net_amount line_total total charged billed amount_eur amount_gbp
        price_eur price_gbp charge_eur charge_gbp total_eur total_gbp {_COST}
    unit_price text: price_per_unit price_per_resolution price_per_outcome rate list_price
    quantity text: qty units credits assists count
    currency text: billing_currency
    unit text: outcome_type resolution_type usage_type type product sku item skill tier
    reported_as text: resolution_state resolution_status outcome_status outcome resolution result status state
    name text: action
    """
)

TICKETS = _fields(
    f"""
    conversation key: {_CONVERSATION} external_id
    ticket key: ticket_number ticket_id number reference id
    opened_at moment: opened date_opened opened_date date_time_opened created_date {_TIMES}
    closed_at moment: solved_at solved_on {_ENDS} resolved_at closed closed_date date_time_closed
    reopened word: is_reopened was_reopened reopens reopen_count reopened_count times_reopened n_reopens
    reopened_at moment: last_reopened_at reopened_on
    handed_off word: is_handed_off handoff handed_over handover escalated is_escalated escalation transferred
        transferred_to_agent human_handoff handed_to_human agent_involved assigned_to_human
    csat number: csat_score satisfaction satisfaction_score rating customer_rating csat_rating
    """
)

KINDS: dict[str, dict[str, Field]] = {
    "calls": CALLS,
    "tasks": TASKS,
    "verdicts": VERDICTS,
    "leaderboard": LEADERBOARD,
    "bought": BOUGHT,
    "tickets": TICKETS,
}
"""The fields of each kind, by name."""

LABELS: dict[str, tuple[str, ...]] = {
    "team": ("team", "team_id", "team_name", "team_alias", "squad"),
    "feature": ("feature", "feature_name", "use_case"),
    "customer": ("customer", "customer_id", "customer_name", "account", "account_id", "tenant", "tenant_id",
                 "client", "client_id"),
    "user": ("user", "user_id", "end_user", "user_name", "username", "enduser_id"),
    "environment": ("environment", "env", "deployment_environment", "stage"),
    "domain": ("domain",),
    "benchmark": ("benchmark", "benchmark_name", "dataset", "bench", "suite"),
    "project": ("project", "project_id", "project_name", "workspace"),
    "organisation": ("organisation", "organization", "organization_id", "org", "org_id"),
    "department": ("department", "cost_center", "cost_centre"),
    "application": ("application", "app", "app_id", "app_name", "service", "service_name", "product"),
    "channel": ("channel",),
    "language": ("language", "locale"),
    "subject": ("subject", "topic"),
    "category": ("category", "categories"),
    "priority": ("priority",),
    "run": ("run", "run_name", "experiment", "experiment_id"),
    "effort": ("effort", "reasoning_effort"),
    "key": ("api_key_id", "api_key_name", "key_name", "key_alias", "virtual_key"),
}  # fmt: skip
"""Attribution that exports carry, by our key and its usual names."""

LABEL_PREFIX = re.compile(
    r"(?:labels?|metadata|tags?|(?:custom_|request_)?properties|helicone[-_]property)[.:/-](.+)",
    re.IGNORECASE,
)
"""How exports write a free label: ``metadata.team``, ``label.domain``, ``Helicone-Property-Team``."""
