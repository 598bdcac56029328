"""Pages as HTML: templates of our own, everything escaped, no script or style within a page."""

from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from flatfare import __version__
from flatfare.core.errors import BadUsage
from flatfare.core.moments import datetime_of
from flatfare.service.reporting.wording import MISSING

if TYPE_CHECKING:
    from jinja2 import Environment

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""What a page of ours may load and where its forms may go: nothing but ourselves."""

ASSETS = {"dashboard.css": "text/css", "dashboard.js": "text/javascript", "icon.svg": "image/svg+xml"}


@cache
def environment() -> "Environment":
    """The templates, read once."""
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError as problem:
        raise BadUsage("The dashboard needs the web extra: pip install 'flatfare[web,charts]'.") from problem
    made = Environment(
        loader=PackageLoader("flatfare.web.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals.update(MISSING=MISSING, version=__version__, assets=asset_version())
    return made


def page_of(template: str, values: Mapping[str, object]) -> str:
    """One page."""
    return environment().get_template(template).render(values)


@cache
def asset(name: str) -> bytes:
    """One of our own files."""
    return files("flatfare.web.pages").joinpath("assets", name).read_bytes()


@cache
def asset_version() -> str:
    """Changes when any of our own files does, so that a browser may keep them."""
    return sha256(b"".join(asset(name) for name in ASSETS)).hexdigest()[:12]


def moment_text(at_us: int, zone: str) -> str:
    """A moment as people write it, in a time zone that is named."""
    local = datetime_of(at_us).astimezone(ZoneInfo(zone))
    return f"{local:%Y-%m-%d %H:%M}"
