"""Settings: keys, providers, channels and people; keys and people are made and shut out here."""

from collections.abc import Mapping

from flatfare.config import Settings
from flatfare.core import labels
from flatfare.core.errors import BadInput, NotFound
from flatfare.core.moments import DAY_US, parse_moment
from flatfare.service.access import keys as issuing
from flatfare.service.access import users as people
from flatfare.service.access.keys import Terms
from flatfare.store import users
from flatfare.web.access import Right, Visitor
from flatfare.web.pages.blocks import (
    Act,
    Block,
    Cell,
    Column,
    Csv,
    Field,
    Form,
    Notes,
    Option,
    Secret,
    Table,
    View,
)
from flatfare.web.pages.page import Deed, Page, Sent, Visit
from flatfare.web.pages.rendering import moment_text

_ROLES = {
    "viewer": "viewer: sees reports",
    "reviewer": "reviewer: sees reports, judges what is queued",
    "developer": "developer: sees reports, makes and revokes keys",
    "finance": "finance: sees reports and the audit, changes budgets, bills",
    "admin": "admin: everything",
}


def view(visit: Visit) -> View:
    """The page."""
    visitor = visit.visitor
    found = [one for one in _keys(visit) if _is_own(one, visitor)]
    blocks: list[Block] = [_key_table(found, visit), _key_form(visitor)]
    document: dict[str, object] = {"keys": found}
    if visitor.may(Right.MANAGE) and visitor.scope.is_whole:
        everybody = users.all_of(visit.books.book)
        blocks += [
            _people_table([people.document_of(user) for user in everybody]),
            _people_form(),
            _provider_table(visit.books.settings),
            _channel_table(visit.books.settings),
            Notes(_where(visit.books.settings)),
        ]
        document["users"] = [people.document_of(user) for user in everybody]
        document["providers"] = [
            _provider(visit.books.settings, name) for name in visit.books.settings.providers
        ]
    return View("Settings", tuple(blocks), document, has_period=False)


def _keys(visit: Visit) -> list[dict[str, object]]:
    with_ended = visit.asking.more.get("all") == "yes" or visit.rows_max is None
    return issuing.listed(visit.books.book, at_us=visit.books.now_us, with_ended=with_ended)


def _is_own(key: Mapping[str, object], visitor: Visitor) -> bool:
    found = key["labels"]
    assert isinstance(found, dict)
    return visitor.scope.sees(found)


def _key_table(found: list[dict[str, object]], visit: Visit) -> Table:
    rows = tuple(_key_row(one, visit) for one in found)
    names = ("id", "name", "state", "project", "labels", "created", "expires")
    csv = Csv(names, [{**one, "labels": _labels_text(one)} for one in found])
    columns = (
        Column("key", "left"),
        Column("State", "left"),
        Column("Labels", "left"),
        Column("May use", "left", gives_way=True),
        Column("Made", "left", gives_way=True),
        Column(""),
    )
    shows_all = visit.asking.more.get("all") == "yes"
    more = (
        ("Only those that stand", "/settings")
        if shows_all
        else ("Also those that were revoked", "/settings?all=yes")
    )
    return Table("keys", "Keys", columns, rows, csv, empty="No key yet. Make the first below.", more=more)


def _key_row(one: dict[str, object], visit: Visit) -> tuple[Cell, ...]:
    secrets = one["secrets"]
    assert isinstance(secrets, list)
    state = str(one["state"])
    models, providers = one["allowed_models"], one["allowed_providers"]
    assert isinstance(models, list)
    assert isinstance(providers, list)
    limits = [
        f"{one[name]:,} {title}"
        for name, title in (
            ("requests_per_minute", "calls a minute"),
            ("tokens_per_minute", "tokens a minute"),
            ("concurrent", "at one time"),
        )
        if one[name]
    ]
    made = parse_moment(str(one["created"]))[0]
    name = str(one["name"])
    act = None
    if state in ("active", "disabled") and visit.visitor.may(Right.KEYS):
        act = Act(
            f"/settings/keys/{one['id']}/revoke",
            "Revoke",
            f"Revoke the key {name}? This is for good.",
            tone="danger",
        )
    return (
        Cell(name, ", ".join(f"{secret['begins']}…" for secret in secrets)),
        Cell(state, tone="good" if state == "active" else "quiet"),
        Cell(_labels_text(one), tone="quiet"),
        Cell(", ".join([*models, *providers]) or "everything", ", ".join(limits), tone="quiet"),
        Cell(moment_text(made, visit.asking.zone), tone="when"),
        Cell("", act=act),
    )


def _labels_text(key: Mapping[str, object]) -> str:
    found = key["labels"]
    assert isinstance(found, dict)
    return ", ".join(f"{name}={value}" for name, value in found.items())


def _key_form(visitor: Visitor) -> Form:
    note = "" if visitor.scope.is_whole else f"It carries the labels of what you see: {visitor.scope}."
    return Form(
        "new-key",
        "New key",
        "/settings/keys",
        "Make it",
        (
            Field("name", "Name", "the service that will use it", is_required=True),
            Field(
                "labels",
                "Labels",
                "go on every call and win over a request's",
                placeholder="team=search, feature=chat",
            ),
            Field("models", "Models", "patterns such as gpt-5*; all if left out"),
            Field("requests_per_minute", "Calls a minute", "at most", type="number"),
            Field("concurrent", "At one time", "at most", type="number"),
            Field("days", "Ends in so many days", "never if left out", type="number"),
            Field("reason", "Reason", "for the record"),
        ),
        note,
    )


def _create_key(sent: Sent) -> View:
    own = dict(labels.parse(sent.text("labels") or ""))
    for key, values in sent.visitor.scope.labels:
        if own.setdefault(key, values[0]) not in values:
            raise BadInput(f"Found the label {key}={own[key]}: you see only {sent.visitor.scope}.")
    days = _whole(sent, "days")
    terms = Terms(
        sent.text("name") or "",
        labels=own,
        allowed_models=tuple(part.strip() for part in (sent.text("models") or "").split(",") if part.strip()),
        requests_per_minute=_whole(sent, "requests_per_minute"),
        concurrent=_whole(sent, "concurrent"),
        expires_at_us=None if days is None else sent.books.now_us + days * DAY_US,
    )
    issued = issuing.create(sent.books.book, terms, **sent.on_record)
    once = Secret(
        f"The key {issued.key.name}, shown this once",
        issued.secret,
        "Give it to the client in place of the provider's key. It is kept only as a hash: copy it now.",
    )
    return View("Settings", (once,), None, eyebrow=("All settings", "/settings"), has_period=False)


def _revoke_key(sent: Sent) -> str:
    found = [
        one
        for one in issuing.listed(sent.books.book, at_us=sent.books.now_us)
        if one["id"] == sent.path["key"] and _is_own(one, sent.visitor)
    ]
    if not found:
        raise NotFound(f"There is no key {sent.path['key'][:40]!r} that stands and that you may see.")
    issuing.revoke(sent.books.book, sent.path["key"], **sent.on_record)
    return "/settings"


def _people_table(found: list[dict[str, object]]) -> Table:
    rows = tuple(_person(one) for one in found)
    names = ("id", "name", "role", "scope", "signs_in", "state", "created")
    csv = Csv(names, found)
    columns = (
        Column("person", "left"),
        Column("Role", "left"),
        Column("Sees", "left"),
        Column("State", "left"),
        Column(""),
    )
    empty = (
        "Nobody signs in: on this machine the token lets you in. To let others in, make the first "
        "administrator: flatfare users create --admin NAME"
    )
    return Table("people", "People", columns, rows, csv, empty=empty)


def _person(one: dict[str, object]) -> tuple[Cell, ...]:
    scope = one["scope"]
    assert isinstance(scope, list)
    is_active = one["state"] == "active"
    verb = "disable" if is_active else "enable"
    ask = f"Shut {one['name']} out?" if is_active else ""
    act = Act(
        f"/settings/people/{one['id']}/{verb}", verb.capitalize(), ask, tone="danger" if is_active else ""
    )
    return (
        Cell(str(one["name"]), str(one["signs_in"])),
        Cell(str(one["role"])),
        Cell(", ".join(str(part) for part in scope) or "everything", tone="quiet"),
        Cell(str(one["state"]), tone="good" if is_active else "quiet"),
        Cell("", act=act),
    )


def _people_form() -> Form:
    return Form(
        "new-person",
        "New person",
        "/settings/people",
        "Let them in",
        (
            Field("name", "Name", is_required=True),
            Field(
                "password",
                "Password",
                f"at least {people.PASSWORD_LENGTH_MIN} characters",
                type="password",
                is_required=True,
            ),
            Field("role", "Role", type="select", options=tuple(Option(*one) for one in _ROLES.items())),
            Field("scope", "Sees only", "a label such as team=search; everything if left out"),
        ),
    )


def _create_person(sent: Sent) -> str:
    people.create(
        sent.books.book,
        sent.text("name") or "",
        role=sent.fields.get("role", ""),
        password=sent.fields.get("password", ""),
        scope=labels.parse(sent.text("scope") or ""),
        at_us=sent.books.now_us,
        by_whom=sent.visitor.name,
    )
    return "/settings"


def _disable_person(sent: Sent) -> str:
    people.disable(sent.books.book, sent.path["person"], at_us=sent.books.now_us, by_whom=sent.visitor.name)
    return "/settings"


def _enable_person(sent: Sent) -> str:
    people.enable(sent.books.book, sent.path["person"], at_us=sent.books.now_us, by_whom=sent.visitor.name)
    return "/settings"


def _provider_table(settings: Settings) -> Table:
    found = [_provider(settings, name) for name in settings.providers]
    rows = tuple(
        (
            Cell(str(one["name"])),
            Cell(str(one["base_url"]), tone="code"),
            Cell(str(one["dialect"])),
            Cell("kept here" if one["has_credential"] else "the client's own", tone="quiet"),
        )
        for one in found
    )
    columns = (
        Column("provider", "left"),
        Column("Address", "left", is_long=True),
        Column("Dialect", "left"),
        Column("Credential", "left"),
    )
    csv = Csv(("name", "base_url", "dialect", "has_credential"), found)
    empty = "None is configured: the usual ones are served with the environment's keys or the client's."
    return Table(
        "providers",
        "Providers",
        columns,
        rows,
        csv,
        empty=empty,
        note="Set in flatfare.yaml, or with flatfare providers set.",
    )


def _provider(settings: Settings, name: str) -> dict[str, object]:
    one = settings.providers[name]
    return {
        "name": one.name,
        "base_url": one.base_url,
        "dialect": one.dialect,
        "has_credential": bool(one.api_key or one.access_key),
    }


def _channel_table(settings: Settings) -> Table:
    rows = tuple(
        (
            Cell(one.name),
            Cell(", ".join(one.kinds) or "everything"),
            Cell(one.quiet or "", tone="quiet"),
            Cell(one.digest or "at once", tone="quiet"),
        )
        for one in settings.alerts.values()
    )
    columns = (
        Column("channel", "left"),
        Column("Is told of", "left"),
        Column("Quiet", "left"),
        Column("How often", "left"),
    )
    return Table(
        "channels",
        "Alert channels",
        columns,
        rows,
        empty="None is configured.",
        note="Set in flatfare.yaml under alerts; try one with flatfare alerts test NAME.",
    )


def _where(settings: Settings) -> tuple[str, ...]:
    place = settings.database.partition("@")[2] or settings.database  # never the password of a server
    return (f"Read from {settings.file or 'the defaults'}. Book: {place}. Lake: {settings.lake}.",)


def _whole(sent: Sent, name: str) -> int | None:
    text = sent.text(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise BadInput(f"Found {text[:20]!r} for {name}: write a whole number.")
    return int(text)


PAGE = Page(
    "/settings",
    "settings",
    "Settings",
    Right.KEYS,
    view,
    takes=("all",),
    narrows=True,
    deeds=(
        Deed("/settings/keys", "create_key_here", Right.KEYS, _create_key, narrows=True),
        Deed("/settings/keys/{key}/revoke", "revoke_key_here", Right.KEYS, _revoke_key, narrows=True),
        Deed("/settings/people", "create_person", Right.MANAGE, _create_person),
        Deed("/settings/people/{person}/disable", "disable_person", Right.MANAGE, _disable_person),
        Deed("/settings/people/{person}/enable", "enable_person", Right.MANAGE, _enable_person),
    ),
)
