"""Signed webhooks: a message is from who signed it, unaltered and fresh, or it is refused."""

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatfare.core import webhook
from flatfare.core.errors import BadInput, NotAuthorised

SECRET = "whsec_" + base64.b64encode(b"a secret of thirty-two bytes here").decode()
OTHER = "whsec_" + base64.b64encode(b"another secret of quite some bytes").decode()
NOW_S = 1_790_000_000


def headers(body: bytes, *, at_s: int = NOW_S, secret: str = SECRET) -> dict[str, str]:
    """Signed by hand, as the specification says."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, b"msg_1." + str(at_s).encode() + b"." + body, hashlib.sha256).digest()
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(at_s),
        "webhook-signature": "v1," + base64.b64encode(digest).decode(),
    }


def test_what_is_signed_by_the_specification_is_taken() -> None:
    assert webhook.check(headers(b"{}"), b"{}", [SECRET], now_s=NOW_S) == "msg_1"
    assert webhook.signed("msg_1", NOW_S, b"{}", [SECRET]) == headers(b"{}")


def test_while_a_secret_is_replaced_either_is_taken() -> None:
    both = webhook.signed("msg_1", NOW_S, b"{}", [SECRET, OTHER])
    assert webhook.check(both, b"{}", [OTHER], now_s=NOW_S) == "msg_1"
    assert webhook.check(headers(b"{}"), b"{}", [OTHER, SECRET], now_s=NOW_S) == "msg_1"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"webhook-signature": "v1,AAAA"}, "not that of a secret"),
        ({"webhook-signature": ""}, "not that of a secret"),
        ({"webhook-signature": "v2,é"}, "not that of a secret"),
        ({"webhook-id": "msg_2"}, "not that of a secret"),
        ({"webhook-id": ""}, "not signed"),
        ({"webhook-timestamp": str(NOW_S + 1)}, "not that of a secret"),
        ({"webhook-timestamp": "soon"}, "not signed"),
        ({"webhook-timestamp": "9" * 400}, "away"),
    ],
)
def test_what_is_altered_is_refused(changed: dict[str, str], said: str) -> None:
    with pytest.raises(NotAuthorised, match=said):
        webhook.check({**headers(b"{}"), **changed}, b"{}", [SECRET], now_s=NOW_S)


@pytest.mark.parametrize("away_s", [-301, 301])
def test_what_is_old_or_from_tomorrow_is_refused(away_s: int) -> None:
    with pytest.raises(NotAuthorised, match="301 s away"):
        webhook.check(headers(b"{}", at_s=NOW_S + away_s), b"{}", [SECRET], now_s=NOW_S)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_!!", "whsec_c2hvcnQ=", "plain"])
def test_a_secret_that_is_none_is_said(secret: str) -> None:
    with pytest.raises(BadInput, match="expected whsec_"):
        webhook.signed("msg_1", NOW_S, b"{}", [secret])


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_another_body_never_has_the_same_signature(body: bytes, other: bytes) -> None:
    if body != other:
        with pytest.raises(NotAuthorised):
            webhook.check(headers(body), other, [SECRET], now_s=NOW_S)
