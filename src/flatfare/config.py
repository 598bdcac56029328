"""Configuration: flags before environment before file before defaults; secrets print as stars.

The file is ``./flatfare.yaml``, else the one in the user's configuration folder.
``${NAME}`` in it is the environment's value of that name. One that is not set is an error, so that no secret
is empty in silence; channels and issuers that lack one are left out and named, which stops ``serve`` and
whatever sends; below ``providers`` it is none, and the client's own credential goes through.
"""

import difflib
import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from flatfare.core.errors import BadInput
from flatfare.core.quiet import DIGESTS
from flatfare.core.week import DAYS

FILE_NAME = "flatfare.yaml"
KNOWN = {
    "listen",
    "database",
    "journal",
    "lake",
    "providers",
    "currency",
    "prices",
    "organisation",
    "deployments",
    "cost_that_counts",
    "time_zone",
    "journal_sync",
    "on_journal_failure",
    "limits",
    "timeouts",
    "retries",
    "policies",
    "when_client_leaves",
    "log",
    "alerts",
    "sign_in",
    "metrics",
    "metrics_token",
    "private_webhooks",
    "seller",
    "heads",
    "heads_key",
    "weekly_report",
}
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class Secret(str):
    """Text that never prints itself."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'****'"


@dataclass(frozen=True, slots=True)
class Provider:
    """An upstream that the gateway may reach."""

    name: str
    base_url: str
    dialect: str
    api_key: Secret | None = None
    allow: tuple[str, ...] = ()  # endpoints beyond those known: "POST /v1/fine_tuning/*"
    shared: tuple[str, ...] = ()  # ids of files and the like that every key may use: "vs_*"
    foreign_things: str = "allow"  # or refuse: ids of things that were not made through this gateway
    priced_as: str | None = None  # whose prices apply, where neither its name nor its host says so
    default_tier: str | None = None  # at which it serves requests that name none: standard or priority
    region: str | None = None
    access_key: Secret | None = None  # AWS: with these the request is signed
    secret_key: Secret | None = None
    session_token: Secret | None = None
    ca_file: str | None = None  # certificates to trust besides the system's
    proxy: Secret | None = None  # http://host:port on the way to it; none where HTTPS_PROXY does not hold


@dataclass(frozen=True, slots=True)
class Limits:
    """What a worker of the gateway takes at most."""

    header_bytes: int = 64 * 1024
    body_bytes: int = 64 * 1024 * 1024
    calls: int = 4000  # at one time
    connections: int = 8000  # of clients, at one time
    upstream_connections: int = 4000  # to each provider
    header_s: float = 10.0  # a client's time to say what it asks
    body_s: float = 30.0  # between two pieces of what it sends
    idle_s: float = 75.0  # until it asks again


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long a provider may take, phase by phase, in seconds."""

    connect: float = 10.0
    first_byte: float = 600.0  # a model that thinks may be silent for minutes
    idle: float = 300.0  # between two pieces of an answer
    drain: float = 60.0  # to hear an answer out whose client has left
    stop: float = 300.0  # to finish streams at a graceful stop


@dataclass(frozen=True, slots=True)
class Retries:
    """How often a try that failed is repeated; 0 is never. Each try is a call of its own."""

    times: int = 0
    statuses: tuple[int, ...] = (429, 503, 529)  # answers after which nothing was billed
    first_delay_s: float = 0.5
    delay_s_max: float = 30.0


@dataclass(frozen=True, slots=True)
class Policies:
    """What the gateway may change in a call; each change is named in ``flatfare-changed``."""

    stream_usage: bool = True  # ask for the usage of a stream where the client did not


@dataclass(frozen=True, slots=True)
class Channel:
    """Where alerts go: a signed webhook, or whatever Apprise knows (Slack, mail, a hundred more)."""

    name: str
    url: Secret  # with the credentials that it needs
    secret: Secret | None = None  # signs webhooks
    kinds: tuple[str, ...] = ()  # patterns such as budget.*; none means every kind
    quiet: str | None = None  # such as 22:00-07:00, in ``time_zone``
    digest: str | None = None  # hourly or daily: gathered into one message
    allow_private: bool = False  # addresses inside the own network may be reached


@dataclass(frozen=True, slots=True)
class WeeklyReport:
    """Who is sent the weekly report, and when, by the wall clock of ``time_zone``."""

    channels: tuple[str, ...]  # names below ``alerts``
    day: str = "monday"
    hour: int = 8


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who says who somebody is, by OpenID Connect, and which role they have here."""

    name: str
    issuer: str  # its address, as its documents name it
    client_id: str
    client_secret: Secret
    claim: str = "groups"  # which of its claims says the role
    roles: Mapping[str, str] = field(default_factory=dict)  # a value of it, or *, to a role
    address: str | None = None  # ours as its users reach it; what they asked for, if not said


@dataclass(frozen=True, slots=True)
class Settings:
    """All that can be set, with its defaults."""

    listen: str = "127.0.0.1:4180"
    database: str = "sqlite:///flatfare.db"
    lake: str = "./lake"
    heads: str | None = None  # the folder of signed heads; else beside the book
    heads_key: str | None = None  # the file of the key that signs them; else in the user's folder
    journal: str | None = None  # a folder of this node's own; else beside the book
    currency: str = "USD"
    cost_that_counts: str = "reported"  # reported, else computed; or computed
    time_zone: str = "UTC"
    providers: Mapping[str, Provider] = field(default_factory=dict)
    deployments: Mapping[str, str] = field(default_factory=dict)  # deployment name → model
    prices: str | None = None  # a file of own rates
    organisation: str | None = None  # whose calls these are, where terms in it are for one organisation
    journal_sync: bool = True  # a call outlives a loss of power, and not only a killed process
    on_journal_failure: str = "refuse"  # or forward: then calls may be lost
    when_client_leaves: str = "drain"  # hear the answer out for its true usage; or cancel it
    log: str = "problems"  # or calls: a line for each
    metrics: str | None = None  # open, or key: who may see figures; key unless only this machine is served
    metrics_token: Secret | None = None  # shows figures besides a key
    limits: Limits = Limits()
    timeouts: Timeouts = Timeouts()
    retries: Retries = Retries()
    policies: Policies = Policies()
    alerts: Mapping[str, Channel] = field(default_factory=dict)
    weekly_report: WeeklyReport | None = None
    sign_in: Mapping[str, Issuer] = field(default_factory=dict)
    private_webhooks: bool = False  # customers' webhooks may reach addresses inside the own network
    seller: Mapping[str, str] = field(default_factory=dict)  # lines that stand on invoices, by their order
    file: Path | None = None  # where this was read from
    absent: tuple[str, ...] = ()  # what was left out for want of a variable, each in a sentence


def load_settings(
    file: Path | None = None,
    environment: Mapping[str, str] | None = None,
    **flags: str | None,
) -> Settings:
    """Settings from all their places; a flag given as None does not count.

    Raises ``BadInput`` naming the file and the key that is wrong.
    """
    environment = os.environ if environment is None else environment
    found = _find(file, environment)
    written = _read(found) if found else {}
    values, absent = _ready(written, found, environment) if found else ({}, ())
    chosen: dict[str, object] = {}
    for name in _PLAIN:
        value = flags.get(name) or environment.get(f"FLATFARE_{name.upper()}") or values.get(name)
        if value is not None:
            chosen[name] = str(value)
    for name, options in _CHOICES.items():
        value = environment.get(f"FLATFARE_{name.upper()}") or values.get(name)
        if value is not None:
            chosen[name] = str(value)
        if name in chosen and chosen[name] not in options:
            expected = " or ".join(repr(option) for option in options)
            raise BadInput(f"Found {name}: {chosen[name]!r}: it is either {expected}.")
    for name, group in _GROUPS.items():
        if name in values:
            chosen[name] = _group(group, name, _mapping(values, name, found), found)
    if token := environment.get("FLATFARE_METRICS_TOKEN") or values.get("metrics_token"):
        chosen["metrics_token"] = Secret(token)
    for name in ("journal_sync", "private_webhooks"):
        if name in values:
            chosen[name] = _typed(bool, name, values[name], found)
    channels = _channels(values.get("alerts"), found)
    return Settings(
        **chosen,  # type: ignore[arg-type]
        providers=_providers(values.get("providers"), found),
        alerts=channels,
        weekly_report=_weekly_report(values.get("weekly_report"), _mapping(written, "alerts", found), found),
        sign_in=_issuers(values.get("sign_in"), found),
        seller={str(key): str(line) for key, line in _mapping(values, "seller", found).items()},
        deployments={str(key): str(model) for key, model in _mapping(values, "deployments", found).items()},
        file=found,
        absent=absent,
    )


def require_whole(settings: Settings) -> Settings:
    """The settings, where nothing of them was left out; raises ``BadInput`` with what was."""
    if settings.absent:
        raise BadInput(settings.absent[0])
    return settings


_PLAIN = (
    *("listen", "database", "lake", "heads", "heads_key", "journal", "currency", "time_zone", "prices"),
    "organisation",
)
_CHOICES = {
    "cost_that_counts": ("reported", "computed"),
    "on_journal_failure": ("refuse", "forward"),
    "when_client_leaves": ("drain", "cancel"),
    "log": ("problems", "calls"),
    "metrics": ("open", "key"),
}
_GROUPS: Mapping[str, type] = {
    "limits": Limits,
    "timeouts": Timeouts,
    "retries": Retries,
    "policies": Policies,
}


def _group(group: type, name: str, given: Mapping[str, object], file: Path | None) -> object:
    """Settings that stand together below one name."""
    defaults = {field.name: field.default for field in fields(group)}
    for key in given:
        if key not in defaults:
            raise BadInput(
                f"The configuration {file} sets {name}.{key}, which is not known. Known: {sorted(defaults)}."
            )
    typed = {key: _typed(type(defaults[key]), f"{name}.{key}", value, file) for key, value in given.items()}
    return group(**typed)


def _typed(kind: type, name: str, value: object, file: Path | None) -> object:
    """A value of the kind that its default has; a number is never negative."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
    if kind is float and is_number:
        return float(str(value))
    if (kind is bool and isinstance(value, bool)) or (kind is int and is_number and isinstance(value, int)):
        return value
    if kind is tuple and isinstance(value, list) and all(isinstance(part, int) for part in value):
        return tuple(value)
    words = {bool: "true or false", int: "a whole number", float: "a number", tuple: "a list of numbers"}
    raise BadInput(f"The configuration {file} gives {name} as {value!r}: expected {words[kind]}.")


def _find(file: Path | None, environment: Mapping[str, str]) -> Path | None:
    if file is not None:
        if not file.is_file():
            raise BadInput(f"There is no configuration file {file}.")
        return file
    places = (Path(FILE_NAME), user_folder(environment) / FILE_NAME)
    return next((place for place in places if place.is_file()), None)


def user_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """The user's configuration folder of Flatfare; it need not be there."""
    home = Path(environment.get("XDG_CONFIG_HOME") or Path(environment.get("HOME", "~")) / ".config")
    return home / "flatfare"


def _read(file: Path) -> dict[str, object]:
    import yaml

    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as problem:
        raise BadInput(f"The configuration {file} cannot be read: {problem}") from problem
    if not isinstance(values, dict):
        raise BadInput(f"The configuration {file} holds no settings: write lines like 'lake: ./lake'.")
    for key in values:
        if key not in KNOWN:
            raise BadInput(
                f"The configuration {file} sets {key!r}, which is not known.{_near(str(key))} "
                f"Known: {', '.join(sorted(KNOWN))}."
            )
    return values


def _ready(
    values: Mapping[str, object], file: Path, environment: Mapping[str, str]
) -> tuple[dict[str, object], tuple[str, ...]]:
    """The values with each ``${NAME}`` in its place, and what was left out for want of one."""
    ready: dict[str, object] = {}
    absent = []
    for key, value in values.items():
        if key not in ("alerts", "sign_in") or not isinstance(value, dict):
            ready[key] = _filled(value, key, file, environment)
            continue
        entries: dict[object, object] = {}
        for name, entry in value.items():
            try:
                entries[name] = _filled(entry, f"{key}.{name}", file, environment)
            except BadInput as problem:
                absent.append(str(problem))
        ready[key] = entries
    return ready, tuple(absent)


def _near(key: str) -> str:
    near = difflib.get_close_matches(key, KNOWN, n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def _filled(value: object, name: str, file: Path, environment: Mapping[str, str]) -> object:
    """The value with each ``${NAME}`` in its place."""
    if isinstance(value, dict):
        return {key: _filled(part, f"{name}.{key}", file, environment) for key, part in value.items()}
    if not isinstance(value, str):
        return value

    def look_up(match: re.Match[str]) -> str:
        found = environment.get(match[1])
        if found is None and not name.startswith("providers."):
            raise BadInput(
                f"The configuration {file} takes {name} from ${{{match[1]}}}, which the environment does not "
                f"set. Set it: export {match[1]}=…"
            )
        return found or ""

    return _VARIABLE.sub(look_up, value)


def _mapping(values: Mapping[str, object], key: str, file: Path | None) -> dict[str, object]:
    found = values.get(key) or {}
    if not isinstance(found, dict):
        raise BadInput(f"The configuration {file} gives {key} as {found!r}: write name: value below it.")
    return found


def _check_known(given: Mapping[str, object], known: Collection[str], place: str, file: Path | None) -> None:
    unknown = set(given) - set(known)
    if unknown:
        raise BadInput(
            f"The configuration {file} sets {place}.{min(unknown)}, which is not known. "
            f"Known: {sorted(known)}."
        )


def _providers(values: object, file: Path | None) -> dict[str, Provider]:
    providers = {}
    for name, given in _mapping({"providers": values}, "providers", file).items():
        if not isinstance(given, dict) or not given.get("base_url"):
            raise BadInput(f"The configuration {file} gives the provider {name!r} no base_url.")
        _check_known(given, _PROVIDER_KEYS, f"providers.{name}", file)
        lists = {key: _list(given.get(key), f"providers.{name}.{key}", file) for key in _LISTS}
        secrets = {key: Secret(given[key]) for key in _SECRETS if given.get(key)}
        texts = {key: str(given[key]) for key in _TEXTS if given.get(key)}
        if texts.get("foreign_things", "allow") not in ("allow", "refuse"):
            raise BadInput(f"Found providers.{name}.foreign_things: it is either 'allow' or 'refuse'.")
        if texts.get("default_tier", "standard") not in _DEFAULT_TIERS:
            raise BadInput(
                f"Found the default_tier {texts['default_tier']!r} of provider {name!r}: expected one of "
                f"{', '.join(_DEFAULT_TIERS)}."
            )
        providers[name] = Provider(
            name=name,
            base_url=str(given["base_url"]),
            dialect=str(given.get("dialect") or name),
            **lists,  # type: ignore[arg-type]
            **secrets,  # type: ignore[arg-type]
            **texts,  # type: ignore[arg-type]
        )
    return providers


_ISSUER_KEYS = {"issuer", "client_id", "client_secret", "claim", "roles", "address"}


def _issuers(values: object, file: Path | None) -> dict[str, Issuer]:
    issuers = {}
    for name, given in _mapping({"sign_in": values}, "sign_in", file).items():
        if not isinstance(given, dict):
            raise BadInput(f"The configuration {file} says nothing of sign_in.{name}.")
        for key in ("issuer", "client_id", "client_secret"):
            if not given.get(key):
                raise BadInput(f"The configuration {file} gives sign_in.{name} no {key}.")
        _check_known(given, _ISSUER_KEYS, f"sign_in.{name}", file)
        roles = _mapping(given, "roles", file)
        issuers[name] = Issuer(
            name,
            str(given["issuer"]),
            str(given["client_id"]),
            Secret(given["client_secret"]),
            str(given.get("claim") or "groups"),
            {str(value): str(role) for value, role in roles.items()},
            str(given["address"]).rstrip("/") if given.get("address") else None,
        )
    return issuers


def _channels(values: object, file: Path | None) -> dict[str, Channel]:
    channels = {}
    for name, given in _mapping({"alerts": values}, "alerts", file).items():
        if not isinstance(given, dict) or not given.get("url"):
            raise BadInput(f"The configuration {file} gives the alert channel {name!r} no url.")
        _check_known(given, _CHANNEL_KEYS, f"alerts.{name}", file)
        digest = given.get("digest")
        if digest not in (None, *DIGESTS):
            raise BadInput(f"Found alerts.{name}.digest: {digest!r}: it is either 'hourly' or 'daily'.")
        channels[name] = Channel(
            name=name,
            url=Secret(given["url"]),
            secret=Secret(given["secret"]) if given.get("secret") else None,
            kinds=_list(given.get("kinds"), f"alerts.{name}.kinds", file),
            quiet=str(given["quiet"]) if given.get("quiet") else None,
            digest=digest,
            allow_private=given.get("allow_private") is True,
        )
    return channels


def _weekly_report(value: object, channels: Mapping[str, object], file: Path | None) -> WeeklyReport | None:
    given = _mapping({"weekly_report": value}, "weekly_report", file)
    if not given:
        return None
    _check_known(given, {"channels", "day", "hour"}, "weekly_report", file)
    names = tuple(dict.fromkeys(_list(given.get("channels"), "weekly_report.channels", file)))
    strange = [name for name in names if name not in channels]
    if strange or not names:
        known = ", ".join(channels) or "none yet: alerts: {ops: {url: …}}"
        raise BadInput(
            f"The configuration {file} gives weekly_report.channels as {', '.join(strange) or 'nothing'}: "
            f"write a list of channels that stand below alerts: {known}."
        )
    day, hour = str(given.get("day", "monday")).lower(), given.get("hour", 8)
    if day not in DAYS:
        raise BadInput(f"Found weekly_report.day: {day!r}: it is one of {', '.join(DAYS)}.")
    if not isinstance(hour, int) or isinstance(hour, bool) or not 0 <= hour <= 23:
        raise BadInput(f"Found weekly_report.hour: {hour!r}: it is a whole number from 0 to 23.")
    return WeeklyReport(names, day, hour)


_CHANNEL_KEYS = {"url", "secret", "kinds", "quiet", "digest", "allow_private"}


def _list(value: object, name: str, file: Path | None) -> tuple[str, ...]:
    if value is not None and not isinstance(value, list):
        raise BadInput(f"The configuration {file} gives {name} as {value!r}: write a list.")
    return tuple(map(str, value or ()))


_LISTS = ("allow", "shared")
_SECRETS = ("api_key", "access_key", "secret_key", "session_token", "proxy")
_DEFAULT_TIERS = ("standard", "priority")
_TEXTS = ("foreign_things", "priced_as", "default_tier", "region", "ca_file")
_PROVIDER_KEYS = {"base_url", "dialect", *_LISTS, *_TEXTS, *_SECRETS}
