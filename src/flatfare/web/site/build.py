"""The site's files: pages from templates, charts, and the data beside them.

Each page works when opened from a disk: no address outside the folder is fetched,
no script or style stands in a page, and every name is escaped.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from flatfare.core.errors import BadUsage
from flatfare.core.money import dollar_text
from flatfare.service.leaderboard.document import csv_text, document_of, rows_of
from flatfare.service.leaderboard.ranking import Board
from flatfare.service.leaderboard.sources import Source
from flatfare.web.frames import DARK, LIGHT, Frame, Spec, svg
from flatfare.web.site.charts import NARROW, WIDE, drawn, overview, signature
from flatfare.web.site.folder import replaced
from flatfare.web.site.views import BoardView, anchor_of, slugs_of, view_of

if TYPE_CHECKING:
    from jinja2 import Environment

_OVERVIEW = (  # frames, and how high the line of one board is in each
    (replace(WIDE, left=304, width=736, top=8), 30),
    (replace(NARROW, left=14, width=328, top=20), 42),
)


@dataclass(frozen=True, slots=True)
class Picture:
    """A chart's files by their common name, and the sizes of the wide and the narrow one."""

    name: str
    wide: tuple[int, int]
    narrow: tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Site:
    """What every page needs."""

    folder: Path
    pages: "Environment"
    common: Mapping[str, str]

    def write(self, page: str, file: str, **values: object) -> None:
        text = self.pages.get_template(page).render(**self.common, **values)
        (self.folder / file).write_text(text, encoding="utf-8")


def build_site(
    boards: Sequence[Board],
    sources: Sequence[Source],
    target: Path,
    *,
    as_of: str,
    version: str,
    handoff_nano: int = 0,
) -> int:
    """Write the whole site in place of the target folder; returns how many pages it has.

    ``as_of`` is printed as it is. Needs the ``charts`` extra.
    """
    pages = _templates()
    slugs = slugs_of(boards)
    views = [view_of(board, slug) for board, slug in zip(boards, slugs, strict=True)]
    common = {"as_of": as_of, "version": version}
    with replaced(target) as folder:
        for name in ("assets", "charts", "data"):
            (folder / name).mkdir()
        site = _Site(folder, pages, common)
        _copy_assets(folder / "assets")
        for board, view in zip(boards, views, strict=True):
            _write_board(site, board, view, views, as_of, handoff_nano)
        site.write("index.html", "index.html", here="index", boards=views, overview=_overview(folder, boards))
        site.write(
            "method.html",
            "method.html",
            here="method",
            handoff=dollar_text(handoff_nano) if handoff_nano else None,
        )
        site.write("sources.html", "sources.html", here="sources", sources=_sources(sources, boards, views))
    return len(views) + 3


def _templates() -> "Environment":
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError as problem:
        raise BadUsage("The site needs two more packages: pip install 'flatfare[charts]'.") from problem
    return Environment(
        loader=PackageLoader("flatfare.web.site"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _copy_assets(folder: Path) -> None:
    for asset in files("flatfare.web.site").joinpath("assets").iterdir():
        (folder / asset.name).write_bytes(asset.read_bytes())


def _write_board(
    site: _Site, board: Board, view: BoardView, views: Sequence[BoardView], as_of: str, handoff_nano: int
) -> None:
    rows = rows_of(board)
    (site.folder / "data" / f"{view.slug}.csv").write_text(csv_text(rows), encoding="utf-8")
    document = document_of([board], as_of, handoff_nano)
    (site.folder / "data" / f"{view.slug}.json").write_text(
        json.dumps(document, ensure_ascii=False, indent=1), encoding="utf-8"
    )
    chart = None
    if drawn(board):
        specs = {
            (frame.name, colours.name): signature(board, colours, frame)
            for frame in (WIDE, NARROW)
            for colours in (LIGHT, DARK)
        }
        chart = _draw(site.folder, view.slug, specs, WIDE, NARROW)
    siblings = [other for other in views if other.benchmark == view.benchmark]
    site.write("board.html", view.file, here="", board=view, siblings=siblings, chart=chart)


def _overview(folder: Path, boards: Sequence[Board]) -> Picture | None:
    shown = [board for board in boards if drawn(board) and board.ranked]
    if not shown:
        return None
    frames = [replace(frame, height=line * len(shown)) for frame, line in _OVERVIEW]
    specs = {
        (frame.name, colours.name): overview(shown, colours, frame)
        for frame in frames
        for colours in (LIGHT, DARK)
    }
    return _draw(folder, "overview", specs, *frames)


def _draw(
    folder: Path, name: str, specs: Mapping[tuple[str, str], Spec], wide: Frame, narrow: Frame
) -> Picture:
    for (frame, colours), spec in specs.items():
        (folder / "charts" / f"{name}-{frame}-{colours}.svg").write_text(svg(spec), encoding="utf-8")
    return Picture(name, (wide.full_width, wide.full_height), (narrow.full_width, narrow.full_height))


def _sources(
    sources: Sequence[Source], boards: Sequence[Board], views: Sequence[BoardView]
) -> list[dict[str, object]]:
    return [
        {
            "title": source.name,
            "anchor": anchor_of(source.name),
            "licence": source.licence,
            "url": source.url,
            "link": source.url if source.url and _is_web(source.url) else None,
            "files": source.files,
            "boards": [
                view for board, view in zip(boards, views, strict=True) if source.name in board.sources
            ],
        }
        for source in sources
    ]


def _is_web(url: str) -> bool:
    """Only such an address becomes a link: a ``javascript:`` one stays text."""
    return urlsplit(url).scheme in ("http", "https")
