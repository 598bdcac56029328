"""The book's schema as a numbered list of steps; a step that has shipped is never edited.

Each step is a function that gives statements in the words that SQLite and
PostgreSQL share; ``{bigint}``, ``{strict}`` and ``{numbered}`` are filled per database.
What a book in a file needs alone is an ``InFile``.
"""

import uuid
from collections.abc import Callable, Iterator

from flatfare.store.layout import CALLS, TASKS, VERDICTS, Column, book_table, names


def _first_schema() -> Iterator[str]:
    yield from _hot_records()
    yield from _lake_register()
    yield from _work_records()
    yield from _money_records()
    yield from _chained_records()


def _hot_records() -> Iterator[str]:
    yield book_table("calls", CALLS, "id, revision, n", more="{numbered}")
    yield "CREATE INDEX calls_by_time ON calls (at_us)"
    yield "CREATE INDEX calls_by_task ON calls (task_id)"
    yield book_table("tasks", TASKS, "id")
    yield book_table("verdicts", VERDICTS, "id")
    yield "CREATE UNIQUE INDEX verdicts_by_task ON verdicts (task_id, position)"


def _lake_register() -> Iterator[str]:
    yield """CREATE TABLE imports (
        id TEXT PRIMARY KEY, kind TEXT NOT NULL, source TEXT NOT NULL, file TEXT NOT NULL,
        file_hash TEXT NOT NULL, settings TEXT NOT NULL,
        rows_read {bigint} NOT NULL, rows_new {bigint} NOT NULL, rows_known {bigint} NOT NULL,
        rows_rejected {bigint} NOT NULL, at_us {bigint} NOT NULL,
        url TEXT, licence TEXT){strict}"""
    yield "CREATE INDEX imports_by_hash ON imports (file_hash, kind)"
    yield """CREATE TABLE segments (
        id TEXT PRIMARY KEY, kind TEXT NOT NULL, path TEXT NOT NULL UNIQUE, calls_segment_id TEXT,
        rows {bigint} NOT NULL, bytes {bigint} NOT NULL, sha256 TEXT NOT NULL,
        first_at_us {bigint}, last_at_us {bigint}, sums TEXT NOT NULL,
        replaces_rows {bigint} NOT NULL, import_id TEXT, sealed_at_us {bigint} NOT NULL){strict}"""
    yield "CREATE INDEX segments_by_kind ON segments (kind, first_at_us)"


def _work_records() -> Iterator[str]:
    yield """CREATE TABLE attempts (
        id TEXT PRIMARY KEY, task_id TEXT NOT NULL, number {bigint} NOT NULL, path TEXT, rung TEXT,
        status TEXT NOT NULL, started_at_us {bigint} NOT NULL, ended_at_us {bigint},
        UNIQUE (task_id, number)){strict}"""
    yield """CREATE TABLE rework (
        id TEXT PRIMARY KEY, task_id TEXT NOT NULL, at_us {bigint} NOT NULL, minutes_milli {bigint} NOT NULL,
        rate_nano_per_hour {bigint}, cost_nano {bigint}, by_whom TEXT){strict}"""
    yield """CREATE TABLE signals (
        id TEXT PRIMARY KEY, task_id TEXT NOT NULL, at_us {bigint} NOT NULL, name TEXT NOT NULL,
        value TEXT, source TEXT NOT NULL){strict}"""
    yield """CREATE TABLE bought_outcomes (
        id TEXT PRIMARY KEY, task_id TEXT NOT NULL, vendor TEXT NOT NULL, unit TEXT NOT NULL,
        billed_nano {bigint} NOT NULL, currency TEXT NOT NULL, billed_at_us {bigint} NOT NULL,
        conversation TEXT, statement_line TEXT, import_id TEXT){strict}"""
    yield """CREATE TABLE aggregates (
        id TEXT PRIMARY KEY, benchmark TEXT NOT NULL, domain TEXT NOT NULL, path TEXT NOT NULL,
        labels TEXT NOT NULL, at_us {bigint}, n {bigint} NOT NULL, successes {bigint} NOT NULL,
        rate_digits TEXT, cost_nano {bigint}, cost_reason TEXT, cost_digits TEXT,
        simulation_nano {bigint}, calls_per_task TEXT, input_tokens {bigint}, output_tokens {bigint},
        source TEXT NOT NULL, import_id TEXT){strict}"""


def _money_records() -> Iterator[str]:
    yield """CREATE TABLE commitments (
        id TEXT PRIMARY KEY, name TEXT NOT NULL, kind TEXT NOT NULL, amount_nano {bigint} NOT NULL,
        currency TEXT NOT NULL, every TEXT NOT NULL, from_day TEXT NOT NULL, until_day TEXT,
        serves TEXT NOT NULL, allocated_by TEXT NOT NULL, units {bigint},
        overage_nano {bigint} NOT NULL, multipliers TEXT NOT NULL,
        recorded_at_us {bigint} NOT NULL, by_whom TEXT NOT NULL){strict}"""
    yield """CREATE TABLE accounts (
        id TEXT PRIMARY KEY, kind TEXT NOT NULL, owner TEXT, currency TEXT NOT NULL,
        opened_at_us {bigint} NOT NULL){strict}"""
    yield """CREATE TABLE entries (
        id TEXT PRIMARY KEY, verb TEXT NOT NULL, task_id TEXT, reverses TEXT, at_us {bigint} NOT NULL,
        reason TEXT){strict}"""
    yield """CREATE TABLE postings (
        entry_id TEXT NOT NULL, account_id TEXT NOT NULL, position {bigint} NOT NULL,
        amount_nano {bigint} NOT NULL, previous_hash TEXT NOT NULL, hash TEXT NOT NULL,
        PRIMARY KEY (entry_id, account_id)){strict}"""
    yield "CREATE UNIQUE INDEX postings_by_account ON postings (account_id, position)"


def _chained_records() -> Iterator[str]:
    yield """CREATE TABLE chained_records (
        chain TEXT NOT NULL, position {bigint} NOT NULL, at_us {bigint} NOT NULL, kind TEXT NOT NULL,
        subject TEXT NOT NULL, by_whom TEXT NOT NULL, reason TEXT, content TEXT NOT NULL,
        previous_hash TEXT NOT NULL, hash TEXT NOT NULL, PRIMARY KEY (chain, position)){strict}"""
    yield """CREATE TABLE adjustments (
        id TEXT PRIMARY KEY, call_id TEXT NOT NULL, revision {bigint} NOT NULL, kind TEXT NOT NULL,
        change TEXT NOT NULL, reason TEXT NOT NULL, by_whom TEXT NOT NULL, at_us {bigint} NOT NULL,
        UNIQUE (call_id, revision)){strict}"""


def _gateway_records() -> Iterator[str]:
    yield """CREATE TABLE keys (
        id TEXT PRIMARY KEY, name TEXT NOT NULL, project TEXT, labels TEXT NOT NULL,
        allowed_models TEXT NOT NULL, allowed_providers TEXT NOT NULL,
        requests_per_minute {bigint}, tokens_per_minute {bigint}, concurrent {bigint},
        created_at_us {bigint} NOT NULL, expires_at_us {bigint}, disabled_at_us {bigint},
        revoked_at_us {bigint}){strict}"""
    yield "CREATE INDEX keys_by_name ON keys (name)"
    yield """CREATE TABLE key_secrets (
        hash TEXT PRIMARY KEY, key_id TEXT NOT NULL, prefix TEXT NOT NULL,
        created_at_us {bigint} NOT NULL, ends_at_us {bigint}){strict}"""
    yield "CREATE INDEX key_secrets_by_key ON key_secrets (key_id)"
    yield "CREATE TABLE key_changes (one {bigint} PRIMARY KEY, number {bigint} NOT NULL){strict}"
    yield "INSERT INTO key_changes (one, number) VALUES (1, 0)"
    yield """CREATE TABLE journal_positions (
        worker_id TEXT PRIMARY KEY, file_number {bigint} NOT NULL, file_offset {bigint} NOT NULL){strict}"""
    yield """CREATE TABLE open_calls (
        call_id TEXT PRIMARY KEY, worker_id TEXT NOT NULL, intent TEXT NOT NULL){strict}"""
    yield """CREATE TABLE journal_notes (
        id TEXT PRIMARY KEY, worker_id TEXT NOT NULL, file_number {bigint} NOT NULL,
        file_offset {bigint} NOT NULL, bytes {bigint} NOT NULL, kind TEXT NOT NULL, said TEXT NOT NULL,
        at_us {bigint} NOT NULL){strict}"""


def _made_things() -> Iterator[str]:
    yield """CREATE TABLE made_things (
        provider TEXT NOT NULL, thing_id TEXT NOT NULL, key_id TEXT NOT NULL, made_at_us {bigint} NOT NULL,
        PRIMARY KEY (provider, thing_id)){strict}"""


def _sealed_credentials() -> Iterator[str]:
    yield """CREATE TABLE sealed_credentials (
        provider TEXT NOT NULL, field TEXT NOT NULL, sealed TEXT NOT NULL, set_at_us {bigint} NOT NULL,
        by_whom TEXT NOT NULL, PRIMARY KEY (provider, field)){strict}"""


def _text_terms() -> Iterator[str]:
    yield """CREATE TABLE text_terms (
        key_id TEXT PRIMARY KEY, keep_us {bigint} NOT NULL, subject TEXT){strict}"""


def _alerts() -> Iterator[str]:
    yield """CREATE TABLE alerts (
        id TEXT PRIMARY KEY, kind TEXT NOT NULL, subject TEXT NOT NULL, said TEXT NOT NULL,
        content TEXT NOT NULL, at_us {bigint} NOT NULL){strict}"""
    yield "CREATE INDEX alerts_by_time ON alerts (at_us)"
    yield """CREATE TABLE deliveries (
        alert_id TEXT NOT NULL, channel TEXT NOT NULL, due_at_us {bigint} NOT NULL, tries {bigint} NOT NULL,
        delivered_at_us {bigint}, given_up_at_us {bigint}, problem TEXT,
        PRIMARY KEY (alert_id, channel)){strict}"""
    yield "CREATE INDEX deliveries_by_due ON deliveries (due_at_us)"


def _budgets() -> Iterator[str]:
    yield """CREATE TABLE budgets (
        id TEXT PRIMARY KEY, name TEXT NOT NULL, scope TEXT NOT NULL, amount_nano {bigint} NOT NULL,
        every TEXT NOT NULL, zone TEXT NOT NULL, is_hard {bigint} NOT NULL, thresholds TEXT NOT NULL,
        queue_ms {bigint} NOT NULL, unpriced TEXT NOT NULL, fail TEXT NOT NULL, output_limit TEXT NOT NULL,
        contact TEXT, created_at_us {bigint} NOT NULL, removed_at_us {bigint}){strict}"""
    yield """CREATE TABLE budget_top_ups (
        id TEXT PRIMARY KEY, budget_id TEXT NOT NULL, amount_nano {bigint} NOT NULL,
        from_us {bigint} NOT NULL, until_us {bigint}, by_whom TEXT NOT NULL, reason TEXT,
        replaces {bigint} NOT NULL, subject TEXT){strict}"""
    yield """CREATE TABLE allowances (
        id TEXT PRIMARY KEY, budget_id TEXT NOT NULL, subject TEXT NOT NULL, begins_us {bigint} NOT NULL,
        ends_us {bigint}, spent_nano {bigint} NOT NULL, wanted_at_us {bigint}){strict}"""
    yield "CREATE INDEX allowances_by_subject ON allowances (budget_id, subject, begins_us)"
    yield """CREATE TABLE leases (
        allowance_id TEXT NOT NULL, epoch TEXT NOT NULL, node TEXT NOT NULL, granted_nano {bigint} NOT NULL,
        booked_nano {bigint} NOT NULL, PRIMARY KEY (allowance_id, epoch)){strict}"""
    yield """CREATE TABLE budget_charges (
        call_id TEXT NOT NULL, allowance_id TEXT NOT NULL, nano {bigint} NOT NULL,
        PRIMARY KEY (call_id, allowance_id)){strict}"""
    yield "CREATE TABLE budget_changes (one {bigint} PRIMARY KEY, number {bigint} NOT NULL){strict}"
    yield "INSERT INTO budget_changes (one, number) VALUES (1, 0)"


def _nodes_of_journals() -> Iterator[str]:
    """Of a book that several nodes share, each looks after its own journals; '' where there is only one."""
    yield "ALTER TABLE journal_positions ADD COLUMN node TEXT NOT NULL DEFAULT ''"
    yield "ALTER TABLE open_calls ADD COLUMN node TEXT NOT NULL DEFAULT ''"


def _reviews() -> Iterator[str]:
    yield """CREATE TABLE reviews (
        id TEXT PRIMARY KEY, task_id TEXT NOT NULL, attempt_number {bigint}, name TEXT NOT NULL,
        verifier TEXT NOT NULL, verifier_version TEXT NOT NULL, question TEXT NOT NULL, link TEXT,
        content TEXT, content_hash TEXT, content_until_us {bigint}, wanted {bigint} NOT NULL,
        rate_nano_per_hour {bigint}, plan TEXT, asked_by TEXT NOT NULL, opened_at_us {bigint} NOT NULL,
        due_at_us {bigint}, decided_at_us {bigint}, judgement TEXT, recorded_at_us {bigint},
        withdrawn_at_us {bigint}){strict}"""
    yield "CREATE INDEX reviews_by_task ON reviews (task_id)"
    yield "CREATE INDEX reviews_by_time ON reviews (decided_at_us, opened_at_us)"
    yield """CREATE TABLE review_answers (
        review_id TEXT NOT NULL, reviewer TEXT NOT NULL, judgement TEXT NOT NULL, reason TEXT,
        minutes_milli {bigint}, is_further {bigint} NOT NULL, at_us {bigint} NOT NULL,
        PRIMARY KEY (review_id, reviewer)){strict}"""
    yield """CREATE TABLE review_leases (
        review_id TEXT NOT NULL, reviewer TEXT NOT NULL, from_us {bigint} NOT NULL,
        until_us {bigint} NOT NULL, PRIMARY KEY (review_id, reviewer)){strict}"""


def _signal_sources() -> Iterator[str]:
    yield """CREATE TABLE signal_sources (
        name TEXT PRIMARY KEY, project TEXT, mapping TEXT NOT NULL, sealed TEXT NOT NULL,
        former_sealed TEXT, former_until_us {bigint}, created_at_us {bigint} NOT NULL,
        removed_at_us {bigint}){strict}"""
    yield """CREATE TABLE signal_messages (
        source TEXT NOT NULL, message_id TEXT NOT NULL, body_hash TEXT NOT NULL, status TEXT NOT NULL,
        signals {bigint} NOT NULL, reason TEXT, at_us {bigint} NOT NULL,
        PRIMARY KEY (source, message_id)){strict}"""
    yield "CREATE INDEX signal_messages_by_time ON signal_messages (source, at_us)"


def _sampling_plans() -> Iterator[str]:
    yield """CREATE TABLE sampling_plans (
        name TEXT PRIMARY KEY, action TEXT, judge TEXT, share TEXT NOT NULL, sends_to TEXT NOT NULL,
        terms TEXT NOT NULL, created_at_us {bigint} NOT NULL, ended_at_us {bigint}){strict}"""


def _told_tasks() -> Iterator[str]:
    yield """CREATE TABLE task_events (
        id TEXT PRIMARY KEY, task_id TEXT NOT NULL, kind TEXT NOT NULL, at_us {bigint} NOT NULL,
        content TEXT NOT NULL, source TEXT NOT NULL, by_whom TEXT NOT NULL,
        recorded_at_us {bigint} NOT NULL){strict}"""
    yield "CREATE INDEX task_events_by_task ON task_events (task_id)"
    yield """CREATE TABLE definitions (
        action TEXT NOT NULL, version {bigint} NOT NULL, content TEXT NOT NULL, from_us {bigint} NOT NULL,
        by_whom TEXT NOT NULL, PRIMARY KEY (action, version)){strict}"""
    yield "CREATE INDEX tasks_by_maturity ON tasks (matures_at_us) WHERE outcome = 'open'"
    yield "CREATE INDEX tasks_by_opening ON tasks (opened_at_us)"
    yield "CREATE INDEX rework_by_task ON rework (task_id)"
    yield "CREATE INDEX signals_by_task ON signals (task_id)"


def _guards() -> Iterator[str]:
    yield """CREATE TABLE guards (
        id TEXT PRIMARY KEY, name TEXT NOT NULL, kind TEXT NOT NULL, scope TEXT NOT NULL,
        amount {bigint} NOT NULL, terms TEXT NOT NULL, created_at_us {bigint} NOT NULL,
        removed_at_us {bigint}){strict}"""
    yield """CREATE TABLE guard_tallies (
        guard_id TEXT NOT NULL, subject TEXT NOT NULL, node TEXT NOT NULL, calls {bigint} NOT NULL,
        tokens {bigint} NOT NULL, cost_nano {bigint} NOT NULL, began_at_us {bigint} NOT NULL,
        last_at_us {bigint} NOT NULL, hits {bigint} NOT NULL, hit_at_us {bigint}, hit_value {bigint},
        last_call TEXT, PRIMARY KEY (guard_id, subject, node)){strict}"""
    yield "CREATE INDEX guard_tallies_by_time ON guard_tallies (last_at_us)"
    yield "CREATE TABLE guard_changes (one {bigint} PRIMARY KEY, number {bigint} NOT NULL){strict}"
    yield "INSERT INTO guard_changes (one, number) VALUES (1, 0)"


def _users() -> Iterator[str]:
    yield """CREATE TABLE users (
        id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, role TEXT NOT NULL, scope TEXT NOT NULL,
        password_hash TEXT, subject TEXT UNIQUE, created_at_us {bigint} NOT NULL,
        disabled_at_us {bigint}){strict}"""
    yield """CREATE TABLE user_sessions (
        hash TEXT PRIMARY KEY, user_id TEXT NOT NULL, created_at_us {bigint} NOT NULL,
        ends_at_us {bigint} NOT NULL){strict}"""
    yield """CREATE TABLE sign_in_failures (
        name TEXT PRIMARY KEY, failures {bigint} NOT NULL, last_at_us {bigint} NOT NULL){strict}"""


def _sales() -> Iterator[str]:
    """Accounts, entries and postings anew: nothing had been written to the first ones."""
    for table in ("postings", "entries", "accounts"):
        yield f"DROP TABLE {table}"
    yield """CREATE TABLE customers (
        name TEXT PRIMARY KEY, currency TEXT NOT NULL, terms TEXT NOT NULL, credit_limit_nano {bigint},
        details TEXT NOT NULL, created_at_us {bigint} NOT NULL, closed_at_us {bigint}){strict}"""
    yield """CREATE TABLE accounts (
        id TEXT PRIMARY KEY, kind TEXT NOT NULL, owner TEXT NOT NULL, customer TEXT NOT NULL,
        currency TEXT NOT NULL, opened_at_us {bigint} NOT NULL){strict}"""
    yield "CREATE INDEX accounts_by_customer ON accounts (customer, kind)"
    yield "CREATE INDEX accounts_by_kind ON accounts (kind, currency)"
    yield """CREATE TABLE entries (
        id TEXT PRIMARY KEY, customer TEXT NOT NULL, number {bigint} NOT NULL, verb TEXT NOT NULL,
        task_id TEXT, reverses TEXT UNIQUE, at_us {bigint} NOT NULL, reason TEXT, by_whom TEXT,
        asked TEXT NOT NULL, decided TEXT NOT NULL, previous_hash TEXT NOT NULL, hash TEXT NOT NULL,
        UNIQUE (customer, number)){strict}"""
    yield "CREATE INDEX entries_by_task ON entries (task_id)"
    yield """CREATE TABLE postings (
        account_id TEXT NOT NULL, position {bigint} NOT NULL, entry_id TEXT NOT NULL,
        amount_nano {bigint} NOT NULL, balance_nano {bigint} NOT NULL, previous_hash TEXT NOT NULL,
        hash TEXT NOT NULL, PRIMARY KEY (account_id, position)){strict}"""
    yield "CREATE INDEX postings_by_entry ON postings (entry_id)"
    yield """CREATE TABLE packs (
        name TEXT PRIMARY KEY, price_nano {bigint} NOT NULL, currency TEXT NOT NULL,
        credit_nano {bigint} NOT NULL, units {bigint}, actions TEXT NOT NULL, expires_us {bigint},
        priority {bigint} NOT NULL, created_at_us {bigint} NOT NULL, withdrawn_at_us {bigint}){strict}"""
    yield """CREATE TABLE grants (
        id TEXT PRIMARY KEY, customer TEXT NOT NULL, currency TEXT NOT NULL, amount_nano {bigint} NOT NULL,
        unit_nano {bigint}, category TEXT NOT NULL, priority {bigint} NOT NULL, actions TEXT NOT NULL,
        pack TEXT, effective_at_us {bigint} NOT NULL, expires_at_us {bigint}){strict}"""
    yield "CREATE INDEX grants_by_customer ON grants (customer)"
    yield "CREATE INDEX grants_by_expiry ON grants (expires_at_us)"
    yield """CREATE TABLE quotes (
        id TEXT PRIMARY KEY, customer TEXT NOT NULL, action TEXT NOT NULL, action_version TEXT NOT NULL,
        price TEXT NOT NULL, size {bigint}, attempts_max {bigint} NOT NULL, amount_nano {bigint} NOT NULL,
        most_nano {bigint} NOT NULL, at_us {bigint} NOT NULL, expires_at_us {bigint} NOT NULL){strict}"""
    yield """CREATE TABLE sales (
        task_id TEXT PRIMARY KEY, customer TEXT NOT NULL, quote_id TEXT NOT NULL UNIQUE,
        settlement TEXT NOT NULL, content TEXT NOT NULL){strict}"""
    yield "CREATE INDEX sales_by_customer ON sales (customer, settlement)"


def _actions() -> Iterator[str]:
    yield """CREATE TABLE actions (
        name TEXT NOT NULL, version {bigint} NOT NULL, content TEXT NOT NULL, hash TEXT NOT NULL,
        definition_version {bigint} NOT NULL, published_at_us {bigint} NOT NULL, by_whom TEXT NOT NULL,
        PRIMARY KEY (name, version)){strict}"""
    yield """CREATE TABLE runs (
        id TEXT PRIMARY KEY, action TEXT NOT NULL, action_version {bigint} NOT NULL, task_id TEXT NOT NULL,
        state TEXT NOT NULL, input_hash TEXT NOT NULL, started_at_us {bigint} NOT NULL, project TEXT,
        request_key TEXT, customer TEXT, labels TEXT NOT NULL, take {bigint} NOT NULL,
        attempts {bigint} NOT NULL, size TEXT NOT NULL, input TEXT, output TEXT, ending TEXT,
        reasons TEXT NOT NULL, verdicts TEXT NOT NULL, owner TEXT, alive_until_us {bigint} NOT NULL,
        is_delivered {bigint} NOT NULL, is_cost_final {bigint} NOT NULL, ended_at_us {bigint},
        forget_at_us {bigint}, webhook TEXT){strict}"""
    yield "CREATE INDEX runs_by_state ON runs (state, started_at_us)"
    yield "CREATE INDEX runs_by_time ON runs (started_at_us)"
    yield "CREATE INDEX runs_by_task ON runs (task_id)"
    yield """CREATE TABLE run_attempts (
        run_id TEXT NOT NULL, number {bigint} NOT NULL, take {bigint} NOT NULL, rung TEXT NOT NULL,
        path TEXT NOT NULL, started_at_us {bigint} NOT NULL, ended_at_us {bigint}, ending TEXT,
        reasons TEXT NOT NULL, calls TEXT NOT NULL, cost_nano {bigint}, cost_reason TEXT,
        PRIMARY KEY (run_id, number)){strict}"""


def _records_and_tickets() -> Iterator[str]:
    """What imported records say they were judged by; statements of vendors line by line, and tickets."""
    yield """CREATE TABLE carried_definitions (
        task_id TEXT PRIMARY KEY, action TEXT NOT NULL, version {bigint} NOT NULL){strict}"""
    for column in ("source TEXT NOT NULL DEFAULT ''", "reported_as TEXT", "quantity TEXT"):
        yield f"ALTER TABLE bought_outcomes ADD COLUMN {column}"
    yield "CREATE INDEX bought_by_vendor ON bought_outcomes (vendor, billed_at_us)"
    yield "CREATE INDEX bought_by_task ON bought_outcomes (task_id)"
    yield """CREATE TABLE tickets (
        task_id TEXT PRIMARY KEY, source TEXT NOT NULL, conversation TEXT NOT NULL, ticket TEXT,
        opened_at_us {bigint}, closed_at_us {bigint}, reopened_at_us {bigint}, is_reopened {bigint},
        is_handed_off {bigint}, csat TEXT, import_id TEXT){strict}"""
    yield "CREATE INDEX tickets_by_source ON tickets (source)"


def _invoices() -> Iterator[str]:
    yield """CREATE TABLE invoices (
        id TEXT PRIMARY KEY, kind TEXT NOT NULL, number TEXT NOT NULL UNIQUE, customer TEXT NOT NULL,
        period TEXT NOT NULL, status TEXT NOT NULL, currency TEXT NOT NULL, total_nano {bigint} NOT NULL,
        document TEXT NOT NULL, hash TEXT NOT NULL, entry_id TEXT NOT NULL, refers TEXT,
        tokens_nano {bigint} NOT NULL, issued_at_us {bigint} NOT NULL, paid_nano {bigint} NOT NULL,
        paid_at_us {bigint}, voided_at_us {bigint}){strict}"""
    yield "CREATE INDEX invoices_by_customer ON invoices (customer, period)"
    yield """CREATE TABLE invoiced_postings (
        account_id TEXT NOT NULL, position {bigint} NOT NULL, invoice_id TEXT NOT NULL,
        PRIMARY KEY (account_id, position)){strict}"""
    yield "CREATE INDEX invoiced_postings_by_invoice ON invoiced_postings (invoice_id)"
    yield """CREATE TABLE plans (
        name TEXT NOT NULL, version {bigint} NOT NULL, content TEXT NOT NULL, from_us {bigint} NOT NULL,
        by_whom TEXT NOT NULL, PRIMARY KEY (name, version)){strict}"""
    yield """CREATE TABLE subscriptions (
        customer TEXT NOT NULL, plan TEXT NOT NULL, from_us {bigint} NOT NULL, until_us {bigint},
        PRIMARY KEY (customer, from_us)){strict}"""
    yield """CREATE TABLE disputes (
        id TEXT PRIMARY KEY, task_id TEXT NOT NULL, customer TEXT, reason TEXT NOT NULL, state TEXT NOT NULL,
        opened_at_us {bigint} NOT NULL, opened_by TEXT NOT NULL, decided_at_us {bigint}, decided_by TEXT,
        decision TEXT, evidence TEXT){strict}"""
    yield "CREATE INDEX disputes_by_task ON disputes (task_id)"


def _labels_of_reviews() -> Iterator[str]:
    """Reviewers of one team see the work of their team."""
    yield "ALTER TABLE reviews ADD COLUMN labels TEXT NOT NULL DEFAULT '{{}}'"


def _turned_sales() -> Iterator[str]:
    """Sales whose task turned out not to be done are found at once among all that are settled."""
    yield "CREATE INDEX tasks_turned ON tasks (id) WHERE outcome = 'reversed' AND settlement = 'settled'"
    yield "CREATE INDEX signals_by_time ON signals (at_us)"


def _attempts_of_tasks() -> Iterator[str]:
    """An attempt's id is its task's alone: one that two tasks name alike is taken from neither."""
    yield """CREATE TABLE attempts_of_tasks (
        id TEXT NOT NULL, task_id TEXT NOT NULL, number {bigint} NOT NULL, path TEXT, rung TEXT,
        status TEXT NOT NULL, started_at_us {bigint} NOT NULL, ended_at_us {bigint},
        PRIMARY KEY (task_id, id), UNIQUE (task_id, number)){strict}"""
    yield """INSERT INTO attempts_of_tasks
        (id, task_id, number, path, rung, status, started_at_us, ended_at_us)
        SELECT id, task_id, number, path, rung, status, started_at_us, ended_at_us FROM attempts"""
    yield "DROP TABLE attempts"
    yield "ALTER TABLE attempts_of_tasks RENAME TO attempts"


def _parts_given_back() -> Iterator[str]:
    """A settlement may be given back in parts: each is an entry that names it. Any other is reversed once."""
    yield """CREATE TABLE entries_in_parts (
        id TEXT PRIMARY KEY, customer TEXT NOT NULL, number {bigint} NOT NULL, verb TEXT NOT NULL,
        task_id TEXT, reverses TEXT, at_us {bigint} NOT NULL, reason TEXT, by_whom TEXT,
        asked TEXT NOT NULL, decided TEXT NOT NULL, previous_hash TEXT NOT NULL, hash TEXT NOT NULL,
        UNIQUE (customer, number)){strict}"""
    columns = (
        "id, customer, number, verb, task_id, reverses, at_us, reason, by_whom, asked, decided, "
        "previous_hash, hash"
    )
    yield f"INSERT INTO entries_in_parts ({columns}) SELECT {columns} FROM entries"
    yield "DROP TABLE entries"
    yield "ALTER TABLE entries_in_parts RENAME TO entries"
    yield "CREATE INDEX entries_by_task ON entries (task_id)"
    yield "CREATE UNIQUE INDEX entries_reversed_once ON entries (reverses) WHERE verb <> 'reverse'"


def _tokens_by_markup() -> Iterator[str]:
    """A document says what calls it billed at which markup: plans change within a month."""
    yield "ALTER TABLE invoices ADD COLUMN tokens TEXT NOT NULL DEFAULT '{{}}'"


def _batches() -> Iterator[str]:
    """A batch's answers come hours after it was sent: whose they are is kept until then."""
    yield """CREATE TABLE batches (
        provider TEXT NOT NULL, batch_id TEXT NOT NULL, call_id TEXT NOT NULL, key_id TEXT,
        labels TEXT NOT NULL, session TEXT, purpose TEXT NOT NULL, made_at_us {bigint} NOT NULL,
        request_hash TEXT NOT NULL, PRIMARY KEY (provider, batch_id)){strict}"""
    yield "CREATE INDEX batches_by_request ON batches (request_hash)"
    yield """CREATE TABLE batch_requests (
        provider TEXT NOT NULL, file_id TEXT NOT NULL, most_nano {bigint}, reason TEXT,
        names_tasks {bigint} NOT NULL, made_at_us {bigint} NOT NULL,
        PRIMARY KEY (provider, file_id)){strict}"""
    yield """CREATE TABLE batch_outputs (
        provider TEXT NOT NULL, file_id TEXT NOT NULL, batch_id TEXT NOT NULL, has_answers {bigint} NOT NULL,
        PRIMARY KEY (provider, file_id)){strict}"""
    yield "ALTER TABLE runs ADD COLUMN patience_us {bigint} NOT NULL DEFAULT 0"


def _senders_of_alerts() -> Iterator[str]:
    """Who is about to tell of an alert: when it is killed, the next of its node tells at once."""
    yield "ALTER TABLE deliveries ADD COLUMN claimed_by TEXT"


def _batches_of_tasks() -> Iterator[str]:
    """A batch that was made for a task: its answers are the task's too."""
    yield "ALTER TABLE batches ADD COLUMN task_id TEXT"
    yield "ALTER TABLE batches ADD COLUMN attempt_id TEXT"


def _answers_fetched() -> Iterator[str]:
    """An answer that is fetched by its id is looked for among the calls that begin such, not among all."""
    yield (
        "CREATE INDEX calls_begun ON calls (external_id) "
        "WHERE endpoint IN ('responses', 'responses.retrieve', 'responses.cancel') "
        "AND external_id IS NOT NULL"
    )


def _numbered_writes() -> Iterator[str]:
    """Who keeps tasks and verdicts at hand loads only those that were written since.

    The table counts writes where transactions have no number of their own.
    """
    yield "CREATE TABLE writes (number {bigint} NOT NULL){strict}"
    yield "INSERT INTO writes (number) VALUES (0)"
    for table in ("tasks", "verdicts"):
        yield f"ALTER TABLE {table} ADD COLUMN written {{bigint}} NOT NULL DEFAULT 0"
        yield f"CREATE INDEX {table}_written ON {table} (written)"


class InFile(str):
    """A statement for a book in a file alone: a server has had what it brings from the first step on."""

    __slots__ = ()


def _numbers_for_good() -> Iterator[str]:
    """Who watches calls come looks on from the last number seen: one that was given is never given again.

    A row's own number in SQLite is: after the newest row was sealed the next would have its number.
    """
    columns = (*CALLS, Column("rowid", "bigint"))
    yield InFile("ALTER TABLE calls RENAME TO former_calls")
    yield InFile(book_table("calls", columns, "rowid AUTOINCREMENT", more=", UNIQUE (id, revision, n)"))
    both = names(columns)
    yield InFile(f"INSERT INTO calls ({both}) SELECT {both} FROM former_calls ORDER BY rowid")
    yield InFile("DROP TABLE former_calls")
    yield InFile("CREATE INDEX calls_by_time ON calls (at_us)")
    yield InFile("CREATE INDEX calls_by_task ON calls (task_id)")
    yield InFile(
        "CREATE INDEX calls_begun ON calls (external_id) "
        "WHERE endpoint IN ('responses', 'responses.retrieve', 'responses.cancel') "
        "AND external_id IS NOT NULL"
    )


def _kept_answers() -> Iterator[str]:
    """Gemini's interactions are fetched by their id too; and what is told before its call is booked waits."""
    yield "DROP INDEX calls_begun"
    yield (
        "CREATE INDEX calls_of_kept_answers ON calls (external_id) "
        "WHERE endpoint IN ('interactions', 'interactions.cancel', 'interactions.retrieve', 'responses', "
        "'responses.cancel', 'responses.retrieve') AND external_id IS NOT NULL"
    )
    yield "CREATE TABLE told_calls (call_id TEXT PRIMARY KEY, change TEXT NOT NULL){strict}"


def _sent_events() -> Iterator[str]:
    """Other billing systems forget what they were sent: the book remembers it for good."""
    yield """CREATE TABLE sent_events (
        receiver TEXT NOT NULL, event_id TEXT NOT NULL, begun_at_us {bigint} NOT NULL, taken_at_us {bigint},
        PRIMARY KEY (receiver, event_id)){strict}"""


def _versions_to_come() -> Iterator[str]:
    """A version of an action may hold from a day to come; else it holds from when it was published."""
    yield "ALTER TABLE actions ADD COLUMN from_us {bigint}"


def _kept_runs() -> Iterator[str]:
    """Runs of assistants are fetched by their id as responses are, and either through another gateway."""
    yield "DROP INDEX calls_of_kept_answers"
    yield (
        "CREATE INDEX calls_of_kept_answers ON calls (external_id) WHERE endpoint IN ("
        "'assistants.runs', 'assistants.runs.continue', 'assistants.runs.retrieve', "
        "'interactions', 'interactions.cancel', 'interactions.retrieve', "
        "'openai.assistants.runs', 'openai.assistants.runs.continue', 'openai.assistants.runs.retrieve', "
        "'openai.responses', 'openai.responses.cancel', 'openai.responses.retrieve', "
        "'responses', 'responses.cancel', 'responses.retrieve') "
        "AND external_id IS NOT NULL"
    )


def _price_versions() -> Iterator[str]:
    """The prices that calls were priced with: a receipt can say them after the price book has changed."""
    yield """CREATE TABLE price_versions (
        version TEXT PRIMARY KEY, terms TEXT NOT NULL, kept_at_us {bigint} NOT NULL){strict}"""


def _lakes_of_books() -> Iterator[str]:
    """A lake says which book it is of. And of each file that is begun the book knows until it is listed.

    A book that has sealed files takes the id of the first, so that its copies from before are the same book.
    """
    yield "CREATE TABLE book_identity (id TEXT NOT NULL){strict}"
    yield (
        "INSERT INTO book_identity (id) SELECT COALESCE((SELECT id FROM segments "
        f"ORDER BY sealed_at_us, id LIMIT 1), '{uuid.uuid4()}')"
    )
    yield "CREATE TABLE begun_files (path TEXT PRIMARY KEY){strict}"


def _gathered_files() -> Iterator[str]:
    """Copies of many small sealed files in one, which readers take instead; the sealed files stay."""
    yield """CREATE TABLE gathered_files (
        id TEXT PRIMARY KEY, kind TEXT NOT NULL, path TEXT NOT NULL, rows {bigint} NOT NULL,
        bytes {bigint} NOT NULL, sha256 TEXT NOT NULL, first_at_us {bigint}, last_at_us {bigint},
        members TEXT NOT NULL, gathered_at_us {bigint} NOT NULL){strict}"""


def _first_calls() -> Iterator[str]:
    """A task that only calls have named opens at its first one, which may be sealed when it is told of."""
    yield """CREATE TABLE first_calls (
        task_id TEXT PRIMARY KEY, at_us {bigint} NOT NULL, is_told {bigint} NOT NULL,
        is_due {bigint} NOT NULL){strict}"""
    yield "CREATE INDEX first_calls_by_time ON first_calls (at_us)"
    yield "CREATE INDEX first_calls_due ON first_calls (task_id) WHERE is_due = 1"


def _inputs_of_runs_given_up() -> Iterator[str]:
    """What is kept of runs is erased after its time; of those that were given up it had none, and stayed."""
    yield "UPDATE runs SET input = NULL WHERE state = 'done' AND forget_at_us IS NULL AND input IS NOT NULL"


MIGRATIONS: tuple[Callable[[], Iterator[str]], ...] = (
    _first_schema,
    _gateway_records,
    _made_things,
    _sealed_credentials,
    _text_terms,
    _alerts,
    _budgets,
    _nodes_of_journals,
    _reviews,
    _signal_sources,
    _sampling_plans,
    _told_tasks,
    _guards,
    _users,
    _sales,
    _actions,
    _records_and_tickets,
    _invoices,
    _labels_of_reviews,
    _turned_sales,
    _attempts_of_tasks,
    _parts_given_back,
    _tokens_by_markup,
    _batches,
    _senders_of_alerts,
    _batches_of_tasks,
    _answers_fetched,
    _numbered_writes,
    _numbers_for_good,
    _kept_answers,
    _sent_events,
    _versions_to_come,
    _kept_runs,
    _price_versions,
    _lakes_of_books,
    _gathered_files,
    _first_calls,
    _inputs_of_runs_given_up,
)
"""Step 1 is the first; the book counts how many it has taken."""
