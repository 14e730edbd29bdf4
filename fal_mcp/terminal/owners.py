"""Whose jobs are whose, in the words of the operator: a token's name where the file of tokens has it, else its id."""

from rich.cells import set_cell_size

from fal_mcp.config import Settings
from fal_mcp.jobs.job import payer_of, principal_of
from fal_mcp.team.token_file import TokenFile
from fal_mcp.text import cut, one_line

_LONGEST = 40
_SHORT = 14


class Owners:
    """The owners of one ledger's jobs."""

    def __init__(self, settings: Settings) -> None:
        entries = TokenFile(settings.tokens).entries() if settings.tokens is not None else []
        self._names = {entry.principal.id: entry.name for entry in entries}

    def name(self, owner: str) -> str | None:
        """The name of the owner's token, where there is one."""
        return self._names.get(principal_of(owner))

    def shown(self, owner: str) -> str:
        """A short name: of a principal, or where nobody shares an account, of the key that pays."""
        name = self.name(owner) or cut(principal_of(owner) or payer_of(owner), _SHORT)
        return one_line(name, _LONGEST)

    def in_column(self, owner: str, width: int) -> str:
        """The same in exactly so many columns of a terminal."""
        return set_cell_size(self.shown(owner), width)
