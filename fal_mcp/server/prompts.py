"""Prompts: fal's nine workflows, and the jobs people have most often. Data first."""

from dataclasses import dataclass

import mcp_types as types
from mcp.shared.exceptions import MCPError

from fal_mcp.text import clean

_INVALID_PARAMS = -32602
_LONGEST_VALUE = 2000


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt; `{name}` in its text stands for an argument. A `?` after a name makes it optional, and what follows
    is said in its place where it is left out."""

    name: str
    title: str
    description: str
    arguments: tuple[tuple[str, str], ...]
    text: str


_MODEL = ("endpoint_id", "The model, such as fal-ai/flux/dev.")
_WHAT = ("prompt", "What to make.")
_FILE = ("file", "The picture: an https URL, or a path this server may read.")

PROMPTS = (
    Prompt(
        "queue_inference",
        "Run a model through the queue",
        "Reads about a model, runs it, and shows what came out.",
        (_MODEL, _WHAT),
        "Read about the model {endpoint_id} with get_model, and say what one run costs with estimate_cost. Then run it "
        "with run_model for: {prompt}. Where it takes longer, wait_for_job waits for it. Show me each file it made "
        "with its URL, and the seed if there is one.",
    ),
    Prompt(
        "upload_then_infer",
        "Give a model a file",
        "Takes a file, gives it to a model, and shows what came out.",
        (_MODEL, ("file", "The file: an https URL, or a path this server may read."), _WHAT),
        "Give the file {file} to the model {endpoint_id}: find with get_model which argument takes it. A path is put "
        "up with upload_file first, and its URL given. Then run the model with run_model for: {prompt}. Show me each "
        "file it made with its URL, and what it cost.",
    ),
    Prompt(
        "image_to_image_with_webhook",
        "Edit a picture and call back",
        "Edits a picture and has fal call an address when it is done.",
        (_FILE, _WHAT, ("webhook_url", "The https address to call.")),
        "The picture is {file}; if that is a path, put it up with upload_file first. Find a model that edits pictures "
        "with search_models and say what a run costs with estimate_cost. Run it with run_model for: {prompt}, with "
        "fal calling {webhook_url} when it is done. Tell me the request id, and then, with wait_for_job, what came of "
        "it.",
    ),
    Prompt(
        "webhook_submission",
        "Submit a job with a webhook",
        "Submits without waiting; fal calls back.",
        (_MODEL, _WHAT, ("webhook_url", "The https address to call.")),
        "Run {endpoint_id} with run_model for: {prompt}, with fal calling {webhook_url} when it is done. Do not wait "
        "for it: tell me the request id, and that get_job shows it later by its job id.",
    ),
    Prompt(
        "submit_and_cancel",
        "Submit a job, then cancel it",
        "Shows what cancelling does at each stage.",
        (_MODEL, _WHAT),
        "Submit {endpoint_id} with run_model and seconds: 0, so that nothing waits for it, for: {prompt}. Unless it is "
        "over already, cancel it with cancel_job. See with wait_for_job how it ended, and tell me what fal "
        "answered to the cancellation and whether it cost anything.",
    ),
    Prompt(
        "streaming",
        "Watch a model work",
        "Runs a model that streams, and shows it as it comes.",
        (_MODEL, _WHAT),
        "Run {endpoint_id} with run_model in the mode stream for: {prompt}, and show me what comes as it comes. If the "
        "model cannot be streamed, run it through the queue.",
    ),
    Prompt(
        "serverless_discovery",
        "Look at my apps",
        "Lists the serverless apps, how they are set up and how they are doing.",
        (),
        "List my serverless apps on fal with list_apps. Of the first tell me all there is: machine, how it scales, "
        "timeouts, regions, and who may call it. Then say for each, in a table, whether it has work waiting "
        "(get_app_queue), how many runners it has (get_app_metrics), and what went wrong lately (search_app_logs).",
    ),
    Prompt(
        "serverless_files",
        "Look at my serverless files",
        "Lists the files that the serverless apps share.",
        (
            ("app?any of mine", "The app that is to see them."),
            ("path?the top", "Where to begin, as seen from /data; the top if left out."),
        ),
        "See with list_apps that my serverless app is there: {app}. Then list the files that my apps share at /data "
        "with list_app_files, folder by folder, from {path}; its paths leave /data out. Show them with sizes, the "
        "largest first.",
    ),
    Prompt(
        "set_and_verify_secret",
        "Set a secret and check it",
        "Sets a secret without its value ever being told to the model.",
        (("name", "The secret's name."), ("variable", "The environment variable of the server that holds the value.")),
        "Set the serverless secret {name} on fal with set_secret from this server's environment variable {variable}, "
        "whether there is one already or not; never ask me for the value and never print it. Then list the names with "
        "list_secrets and tell me whether {name} is there.",
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
        (_FILE, ("movement?whatever suits it", "What should move.")),
        "Turn {file} into a short video. What should move: {movement}. Choose a good image-to-video model with "
        "search_models, say what it costs, run it and give me the URL.",
    ),
    Prompt(
        "narrate_text",
        "Narrate a text",
        "Reads a text aloud.",
        (("text", "The text."), ("voice?whichever suits it", "Who should speak.")),
        "Have this read aloud by a text-to-speech model, in this voice: {voice}. Say what it costs first, and give me "
        "the audio's URL.\n\n{text}",
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
                    types.PromptArgument(name=name.split("?")[0], description=about, required="?" not in name)
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
    missing = [argument for argument, _ in prompt.arguments if "?" not in argument and not arguments.get(argument)]
    if missing:
        raise MCPError(_INVALID_PARAMS, f"The prompt {name!r} needs {', '.join(map(repr, missing))}.")
    text = prompt.text
    for argument, _ in prompt.arguments:
        key, _, otherwise = argument.partition("?")
        # Not `format`: a text of the user's may have braces in it, which would be taken for names.
        text = text.replace(f"{{{key}}}", clean(arguments.get(key) or otherwise, _LONGEST_VALUE))
    message = types.PromptMessage(role="user", content=types.TextContent(text=text))
    return types.GetPromptResult(description=prompt.description, messages=[message])
