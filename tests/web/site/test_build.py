"""The site's pages: they fetch nothing, run nothing of their own, and a name stays text."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from flatfare.core.statistics import CostSums
from flatfare.service.leaderboard.gathering import boards_of
from flatfare.service.leaderboard.showing import Showing
from flatfare.service.leaderboard.sources import Source, SourceFile
from flatfare.web.site.build import build_site

pytest.importorskip("vl_convert", reason="needs the charts extra")
pytest.importorskip("jinja2", reason="needs the charts extra")

EVIL = "<img src=x onerror=alert(1)> \"quoted\" & 'single'"
DOLLAR = 1_000_000_000


def showings() -> list[Showing]:
    sums = CostSums.of([(DOLLAR, True)] * 20 + [(2 * DOLLAR, False)] * 20)
    return [
        Showing(EVIL, "d<b>", EVIL, (EVIL,), 50, 30, 3 * DOLLAR),
        Showing(EVIL, "d<b>", "plain", (EVIL,), 50, 20, 9 * DOLLAR),
        Showing(EVIL, "other", EVIL, (EVIL,), 50, 30, 4 * DOLLAR),
        Showing(EVIL, "other", "plain", (EVIL,), 50, 20, 8 * DOLLAR),
        Showing("own work", "", "of tasks", ("gateway",), 40, 20, 60 * DOLLAR, failed_nano=1, sums=sums),
        Showing("own work", "", "partly known", ("gateway",), 40, 20, DOLLAR, unknown_n=2),
        Showing("own work", "", "unknown", ("gateway",), 40, 20, 0, unknown_n=40),
        Showing("own work", "", "few", ("gateway",), 40, 2, DOLLAR),
        Showing("own work", "", "free", ("gateway",), 40, 9, 0),
        Showing("nothing ranked", "", "few", ("gateway",), 40, 2, DOLLAR),
    ]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("out") / "site"
    file = SourceFile("<i>.csv", 3, 0, "2026-11-21", "ab12")
    sources = [
        Source(EVIL, "javascript:alert(1)", "<b>MIT</b>", (file,)),
        Source("gateway", "https://example.org/?a=1&b=2", None, ()),
    ]
    boards = boards_of(showings(), pool=True)
    build_site(boards, sources, folder, as_of="2026-11-21", version="0.1.0")
    return folder


class Page(HTMLParser):
    """What a page refers to, and the tags it is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[str] = []
        self.scripts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        self.attributes += given
        if tag == "a":
            self.links.append(given["href"] or "")
        for name in ("src", "srcset", "data", "poster"):
            self.fetched += [given[name] or ""] if name in given else []
        if tag == "link":
            self.fetched.append(given["href"] or "")

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1] in ("script", "style") and data.strip():
            self.scripts.append(data)


def pages(site: Path) -> dict[str, Page]:
    return {file.name: Page(file.read_text(encoding="utf-8")) for file in site.glob("*.html")}


def test_there_is_a_page_for_each_board_and_three_more(site: Path) -> None:
    assert {"index.html", "method.html", "sources.html", "own-work.html"} <= set(pages(site))
    assert len(pages(site)) == 3 + 5  # a pooled board, its two domains, and two more


def test_everything_a_page_fetches_is_a_file_of_the_folder(site: Path) -> None:
    fetched = {target for page in pages(site).values() for target in page.fetched}
    assert fetched
    assert [target for target in fetched if not (site / target).is_file()] == []
    assert not any(re.match(r"[a-z]+:|//|/", target) for target in fetched)


def test_nothing_in_style_script_or_pictures_names_another_address(site: Path) -> None:
    for file in [*site.glob("assets/*"), *site.glob("charts/*")]:
        text = file.read_text(encoding="utf-8").replace("http://www.w3.org/", "")
        assert "http" not in text, file
        assert "url(" not in text, file
        assert "@import" not in text, file


def test_every_link_leads_somewhere_and_only_the_web_is_linked_outside(site: Path) -> None:
    for name, page in pages(site).items():
        for link in page.links:
            if link.startswith("https://"):
                continue
            target, _, anchor = link.partition("#")
            file = site / (target or name)
            assert file.is_file(), f"{name} links to {link}"
            if anchor:
                assert f'id="{anchor}"' in file.read_text(encoding="utf-8"), f"{name} links to {link}"


def test_a_name_with_html_in_it_stays_text(site: Path) -> None:
    for name, page in pages(site).items():
        assert "onerror" not in page.attributes, name
        assert not {"b", "i"} & set(page.tags) - {"i"}, name
    text = (site / "sources.html").read_text(encoding="utf-8")
    assert "&lt;img src=x onerror=alert(1)&gt;" in text
    assert 'href="javascript:' not in text
    for chart in site.glob("charts/*.svg"):
        tree = ElementTree.parse(chart)
        assert not any("onerror" in element.attrib for element in tree.iter()), chart
        assert not any(element.tag.endswith(("}img", "}script")) for element in tree.iter()), chart


def test_no_script_or_style_stands_in_a_page_and_the_policy_says_so(site: Path) -> None:
    for name, page in pages(site).items():
        assert page.scripts == [], name
        assert "style" not in page.attributes, name
        assert not [attribute for attribute in page.attributes if attribute.startswith("on")], name
        text = (site / name).read_text(encoding="utf-8")
        policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
        assert policy
        assert "default-src 'none'" in policy[1]
        assert "unsafe" not in policy[1]


def test_every_figure_of_the_chart_stands_in_a_table_too(site: Path) -> None:
    text = (site / "own-work.html").read_text(encoding="utf-8")
    rows = re.findall(r'<tr role="row"[^>]*data-wide="[\d. ]+" data-narrow="[\d. ]+"', text)
    assert len(rows) == 2  # the ranked path that costs something, and the one known in part
    for path in ("of tasks", "partly known", "unknown", "few", "free"):
        assert f">{path}" in text


def test_the_moment_is_stated_on_every_page(site: Path) -> None:
    assert all("As of 2026-11-21." in (site / name).read_text(encoding="utf-8") for name in pages(site))


def test_data_lie_beside_each_board(site: Path) -> None:
    boards = [file.stem for file in site.glob("*.html") if file.stem not in ("index", "method", "sources")]
    for slug in boards:
        document = json.loads((site / "data" / f"{slug}.json").read_text(encoding="utf-8"))
        lines = (site / "data" / f"{slug}.csv").read_text(encoding="utf-8").splitlines()
        assert len(lines) == 1 + len(document["boards"][0]["paths"])


def test_unknown_costs_read_as_a_dash_or_at_least_and_never_as_zero(site: Path) -> None:
    text = (site / "own-work.html").read_text(encoding="utf-8")
    row = text[text.index(">unknown") :]
    assert "—" in row[:300]
    assert "at least $0.0500" in text


def test_the_same_boards_give_the_same_site(site: Path, tmp_path: Path) -> None:
    build_site(boards_of(showings(), pool=True), [], tmp_path / "site", as_of="2026-11-21", version="0.1.0")
    for file in [*site.glob("charts/*"), *site.glob("data/*")]:
        assert (tmp_path / "site" / file.relative_to(site)).read_bytes() == file.read_bytes()


def test_each_ink_reads_on_its_paper() -> None:
    from flatfare.web.frames import DARK, LIGHT

    for colours in (LIGHT, DARK):
        for ink, least in (
            (colours.text, 4.5),
            (colours.muted, 4.5),
            (colours.accent, 4.5),
            (colours.point, 3),
        ):
            assert contrast(ink, colours.paper) >= least, (colours.name, ink)


def test_the_inks_of_the_stylesheet_are_those_of_the_charts(site: Path) -> None:
    from flatfare.web.frames import DARK, LIGHT

    css = (site / "assets" / "site.css").read_text(encoding="utf-8")
    light, dark = css.split("@media", 1)
    for text, colours in ((light, LIGHT), (dark.split("* {", 1)[0], DARK)):
        for name in ("text", "muted", "point", "accent", "paper"):
            assert f"--{name}: {getattr(colours, name)};" in text


def contrast(ink: str, paper: str) -> float:
    """The contrast ratio of WCAG 2.2."""
    light, dark = sorted((luminance(ink), luminance(paper)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
