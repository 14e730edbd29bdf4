"""Which model tools are listed, and which may be run at all. Settings decide, never a call."""

import difflib
import fnmatch
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from fal_mcp.catalog.catalog import CATEGORIES, Catalog

_WORDS = ("search", "pinned", "all")


@dataclass(frozen=True, slots=True)
class Selection:
    """`listed`: `search`, `pinned`, `all`, categories and globs; `pins` and `only`: globs over endpoint ids."""

    listed: tuple[str, ...] = ("pinned",)
    pins: tuple[str, ...] = ()
    only: tuple[str, ...] = ("*",)

    def allows(self, endpoint_id: str) -> bool:
        """Whether this endpoint may be run."""
        return any(fnmatch.fnmatchcase(endpoint_id, glob) for glob in self.only)

    def allowed(self, catalog: Catalog) -> list[str]:
        """Every endpoint that may be run, in the catalog's order."""
        return [one for one in catalog.ids if self.allows(one)]

    def listed_ids(self, catalog: Catalog) -> list[str]:
        """The endpoints whose tools are listed: pins in the order they were given, then the catalog's order."""
        rest = [one for one in self.allowed(catalog) if self._is_listed(one, catalog)]
        return list(dict.fromkeys([*self.pinned_ids(catalog), *rest]))

    def pinned_ids(self, catalog: Catalog) -> list[str]:
        """The pins that are listed, in the order they were given."""
        pins = _in_order(self.pins, self.allowed(catalog))
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
        return [
            *(_sentence(one, "neither a category nor a model", known) for one in _unknown(listed, ids)),
            *(_sentence(one, "no model", ids) for one in _unknown(self.only, ids) if one != "*"),
        ]

    def doubts(self, catalog: Catalog, usual: Collection[str] = ()) -> list[str]:
        """A sentence on each pin that is no model here, but for the `usual` ones, which are nobody's mistake. A catalog
        that is still small may not have what is meant."""
        unknown = _unknown(self.pins, catalog.ids)
        return [_sentence(one, "no model", catalog.ids) for one in unknown if one not in usual]

    def _is_listed(self, endpoint_id: str, catalog: Catalog) -> bool:
        return any(
            wanted == "all"
            or (wanted not in _WORDS and fnmatch.fnmatchcase(endpoint_id, wanted))
            or ((wanted in CATEGORIES or "/" not in wanted) and wanted == catalog.category(endpoint_id))
            for wanted in self.listed
            if wanted not in ("search", "pinned")
        )


def _in_order(globs: Iterable[str], ids: list[str]) -> Iterator[str]:
    for glob in globs:
        # An id may have what looks like a glob in it; as an id it means only itself.
        yield from [glob] if glob in ids else fnmatch.filter(ids, glob)


def _unknown(globs: Iterable[str], ids: list[str]) -> list[str]:
    return [one for one in dict.fromkeys(globs) if not fnmatch.filter(ids, one)]


def _sentence(part: str, what: str, known: list[str]) -> str:
    near = difflib.get_close_matches(part, known, n=3, cutoff=0.5)
    meant = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    return f"{part!r} is {what} of the catalog.{meant}"
