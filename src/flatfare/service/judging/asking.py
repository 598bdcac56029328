"""Asking a model on behalf of a verifier, by way of the gateway, so that what it costs is on the task's bill.

Plain HTTP in the dialect of the provider, within one deadline. What does not come back as an
answer is told as what it is: refused, cut, malformed, late, unreachable.
"""

import http.client
import json
import re
import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

from flatfare import __version__
from flatfare.config import Provider, Secret, Settings
from flatfare.core.checks.question import NoReply, Question, Reply
from flatfare.core.errors import BadInput
from flatfare.dialects.recognition import dialect_of
from flatfare.service.judging.asking_shapes import SHAPES, Shape

URL_VARIABLE, KEY_VARIABLE = "FLATFARE_URL", "FLATFARE_KEY"
ANSWER_BYTES_MAX = 8 * 1024 * 1024
TRIES = 2
RETRIED = (408, 409, 429, 500, 502, 503, 504, 529)
DELAY_S, DELAY_S_MAX = 0.5, 10.0
_OPTIONAL = re.compile(r"\(\?:([^|()]*)(?:\|[^()]*)?\)\??")
_VERSION = re.compile(r"v\d|beta")


@dataclass(frozen=True, slots=True)
class Whose:
    """Whose bill the calls are on."""

    task: str | None = None  # its name, or its id where the key has no project
    attempt: str | None = None
    session: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    purpose: str = "verification"

    def headers(self) -> dict[str, str]:
        """As the gateway reads them; what no header can hold goes into the baggage."""
        found = {"flatfare-purpose": self.purpose}
        baggage = []
        for name, value in (("task", self.task), ("attempt", self.attempt), ("session", self.session)):
            if value is not None and value.isascii() and value.isprintable():
                found[f"flatfare-{name}"] = value
            elif value is not None:
                baggage.append(f"flatfare.{name}={quote(value, safe='')}")
        baggage += [f"flatfare.{name}={quote(value, safe='')}" for name, value in self.labels.items()]
        if baggage:
            found["baggage"] = ",".join(baggage)
        return found


class Asker:
    """Puts questions to the providers of the settings: an ``Ask``.

    ``gateway`` is its address; None asks the providers themselves, and then nothing is metered.
    """

    def __init__(
        self,
        settings: Settings,
        gateway: str | None,
        *,
        whose: Whose | None = None,
        key: Secret | None = None,
        tries: int = TRIES,
    ) -> None:
        self._settings = settings
        self._gateway = gateway
        self._whose = whose or Whose()
        self._key = key
        self._tries = tries
        self._unshaped: set[tuple[str, str]] = set()  # models that take no schema

    def __call__(self, question: Question) -> Reply:
        """The answer; ``NoReply`` says why there is none that counts."""
        provider = self._provider(question.provider)
        shape, path = _shape_of(provider)
        url, headers = self._way(provider, shape, path)
        model = (question.provider, question.model)
        with_schema = model not in self._unshaped
        answer = self._posted(url, headers, shape.request(question, provider, with_schema), question.seconds)
        if answer.status in (400, 422) and with_schema:
            self._unshaped.add(model)  # servers that know no schemas say so with these
            answer = self._posted(url, headers, shape.request(question, provider, False), question.seconds)
        if answer.status != 200:
            raise NoReply(
                f"{question.provider} answered {answer.status}{answer.problem()}.",
                lasts=not answer.may_pass,
            )
        text, served = shape.reply(answer.body)
        return Reply(text, served, answer.headers.get("flatfare-cost"), answer.headers.get("flatfare-call"))

    def _provider(self, name: str) -> Provider:
        found = self._settings.providers.get(name)
        if found is None:
            known = ", ".join(self._settings.providers) or "none"
            raise BadInput(
                f"A verifier asks the provider {name!r}, which is not configured ({known} are). Add it to "
                f"flatfare.yaml: providers: {{{name}: {{base_url: …, api_key: …}}}}"
            )
        return found

    def _posted(
        self, url: str, headers: Mapping[str, str], request: Mapping[str, object], seconds: float
    ) -> "_Answer":
        body = json.dumps(request).encode()
        until_s = time.monotonic() + seconds
        for left in range(self._tries - 1, -1, -1):
            try:
                answer = _post(url, body, headers, until_s - time.monotonic())
            except NoReply as problem:
                if not left or time.monotonic() + DELAY_S >= until_s:
                    raise NoReply(f"{problem}{self._hint()}") from None
                delay_s = DELAY_S
            else:
                delay_s = answer.delay_s()
                if not answer.may_pass or not left or time.monotonic() + delay_s >= until_s:
                    return answer
            time.sleep(delay_s)
        raise AssertionError("the last try returns or raises")

    def _hint(self) -> str:
        """What to do where nobody answers."""
        return "" if self._gateway is None else f" Is the gateway running at {self._gateway}? flatfare serve"

    def _way(self, provider: Provider, shape: Shape, path: str) -> tuple[str, dict[str, str]]:
        """Where the request goes, and with which headers."""
        headers = {"Content-Type": "application/json", "User-Agent": f"flatfare/{__version__}"}
        headers.update(shape.headers)
        if self._gateway is None:
            return f"{provider.base_url.rstrip('/')}{path}", headers | shape.credential(provider.api_key)
        place = f"{self._gateway.rstrip('/')}/p/{quote(provider.name, safe='')}{path}"
        return place, headers | self._whose.headers() | shape.credential(self._key)


def gateway_of(settings: Settings, environment: Mapping[str, str]) -> str:
    """The gateway's address: that of the environment, else where ``flatfare serve`` listens."""
    given = environment.get(URL_VARIABLE)
    if given:
        return given
    host, _, port = settings.listen.rpartition(":")
    host = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]", "": "127.0.0.1"}.get(host, host)
    return f"http://{host}:{port}"


def _shape_of(provider: Provider) -> tuple[Shape, str]:
    """The dialect in which a provider is asked, and the path after its base_url."""
    routes = dialect_of(provider.dialect).routes
    base_path = urlsplit(provider.base_url).path.rstrip("/")
    for endpoint, shape in SHAPES.items():
        own = next((route.path for route in routes if route.endpoint == endpoint), None)
        if own is not None:
            return shape, shape.path_after(base_path) or f"/{_literal(own)}"
    raise BadInput(
        f"A verifier asks the provider {provider.name!r}, whose dialect is {provider.dialect!r}: verifiers "
        "ask in the dialects of OpenAI and Anthropic. Many providers have an address that speaks OpenAI's."
    )


def _literal(pattern: str) -> str:
    """A path of this pattern: what may stand in it does only where it names a version.

    >>> _literal("v1(?:beta|alpha)?/openai/chat/completions"), _literal("api/(?:coding/)?paas/v4/chat")
    ('v1beta/openai/chat/completions', 'api/paas/v4/chat')
    """
    return _OPTIONAL.sub(lambda found: found[1] if _VERSION.match(found[1]) else "", pattern)


# --- one request


@dataclass(frozen=True, slots=True)
class _Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def may_pass(self) -> bool:
        """Asking again may bring an answer: not where the gateway itself refuses, as by a budget."""
        return self.status in RETRIED and "flatfare-refused" not in self.headers

    def delay_s(self) -> float:
        """How long to wait before asking again."""
        given = self.headers.get("retry-after", "")
        return min(float(given), DELAY_S_MAX) if given.isascii() and given.isdecimal() else DELAY_S

    def problem(self) -> str:
        """What it says is wrong, shortened; providers do not repeat the question there."""
        with suppress(ValueError, AttributeError):
            error = json.loads(self.body).get("error")
            said = error.get("message") if isinstance(error, dict) else error
            if isinstance(said, str):
                return f" ({said[:200]})"
        return ""


def _post(url: str, body: bytes, headers: Mapping[str, str], seconds: float) -> _Answer:
    """One request, whose answer has come whole within so many seconds."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=max(seconds, 0.001))
    late = threading.Event()
    timer = threading.Timer(max(seconds, 0.001), _hang_up, (connection, late))
    timer.daemon = True
    timer.start()
    try:
        connection.request("POST", parts.path, body, dict(headers))
        answer = connection.getresponse()
        content = answer.read(ANSWER_BYTES_MAX + 1)
        found = {name.lower(): value for name, value in answer.getheaders()}
    except (OSError, http.client.HTTPException) as problem:
        if late.is_set() or isinstance(problem, TimeoutError):
            raise NoReply(f"No answer came within {seconds:.0f} s.") from None
        raise NoReply(f"{parts.netloc} cannot be asked: {_said(problem)}.") from None
    finally:
        timer.cancel()
        connection.close()
    if late.is_set():
        raise NoReply(f"No answer came within {seconds:.0f} s.")
    if len(content) > ANSWER_BYTES_MAX:
        raise NoReply(f"The answer is longer than {ANSWER_BYTES_MAX} bytes.")
    return _Answer(answer.status, found, content)


def _hang_up(connection: http.client.HTTPConnection, late: threading.Event) -> None:
    """End a connection whose time is over, however slowly it trickles."""
    late.set()
    with suppress(OSError):
        if connection.sock is not None:
            connection.sock.shutdown(socket.SHUT_RDWR)


def _said(problem: Exception) -> str:
    return str(problem) or type(problem).__name__
