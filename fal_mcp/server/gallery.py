"""The gallery: one page that shows what models made, in hosts with MCP Apps (extension io.modelcontextprotocol/ui).

Joins the sources in `fal_mcp/gallery` and says what they may do and load; what they show is their own business.
"""

import base64
import hashlib
from functools import cache
from urllib.parse import urlsplit

import mcp_types as types

from fal_mcp import bundled
from fal_mcp.config import Hosts
from fal_mcp.json_values import JsonObject

EXTENSION = "io.modelcontextprotocol/ui"
URI = "ui://fal/gallery.html"
MIME_TYPE = "text/html;profile=mcp-app"
TOOL_META = {"ui": {"resourceUri": URI}}
"""What a tool says in `_meta` whose results the page shows."""
_SCRIPTS = ("text.js", "addresses.js", "host.js", "result.js", "elements.js", "files.js", "runs.js", "start.js")
"""One scope, in this order: the page is one module, and nothing of it is global."""
_FALS = ("https://fal.media", "https://*.fal.media")
"""Every media host of fal's."""


def resource(hosts: Hosts) -> types.Resource:
    """The page as the list of resources shows it."""
    return types.Resource(
        uri=URI,
        name="gallery",
        title="Gallery",
        description="Shows what a run made: pictures, films, sound and 3D, its progress, its settings and its cost.",
        mime_type=MIME_TYPE,
        _meta=_meta(hosts),
    )


def read(hosts: Hosts) -> types.ReadResourceResult:
    """The page itself."""
    content = types.TextResourceContents(uri=URI, text=page(hosts), mime_type=MIME_TYPE, _meta=_meta(hosts))
    return types.ReadResourceResult(contents=[content])


@cache
def page(hosts: Hosts) -> str:
    """The page in one file. Of scripts and styles it runs its own, known by their hashes, and loads nothing but media.

    Its policy holds wherever the page is shown, also in a host that adds none.
    """
    folder = bundled.gallery()
    script = "\n".join((folder / name).read_text("utf-8") for name in _SCRIPTS)
    style = (folder / "style.css").read_text("utf-8")
    media = " ".join(_media(hosts))
    # In the page itself, by hash: hosts differ in what they add, and some add nothing.
    policy = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; "
        f"img-src {media} data:; media-src {media}; base-uri 'none'; form-action 'none'"
    )
    whole = (folder / "page.html").read_text("utf-8")
    for name, text in {"POLICY": policy, "MEDIA": media, "STYLE": style, "SCRIPT": script}.items():
        # The policy goes in before the script is, so that nothing in the script can pass for a mark of the policy.
        whole = whole.replace(f"@{name}@", text)
    return whole


def _meta(hosts: Hosts) -> JsonObject:
    return {"ui": {"csp": {"resourceDomains": list(_media(hosts)), "connectDomains": []}, "prefersBorder": True}}


def _media(hosts: Hosts) -> tuple[str, ...]:
    """Where media may come from: fal's hosts, and the stand-in's where the settings name one."""
    cdn = urlsplit(hosts.cdn)
    return _FALS if hosts == Hosts() else (*_FALS, f"{cdn.scheme}://{cdn.netloc}")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
