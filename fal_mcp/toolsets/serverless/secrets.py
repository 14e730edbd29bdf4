"""Secrets of the account's apps: their values come from this machine or its user, and never from or to the model.

Fact F8.
"""

from dataclasses import replace

import anyio.to_thread
from pydantic import Field

from fal_mcp.errors import InvalidInput, NotFound
from fal_mcp.machine.readable import path_in
from fal_mcp.outputs.outcome import Outcome
from fal_mcp.runs import input_files
from fal_mcp.runs.call import Call, CannotAsk
from fal_mcp.text import cut, one_line
from fal_mcp.tools import from_function
from fal_mcp.tools.from_function import Arguments
from fal_mcp.tools.tool import Tool

_NAME = r"^[A-Za-z_][A-Za-z0-9_]*$"
_LONGEST = 64 * 1024
"""Bytes of a value."""
_LONGEST_TEXT = 12_000
_PURPOSE = "It goes to fal, for your apps there; the assistant does not see it."
_NOTHING_SENT = "Nothing was sent. Do not ask again unless told."


class ListArguments(Arguments):
    pass


class VerifyArguments(Arguments):
    name: str = Field(max_length=120, pattern=_NAME, description="Such as HF_TOKEN.")


class SetArguments(VerifyArguments):
    from_env: str | None = Field(None, max_length=120, pattern=_NAME, description="A variable that has the value.")
    from_file: str | None = Field(None, max_length=4096, description="A file that has it and may be read.")


def tools() -> list[Tool]:
    """The tools of secrets."""
    return [
        from_function.tool(
            ListArguments,
            _list,
            name="list_secrets",
            title="List the apps' secrets",
            description="The names of the secrets that the account's serverless apps get; never a value.",
            effect="reads",
            key="user",
        ),
        from_function.tool(
            SetArguments,
            _set,
            name="set_secret",
            title="Set a secret of the apps",
            description="Sets a secret for the account's apps. Its value is read on the server's machine, from a "
            "variable (over HTTP, and where any are named, only those of --secret-env) or a file, or else the user "
            "writes it on a page that you do not see. Never write a value into an argument.",
            effect="writes",
            key="user",
        ),
        from_function.tool(
            VerifyArguments,
            _verify,
            name="verify_secret",
            title="See whether a secret is set",
            description="Whether there is a secret of this name, and since when; not its value.",
            effect="reads",
            key="user",
        ),
    ]


async def _list(arguments: ListArguments, call: Call) -> Outcome:
    secrets = await call.fal().secrets.list()
    rows = [{"name": one.name, "created_at": one.created_at} for one in secrets]
    lines = [f"{len(rows)} secrets.", *(f"{one.name}  {one.created_at}".strip() for one in secrets)]
    return Outcome(data={"secrets": rows}, note=cut("\n".join(lines), _LONGEST_TEXT), is_plain=True)


async def _verify(arguments: VerifyArguments, call: Call) -> Outcome:
    matches = [one for one in await call.fal().secrets.list() if one.name == arguments.name]
    if not matches:
        raise NotFound(f"There is no secret {arguments.name!r}.", hint="list_secrets shows what there is.")
    since = f", since {matches[0].created_at}" if matches[0].created_at else ""
    data = {"name": arguments.name, "is_set": True, "created_at": matches[0].created_at}
    return Outcome(data=data, note=f"{arguments.name} is set{since}. fal shows no values.", is_plain=True)


async def _set(arguments: SetArguments, call: Call) -> Outcome:
    call.fal().need_key()
    value, source = await _value(arguments, call)
    # The way of fal's own clients where it is installed; else the one that older clients had.
    cli = call.fal().cli
    await (cli.set_secret if cli.is_there else call.fal().secrets.set)(arguments.name, _checked(value))
    note = f"{arguments.name} is set, from {source}. Apps get it when their runners start."
    return Outcome(data={"name": arguments.name, "is_set": True}, note=note, is_plain=True)


async def _value(arguments: SetArguments, call: Call) -> tuple[str, str]:
    """The value, and where it came from."""
    if arguments.from_env is not None and arguments.from_file is not None:
        raise InvalidInput("from_env and from_file are both given.", hint="Give one of them, or neither.")
    if arguments.from_env is not None:
        value = call.variables.value(arguments.from_env)
        # After the value was found: nobody is asked about a variable that is not there.
        await _agreed(arguments.from_env, arguments.name, call)
        return value, f"the variable {arguments.from_env}"
    if arguments.from_file is not None:
        return await _in_file(arguments.from_file, call), f"the file {one_line(arguments.from_file, 200)}"
    return await _asked(arguments.name, call), "what the user gave"


async def _agreed(variable: str, name: str, call: Call) -> None:
    """Have the user agree where nobody named the variables that may leave this machine: a model may be talked into
    naming any."""
    if call.variables.are_named:
        return
    agreed = await call.agree(
        f"Send the variable {variable} of this machine to fal, as the secret {name} of your apps?"
    )
    if agreed is None:
        raise InvalidInput(
            f"Sending the variable {variable!r} to fal needs the user's yes, and this client cannot ask.",
            hint=f"Whoever runs the server can allow it with --secret-env {variable}.",
        )
    if not agreed:
        raise InvalidInput("The user did not agree.", hint="Nothing was sent. Do not ask again unless told.")


async def _in_file(given: str, call: Call) -> str:
    path = path_in(given)
    if path is None:
        raise InvalidInput(f"{one_line(given, 120)!r} is not a path.", hint="Give the path of a file.")
    # A file that holds a secret's value is named after it, more often than not.
    call = replace(call, readable=call.readable.for_a_secret())
    await input_files.may_read(path, call)
    with call.readable.opened(path) as file:
        # Room for the end of a line that is taken off, and one byte to see that it is too long.
        content = await anyio.to_thread.run_sync(file.stream.read, _LONGEST + 3)
    try:
        # Editors end a file with a line end, and no token has one.
        return content.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        # Its text would show the bytes.
        raise InvalidInput(
            "The file is no UTF-8 text.", hint="A secret is text; encode it, such as in base64."
        ) from None


async def _asked(name: str, call: Call) -> str:
    try:
        value = await call.ask_secret(name, _PURPOSE)
    except CannotAsk as error:
        raise InvalidInput(
            "Neither from_env nor from_file is given, and this client cannot ask the user.",
            hint="Ask the user to put the value into a variable or a file, and give its name; not the value itself.",
        ) from error
    except TimeoutError as error:
        raise InvalidInput("The user gave no value in time.", hint=_NOTHING_SENT) from error
    if value is None:
        raise InvalidInput("The user declined to give a value.", hint=_NOTHING_SENT)
    return value


def _checked(value: str) -> str:
    try:
        size = len(value.encode("utf-8"))
    except UnicodeEncodeError:
        raise InvalidInput("The value is no text that can be sent.", hint="Encode it, such as in base64.") from None
    if not 0 < size <= _LONGEST:
        raise InvalidInput(f"The value is empty or longer than {_LONGEST:,} bytes.", hint="Give another.")
    return value
