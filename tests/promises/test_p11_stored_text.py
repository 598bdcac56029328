"""P11: no prompt or answer is stored unless asked for; what is stored is erased by subject, and expires."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flatfare.store.text_terms import TextTerms
from tests.gateway.rig import whole
from tests.gateway.rig_gateway import ROOT, Gateway
from tests.gateway.rig_pair import CHAT, Pair, pair, until

FAULTS = Path(__file__).parent / "faults"
PROMPT, REPLY = b"a prompt that nobody else may read", b"an answer that nobody else may read"
ASKED = b'{"model": "gpt-4o", "messages": [{"role": "user", "content": "%b"}]}' % PROMPT
BODY = (
    b'{"model": "gpt-4o-2024-08-06", "choices": [{"index": 0, "message": {"role": "assistant", '
    b'"content": "%b"}}], "usage": {"prompt_tokens": 10, "completion_tokens": 5}}' % REPLY
)
DAY_US = 86_400_000_000


def spoken(both: Pair, texts: TextTerms | None, name: str) -> str:
    """A call in which something is said, with a key of these terms; returns its id."""
    issued = both.gateway.issue(name, texts=texts)
    both.gateway.wait_for_key(issued.secret)
    both.provider.next(whole(BODY))
    seen = both.gateway.ask(issued.secret, "POST", CHAT, ASKED, [("flatfare-labels", "user=alice")])
    assert (seen.status, seen.body) == (200, BODY)
    call = str(seen.header("flatfare-call"))
    both.gateway.row(call)
    return call


def where(gateway: Gateway) -> set[str]:
    """The files below the gateway's folder that hold what was said, opened where they are only compressed."""
    import zlib

    found = set()
    for file in gateway.folder.rglob("*"):
        if file.is_file() and file.parent.name != "site":
            data = file.read_bytes()
            if file.is_relative_to(gateway.folder / "texts"):
                data += zlib.decompress(data[1:])
            if PROMPT in data or REPLY in data:
                found.add(file.relative_to(gateway.folder).parts[0])
    return found


def command(both: Pair, *words: str, fault: str = "") -> str:
    """A command beside the running gateway, perhaps with a fault in it."""
    folder = both.gateway.folder
    path = str(ROOT / "src")
    if fault:
        site = folder / "site"
        site.mkdir(exist_ok=True)
        (site / "sitecustomize.py").write_text((FAULTS / fault).read_text())
        path = f"{site}{os.pathsep}{path}"
    ran = subprocess.run(
        [sys.executable, "-m", "flatfare", "--config", str(folder / "flatfare.yaml"), *words],
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return ran.stdout


def check_nothing_is_stored(both: Pair) -> None:
    assert where(both.gateway) == set(), "what was said is stored"


@pytest.fixture(autouse=True)
def unsealed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without a key to seal with, so that what remains can be found."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("FLATFARE_SECRET_KEY", raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)


def test_nothing_is_stored_unless_asked_for(tmp_path: Path) -> None:
    with pair(tmp_path / "on") as both:
        spoken(both, None, "silent")
        check_nothing_is_stored(both)


def test_what_is_erased_is_nowhere_any_more(tmp_path: Path) -> None:
    """Not in the book, its write-ahead log, a journal, a log or a text; nor when it has stopped."""
    with pair(tmp_path / "on") as both:
        call = spoken(both, TextTerms(DAY_US, "user"), "asks")
        until(lambda: where(both.gateway) == {"texts"}, 5, "it is stored, and only there")
        assert PROMPT.decode() in command(both, "texts", "show", call)
        assert command(both, "texts", "erase", "--subject", "user=alice") == "1 text erased.\n"
        check_nothing_is_stored(both)
        both.gateway.stop()
        check_nothing_is_stored(both)


def test_what_has_expired_is_nowhere_any_more(tmp_path: Path) -> None:
    with pair(tmp_path / "on") as both:
        spoken(both, TextTerms(1_000_000), "asks")
        until(lambda: where(both.gateway) == {"texts"}, 5)
        time.sleep(1.2)
        assert command(both, "texts", "expire").endswith("erased.\n")  # the gateway may have been before it
        check_nothing_is_stored(both)


def test_a_gateway_that_stores_unasked_is_found_out(tmp_path: Path) -> None:
    """A negative control."""
    fault = (FAULTS / "store_every_text.py").read_text()
    with pair(tmp_path / "on", prelude=fault) as both:
        spoken(both, None, "silent")
        time.sleep(0.3)
        with pytest.raises(AssertionError, match="is stored"):
            check_nothing_is_stored(both)


def test_an_erasure_in_name_only_is_found_out(tmp_path: Path) -> None:
    """A negative control."""
    with pair(tmp_path / "on") as both:
        spoken(both, TextTerms(DAY_US, "user"), "asks")
        until(lambda: where(both.gateway) == {"texts"}, 5)
        fault = "erase_in_name_only.py"
        assert command(both, "texts", "erase", "--subject", "user=alice", fault=fault) == "1 text erased.\n"
        with pytest.raises(AssertionError, match="is stored"):
            check_nothing_is_stored(both)
