"""Words for people: what is said to a model, said to somebody at a terminal. No tool's name, money with its sign."""

import re
from collections.abc import Mapping

from fal_mcp.text import visible

_MONEY = re.compile(r"(-?\d+(?:\.\d+)?(?:e[+-]?\d+)?) USD\b")
_SAID: tuple[tuple[str, str], ...] = (
    (
        r"It goes on by itself and is not to be run again: "
        r"call wait_for_job with job_id '(?P<id>[\w-]+)' for its result\.",
        "It goes on by itself. For its result:\n  fal-mcp jobs wait \\g<id>",
    ),
    (r"[Cc]all wait_for_job with (?:job_id )?'?(?P<id>[\w-]+)'?", "fal-mcp jobs wait \\g<id>"),
    (r"run_model with fresh: ?true runs (\S+) again", "--fresh runs it again"),
    (r"It goes on by itself and is not to be run again: ", "It goes on by itself: "),
    (r"get_job with part, 1 to \d+, gives all of it", "--json gives all of it"),
    (r"[Cc]all run_chain again with [^.]*\.", "Run the steps that are left."),
    (r"Ask search_models what there is", "fal-mcp models search finds one"),
    (r"list_jobs shows (?:it|every run|the jobs there are)", "fal-mcp jobs shows it"),
    (r"Ask the user to raise (?:the server's )?(--[\w-]+|the limit)", "Raise \\1"),
    (r"ask the user to raise (?:the server's )?(--[\w-]+|the limit)", "raise \\1"),
    (r"Whoever runs the server can allow it with", "Allow it with"),
    (r"The server's (--[\w-]+) (names|lets)", "\\1 \\2"),
    (
        r"To allow one, add to the server's \"args\" where it is configured: \"--allow-dir\", \"",
        'To allow one: --allow-dir "',
    ),
    (
        r"This needs the user's approval, and this client cannot ask\.",
        "Nobody can be asked here; --yes says yes beforehand.",
    ),
    (r"The user did not (approve|agree)", "You did not \\1"),
    (r"Do not ask again unless told(?: to)?\.", ""),
    (r"and set it as FAL_KEY where this server is configured", "and run fal-mcp login, or set it as FAL_KEY"),
    (r"where this server is configured", "in the environment"),
    (r"may not be read by this server", "may not be read"),
    (r"This server saves no files: it has no --output-dir\.", "Nothing is saved without --output-dir."),
    (
        r"(?:Correct the arguments named here and c|C|c)all (?:the tool )?again(?: with fewer calls at once)?",
        "try again",
    ),
    (r"then call the tool again", "then try again"),
    (r"\bthis server\b", "fal-mcp"),
    (r"\bthe server's\b", "fal-mcp's"),
)
_TOOLS: Mapping[str, str] = {
    "search_models": "fal-mcp models search",
    "get_model": "fal-mcp models show",
    "run_model": "fal-mcp run",
    "run_batch": "fal-mcp run --batch",
    "run_chain": "fal-mcp run",
    "wait_for_job": "fal-mcp jobs wait",
    "get_job": "fal-mcp jobs get",
    "list_jobs": "fal-mcp jobs",
    "cancel_job": "fal-mcp jobs cancel",
    "estimate_cost": "fal-mcp models show",
    "upload_file": "a path",
    "download_file": "fal-mcp jobs save",
    "list_keys": "https://fal.ai/dashboard/keys",
    "get_usage": "fal-mcp usage",
}
_PATTERNS = tuple((re.compile(pattern), words) for pattern, words in _SAID)
_NAMES = re.compile(rf"\b({'|'.join(_TOOLS)})\b")
_READ_AS = re.compile(r"[\w.$\[\]]+: '[^']*' was read as a number(?:; )?")


def for_people(text: str) -> str:
    """The same text for somebody at a terminal: safe to print, commands in place of tools, money with its sign."""
    text = visible(text)
    for pattern, words in _PATTERNS:
        text = pattern.sub(words, text)
    text = _NAMES.sub(lambda match: _TOOLS[match[0]], text)
    return _MONEY.sub(lambda match: money(float(match[1])), _without_labels(text)).strip()


def money(amount: float | None) -> str:
    """An amount of USD as people write it: two decimals, or the first two digits of what is less than a cent."""
    if amount is None:
        return "price not known"
    size = abs(amount)
    if size and size < 0.01:
        text = f"{size:.6f}" if size >= 0.000001 else f"{size:.2g}"
        text = _two_digits(text)
    else:
        # A price a unit has its third decimal for a reason; what was reckoned from it has not.
        text = f"{size:,.3f}" if round(size, 3) == size and round(size, 2) != size else f"{size:,.2f}"
    return f"{'-' if amount < 0 else ''}${text}"


def _two_digits(text: str) -> str:
    """`0.003125` as `0.0031`."""
    match = re.match(r"0\.0*\d\d?", text)
    return match[0].rstrip("0") if match else text


def _without_labels(text: str) -> str:
    """What was put right in the arguments, without what can only be written so at a terminal."""
    label = "Arguments were put right: "
    if not text.startswith(label):
        return text
    first, _, rest = text.partition("\n")
    about = _READ_AS.sub("", first.removeprefix(label)).strip(" ;.")
    return "\n".join(filter(None, [f"Note: {about}." if about else "", rest]))
