"""Which model tools are listed, and which may be run at all. Settings decide, never a call."""

import difflib
import fnmatch
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from fal_mcp.catalog.catalog import CATEGORIES, Catalog

_WORDS = ("search", "pinned", "all", "mine")


@dataclass(frozen=True, slots=True)
class Selection:
    """`listed`: `search`, `pinned`, `all`, `mine`, categories and globs; `pins` and `only`: globs over endpoint ids."""

    listed: tuple[str, ...] = ("pinned",)
    pins: tuple[str, ...] = ()
    only: tuple[str, ...] = ("*",)

    def allows(self, endpoint_id: str) -> bool:
        """Whether this endpoint may be run."""
        # Asked of sixteen hundred models for each list, most often where all may be run.
        return self.only == ("*",) or any(_is_meant(endpoint_id, glob) for glob in self.only)

    def allowed(self, catalog: Catalog) -> list[str]:
        """Every endpoint that may be run, in the catalog's order."""
        return [one for one in catalog.ids if self.allows(one)]

    def listed_ids(self, catalog: Catalog, own: Sequence[str] = ()) -> list[str]:
        """The endpoints whose tools are listed: pins in the order they were given, the account's own, then the
        catalog's order."""
        mine = [one for one in own if self.allows(one) and self._is_own_listed(one)]
        rest = [one for one in self.allowed(catalog) if self._is_listed(one, catalog)]
        return list(dict.fromkeys([*self.pinned_ids(catalog, own), *mine, *rest]))

    def asks_for_own(self, catalog: Catalog, usual: Collection[str] = ()) -> bool:
        """Whether what is listed depends on which apps the account has; the `usual` pins are none."""
        named = [one for one in (*self.listed, *self.pins) if "/" in one and one not in usual]
        owners = {one.partition("/")[0] for one in catalog.ids} if named else set[str]()
        return "mine" in self.listed or any(one.partition("/")[0] not in owners for one in named)

    def pinned_ids(self, catalog: Catalog, own: Sequence[str] = ()) -> list[str]:
        """The pins that are listed, in the order they were given."""
        pins = _in_order(self.pins, [*self.allowed(catalog), *(one for one in own if self.allows(one))])
        # A pin that a category lists too keeps its place at the front.
        return [one for one in dict.fromkeys(pins) if "pinned" in self.listed or self._is_listed(one, catalog)]

    def within(self, listed: Iterable[str]) -> "Selection":
        """This selection with another list, bounded by it: a caller may narrow what a server offers, or widen the
        list to what may be run, never past that."""
        return Selection(tuple(listed) or self.listed, self.pins, self.only)

    def problems(self, catalog: Catalog) -> list[str]:
        """A sentence on each part of what is listed, and of what may be run, that means nothing here, with near
        misses."""
        ids = catalog.ids
        categories = {catalog.category(one) for one in ids} | set(CATEGORIES)
        known = [*_WORDS, *sorted(categories), *ids]
        listed = [one for one in self.listed if one not in _WORDS and one not in categories]
        owners = {one.partition("/")[0] for one in ids}

        def wrong(parts: Iterable[str]) -> list[str]:
            # Of an owner who is in no catalog it may be an app of the account's, which is not asked for at the start.
            return [one for one in _unknown(parts, ids) if "/" not in one or one.partition("/")[0] in owners]

        return [
            *(_sentence(one, "neither a category nor a model", known) for one in wrong(listed)),
            *(_sentence(one, "no model", ids) for one in wrong(self.only) if one != "*"),
        ]

    def doubts(self, catalog: Catalog, usual: Collection[str] = ()) -> list[str]:
        """A sentence on each pin that is no model here, but for the `usual` ones, which are nobody's mistake. A catalog
        that is still small may not have what is meant."""
        unknown = _unknown(self.pins, catalog.ids)
        return [_sentence(one, "no model", catalog.ids) for one in unknown if one not in usual]

    def _is_own_listed(self, endpoint_id: str) -> bool:
        return "mine" in self.listed or any("/" in one and _is_meant(endpoint_id, one) for one in self.listed)

    def _is_listed(self, endpoint_id: str, catalog: Catalog) -> bool:
        return any(
            wanted == "all"
            or (wanted not in _WORDS and _is_meant(endpoint_id, wanted))
            or ((wanted in CATEGORIES or "/" not in wanted) and wanted == catalog.category(endpoint_id))
            for wanted in self.listed
            if wanted not in ("search", "pinned", "mine")
        )


def _is_meant(endpoint_id: str, glob: str) -> bool:
    return _pattern(glob).match(endpoint_id) is not None


# `fnmatch` itself remembers 32,768 of them, and a caller over HTTP may choose new ones with each request.
@lru_cache(maxsize=256)
def _pattern(glob: str) -> re.Pattern[str]:
    return re.compile(fnmatch.translate(glob))


def _in_order(globs: Iterable[str], ids: list[str]) -> Iterator[str]:
    for glob in globs:
        # An id may have what looks like a glob in it; as an id it means only itself.
        yield from [glob] if glob in ids else filter(_pattern(glob).match, ids)


def _unknown(globs: Iterable[str], ids: list[str]) -> list[str]:
    return [one for one in dict.fromkeys(globs) if not any(map(_pattern(one).match, ids))]


def _sentence(part: str, what: str, known: list[str]) -> str:
    near = difflib.get_close_matches(part, known, n=3, cutoff=0.5)
    meant = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    return f"{part!r} is {what} of the catalog.{meant}"
