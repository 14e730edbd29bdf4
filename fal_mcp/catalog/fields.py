"""What search reads of a model: its texts field by field, and which media its category puts in and takes out."""

from fal_mcp.catalog.catalog import Catalog
from fal_mcp.catalog.index import Fields
from fal_mcp.json_values import object_of, text_of

_LONGEST_DESCRIPTION = 1000
_AS_KIND = {"speech": "audio", "music": "audio"}
_READERS = {"vision": ("image", "text"), "llm": ("text", "text"), "training": ("archive", "model")}


def fields_of(catalog: Catalog, endpoint_id: str) -> Fields:
    """Its texts, out of fal's list where that has them, else out of its document."""
    about = catalog.metadata(endpoint_id)
    # Reading a thousand documents would be the largest part of building the index, so one is read only where fal's
    # list has no description.
    endpoint = None if about.get("description") else catalog.get(endpoint_id)
    label = text_of(object_of(about.get("group")).get("label")) or ""
    title = str(about.get("display_name") or (endpoint.title if endpoint else endpoint_id))
    owner, _, name = endpoint_id.partition("/")
    return Fields(
        title=f"{title} {label}",
        # Most ids begin with `fal-ai`, which tells nothing; another owner is part of the name that people know.
        name=name if owner == "fal-ai" else endpoint_id,
        category=catalog.category(endpoint_id).replace("-", " "),
        tags=" ".join(map(str, about.get("tags") or ())),
        description=str(about.get("description") or (endpoint.description if endpoint else ""))[:_LONGEST_DESCRIPTION],
        owner=owner.removeprefix("fal-ai"),
    )


def kinds_of(category: str) -> tuple[frozenset[str], str]:
    """What goes in and what comes out, as the category says."""
    if category in _READERS:
        given, made = _READERS[category]
        return frozenset({given}), made
    given, _, made = category.partition("-to-")
    return frozenset({_AS_KIND.get(given, given)}), _AS_KIND.get(made, made)
