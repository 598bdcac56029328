"""Signing in by OpenID Connect, against an issuer in this process: who is believed, and who is not."""

import base64
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from starlette.testclient import TestClient

from flatfare.config import Issuer, Secret, Settings, load_settings
from flatfare.core.errors import BadInput
from flatfare.service.access import users as people
from flatfare.store.book import open_book
from flatfare.web.access import SESSION_COOKIE
from tests.web.conftest import let_in, looking
from tests.web.lively import empty


class Company:
    """An issuer: it signs what it is told to say, with the key it publishes or another."""

    def __init__(self) -> None:
        jwk = pytest.importorskip("joserfc.jwk", reason="needs the web extra")
        pytest.importorskip("jinja2", reason="needs the web extra")
        self.key = jwk.RSAKey.generate_key(2048, {"kid": "one"}, private=True)
        self.signs_with = self.key
        self.header: dict[str, Any] = {"alg": "RS256", "kid": "one"}
        self.claims: dict[str, Any] = {}
        self.challenge = ""
        self.calls_itself: str | None = None
        company = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = urlsplit(self.path).path
                own = company.address
                if path.endswith("openid-configuration"):
                    self._say(
                        {
                            "issuer": company.calls_itself or own,
                            "authorization_endpoint": f"{own}/authorize",
                            "token_endpoint": f"{own}/token",
                            "jwks_uri": f"{own}/keys",
                        }
                    )
                else:
                    self._say({"keys": [company.key.as_dict(private=False)]})

            def do_POST(self) -> None:
                length = int(self.headers["content-length"])
                form = parse_qs(self.rfile.read(length).decode())
                company.form = {name: values[0] for name, values in form.items()}
                company.authorization = self.headers["authorization"]
                self._say({"id_token": company.token(), "token_type": "Bearer"})

            def _say(self, said: object) -> None:
                body = json.dumps(said).encode()
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def token(self) -> str:
        from joserfc import jwt

        return str(jwt.encode(self.header, self.claims, self.signs_with, algorithms=["RS256", "HS256"]))


@pytest.fixture
def company() -> Iterator[Company]:
    made = Company()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def settings(tmp_path: Path, company: Company) -> Settings:
    from dataclasses import replace

    roles = {"finance-people": "finance", "everybody": "viewer"}
    issuer = Issuer("company", company.address, "flatfare", Secret("shh"), roles=roles)
    return replace(empty(tmp_path), sign_in={"company": issuer})


def begin(client: TestClient, company: Company, **claims: object) -> str:
    """Go to the issuer, which will say these claims; the state to come back with."""
    answer = client.get("/sign-in/company?next=/spend")
    assert answer.status_code == 303, answer.text
    asked = {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}
    assert asked["redirect_uri"] == "http://localhost:4180/sign-in/company/return"
    assert asked["code_challenge_method"] == "S256"
    now = int(time.time())
    company.challenge = asked["code_challenge"]
    company.claims = {
        "iss": company.address,
        "aud": "flatfare",
        "sub": "42",
        "iat": now,
        "exp": now + 300,
        "nonce": asked["nonce"],
        "email": "sue@acme.example",
        "email_verified": True,
        "groups": ["everybody"],
        **claims,
    }
    return asked["state"]


def come_back(client: TestClient, state: str) -> Any:
    return client.get(
        f"/sign-in/company/return?code=c0de&state={state}", headers={"sec-fetch-site": "cross-site"}
    )


def test_whom_the_issuer_names_is_signed_in_with_the_role_of_the_settings(
    settings: Settings, company: Company
) -> None:
    client = looking(settings, has_token=False)
    assert "Sign in with company" in client.get("/sign-in").text
    answer = come_back(client, begin(client, company))
    assert answer.status_code == 200, answer.text
    assert 'content="0; url=/spend"' in answer.text
    assert SESSION_COOKIE in answer.headers["set-cookie"]
    digest = hashlib.sha256(company.form["code_verifier"].encode()).digest()
    assert base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == company.challenge
    assert base64.b64decode(company.authorization.split()[1]) == b"flatfare:shh"
    assert client.get("/spend").status_code == 200
    assert client.get("/audit").status_code == 403
    assert "sue@acme.example" in client.get("/spend").text


def test_head_of_the_way_back_uses_nothing_up(settings: Settings, company: Company) -> None:
    client = looking(settings, has_token=False)
    state = begin(client, company)
    refused = client.head(f"/sign-in/company/return?code=c0de&state={state}")
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET")
    assert not hasattr(company, "form"), "the issuer was not asked"
    assert come_back(client, state).status_code == 200


def test_the_role_follows_the_issuer_at_each_sign_in(settings: Settings, company: Company) -> None:
    client = looking(settings, has_token=False)
    come_back(client, begin(client, company))
    come_back(client, begin(client, company, groups=["everybody", "finance-people"]))
    assert client.get("/audit").status_code == 200
    with open_book(settings.database) as book:
        assert people.one_of(book, "sue@acme.example").role == "finance"


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        ({"iss": "https://evil.example"}, "cannot be believed"),
        ({"aud": "another"}, "cannot be believed"),
        ({"aud": ["flatfare", "another"]}, "somebody else"),
        ({"nonce": "another"}, "cannot be believed"),
        ({"exp": 1_000_000_000}, "cannot be believed"),
        ({"iat": 9_000_000_000}, "cannot be believed"),
        ({"groups": ["strangers"]}, "no role"),
        ({"groups": None}, "no role"),
    ],
)
def test_what_is_not_for_us_or_not_now_lets_nobody_in(
    settings: Settings, company: Company, claims: dict[str, object], said: str
) -> None:
    client = looking(settings, has_token=False)
    answer = come_back(client, begin(client, company, **claims))
    assert answer.status_code == 401, answer.text
    assert said in answer.text
    assert SESSION_COOKIE not in client.cookies


def test_only_the_issuer_s_own_key_is_believed(settings: Settings, company: Company) -> None:
    from joserfc.jwk import OctKey, RSAKey

    client = looking(settings, has_token=False)
    company.signs_with = RSAKey.generate_key(2048, {"kid": "one"}, private=True)
    assert come_back(client, begin(client, company)).status_code == 401
    company.signs_with = OctKey.import_key("shh-shh-shh-shh-shh-shh-shh-shh-")
    company.header = {"alg": "HS256", "kid": "one"}
    assert come_back(client, begin(client, company)).status_code == 401


def test_a_token_that_nobody_signed_is_not_believed(settings: Settings, company: Company) -> None:
    def part(said: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(said).encode()).rstrip(b"=").decode()

    client = looking(settings, has_token=False)
    for algorithm in ("none", "None", "NONE"):
        state = begin(client, company)
        plain = f"{part({'alg': algorithm, 'kid': 'one'})}.{part(company.claims)}."
        company.token = lambda plain=plain: plain  # type: ignore[method-assign, misc]
        assert come_back(client, state).status_code == 401
    assert SESSION_COOKIE not in client.cookies


def test_a_key_that_the_issuer_changed_is_believed_and_the_former_no_more(
    settings: Settings, company: Company
) -> None:
    from joserfc.jwk import RSAKey

    client = looking(settings, has_token=False)
    former = company.key
    assert come_back(client, begin(client, company)).status_code == 200
    company.key = company.signs_with = RSAKey.generate_key(2048, {"kid": "two"}, private=True)
    company.header = {"alg": "RS256", "kid": "two"}
    assert come_back(client, begin(client, company)).status_code == 200
    company.signs_with, company.header = former, {"alg": "RS256", "kid": "one"}
    stranger = looking(settings, has_token=False)
    assert come_back(stranger, begin(stranger, company)).status_code == 401
    assert SESSION_COOKIE not in stranger.cookies


def test_a_sign_in_that_was_not_begun_here_is_refused(settings: Settings, company: Company) -> None:
    client = looking(settings, has_token=False)
    state = begin(client, company)
    stranger = looking(settings, has_token=False)
    assert come_back(stranger, state).status_code == 401
    assert come_back(client, "another").status_code == 401
    stranger.cookies.set("flatfare-return", "e30=.00")
    assert come_back(stranger, state).status_code == 401


def test_a_name_with_a_password_is_never_taken_over(settings: Settings, company: Company) -> None:
    pytest.importorskip("argon2", reason="needs the web extra")
    let_in(settings, "sue@acme.example", "admin")
    client = looking(settings, has_token=False)
    answer = come_back(client, begin(client, company))
    assert answer.status_code == 401
    assert "signs in otherwise" in answer.text


def test_a_mail_address_that_is_not_verified_names_nobody(settings: Settings, company: Company) -> None:
    client = looking(settings, has_token=False)
    come_back(client, begin(client, company, email_verified=False))
    with open_book(settings.database) as book:
        assert people.one_of(book, "42").subject == f"{company.address}|42"


def test_an_issuer_that_calls_itself_otherwise_or_stands_in_the_clear_is_not_asked(
    settings: Settings, company: Company
) -> None:
    client = looking(settings, has_token=False)
    company.calls_itself = "https://another.example"
    assert client.get("/sign-in/company").status_code == 503
    assert client.get("/sign-in/nobody").status_code == 404
    settings.sign_in["company"] = Issuer("company", "http://login.example", "f", Secret("s"))  # type: ignore[index]
    assert "https://" in looking(settings, has_token=False).get("/sign-in/company").text


def test_the_settings_name_issuers(tmp_path: Path) -> None:
    file = tmp_path / "flatfare.yaml"
    file.write_text(
        "sign_in:\n  company: {issuer: 'https://login.example', client_id: flatfare, "
        "client_secret: '${SHH}', roles: {finance-people: finance, '*': viewer}}\n",
        encoding="utf-8",
    )
    found = load_settings(file, {"SHH": "s3cr3t"}).sign_in["company"]
    assert found.roles == {"finance-people": "finance", "*": "viewer"}
    assert "s3cr3t" not in repr(found)
    file.write_text(
        "sign_in:\n  company: {issuer: 'https://login.example', client_id: flatfare}\n", encoding="utf-8"
    )
    with pytest.raises(BadInput, match="no client_secret"):
        load_settings(file, {})
