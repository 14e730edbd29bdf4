"""Prompts: fal's nine workflows, and the jobs people have most often. Data first."""

from dataclasses import dataclass

import mcp_types as types
from mcp.shared.exceptions import MCPError

from fal_mcp.text import clean

_INVALID_PARAMS = -32602
_LONGEST_VALUE = 2000


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt; `{name}` in its text stands for an argument. A `?` after a name makes it optional."""

    name: str
    title: str
    description: str
    arguments: tuple[tuple[str, str], ...]
    text: str


_MODEL = ("endpoint_id", "The model, such as fal-ai/flux/dev.")
_WHAT = ("prompt", "What to make.")
_FILE = ("file", "The picture: an https URL.")

PROMPTS = (
    Prompt(
        "queue_inference",
        "Run a model through the queue",
        "Reads about a model, runs it, and shows what came out.",
        (_MODEL, _WHAT),
        "Read about the model {endpoint_id} with get_model. Say what one run costs. Then run it with run_model for: "
        "{prompt}. Show me each file it made with its URL, and the seed if there is one.",
    ),
    Prompt(
        "upload_then_infer",
        "Give a model a file",
        "Takes a file, gives it to a model, and shows what came out.",
        (_MODEL, ("file", "The file: an https URL, or a path this server may read."), _WHAT),
        "Give the file {file} to the model {endpoint_id}: find with get_model which argument takes it, and run it "
        "with run_model for: {prompt}. If the file has to be uploaded first, do that.",
    ),
    Prompt(
        "image_to_image_with_webhook",
        "Edit a picture and call back",
        "Edits a picture and has fal call an address when it is done.",
        (_FILE, _WHAT, ("webhook_url", "The https address to call.")),
        "Find a model that edits pictures with search_models and say what it costs. Run it on {file} for: {prompt}, "
        "with fal calling {webhook_url} when it is done. Tell me the request id.",
    ),
    Prompt(
        "webhook_submission",
        "Submit a job with a webhook",
        "Submits without waiting; fal calls back.",
        (_MODEL, _WHAT, ("webhook_url", "The https address to call.")),
        "Run {endpoint_id} for: {prompt}, with fal calling {webhook_url} when it is done. Do not wait for it: tell me "
        "the request id and how I can look at it later.",
    ),
    Prompt(
        "submit_and_cancel",
        "Submit a job, then cancel it",
        "Shows what cancelling does at each stage.",
        (_MODEL, _WHAT),
        "Run {endpoint_id} for: {prompt}. As soon as it waits in the queue, cancel it, and tell me what fal answered "
        "and whether it cost anything.",
    ),
    Prompt(
        "streaming",
        "Watch a model work",
        "Runs a model that streams, and shows it as it comes.",
        (_MODEL, _WHAT),
        "Run {endpoint_id} for: {prompt}, streamed if the model can be, and show me what comes as it comes.",
    ),
    Prompt(
        "serverless_discovery",
        "Look at my apps",
        "Lists the serverless apps and how they are doing.",
        (),
        "List my serverless apps on fal. For each say whether it has work waiting, how many runners it has, and what "
        "went wrong lately, in a table.",
    ),
    Prompt(
        "serverless_files",
        "Look at my serverless files",
        "Lists the files of the serverless storage.",
        (("path?", "Where to begin; the root if left out."),),
        "List the files of my serverless storage on fal below {path}, with sizes, the largest first.",
    ),
    Prompt(
        "set_and_verify_secret",
        "Set a secret and check it",
        "Sets a secret without its value ever being told to the model.",
        (("name", "The secret's name."), ("variable", "The environment variable of the server that holds the value.")),
        "Set the serverless secret {name} on fal from this server's environment variable {variable}; never ask me for "
        "the value and never print it. Then list the secrets and tell me whether {name} is there.",
    ),
    Prompt(
        "product_photo",
        "A product photo",
        "Puts a product into a scene.",
        (_FILE, ("scene", "The scene, such as a marble table in morning light.")),
        "Make a product photo from {file}: keep the product exactly as it is and put it into this scene: {scene}. Use "
        "a model that edits pictures, say what it costs first, and show me the result.",
    ),
    Prompt(
        "animate_image",
        "Animate an image",
        "Turns a picture into a short video.",
        (_FILE, ("movement?", "What should move.")),
        "Turn {file} into a short video. What should move: {movement}. Choose a good image-to-video model with "
        "search_models, say what it costs, run it and give me the URL.",
    ),
    Prompt(
        "narrate_text",
        "Narrate a text",
        "Reads a text aloud.",
        (("text", "The text."), ("voice?", "Who should speak.")),
        "Have this read aloud by a text-to-speech model, in this voice if one is named: {voice}. Say what it costs "
        "first, and give me the audio's URL.\n\n{text}",
    ),
)
_BY_NAME = {prompt.name: prompt for prompt in PROMPTS}


def listed() -> types.ListPromptsResult:
    """Every prompt."""
    return types.ListPromptsResult(
        prompts=[
            types.Prompt(
                name=prompt.name,
                title=prompt.title,
                description=prompt.description,
                arguments=[
                    types.PromptArgument(name=name.rstrip("?"), description=about, required=not name.endswith("?"))
                    for name, about in prompt.arguments
                ],
            )
            for prompt in PROMPTS
        ]
    )


def get(name: str, arguments: dict[str, str]) -> types.GetPromptResult:
    """One prompt, filled in.

    Raises:
        MCPError: there is none of that name, or a required argument is missing.
    """
    prompt = _BY_NAME.get(name)
    if prompt is None:
        raise MCPError(_INVALID_PARAMS, f"There is no prompt {name[:80]!r}.")
    missing = [one for one, _ in prompt.arguments if not one.endswith("?") and not arguments.get(one)]
    if missing:
        raise MCPError(_INVALID_PARAMS, f"The prompt {name!r} needs {', '.join(map(repr, missing))}.")
    text = prompt.text
    for one, _ in prompt.arguments:
        key = one.rstrip("?")
        text = text.replace(f"{{{key}}}", clean(arguments.get(key) or "as you see fit", _LONGEST_VALUE))
    message = types.PromptMessage(role="user", content=types.TextContent(text=text))
    return types.GetPromptResult(description=prompt.description, messages=[message])
