"""What an example is filled with: words by what the model does, files that exist, a plain value for the rest."""

import re
from dataclasses import dataclass

_PERSON = "https://fal.media/files/elephant/8kkhB12hEZI2kkbU8pZPA_test.jpeg"
_PORTRAIT = "https://storage.googleapis.com/falserverless/example_inputs/kling_ai_avatar_input.jpg"
_CAT = (
    "https://v3.fal.media/files/zebra/owQh2DAzk8UU7J02nr5RY_Co2P4boLv6meIZ5t9gKvL_8685da151df343ab8bf82165c928e2a5.jpg"
)
_LATER = "https://v3.fal.media/files/kangaroo/RgedFs_WSnq5BgER7qDx1_ONrbTJ1YAGXz-9JnSsBoB_bdc8750387734bfe940319f469f7b0b2.jpg"
_MASK = "https://storage.googleapis.com/falserverless/model_tests/lcm/inpaint_mask.png"
_MASK_FILM = "https://storage.googleapis.com/falserverless/vace/src_mask.mp4"
_FILM = "https://v3b.fal.media/files/b/panda/a6SvJg96V8eoglMlYFShU_5385885-hd_1080_1920_25fps.mp4"
_SPEAKER = "https://fal.media/files/koala/8teUPbRRMtAUTORDvqy0l.mp4"
_SPEECH = "https://fal.media/files/lion/vyFWygmZsIZlUO4s0nr2n.wav"
_MUSIC = "https://v3.fal.media/files/panda/1-0iezBUIePBa3Sz5YY5B_tmpy1jyshw9.wav"
_MESH = "https://v3b.fal.media/files/b/0a8c09c0/VYDiCTcDGK55qY2-idGbX_model.glb"
_ARCHIVE = "https://storage.googleapis.com/falserverless/example_outputs/seed3d_output.zip"
_WEIGHTS = (
    "https://huggingface.co/Lightricks/LTX-2.3-22b-IC-LoRA-HDR/resolve/main/ltx-2.3-22b-ic-lora-hdr-0.9.safetensors"
)
"""All of them stand in fal's own model documents, as examples or as a default."""

# An address that exists, so that an example can be sent as it stands and does not fail for its file. The order
# decides: a `mask_video_url` is a mask before it is a video, and `image_url` in the last row catches what is nothing
# more special.
FILES = (
    ("video", r"mask.*video|video.*mask", _MASK_FILM),
    ("image", r"mask", _MASK),
    ("video", r"lip|speaker.*video", _SPEAKER),
    ("video", r"video|clip|footage|media", _FILM),
    ("audio", r"music|song|impulse|track", _MUSIC),
    ("audio", r"audio|voice|speech|sound", _SPEECH),
    ("archive", r"zip|archive|training_data|data_url|dataset|images_data|image_data", _ARCHIVE),
    ("3d", r"mesh|model|glb|obj|3d|input_file", _MESH),
    ("image", r"end_|last|tail|back_|second|hypothesis|style", _LATER),
    ("image", r"face|portrait|avatar|source_image", _PORTRAIT),
    ("image", r"animal|subject|object", _CAT),
    ("image", r"image|photo|picture|frame|garment|logo|texture|sketch|reference|thumbnail", _PERSON),
)
"""The kind of file, the names of arguments that take it, and one that exists; the first that fits."""

IS_FILE = re.compile(r"(?:^|_)urls?(?:_[a-z]*\d+)?$|_uri$|^(?:hypothesis|reference)$")
IS_WORDS = re.compile(
    r"prompt|text|script|lyrics|^query$|question|instruction|^input$|^inputs$|message|description|caption|^gen_text$"
)
# Names that have a word of the line above in them and are no text to be filled with a sentence.
NOT_WORDS = re.compile(r"negative|format|_type$|guidance|normali|language|_id$|structured|optimizer|expansion|enhanc")

_SPOKEN = "The ferry leaves at seven, so bring a warm coat."
_SUNG = "[verse]\nThe harbour lights are burning low\n[chorus]\nCarry me home across the bay"
_WORDS_OF_NAMES = (
    # The dialogue models tell the voices apart by such beginnings of lines.
    (r"script", "Speaker 0: Did you hear the ferry?\nSpeaker 1: I did, it is early today."),
    (r"lyrics", _SUNG),
    (r"negative", "blurry, low quality"),
    (r"^(?:tags|original_tags|genres)$", "lofi, calm, piano"),
    (r"second_text|gen_text|preview_text|ref_text", _SPOKEN),
)
_WORDS_OF_MODELS = (
    (r"tts|speech|kokoro|csm|vibevoice|orpheus|/dia|chatterbox|avatar|text-to-video/speech", _SPOKEN),
    (r"sfx|sound-effect|foley", "heavy rain on a tin roof, thunder far away"),
    (r"music|lyria|ace-step|sonauto|yue|stable-audio", "a calm piano piece with soft strings, 70 bpm"),
    (r"sam-?3|sam-?2|sa2va|detect|separate|isolat", "person"),
    (r"ocr", "Read all of the text."),
    (r"erase|void|inpaint", "an empty street"),
    (r"relight", "warm evening light from the left"),
    (r"voice-design|voice_design", "an old sailor with a rough, friendly voice"),
)
_WORDS_OF_CATEGORIES = {
    "text-to-speech": _SPOKEN,
    "text-to-audio": "a calm piano piece with soft strings, 70 bpm",
    "image-to-video": "the woman walks towards the camera, lights flicker behind her",
    "video-to-video": "turn the scene into a snowy winter evening",
    "audio-to-video": "a woman speaks to the camera in a quiet room",
    "image-to-image": "make it a snowy winter evening",
    "video-to-audio": "footsteps on wet stone, a distant tram",
    "audio-to-audio": "the same with a softer piano",
    "vision": "What is in this picture?",
    "image-to-text": "What is in this picture?",
    "image-to-json": "What is in this picture?",
    "video-to-text": "What happens in this video?",
    "llm": "Say in one sentence why the sky is blue.",
    "text-to-text": "The ferry leaves at seven, and nobody has told the captain yet.",
    "speech-to-text": "names: Mara, Ilse",
    "text-to-3d": "a carved wooden chair with a round seat",
    "image-to-3d": "a carved wooden chair with a round seat",
    "3d-to-3d": "weathered oak with brass fittings",
    "training": "a photo of TOK",
}
_SCENE = "a lighthouse on a cliff at dusk, warm light in the windows"

TRACKS, POINT = ("track", "tracks", "trajectory", "points"), {"x": 320, "y": 240}
"""A list of places, of which the schema says nothing further."""

_PLAIN = {
    "target_lang": "es",
    "source_lang": "en",
    "language": "en",
    "style": "hand-drawn animation",
    "subject": "a ginger cat",
    "object": "person",
    "name": "Mara",
    "ref_name": "woman",
    "voice": "Rachel",
    "voice_id": "Rachel",
    "labels_fg1": "trees",
    "labels_fg2": "cars",
    "classes": "outdoor",
    # Python's quotes and not JSON's: so the document has it, as texts in a list.
    "keypoints": "{'x': 320, 'y': 240, 'type': 'positive'}",
    "model": "google/gemini-2.5-flash",
    "id": "1",
    "type": "video",
    "path": _WEIGHTS,
    "trigger_word": "TOK",
    "trigger_phrase": "TOK",
    "camera_motion": "static",
    "color": "#336699",
    "background_color": "#336699",
    "preset": "Alice [EN]",
}
YOURS = {
    "finetune_id": "the id of your own fine-tune",
    "model_id": "the id of your own model",
    "video_id": "the video_id of an earlier run of this family",
    "path": "weights made for this model",
    "archive": "your own archive",
}
"""What nobody can fill in for another: marked, so that it is not sent as it stands."""
_IDS = {"finetune_id": "my-finetune", "model_id": "my-model-1", "video_id": "video_68d0e2a1b7c881908c3f5d2e"}


@dataclass(frozen=True, slots=True)
class Purpose:
    """What the model is for, as far as an example has to know."""

    category: str = ""
    endpoint_id: str = ""

    @property
    def given(self) -> str:
        """The medium that goes in: `image`, `video`, `audio`, `text`, `3d`, `archive` or nothing that is known."""
        known = {"vision": "image", "llm": "text", "training": "archive", "json": "video"}
        first = known.get(self.category) or self.category.partition("-to-")[0]
        return {"speech": "audio"}.get(first, first)

    @property
    def speaks(self) -> bool:
        """Whether somebody speaks in what comes out, and so has to be told what."""
        return bool(re.search(r"avatar|lipsync|talk|omnihuman|fabric|tts|text-to-speech", self.endpoint_id))

    def words(self, name: str) -> str:
        """What a text argument of this name says."""
        for pattern, text in _WORDS_OF_NAMES:
            if re.search(pattern, name):
                return text
        if name == "text" and self.category not in _WORDS_OF_CATEGORIES:
            return _SPOKEN
        if self.category == "vision" and "video" in self.endpoint_id:
            return _WORDS_OF_CATEGORIES["video-to-text"]
        for pattern, text in _WORDS_OF_MODELS:
            if re.search(pattern, self.endpoint_id):
                return text
        return _WORDS_OF_CATEGORIES.get(self.category, _SCENE)


def kind_of(name: str) -> str:
    """The kind of file that an argument of this name takes."""
    return next((kind for kind, pattern, _ in FILES if re.search(pattern, name)), "file")


def file_of(name: str, purpose: Purpose) -> str:
    """The address of a file that an argument of this name takes."""
    # These need a mouth to move, and the usual film has none in it.
    if name == "video_url" and re.search(r"lip|musetalk|latentsync|dubbing|translate", purpose.endpoint_id):
        return _SPEAKER
    if name == "audio_url" and re.search(r"music|stable-audio|ace-step|sonauto|sam-audio", purpose.endpoint_id):
        return _MUSIC
    fitting = next((url for _, pattern, url in FILES if re.search(pattern, name)), None)
    if fitting is not None:
        return fitting
    return {"video": _FILM, "audio": _SPEECH, "3d": _MESH, "archive": _ARCHIVE}.get(purpose.given, _PERSON)


def least_of(name: str, purpose: Purpose) -> int:
    """How many a list of this name must have to make sense: what is joined, or filled in between, are two."""
    # What is joined or filled in between is two things at least, though the schema asks for one or for none.
    is_pair = name in ("frames", "audio_urls", "videos") or (
        name.endswith("_urls") and re.search(r"interleave|merge|effects", purpose.endpoint_id)
    )
    return 2 if is_pair else 1


def number_of(name: str, value: float) -> float:
    """An end that lies behind its beginning."""
    # Begin and end have the same least value in the schema, and a piece of no length is of no use to anybody.
    return value + _FURTHER.get(name.removesuffix("_seconds").rpartition("_")[2], 0) if value < _FAR else value


_FAR = 5
_FURTHER = {"end": 4, "x2": 199, "y2": 199}


def plain_of(name: str) -> str:
    """A value for a text argument that is neither words nor a file."""
    return _PLAIN.get(name) or _IDS.get(name) or "one"
