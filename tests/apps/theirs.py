"""A dozen apps as people write them, with fal's own package. `python tests/apps/theirs.py` writes beside this file the
documents that it builds of them; the tests read those, so that they need it not.
"""

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

DOCUMENTS = Path(__file__).parent / "documents"


def apps() -> dict[str, Any]:
    """Each app's class by its name; imports fal's package, which takes a second."""
    import fal
    from fal.toolkit import Audio, File, Image, ImageField, Video
    from pydantic import BaseModel, Field

    class Prompt(BaseModel):
        prompt: str = Field(description="What to draw.", examples=["a red bicycle"])

    class Picture(BaseModel):
        image: Image

    class Text(BaseModel):
        text: str

    class Lora(BaseModel):
        path: str
        scale: float = Field(1.0, ge=0, le=4)

    class Style(BaseModel):
        name: str
        loras: list[Lora] = Field(default_factory=list)

    class Nested(Prompt):
        style: Style
        steps: int = Field(28, ge=1, le=50)

    class Size(BaseModel):
        width: int = Field(512, gt=0, le=2048)
        height: int = Field(512, gt=0, le=2048)

    class Sized(Prompt):
        image_size: Size | Literal["square", "portrait"] = "square"

    class Editing(Prompt):
        image: Image
        mask: Image | None = None
        reference_urls: list[str] = Field(default_factory=list)
        sound: Audio | None = None
        film: Video | None = None
        weights: File | None = None

    class Marked(Prompt):
        source: str = ImageField(description="The picture to change.")

    class Scheduler(StrEnum):
        EULER = "euler"
        DDIM = "ddim"

    class Chosen(Prompt):
        scheduler: Scheduler = Scheduler.EULER
        quality: Literal["draft", "final"] = "draft"
        count: Literal[1, 2, 4] = 1

    class Ordered(BaseModel):
        zoom: float = 1.0
        prompt: str
        angle: float = 0.0

    class Cat(BaseModel):
        kind: Literal["cat"]
        lives: int = 9

    class Dog(BaseModel):
        kind: Literal["dog"]
        barks: bool = True

    class Pet(BaseModel):
        pet: Annotated[Cat | Dog, Field(discriminator="kind")]

    class Hook(BaseModel):
        event: str
        payload: dict[str, Any] = Field(default_factory=dict)

    class Simple(fal.App):
        @fal.endpoint("/")
        def run(self, input: Prompt) -> Picture: ...

    class NestedModels(fal.App):
        @fal.endpoint("/")
        def run(self, input: Nested) -> Picture: ...

    class Unions(fal.App):
        @fal.endpoint("/")
        def run(self, input: Sized) -> Picture: ...

        @fal.endpoint("/pet")
        def pet(self, input: Pet) -> Text: ...

    class Files(fal.App):
        @fal.endpoint("/")
        def run(self, input: Editing) -> Picture: ...

        @fal.endpoint("/marked")
        def marked(self, input: Marked) -> Picture: ...

    class Enums(fal.App):
        @fal.endpoint("/")
        def run(self, input: Chosen) -> Picture: ...

    class InOrder(fal.App):
        @fal.endpoint("/")
        def run(self, input: Ordered) -> Picture: ...

    class Routes(fal.App):
        @fal.endpoint("/")
        def run(self, input: Prompt) -> Picture: ...

        @fal.endpoint("/turbo")
        def turbo(self, input: Nested) -> Picture: ...

        @fal.endpoint("/v2/describe")
        def describe(self, input: Marked) -> Text: ...

    class Streams(fal.App):
        @fal.endpoint("/")
        def run(self, input: Prompt) -> Text: ...

        @fal.endpoint("/stream")
        def stream(self, input: Chosen): ...

    class Realtime(fal.App):
        @fal.realtime("/realtime")
        def run(self, input: Prompt) -> Picture: ...

    class Health(fal.App):
        @fal.endpoint("/")
        def run(self, input: Prompt) -> Picture: ...

    class Webhook(fal.App):
        @fal.endpoint("/")
        def run(self, input: Prompt) -> Text: ...

        @fal.endpoint("/webhook")
        def webhook(self, input: Hook) -> dict[str, Any]: ...

    class NoInput(fal.App):
        @fal.endpoint("/")
        def run(self) -> Text: ...

    class Lists(fal.App):
        @fal.endpoint("/")
        def run(self, input: list[Prompt]) -> list[Picture]: ...

        @fal.endpoint("/many")
        def many(self, prompts: list[str], seed: int) -> Text: ...

    return {name: app for name, app in locals().items() if isinstance(app, type) and issubclass(app, fal.App)}


def made() -> dict[str, str]:
    """The document of each app, as text."""
    built = {name: app(_allow_init=True).openapi() for name, app in apps().items()}
    return {name: json.dumps(document, indent=1, ensure_ascii=False) + "\n" for name, document in built.items()}


def main() -> None:
    """Write them all."""
    DOCUMENTS.mkdir(exist_ok=True)
    for name, text in made().items():
        (DOCUMENTS / f"{name}.json").write_text(text, "utf-8")
    sys.stdout.write(f"{len(list(DOCUMENTS.glob('*.json')))} documents\n")


if __name__ == "__main__":
    main()
