"""What to do next about a refusal or a failure, read from fal's own words and only then from its status."""

from fal_mcp.errors import FalError, GenerationFailed, NotAuthorised, OutOfCredit, RequestRejected

_AGAIN = "That was on fal's side and not the arguments': call again in a moment. https://status.fal.ai shows outages."
BY_TYPE = {
    "client_cancelled": "It was cancelled. Run it again only if it is wanted after all.",
    "client_disconnected": "The connection to it was given up. Run it again only if it is wanted after all.",
    "content_policy_violation": "The model refused the content. Word the prompt differently.",
    "no_media_generated": "The model produced nothing. Word the prompt differently, or set another seed.",
    "file_download_error": "fal could not fetch a file. Give a public https URL that needs no login.",
    "image_load_error": "A file is not a picture the model can read. Give a JPEG, PNG or WebP.",
    "file_too_large": "Give a smaller file.",
    "request_timeout": "It was not done in the time it had. Call again, with less to do or more time.",
    "generation_timeout": "The model was not done in its time. Ask for less at once, or try another model.",
    "downstream_service_error": "A service behind the model failed. Call again, or try another model.",
    **dict.fromkeys(
        (
            *("startup_timeout", "runner_scheduling_failure", "runner_connection_timeout", "runner_disconnected"),
            *("runner_connection_refused", "runner_connection_error", "runner_incomplete_response"),
            *("runner_server_error", "internal_error", "internal_server_error", "downstream_service_unavailable"),
        ),
        _AGAIN,
    ),
}
"""By fal's own names for what went wrong."""
_CREDIT = ("exhausted balance", "insufficient balance", "top up your balance", "insufficient credit", "out of credit")
_SUPPORT = "Credit does not change it: the user has to write to fal's support, support@fal.ai, about the account."
_BY_WORDS = (
    ("authorization header format", "FAL_KEY has to be '<key_id>:<key_secret>', with nothing around it."),
    ("authentication is required", NotAuthorised.hint),
    ("not whitelisted", "The account has no access to this model: it is asked for on the model's page at fal.ai."),
    ("still in progress", "It runs on: ask again in a moment."),
)
_SCOPE = (
    "fal knows the key and does not let it do this. A key of another scope, or of the team that owns it, may: "
    "https://fal.ai/dashboard/keys."
)
NO_KEY = "This call needs a fal API key, and none is set."
NO_ADMIN_KEY = "This call needs a key of scope ADMIN, and none is set."
ADMIN_HINT = "Create a key of scope ADMIN at https://fal.ai/dashboard/keys and set it as FAL_ADMIN_KEY."


def is_about_credit(status: int, message: str) -> bool:
    """Whether a refusal is about money: by its words, or by its status where its words say nothing else."""
    words = message.casefold()
    return any(phrase in words for phrase in _CREDIT) or (status == 402 and not _is_locked(words))


def of(kind: type[FalError], status: int, error_type: str | None, message: str) -> str | None:
    """The hint for an error, or None where that of its kind says it."""
    words = message.casefold()
    if issubclass(kind, OutOfCredit):
        return None
    if _is_locked(words):
        return _SUPPORT
    if error_type in BY_TYPE and issubclass(kind, (GenerationFailed, RequestRejected)):
        return BY_TYPE[error_type or ""]
    return next((hint for phrase, hint in _BY_WORDS if phrase in words), None) or _of_status(kind, status)


def _is_locked(words: str) -> bool:
    return "user is locked" in words or "account is locked" in words or "contact support" in words


def _of_status(kind: type[FalError], status: int) -> str | None:
    match status:
        case 403 if kind is NotAuthorised:
            return _SCOPE
        case 409:
            return "Something else is at work on it. Look at it first, then call again."
        case 413:
            return "Send less: give files as URLs instead of their bytes."
        case _:
            return None
