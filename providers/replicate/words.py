"""What each model on Replicate calls the parts of a request. Data.

Source: the models' pages on replicate.com; not held against their live schemas. A model that is not here is spoken to
in the most common words, and is sent no size: its input could refuse what it does not know.
"""

from collections.abc import Mapping

from msgspec import Struct


class Words(Struct, frozen=True, kw_only=True):
    """Names of inputs; "" where the model has none. `formats` are those it makes.

    `image` takes one picture, `images` a list of them. `own` are inputs that callers may set by the model's own name.
    """

    count: str = ""
    ratio: str = ""
    tier: str = ""
    pixels: bool = False
    seed: str = "seed"
    negative: str = ""
    image: str = ""
    images: str = ""
    mask: str = ""
    format: str = ""
    formats: tuple[str, ...] = ("png", "jpeg", "webp")
    own: tuple[str, ...] = ()


_GUIDED = ("guidance", "num_inference_steps", "go_fast", "prompt_strength", "disable_safety_checker", "megapixels")
_PRO = ("safety_tolerance", "prompt_upsampling")
_NO_WEBP = ("png", "jpeg")

WORDS: Mapping[str, Words] = {
    "black-forest-labs/flux-schnell": Words(
        count="num_outputs", ratio="aspect_ratio", format="output_format", own=_GUIDED
    ),
    "black-forest-labs/flux-dev": Words(
        count="num_outputs", ratio="aspect_ratio", image="image", format="output_format", own=_GUIDED
    ),
    "black-forest-labs/flux-1.1-pro": Words(ratio="aspect_ratio", format="output_format", own=_PRO),
    "black-forest-labs/flux-kontext-pro": Words(
        ratio="aspect_ratio", image="input_image", format="output_format", formats=_NO_WEBP, own=_PRO
    ),
    "black-forest-labs/flux-fill-pro": Words(
        image="image", mask="mask", format="output_format", formats=_NO_WEBP, own=("steps", "guidance", *_PRO)
    ),
    "google/nano-banana": Words(
        ratio="aspect_ratio", seed="", images="image_input", format="output_format", formats=_NO_WEBP
    ),
    "bytedance/seedream-4": Words(ratio="aspect_ratio", tier="size", seed="", images="image_input"),
}
COMMON = Words(image="image", own=("num_inference_steps", "guidance_scale"))


def words_for(model: str) -> Words:
    """The words of `owner/name`, whichever version of it is asked for."""
    return WORDS.get(model.partition(":")[0], COMMON)
