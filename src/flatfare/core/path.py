"""Paths: a ladder of rungs, each a model with an effort and a prompt version.

An attempt is one try at a task on one rung. A path that was imported may be known
by its name alone.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rung:
    """One step of a ladder."""

    model: str
    provider: str | None = None
    effort: str | None = None
    prompt_version: str | None = None

    def __str__(self) -> str:
        """As ``provider/model@effort#prompt``, with what is not known left out."""
        provider = f"{self.provider}/" if self.provider else ""
        effort = f"@{self.effort}" if self.effort else ""
        prompt = f"#{self.prompt_version}" if self.prompt_version else ""
        return f"{provider}{self.model}{effort}{prompt}"


@dataclass(frozen=True, slots=True)
class Path:
    """A named ladder; its name is what reports group by.

    >>> Path.of(Rung("gpt-5-mini", effort="low"), Rung("gpt-5")).name
    'gpt-5-mini@low > gpt-5'
    """

    name: str
    rungs: tuple[Rung, ...] = ()

    @classmethod
    def of(cls, *rungs: Rung) -> "Path":
        """The path that is called after its rungs."""
        return cls(" > ".join(map(str, rungs)), rungs)
