"""Where the documents and pages that ship with the package are."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def schemas() -> Path:
    """The `schemas` folder: inside the package in a wheel, beside it in a checkout or an editable install."""
    packed = _PACKAGE / "_schemas"
    return packed if packed.is_dir() else _PACKAGE.parent / "schemas"


def gallery() -> Path:
    """The folder of the gallery's sources."""
    return _PACKAGE / "gallery"
