"""P10, the past cannot be edited unnoticed: every tamper with what is chained is found.

Edited, dropped, reordered and inserted verdicts and settings changes, cut tails and chains that
were hashed anew, in the book and in the lake; and nothing is found where nothing was done.
"""

import json
import random
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from flatfare.core.chain import GENESIS, link
from flatfare.service import vouching
from flatfare.service.tasks.defining import define, of_document
from flatfare.service.tasks.recording import Teller, record
from flatfare.store.book import open_book
from flatfare.store.heads import STATEMENTS, Heads
from flatfare.store.lake import Lake
from flatfare.store.layout import VERDICT_SAYS

NOW = 1_800_000_000_000_000
TAMPERS = 120
TAMPERS_IN_FULL = 1000


@dataclass(frozen=True)
class Kept:
    """A book and what vouches for it."""

    folder: Path

    @property
    def database(self) -> Path:
        return self.folder / "book.db"

    @property
    def heads(self) -> Heads:
        return Heads(self.folder / "heads", self.folder / "key")

    def copy(self, folder: Path) -> "Kept":
        shutil.copytree(self.folder, folder)
        return Kept(folder)

    def verified(self, *, signs: bool = False, digest: str | None = None) -> vouching.Verified:
        with open_book(str(self.database)) as book:
            return vouching.verify(
                book, Lake(self.folder / "lake"), self.heads, now_us=NOW, signs=signs, digest=digest
            )


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    chance = random.Random(7)
    made = Kept(tmp_path_factory.mktemp("p10") / "kept")
    made.folder.mkdir()
    with open_book(str(made.database)) as book:
        lake = Lake(made.folder / "lake")
        for version in range(4):
            rules = {"action": "review", "verifiers": ["tests", "judge"], "window": f"{version}h"}
            define(book, of_document(rules), by_whom="me", at_us=NOW - 100 + version)
        events = [
            {
                "event": "judged",
                "id": f"{task:08x}-0000-7000-8000-{number:012x}",
                "task": f"t{task}",
                "at": NOW + number,
                "verifier": chance.choice(["tests", "judge"]),
                "version": "1",
                "judgement": chance.choice(["pass", "fail", "abstain"]),
                "evidence": f"{task}/{number}",
                "score": "0.5",
                "cost": "0.001",
            }
            for task in range(6)
            for number in range(chance.randint(1, 5))
        ]
        assert not record(book, lake, events, Teller("p10"), now_us=NOW).refused
    assert made.verified(signs=True).holds
    return made


def verdicts(database: sqlite3.Connection, task: str) -> list[dict[str, object]]:
    database.row_factory = sqlite3.Row
    rows = database.execute("SELECT * FROM verdicts WHERE task_id = ? ORDER BY position", (task,))
    return [dict(row) for row in rows]


def rewrite(
    database: sqlite3.Connection, task: str, chain: list[dict[str, object]], *, is_hashed_anew: bool
) -> None:
    """Write a task's chain as it is given; with its links made anew where asked."""
    database.execute("DELETE FROM verdicts WHERE task_id = ?", (task,))
    previous = GENESIS
    for position, said in enumerate(chain):
        if is_hashed_anew:
            says = ("" if said[name] is None else str(said[name]) for name in VERDICT_SAYS)
            said |= {"position": position, "previous_hash": previous}
            said["hash"] = previous = link(previous, *says)
        marks = ", ".join("?" * len(said))
        database.execute(f"INSERT INTO verdicts ({', '.join(said)}) VALUES ({marks})", list(said.values()))


CHANGES: dict[str, Callable[[random.Random], object]] = {
    "verifier": lambda chance: f"v{chance.randint(0, 99)}",
    "verifier_version": lambda chance: str(chance.randint(2, 9)),
    "kind": lambda chance: "human",
    "judgement": lambda chance: "passed",
    "score": lambda chance: f"0.{chance.randint(6, 9)}",
    "evidence_hash": lambda chance: f"{chance.getrandbits(256):064x}",
    "at_us": lambda chance: NOW + chance.randint(100, 999),
    "cost_nano": lambda chance: chance.randint(2_000_000, 9_000_000),
    "source": lambda chance: "somebody",
    "attempt_number": lambda chance: chance.randint(1, 9),
}


def edit(said: dict[str, object], chance: random.Random) -> None:
    name = chance.choice(sorted(CHANGES))
    said[name] = CHANGES[name](chance)


def tamper(kept: Kept, chance: random.Random) -> str:
    """Do one thing to the book that nobody should; returns what."""
    database = sqlite3.connect(kept.database)
    tasks = [str(row[0]) for row in database.execute("SELECT DISTINCT task_id FROM verdicts ORDER BY 1")]
    task = chance.choice(tasks)
    chain = verdicts(database, task)
    what = chance.choice(
        ["edit", "drop", "swap", "insert", "cut", "anew", "anew shorter", "all", "record", "outcome"]
    )
    if what == "edit":
        edit(chance.choice(chain), chance)
        rewrite(database, task, chain, is_hashed_anew=False)
    elif what == "drop":
        chain.pop(chance.randrange(len(chain)))
        rewrite(database, task, chain, is_hashed_anew=False)
    elif what == "swap" and len(chain) > 1:
        one, other = chance.sample(range(len(chain)), 2)
        chain[one]["position"], chain[other]["position"] = chain[other]["position"], chain[one]["position"]
        rewrite(database, task, chain, is_hashed_anew=False)
    elif what == "cut":
        rewrite(database, task, chain[: chance.randrange(len(chain))], is_hashed_anew=False)
    elif what == "anew":
        edit(chance.choice(chain), chance)
        rewrite(database, task, chain, is_hashed_anew=True)
    elif what == "anew shorter":
        chain.pop(chance.randrange(len(chain)))
        rewrite(database, task, chain, is_hashed_anew=True)
    elif what == "all":
        for one in tasks:
            held = verdicts(database, one)
            for said in held:
                said["judgement"] = "abstain" if said["judgement"] == "pass" else "pass"
            rewrite(database, one, held, is_hashed_anew=True)
    elif what == "record":
        version = chance.randrange(4)
        content = json.dumps({"action": "review", "version": chance.randint(10, 99)})
        database.execute("UPDATE chained_records SET content = ? WHERE position = ?", (content, version))
    elif what == "outcome":
        was = database.execute("SELECT outcome FROM tasks WHERE id = ?", (task,)).fetchone()[0]
        database.execute(
            "UPDATE tasks SET outcome = ? WHERE id = ?", ("failed" if was == "verified" else "verified", task)
        )
    else:
        what = "insert"
        more = {**chain[-1], "id": f"ffffffff-0000-7000-8000-{chance.getrandbits(40):012x}"}
        more["position"] = len(chain)
        place = chance.randrange(len(chain) + 1)
        chain.insert(place, more)
        rewrite(database, task, chain, is_hashed_anew=place < len(chain) - 1)
    database.commit()
    database.close()
    return what


def tampered(kept: Kept, tmp_path: Path, count: int, seed: int) -> None:
    chance = random.Random(seed)
    found: dict[str, int] = {}
    for number in range(count):
        copy = kept.copy(tmp_path / f"copy-{number}")
        what = tamper(copy, chance)
        assert not copy.verified().holds, f"tamper {number} of seed {seed} was not found: {what}"
        found[what] = found.get(what, 0) + 1
        shutil.rmtree(copy.folder)
    print(f"P10: {count} of {count} tampers found: {found}")


def test_any_tamper_is_found(kept: Kept, tmp_path: Path) -> None:
    tampered(kept, tmp_path, TAMPERS, seed=1)


@pytest.mark.soak
def test_a_thousand_tampers_are_found(kept: Kept, tmp_path: Path) -> None:
    tampered(kept, tmp_path, TAMPERS_IN_FULL, seed=2)


def test_nothing_is_found_where_nothing_was_done(kept: Kept, tmp_path: Path) -> None:
    copy = kept.copy(tmp_path / "copy")
    assert copy.verified().problems == ()
    more = {"event": "judged", "id": "00000000-0000-7000-8000-ffffffffffff", "task": "t0", "at": NOW + 500}
    with open_book(str(copy.database)) as book:
        said = {"verifier": "tests", "version": "2", "judgement": "pass", "evidence": "later"}
        record(book, Lake(copy.folder / "lake"), [{**more, **said}], Teller("p10"), now_us=NOW)
    assert copy.verified().problems == ()  # what comes after the head is no tamper


def test_without_heads_a_cut_end_goes_unnoticed(kept: Kept, tmp_path: Path) -> None:
    """The negative control: it is the heads that find it."""
    copy = kept.copy(tmp_path / "copy")
    database = sqlite3.connect(copy.database)
    gone = database.execute("SELECT MIN(id) FROM tasks").fetchone()
    for table, key in (("verdicts", "task_id"), ("task_events", "task_id"), ("tasks", "id")):
        database.execute(f"DELETE FROM {table} WHERE {key} = ?", gone)
    database.commit()
    database.close()
    assert not copy.verified().holds
    shutil.rmtree(copy.folder / "heads")
    assert copy.verified().holds


@pytest.mark.parametrize("how", ["edited", "dropped", "signed by another", "replaced"])
def test_the_statements_are_vouched_for_themselves(kept: Kept, tmp_path: Path, how: str) -> None:
    copy = kept.copy(tmp_path / "copy")
    digest = copy.verified().digest
    file = copy.heads.folder / STATEMENTS
    lines = file.read_text().splitlines()
    if how == "edited":
        file.write_text(lines[0].replace('"number":1', '"number": 2') + "\n")
    elif how == "dropped":
        with open_book(str(copy.database)) as book:
            rules = {"action": "other"}
            define(book, of_document(rules), by_whom="me", at_us=NOW)
            vouching.sign(book, Lake(copy.folder / "lake"), copy.heads, now_us=NOW)
        file.write_text("\n".join(file.read_text().splitlines()[1:]) + "\n")
    elif how == "signed by another":
        copy.heads.key_file.write_text("00" * 32)
    else:
        file.unlink()
        with open_book(str(copy.database)) as book:  # all that is left is sound in itself
            anew = vouching.verify(book, Lake(copy.folder / "lake"), copy.heads, now_us=NOW + 1)
        assert anew.holds
    assert not copy.verified(digest=digest).holds


def test_a_chain_that_contradicts_its_head_is_not_signed_again(kept: Kept, tmp_path: Path) -> None:
    copy = kept.copy(tmp_path / "copy")
    database = sqlite3.connect(copy.database)
    task = str(database.execute("SELECT task_id FROM verdicts LIMIT 1").fetchone()[0])
    chain = verdicts(database, task)
    chain[0]["judgement"] = "pass" if chain[0]["judgement"] != "pass" else "fail"
    chain.append({**chain[-1], "id": "ffffffff-0000-7000-8000-000000000000"})
    rewrite(database, task, chain, is_hashed_anew=True)
    database.commit()
    database.close()
    with open_book(str(copy.database)) as book:
        vouching.sign(book, Lake(copy.folder / "lake"), copy.heads, now_us=NOW)
    assert not copy.verified().holds
