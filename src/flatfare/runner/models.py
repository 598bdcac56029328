"""One question to one model through the gateway: an answer, or why there is none; and what each call cost.

No call is repeated in here: whether there is another attempt is for the ladder to say.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from flatfare.config import Provider
from flatfare.core.action import Answer, Ending, Rung
from flatfare.core.checks.submission import Json, NotJson, canonical, read_json
from flatfare.core.errors import BadInput, BadUsage
from flatfare.core.money import nano_of
from flatfare.gateway.routes import upstream_of
from flatfare.runner.batching.asking import ENDING, REASON
from flatfare.runner.gate import Gate
from flatfare.runner.inputs import File, media_type_of

if TYPE_CHECKING:
    import httpx2
    from pydantic_ai.messages import ModelResponse
    from pydantic_ai.models import Model, ModelRequestParameters

    from flatfare.runner.batching.desk import Desk

TOOL = "answer"
STANDARD = "default"
"""OpenAI's word for its standard rates (its API reference, service_tier, 2026-11)."""

TOGETHER = 4
"""Questions of one run that are asked at the same time."""

TOGETHER_IN_BATCHES = 10_000
"""The same where they wait for a batch: each time that one has to wait for another costs hours."""

CONNECTIONS = 200
_ROUTES = {"openai": "/v1", "anthropic": "/anthropic", "gemini": "/gemini"}
_PROVIDER_LOST = (502, 504)
_RESERVED = ("task", "attempt", "session", "purpose", "labels")


@dataclass(frozen=True, slots=True)
class Made:
    """A call that was made: its id, its purpose, and its cost where the answer's head says so."""

    id: str | None
    purpose: str
    cost_nano: int | None


@dataclass(frozen=True, slots=True)
class Whose:
    """What calls are made for, as their headers say it."""

    task_id: str
    attempt_id: str
    labels: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    purpose: str = "work"

    def headers(self) -> dict[str, str]:
        """The gateway's headers; labels travel as baggage, where any sign can be written."""
        carried = [
            f"flatfare.{key}={quote(value)}" for key, value in self.labels.items() if key not in _RESERVED
        ]
        headers = {
            "flatfare-task": self.task_id,
            "flatfare-attempt": self.attempt_id,
            "flatfare-purpose": self.purpose,
        }
        return headers | ({"baggage": ",".join(carried)} if carried else {})


@dataclass(frozen=True, slots=True)
class Prompt:
    """What one model is asked."""

    text: str
    system: str = ""
    schema: Mapping[str, Json] | None = None
    images: Mapping[str, File] = field(default_factory=lambda: MappingProxyType({}))
    output_tokens: int = 4096


class Unanswered(Exception):
    """No answer that can be used came, and why, without quoting it."""

    def __init__(self, ending: Ending, reason: str) -> None:
        super().__init__(reason)
        self.ending = ending
        self.reason = reason


@dataclass(slots=True)
class _Heard:
    """What went out and came back while one question was asked."""

    sent: int = 0
    answers: list["httpx2.Response"] = field(default_factory=list)


_heard: ContextVar[_Heard] = ContextVar("heard")


class Models:
    """The models that a ladder names, each asked through the gateway."""

    def __init__(self, gate: Gate, client: "httpx2.AsyncClient", desk: "Desk | None" = None) -> None:
        self._gate = gate
        self._client = client
        self.desk = desk  # where work waits for batches
        self._models: dict[tuple[str, str, str | None], Model] = {}

    async def ask(self, rung: Rung, prompt: Prompt, whose: Whose, made: list[Made], seconds: float) -> str:
        """The answer's text, JSON where a schema asks for it. ``Unanswered`` where none can be used.

        The calls made are added to ``made`` whatever comes of them.
        """
        heard = _Heard()
        token = _heard.set(heard)
        try:
            model = self._model(rung)
            async with asyncio.timeout(seconds):
                response = await self._request(model, rung, prompt, whose, seconds)
            return _answer_of(response, prompt.schema is not None)
        except TimeoutError:
            raise Unanswered(Ending.TIMEOUT, f"{rung.name} gave no answer within {seconds:g} s.") from None
        finally:
            _heard.reset(token)
            made += [_made(response.headers, whose.purpose) for response in heard.answers]
            given_up = heard.sent - len(heard.answers)  # before the answer began
            made += [Made(None, whose.purpose, None)] * given_up

    @property
    def together(self) -> int:
        """How many questions of one run are asked at the same time."""
        return TOGETHER if self.desk is None else TOGETHER_IN_BATCHES

    def seconds_of(self, rung: Rung, left_s: float) -> float:
        """How long an answer may take, of the time that a run has left; a batch takes what there is."""
        return min(rung.seconds, left_s) if self.desk is None else left_s

    async def _request(
        self, model: "Model", rung: Rung, prompt: Prompt, whose: Whose, seconds: float
    ) -> "ModelResponse":
        from pydantic_ai import exceptions
        from pydantic_ai.direct import model_request

        settings: dict[str, Any] = {
            "max_tokens": prompt.output_tokens,
            "max_retries": 0,
            "timeout": seconds,
            "extra_headers": whose.headers(),
        }
        if self.desk is None and tier_named(self._gate.settings.providers[str(rung.model.provider)]):
            settings["openai_service_tier"] = STANDARD
        if rung.temperature is not None:
            settings["temperature"] = float(rung.temperature)
        if rung.model.effort is not None:
            settings["thinking"] = False if rung.model.effort == "none" else rung.model.effort
        try:
            return await model_request(
                model,
                [_message(prompt)],
                model_settings=settings,  # type: ignore[arg-type]
                model_request_parameters=_parameters(prompt.schema, rung.answer),
            )
        except exceptions.AgentRunError as problem:
            raise _unanswered(problem, _heard.get().answers, rung) from None

    def _model(self, rung: Rung) -> "Model":
        provider, key = str(rung.model.provider), self._gate.key
        held = self._models.get((provider, rung.model.model, key))
        if held is None:
            held = _made_model(self._gate, provider, rung.model.model, self._client)
            self._models[provider, rung.model.model, key] = held
        return held


@asynccontextmanager
async def models(gate: Gate, desk: "Desk | None" = None) -> AsyncIterator[Models]:
    """Models behind a gateway, as long as the context lasts; with a desk, work waits there for batches."""
    try:
        import httpx2
        import pydantic_ai.direct  # noqa: F401 - so that the first question does not pay for it
    except ImportError:
        raise BadUsage("Actions need pydantic-ai: pip install 'flatfare[actions]'") from None
    limits = httpx2.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
    hooks: dict[str, list[Any]] = {"request": [_send], "response": [_hear]}
    way: httpx2.AsyncBaseTransport = httpx2.AsyncHTTPTransport(limits=limits, trust_env=False)
    if desk is not None:
        from flatfare.runner.batching.posting import Posting

        way = Posting(desk, way)
    async with httpx2.AsyncClient(timeout=None, transport=way, event_hooks=hooks, trust_env=False) as client:
        if desk is None:
            yield Models(gate, client)
            return
        patient = httpx2.Timeout(60.0, read=300.0, write=300.0)
        async with httpx2.AsyncClient(timeout=patient, trust_env=False) as own:
            await desk.open(own)
            try:
                yield Models(gate, client, desk)
            finally:
                await desk.close()


async def _send(request: "httpx2.Request") -> None:
    heard = _heard.get(None)
    if heard is not None:
        heard.sent += 1


async def _hear(response: "httpx2.Response") -> None:
    heard = _heard.get(None)
    if heard is not None:
        heard.answers.append(response)


def tier_named(provider: Provider) -> str | None:
    """The tier that a run's requests name, so that what they cost does not hang on how a project is set.

    Only to OpenAI itself: others may refuse a request that says it.
    """
    return STANDARD if provider.default_tier is None and upstream_of(provider).priced_as == "openai" else None


def check_provider(gate_settings_providers: Mapping[str, Any], provider: str) -> None:
    """``BadInput`` where no provider of that name is served."""
    if provider not in gate_settings_providers:
        known = ", ".join(sorted(gate_settings_providers)) or "none"
        raise BadInput(f"Found the provider {provider!r} in a ladder: the gateway serves {known}.")


def _made_model(gate: Gate, provider: str, model: str, client: "httpx2.AsyncClient") -> "Model":
    """A model of pydantic-ai whose address is the gateway's."""
    check_provider(gate.settings.providers, provider)
    dialect = gate.settings.providers[provider].dialect
    path = _ROUTES[dialect] if provider == dialect and dialect in _ROUTES else f"/p/{provider}"
    key = gate.key or "none"
    if dialect == "anthropic":
        from pydantic_ai.models.anthropic import AnthropicModel
        from pydantic_ai.providers.anthropic import AnthropicProvider

        return AnthropicModel(
            model, provider=AnthropicProvider(base_url=gate.url + path, api_key=key, http_client=client)
        )
    if dialect == "gemini":
        return _gemini_model(gate.url + path, key, model)
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    base_url = gate.url + (path if path == "/v1" else f"{path}/v1")
    return OpenAIChatModel(model, provider=OpenAIProvider(base_url=base_url, api_key=key, http_client=client))


def _gemini_model(base_url: str, key: str, model: str) -> "Model":
    try:
        from pydantic_ai.models.google import GoogleModel
        from pydantic_ai.providers.google import GoogleProvider
    except ImportError:
        raise BadUsage("Gemini in a ladder needs google-genai: pip install google-genai") from None
    return GoogleModel(model, provider=GoogleProvider(api_key=key, base_url=base_url))


def _message(prompt: Prompt) -> Any:
    from pydantic_ai.messages import BinaryContent, ModelRequest, SystemPromptPart, UserPromptPart

    pictures = [
        BinaryContent(file.content, media_type=media_type_of(file)) for file in prompt.images.values()
    ]
    parts: list[Any] = [SystemPromptPart(prompt.system)] if prompt.system.strip() else []
    return ModelRequest(parts=[*parts, UserPromptPart([prompt.text, *pictures] if pictures else prompt.text)])


def _parameters(schema: Mapping[str, Json] | None, how: Answer) -> "ModelRequestParameters":
    from pydantic_ai.models import ModelRequestParameters
    from pydantic_ai.output import OutputObjectDefinition
    from pydantic_ai.tools import ToolDefinition

    if schema is None:
        return ModelRequestParameters()
    plain = json.loads(canonical(schema))
    if how is Answer.TOOL:
        tool = ToolDefinition(name=TOOL, parameters_json_schema=plain, description="Give the answer.")
        return ModelRequestParameters(output_mode="tool", output_tools=[tool], allow_text_output=False)
    wanted = OutputObjectDefinition(json_schema=plain, name=TOOL)
    if how is Answer.NATIVE:
        return ModelRequestParameters(output_mode="native", output_object=wanted)
    template = "Answer with one JSON object that this JSON Schema accepts, and nothing else:\n\n{schema}"
    return ModelRequestParameters(
        output_mode="prompted", output_object=wanted, prompted_output_template=template
    )


def _answer_of(response: "ModelResponse", is_structured: bool) -> str:
    from pydantic_ai.messages import TextPart, ToolCallPart

    if response.finish_reason == "content_filter":
        raise Unanswered(Ending.REFUSED, "The model refused.")
    if response.finish_reason == "length":
        raise Unanswered(Ending.MALFORMED, "The answer was cut off at its limit of tokens.")
    texts = [part.content for part in response.parts if isinstance(part, TextPart)]
    if not is_structured:
        if not "".join(texts).strip():
            raise Unanswered(Ending.MALFORMED, "The answer was empty.")
        return "".join(texts)
    calls = [part for part in response.parts if isinstance(part, ToolCallPart)]
    if len(calls) > 1:
        raise Unanswered(Ending.MALFORMED, f"The model gave {len(calls)} answers instead of one.")
    text = _arguments(calls[0].args) if calls else _unfenced("".join(texts))
    try:
        found = read_json(text)
    except NotJson as problem:
        raise Unanswered(Ending.MALFORMED, f"The answer is no JSON: {problem}.") from None
    if not isinstance(found, Mapping):
        raise Unanswered(Ending.MALFORMED, "The answer is JSON, and no object.")
    return text


def _arguments(given: object) -> str:
    return given if isinstance(given, str) else json.dumps(given or {}, ensure_ascii=False)


def _unfenced(text: str) -> str:
    """Without the marks of a code block around it."""
    stripped = text.strip()
    if stripped.startswith("```") and stripped.endswith("```") and "\n" in stripped:
        return stripped[stripped.index("\n") + 1 : -3]
    return stripped


def _unanswered(problem: Exception, heard: list["httpx2.Response"], rung: Rung) -> Unanswered:
    """What went wrong, in the ladder's words; nothing of the answer is quoted."""
    from pydantic_ai import exceptions

    refused = next((why for r in heard if (why := _refused(r)) is not None), None)
    waited = next((r.headers for r in heard if ENDING in r.headers), None)
    if waited is not None:
        return Unanswered(Ending(waited[ENDING]), waited[REASON])
    if refused is not None:
        return Unanswered(Ending.LIMITED, f"The gateway refused the call: {refused}.")
    if isinstance(problem, exceptions.ModelTimeoutError | exceptions.ModelRequestTimeout):
        return Unanswered(Ending.TIMEOUT, f"{rung.name} gave no answer in time.")
    if isinstance(problem, exceptions.ContentFilterError):
        return Unanswered(Ending.REFUSED, "The model refused.")
    if isinstance(problem, exceptions.ModelHTTPError):
        return Unanswered(Ending.ERROR, f"{rung.model.provider} answered {problem.status_code}.")
    if isinstance(problem, exceptions.UnexpectedModelBehavior):
        return Unanswered(Ending.MALFORMED, "The answer is not of the form of its API.")
    return Unanswered(Ending.ERROR, f"{rung.model.provider} could not be asked: {type(problem).__name__}.")


def _refused(response: "httpx2.Response") -> str | None:
    """Why the gateway let a call not through; that its provider was lost is no refusal."""
    if response.status_code in _PROVIDER_LOST:
        return None
    why: str | None = response.headers.get("flatfare-refused")
    return why


def _made(headers: Mapping[str, str], purpose: str) -> Made:
    cost = headers.get("flatfare-cost")
    return Made(headers.get("flatfare-call"), purpose, None if cost is None else nano_of(Decimal(cost)))
