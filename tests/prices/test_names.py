"""What else a model's name may be written as, provider by provider."""

import pytest

from flatfare.prices.names import forms_of, provider_of, vendor_of

SONNET = "claude-sonnet-4-5-20250929"


@pytest.mark.parametrize(
    ("name", "profile", "forms"),
    [
        (f"us.anthropic.{SONNET}-v1:0", "us", [f"anthropic.{SONNET}-v1:0", f"anthropic.{SONNET}", SONNET]),
        (f"global.anthropic.{SONNET}-v1:0", "global", [f"anthropic.{SONNET}", SONNET]),
        (f"us-gov.anthropic.{SONNET}-v1:0", "us-gov", [SONNET]),
        (f"anthropic.{SONNET}-v1:0", "none", [SONNET]),
        ("amazon.nova-lite-v1:0", "none", ["amazon.nova-lite", "nova-lite"]),
        ("cohere.command-text-v14:7:4k", "none", ["cohere.command-text"]),
        (
            f"arn:aws:bedrock:us-east-1:123456789012:inference-profile/eu.anthropic.{SONNET}-v1:0",
            "eu",
            [f"eu.anthropic.{SONNET}-v1:0", SONNET],
        ),
        ("arn:aws-us-gov:bedrock:us-gov-west-1::foundation-model/amazon.nova-pro-v1:0", "none", ["nova-pro"]),
    ],
)
def test_bedrock(name: str, profile: str, forms: list[str]) -> None:
    named = forms_of("bedrock", name)
    assert named.details == {"profile": profile}
    assert named.forms[0] == name
    assert set(forms) <= set(named.forms)


def test_an_arn_names_its_region() -> None:
    named = forms_of("bedrock", "arn:aws:bedrock:eu-west-1:1:inference-profile/eu.amazon.nova-pro-v1:0")
    assert named.region == "eu-west-1"


@pytest.mark.parametrize(
    ("provider", "name", "form"),
    [
        ("gemini", "models/gemini-2.5-flash", "gemini-2.5-flash"),
        ("gemini", "tunedModels/x", "tunedmodels/x"),
        ("vertex", "projects/p/locations/l/publishers/google/models/gemini-2.5-pro", "gemini-2.5-pro"),
        ("vertex", "claude-3-7-sonnet@20250219", "claude-3-7-sonnet-20250219"),
        ("openai", "openai/gpt-4o", "gpt-4o"),
        ("openrouter", "openai/gpt-5.6-sol:online", "openai/gpt-5.6-sol"),
        ("fireworks", "accounts/fireworks/models/llama-v3p1-8b", "llama-v3p1-8b"),
        ("mistral", "mistral-large-latest", "mistral-large"),
    ],
)
def test_other_forms(provider: str, name: str, form: str) -> None:
    assert form in forms_of(provider, name).forms


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("gpt-4o-2024-08-06", "gpt-4o"),
        ("claude-3-7-sonnet-20250219", "claude-3-7-sonnet"),
        ("gpt-5.2-20251211", "gpt-5.2-2025-12-11"),
        ("gemini-2.5-flash-preview-05-20", "gemini-2.5-flash"),
        ("command-r-08-2024", "command-r"),
    ],
)
def test_a_snapshots_undated_name(name: str, form: str) -> None:
    named = forms_of("openai", name)
    assert form in named.undated
    assert form not in named.forms


def test_a_fine_tune_keeps_its_prefix() -> None:
    named = forms_of("openai", "ft:gpt-4.1-2025-04-14:acme:suffix:Ab1")
    assert named.is_fine_tune
    assert all(form.startswith("ft:") for form in (*named.forms, *named.undated))


def test_routers_name_the_maker() -> None:
    assert vendor_of("google/gemini-2.5-pro:nitro") == ("gemini", "gemini-2.5-pro")
    assert vendor_of("gpt-4o") is None


@pytest.mark.parametrize(
    "name", ["", " ", "/", ":", "ft:", "arn:", "\x00", "é" * 5000, "a/" * 300, "@", "models/"]
)
@pytest.mark.parametrize("provider", ["openai", "bedrock", "openrouter", "vertex", ""])
def test_no_name_is_too_strange(provider: str, name: str) -> None:
    named = forms_of(provider, name)
    assert all(len(form) <= 600 for form in named.forms)


def test_providers_have_other_names() -> None:
    assert [provider_of(name) for name in ("azure-openai", "google-vertex", "aws", "X-AI", "new")] == [
        "azure",
        "vertex",
        "bedrock",
        "xai",
        "new",
    ]
