"""What counts in search, and how much: every number with its reason.

`tests/catalog/test_search.py` takes each away in turn and shows what it buys on the requests. The words of a request
weigh most; whatever else is known can only add, and never as much as the words of the best match do.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Weights:
    """Fields of a model, what is read out of a request, and what is known of a model besides."""

    title: float = 1.2
    """Its title and the label of its group: what fal calls it."""
    name: float = 1.8
    """The words of its id, family and version among them: what people call it."""
    category: float = 3.75
    """Medium in and medium out, in fal's words."""
    tags: float = 0.3
    """fal's tags: many are wrong (a music model is tagged `lipsync`)."""
    description: float = 0.3
    """Long, and full of words that fit anything."""
    owner: float = 1.0
    """Who made it, the first part of the id."""
    task: float = 1.0
    """What it is for, in the words of people who want it: they rarely use fal's."""
    called: float = 1.5
    """Times as much for a task that the request calls by its own name."""
    given: float = 1.2
    """The medium that the request has in hand is what goes in."""
    made: float = 1.36
    """The medium that the request wants is what comes out."""
    same: float = 0.7
    """A word that says the same as one of the request's: less, as it was not said."""
    joined: float = 0.8
    """Two words of the request that are one in a name (`lip sync`), or one that is two (`nanobanana`)."""
    guessed: float = 0.8
    """The nearest name of a family where a word is known nowhere."""
    everyday: float = 0.3
    """A name that is also a word of everyday (`film`, `horse`), where nothing else of a name stands beside it."""
    known: float = 0.17
    """One that people know comes before a stranger that fits as well."""
    newest: float = 0.6
    """The newest of a family, unless the request names a version."""
    plain: float = 0.3
    """The model itself comes before its variants (`/lora`, `/distilled`) where none is named."""
    unsaid: float = 1.0
    """Where no medium is told, most people mean a picture."""
    rarely: float = 0.37
    """Of two that fit as well, the one of the category that people ask for more often."""
    ahead: float = 0.42
    """fal puts it forward."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Where a match is too weak to be called one; measured on the requests' halves for tuning."""

    least_share_plain: float = 0.75
    """How much a task must be asked for by each word of the request, where none of them is said of media alone."""
    least_share: float = 0.8
    """The same where one is, but another is no business of fal's."""
    least_share_foreign: float = 1.6
    """The same where none is of media, and one is no business of fal's or it is a question."""


NORMAL = Weights()
BOUNDS = Bounds()
