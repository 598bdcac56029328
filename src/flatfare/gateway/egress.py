"""The way out of a company's network: a proxy that is asked to put the connection through.

What is said to the provider stays between the gateway and it: the proxy passes the
encrypted bytes on and sees the provider's name, never a credential or a text.
"""

import asyncio
import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import unquote, urlsplit
from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]

from flatfare.core.errors import BadInput

HEAD_BYTES_MAX = 16 * 1024
NONE = "none"


class ProxyRefusal(OSError):
    """The proxy did not put the connection through."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy that knows CONNECT."""

    host: str
    port: int
    authorization: bytes | None = field(default=None, repr=False)  # the value of Proxy-Authorization

    def asking(self, host: str, port: int) -> bytes:
        """The request to be put through to a host."""
        place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        lines = [f"CONNECT {place} HTTP/1.1".encode(), f"Host: {place}".encode()]
        if self.authorization is not None:
            lines.append(b"Proxy-Authorization: " + self.authorization)
        return b"\r\n".join((*lines, b"", b""))


def proxy_of(
    setting: str | None, host: str, *, is_tls: bool, environment: Mapping[str, str], name: str
) -> Proxy | None:
    """The proxy on the way to a provider: that of its setting, else that of the environment, else none.

    The environment's ``HTTPS_PROXY`` holds for TLS only, and neither for this machine nor
    for what ``NO_PROXY`` names. Raises ``BadInput`` for an address that is no proxy's.
    """
    if setting is not None:
        return None if setting == NONE else _parsed(setting, f"providers.{name}.proxy")
    given = environment.get("https_proxy") or environment.get("HTTPS_PROXY")
    if not given or not is_tls or _is_this_machine(host):
        return None
    excepted = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    if proxy_bypass_environment(host, {"no": excepted}):
        return None
    return _parsed(given, "HTTPS_PROXY")


def _parsed(address: str, where: str) -> Proxy:
    try:
        parts = urlsplit(address if "://" in address else f"http://{address}")
        port = parts.port or 80
    except ValueError:
        parts, port = urlsplit(""), 0
    if parts.scheme != "http" or not parts.hostname:
        # Its credential may stand in it: the address is not repeated.
        raise BadInput(f"The proxy of {where} cannot be used: expected http://host:port (or none).")
    authorization = None
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = b"Basic " + base64.b64encode(pair.encode())
    return Proxy(parts.hostname, port, authorization)


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class _Asked(asyncio.Protocol):
    """Waits for the proxy's answer."""

    def __init__(self) -> None:
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._received = b""

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self.answer.done():
            return
        if b"\r\n\r\n" in self._received:
            self.answer.set_result(self._received)
        elif len(self._received) > HEAD_BYTES_MAX:
            self.answer.set_exception(ProxyRefusal("the proxy's answer has no end"))

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.answer.done():
            self.answer.set_exception(ProxyRefusal("the proxy closed the connection"))


async def put_through(proxy: Proxy, host: str, port: int) -> asyncio.Transport:
    """A connection to the host by way of the proxy; raises ``OSError``."""
    loop = asyncio.get_running_loop()
    try:
        made, asked = await loop.create_connection(_Asked, proxy.host, proxy.port)
    except OSError as problem:
        said = problem.strerror or str(problem)
        raise ProxyRefusal(f"the proxy {proxy.host}:{proxy.port} cannot be reached ({said})") from problem
    transport = made
    try:
        transport.write(proxy.asking(host, port))
        answer = await asked.answer
        line, _, _ = answer.partition(b"\r\n")
        version, _, rest = line.partition(b" ")
        if not version.startswith(b"HTTP/1.") or not rest.startswith(b"2"):
            said = rest[:100].decode("latin-1")
            raise ProxyRefusal(f"the proxy {proxy.host}:{proxy.port} said {said!r}")
        if not answer.endswith(b"\r\n\r\n"):
            raise ProxyRefusal("the proxy sent more than an answer")
    except BaseException:
        transport.abort()
        raise
    return transport
