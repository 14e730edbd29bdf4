"""How well and how fast search answers: each half of the requests, and the clock at fal's size."""

import statistics
import time
from pathlib import Path

from benchmarks.catalog import Figure
from fal_mcp.catalog.catalog import Catalog
from fal_mcp.catalog.search import Search
from fal_mcp.catalog.source import Folder
from tests.catalog import requests_read as requests

CORPUS = Path(__file__).parents[2] / "shared" / "corpus" / "models"
MOST_MISSED = {"raw": (0.15, 0.35), "terse": (0.03, 0.18), "languages": (0.20, 0.35)}
"""Of the half for CI: not among the first five, and not first."""


def quality() -> list[Figure]:
    """Requests that miss, as shares, half by half. Nothing where the corpus of real documents is not beside this."""
    if not CORPUS.is_dir():
        return []
    catalog = Catalog(Folder(CORPUS))
    search = Search(catalog, catalog.ids)
    figures = [
        figure
        for kind in requests.KINDS
        for which in ("tuning", "ci")
        for figure in _figures(f"{kind}, half for {which}", requests.half(kind, which), catalog, search, kind)
    ]
    figures += _figures("written after the tuning", requests.asked("later"), catalog, search, "raw")
    nothing = [*requests.half("nothing", "ci"), *requests.asked("nothing_later")]
    something = [*requests.half("something", "ci"), *requests.asked("later"), *requests.half("raw", "ci")]
    unsaid = sum(search.match(one.text).is_sure for one in nothing) / len(nothing)
    missaid = sum(not search.match(one.text).is_sure for one in something) / len(something)
    return [
        *figures,
        (f"'nothing matched' is not said, of {len(nothing)} requests without a model", unsaid, 0.10, ""),
        (f"'nothing matched' is said, of {len(something)} requests with one", missaid, 0.05, ""),
    ]


def speed(models: Path) -> list[Figure]:
    """What building the index and a request cost over `models`, by the clock."""
    catalog = Catalog(Folder(models))
    began = time.perf_counter()
    search = Search(catalog, catalog.ids)
    built = time.perf_counter() - began
    times: list[float] = []
    for one in [one for kind in requests.KINDS for one in requests.asked(kind)]:
        began = time.perf_counter()
        search.match(one.text)
        times.append((time.perf_counter() - began) * 1000)
    return [
        (f"search over {len(catalog)} models, p50 of {len(times)}", statistics.median(times), 2, "ms"),
        ("search, p95", statistics.quantiles(times, n=20)[-1], 8, "ms"),
        ("building its index", built, 1, "s"),
    ]


def _figures(what: str, asked: list[requests.Asked], catalog: Catalog, search: Search, kind: str) -> list[Figure]:
    score = requests.measured(asked, catalog, search.find)
    most_5, most_1 = MOST_MISSED[kind]
    said = f"{what} ({score.count}): recall@1 {score.at_1:.3f}, recall@5 {score.at_5:.3f}, MRR {score.mrr:.3f}; not"
    return [(f"{said} among five", 1 - score.at_5, most_5, ""), (f"{said} first", 1 - score.at_1, most_1, "")]
