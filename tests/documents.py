"""What the documents show: fenced blocks, and the command lines in blocks and in prose."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), ROOT / "sdk" / "README.md", *(ROOT / "docs").rglob("*.md")])
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"(?:^\s*(?:\$ )?|`|; |&& |# )flatfare ([^`\n]+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Command:
    """A command line of a page, without the program's name."""

    page: Path
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}: flatfare {' '.join(self.words)}"


def blocks(page: Path, language: str) -> list[str]:
    """The page's fenced blocks of that language."""
    return [block[2] for block in _BLOCK.finditer(page.read_text(encoding="utf-8")) if block[1] == language]


def commands(page: Path) -> Iterator[Command]:
    """Every command line that a page shows, up to a comment, a pipe or what follows it."""
    text = re.sub(r"\\\n\s*", " ", page.read_text(encoding="utf-8"))
    for found in _COMMAND.finditer(text):
        words = words_of(found[1])
        if words and re.match(r"[a-z]", words[0]):
            yield Command(page, tuple(words))


def words_of(line: str) -> list[str]:
    """A command line's words."""
    try:
        words = shlex.split(line, comments=True)
    except ValueError:  # prose with an apostrophe
        words = line.split()
    end = next((place for place, word in enumerate(words) if word in ("|", "&&", "&", ";", "||")), None)
    return [word.rstrip(";") for word in words[:end]]


def shown(page: Path, first: str) -> list[list[str]]:
    """The commands of the block that begins with this one, in order."""
    block = next(block[2] for block in _BLOCK.finditer(page.read_text()) if block[2].startswith(first))
    lines = re.sub(r"\\\n\s*", " ", block).splitlines()
    return [words_of(line.removeprefix("flatfare ")) for line in lines if line.startswith("flatfare ")]
