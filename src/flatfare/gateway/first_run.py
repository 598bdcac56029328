"""The first minute: which providers there are where none is configured, and what to do next.

Where nothing is configured the usual providers are served with the credentials that the
environment holds, or else with the client's own.
"""

from collections.abc import Mapping
from dataclasses import replace

from flatfare.config import Provider, Secret, Settings

_USUAL = (
    # name, dialect, address, where its SDK looks for the key
    ("openai", "openai", "https://api.openai.com/v1", ("OPENAI_API_KEY",)),
    ("anthropic", "anthropic", "https://api.anthropic.com", ("ANTHROPIC_API_KEY",)),
    (
        "gemini",
        "gemini",
        "https://generativelanguage.googleapis.com",
        ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    ),
)


USUAL_ADDRESS = f"http://{Settings().listen}"


def with_usual_providers(settings: Settings, environment: Mapping[str, str]) -> Settings:
    """The settings as they are, or, where they name no provider, with the usual ones."""
    if settings.providers:
        return settings
    providers = {}
    for name, dialect, base_url, variables in _USUAL:
        key = next((environment[variable] for variable in variables if environment.get(variable)), None)
        providers[name] = Provider(name, base_url, dialect, Secret(key) if key else None)
    region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")
    if region and environment.get("AWS_ACCESS_KEY_ID") and environment.get("AWS_SECRET_ACCESS_KEY"):
        token = environment.get("AWS_SESSION_TOKEN")
        providers["bedrock"] = Provider(
            "bedrock",
            f"https://bedrock-runtime.{region}.amazonaws.com",
            "bedrock",
            region=region,
            access_key=Secret(environment["AWS_ACCESS_KEY_ID"]),
            secret_key=Secret(environment["AWS_SECRET_ACCESS_KEY"]),
            session_token=Secret(token) if token else None,
        )
    return replace(settings, providers=providers)


def welcome(settings: Settings, address: str, *, keys: int, is_loopback: bool, token: str) -> list[str]:
    """What a person needs to know to make the first call, in lines."""
    yours = f" (yours: {address}/?token={token})" if is_loopback else ""
    lines = [f"Flatfare serves at {address}{yours}", ""]
    lines += _lines_to_paste(settings, address)
    if address != USUAL_ADDRESS:  # where the SDK looks if nothing says otherwise
        lines.append(f"  export FLATFARE_URL={address}")
    lines.append("")
    if keys:
        lines.append(
            f"Clients send a Flatfare key in place of the provider's ({keys} known; flatfare keys list)."
        )
    elif is_loopback:
        lines.append(
            "No keys yet: calls from this machine are let in without one. For others, and for labels, limits"
        )
        lines.append("and attribution, create keys: flatfare keys create --name NAME")
    else:
        lines.append(
            "No keys yet, and this address can be reached from elsewhere: every call is refused until you"
        )
        lines.append("create one: flatfare keys create --name NAME")
    own = [name for name, one in settings.providers.items() if not (one.api_key or one.access_key)]
    if own and not keys:
        lines.append(f"No credential of {', '.join(own)} here: the client's own goes through.")
    elif own:
        lines.append(f"No credential of {', '.join(own)} here. Keep one: flatfare providers set {own[0]}")
    if settings.on_journal_failure == "forward":
        lines.append(
            "on_journal_failure is 'forward': where the journal cannot be written, CALLS MAY BE LOST."
        )
    if not settings.journal_sync:
        lines.append("journal_sync is off: calls outlive a killed process, but not a loss of power.")
    lines.append("See calls as they come: flatfare tail")
    return lines


def _lines_to_paste(settings: Settings, address: str) -> list[str]:
    """The lines that point the usual SDKs here."""
    known = {
        "openai": f"export OPENAI_BASE_URL={address}/v1",
        "anthropic": f"export ANTHROPIC_BASE_URL={address}/anthropic",
        "gemini": f"export GOOGLE_GEMINI_BASE_URL={address}/gemini",
        "bedrock": f"export AWS_ENDPOINT_URL_BEDROCK_RUNTIME={address}/bedrock",
    }
    lines = []
    for name, provider in settings.providers.items():
        own = known.pop(provider.dialect, None) if name == provider.dialect else None
        lines.append(f"  {own}" if own else f"  {name}: {address}/p/{name}")
    return lines
