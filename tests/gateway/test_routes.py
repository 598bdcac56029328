"""An endpoint of a host of one's own is found below whatever path its base_url has."""

import pytest

from flatfare.config import Provider, Settings
from flatfare.gateway.routes import Nowhere, Place, Routes


def found(base_url: str, rest: str, method: str = "POST") -> Place | Nowhere:
    host = Provider(name="host", dialect="openai", base_url=base_url)
    return Routes(Settings(providers={"host": host})).find(method, f"/p/host{rest}".encode())


@pytest.mark.parametrize(
    ("base_url", "rest", "path"),
    [
        ("http://127.0.0.1:8000/v1", "/chat/completions", "/v1/chat/completions"),
        ("http://127.0.0.1:8000/v1", "/v1/chat/completions", "/v1/chat/completions"),
        ("http://127.0.0.1:8000", "/chat/completions", "/chat/completions"),
        ("https://ark.example/api/v3", "/chat/completions", "/api/v3/chat/completions"),
        ("https://ark.example/api/v3/", "/embeddings", "/api/v3/embeddings"),
        (
            "https://host.example/serving-endpoints",
            "/chat/completions",
            "/serving-endpoints/chat/completions",
        ),
        ("https://host.example/a%20b", "/chat/completions", "/a%20b/chat/completions"),
    ],
)
def test_an_endpoint_stands_below_the_base_that_is_configured(base_url: str, rest: str, path: str) -> None:
    place = found(base_url, rest)
    assert isinstance(place, Place), place
    assert place.route is not None
    assert place.path == path


@pytest.mark.parametrize("rest", ["/other/chat/completions", "/fine_tuning/jobs", "/chat"])
def test_nothing_else_below_that_base_is_let_through(rest: str) -> None:
    assert isinstance(found("https://ark.example/api/v3", rest), Nowhere)
