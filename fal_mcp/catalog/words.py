"""What a text is made of: words in small letters, without accents, compounds apart, numbers as versions are written."""

import re
import unicodedata

_PIECE = re.compile(r"\d+(?:\.\d+)*(?:[dkb](?![a-z]))?|[^\W\d_]+(?:[\u0900-\u097f]+[^\W\d_]*)*")
_ACCENTS = re.compile("[\u0300-\u036f]")
_ODD_LETTERS = str.maketrans(
    {"\u0131": "i", "\u0142": "l", "\u00f8": "o", "\u00e6": "ae", "\u0153": "oe", "\u2019": "'"}
)
"""Letters that no normal form takes apart, and the typographer's apostrophe."""
_WHOLE_ZERO = re.compile(r"(\d+)\.0+")
_BETWEEN = re.compile(r"\b(text|txt|image|img|picture|photo|video|vid|audio|speech|voice|sound)2(?=[a-z0-9])")
_RATIO = re.compile(r"\b(?:9|16|4|3|1|21|2)[:x](?:9|16|4|3|1|2)\b")
_SECONDS_OF = re.compile(r"\bseconds? of (?=a |an |the )")
_SHORT = {
    "t2i": "text to image",
    "i2i": "image to image",
    "t2v": "text to video",
    "i2v": "image to video",
    "v2v": "video to video",
    "a2v": "audio to video",
    "v2a": "video to audio",
    "s2t": "speech to text",
    "stt": "speech to text",
    "asr": "speech to text asr",
    "tts": "text to speech tts",
    "img": "image",
    "txt": "text",
    "vid": "video",
    "pic": "picture",
    "pics": "pictures",
    "bg": "background",
    "sfx": "sound effects sfx",
    "vfx": "video effects",
    "sdxl": "sdxl stable diffusion xl",
    "ai": "",
}


def plain(text: str) -> str:
    """In small letters and without accents, so that what people type meets what is written. No script is dropped."""
    # Taken apart, only the marks of Latin letters are dropped, and put together again: in other scripts a mark is a
    # letter.
    apart = unicodedata.normalize("NFKD", text.casefold().translate(_ODD_LETTERS))
    return unicodedata.normalize("NFC", _ACCENTS.sub("", apart))


def words(text: str) -> list[str]:
    """The words of a plain text, in order; `text2video`, `kling3` and `image-to-image` come apart."""
    pieces = _PIECE.findall(_BETWEEN.sub(r"\1 to ", text))
    return [_version(piece) for piece in pieces if piece != "v"]


def spelled_out(text: str) -> str:
    """The plain text with the short forms of the trade written out: `t2v` as text to video."""
    text = _SECONDS_OF.sub(" seconds of video of ", text).replace("moving picture", "video")
    text = _RATIO.sub(" aspect ratio ", text).replace("slow mo ", "slow motion ").replace("fine tun", "finetun")
    return re.sub(r"[a-z0-9]+", lambda match: _SHORT.get(match[0], match[0]), text)


def _version(piece: str) -> str:
    whole = _WHOLE_ZERO.fullmatch(piece)
    return whole[1] if whole else piece
