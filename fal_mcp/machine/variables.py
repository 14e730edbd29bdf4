"""Which environment variables of this machine may become secrets at fal, and their values. Knows nothing of fal.

The environment itself is the command line's: it hands in what looks a variable up.
"""

from collections.abc import Callable, Collection

from fal_mcp.errors import NotReadable

_OWN = ("FAL_KEY", "FAL_ADMIN_KEY", "FAL_MCP_")
"""How this server's own names begin. In capitals: Windows does not tell them from small letters."""


class Variables:
    """The variables named in `names`, or with None any, but never this server's own keys."""

    def __init__(
        self, value_of: Callable[[str], str | None] = lambda name: None, names: Collection[str] | None = ()
    ) -> None:
        self._value_of = value_of
        self._names = names

    @property
    def are_named(self) -> bool:
        """Whether whoever runs the server said which ones."""
        return self._names is not None

    def value(self, name: str) -> str:
        """The value of one variable.

        Raises:
            NotReadable: it is one that may not be read, set or not, or it is not set.
        """
        if name.strip().upper().startswith(_OWN) or (self._names is not None and name not in self._names):
            raise NotReadable(
                f"The variable {name!r} may not be read by this server.",
                hint="Its --secret-env names those that may be; its own keys never are.",
            )
        value = self._value_of(name)
        if not value:
            raise NotReadable(
                f"The variable {name!r} is not set where this server runs, or is empty.",
                hint="Set it there and start the server anew, or leave from_env out to have the user asked.",
            )
        return value
