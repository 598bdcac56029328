"""How a provider is reached: its connections, its circuit, its credential."""

import os
import ssl
from dataclasses import dataclass

from flatfare.config import Settings
from flatfare.core.errors import BadInput
from flatfare.gateway.circuits import Circuit
from flatfare.gateway.credentials import Dress, dress_of
from flatfare.gateway.egress import proxy_of
from flatfare.gateway.routes import Routes, Upstream
from flatfare.gateway.upstream import Pool


@dataclass(frozen=True, slots=True)
class Reach:
    """How a provider is reached: its connections, its circuit, its credential."""

    upstream: Upstream
    pool: Pool
    circuit: Circuit
    dress: Dress


def reach_of(upstream: Upstream, settings: Settings) -> Reach:
    """How a provider is reached under these settings; ``BadInput`` where they are wrong."""
    tls = _tls(upstream) if upstream.is_tls else None
    proxy = proxy_of(
        upstream.provider.proxy,
        upstream.host,
        is_tls=upstream.is_tls,
        environment=os.environ,
        name=upstream.name,
    )
    pool = Pool(
        upstream.host,
        upstream.port,
        tls,
        connect_s=settings.timeouts.connect,
        connections_max=settings.limits.upstream_connections,
        proxy=proxy,
    )
    return Reach(upstream, pool, Circuit(), dress_of(upstream))


def check_reaches(settings: Settings) -> None:
    """Refuse settings with a provider that cannot be reached as they say, before anything goes by them."""
    for upstream in Routes(settings).upstreams.values():
        reach_of(upstream, settings)


def _tls(upstream: Upstream) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    file = upstream.provider.ca_file
    if file is not None:
        try:
            context.load_verify_locations(file)
        except (OSError, ssl.SSLError) as problem:
            raise BadInput(
                f"The certificates {file} of provider {upstream.name!r} cannot be read: {problem}."
            ) from None
    return context
