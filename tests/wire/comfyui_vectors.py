"""ComfyUI's queue and history, as its server writes them (source read 2026-11-28).

`body` holds what is put into a graph. The models are the workflows of `image_backends`: `text` with a size, `edit` with
a picture, `inpaint` with a mask too.
"""

from typing import Any

from image_vectors import MASK, PIXEL, Sent, Told, size

from providers.errors import BadResponseError, UnavailableError

SAVED = {"9.filename_prefix": "turnout-f00d"}

SENT = [
    Sent(
        backend="comfyui",
        name="a seed is never missing and no graph is sent twice",
        model="text",
        body={**SAVED, "6.text": "a cat", "3.seed": 99},
    ),
    Sent(
        backend="comfyui",
        name="every part in its place",
        model="text",
        given={"size": size(1536, 1024), "seed": 7, "negative_prompt": "blur"},
        body={**SAVED, "6.text": "a cat", "7.text": "blur", "3.seed": 7, "5.width": 1536},
    ),
    Sent(
        backend="comfyui",
        name="sides are multiples of eight",
        model="text",
        given={"size": size(1000, 500)},
        body={**SAVED, "6.text": "a cat", "3.seed": 99, "5.width": 1008, "5.height": 504},
    ),
    Sent(
        backend="comfyui",
        name="what has no place is named",
        model="text",
        given={"quality": "high", "moderation": "low", "output_format": "webp", "user": "u", "extra": {"cfg": 3}},
        body={**SAVED, "6.text": "a cat", "3.seed": 99},
        warnings=("quality=ignored", "moderation=ignored", "cfg=dropped"),
    ),
    Sent(
        backend="comfyui",
        name="a picture",
        model="edit",
        given={"images": (PIXEL,), "size": size(1024, 1024)},
        body={**SAVED, "6.text": "a cat", "3.seed": 99, "10.image": "turnout/0.png"},
        warnings=("size=ignored",),
    ),
    Sent(
        backend="comfyui",
        name="a mask",
        model="inpaint",
        given={"images": (PIXEL,), "mask": MASK},
        body={**SAVED, "6.text": "a cat", "3.seed": 99, "10.image": "turnout/0.png", "12.image": "turnout/mask.png"},
    ),
    Sent(backend="comfyui", name="an edit of nothing", model="edit", param="image"),
    Sent(backend="comfyui", name="a mask is missing", model="inpaint", given={"images": (PIXEL,)}, param="mask"),
    Sent(backend="comfyui", name="no mask", model="edit", given={"images": (PIXEL,), "mask": MASK}, param="mask"),
    Sent(backend="comfyui", name="no pictures", model="text", given={"images": (PIXEL,)}, param="image"),
    Sent(backend="comfyui", name="two pictures", model="edit", given={"images": (PIXEL,) * 2}, param="image"),
    Sent(backend="comfyui", name="transparency", model="text", given={"background": "transparent"}, param="background"),
    Sent(backend="comfyui", name="strict", model="text", given={"quality": "low", "strict": True}, param="quality"),
]


def ended(outputs: Any, status: str = "success", *, completed: bool = True) -> dict[str, Any]:
    return {"j1": {"outputs": outputs, "status": {"status_str": status, "completed": completed, "messages": []}}}


FILE = {"filename": "a b&c.png", "subfolder": "x", "type": "output"}
PREVIEW = {"filename": "p.png", "subfolder": "", "type": "temp"}

TOLD = [
    *(
        Told(backend="comfyui", name=f"not in the history: {answer!r}", answer=answer, means="pending")
        for answer in ({}, {"j2": ended({})["j1"]}, {"j1": None}, {"j1": {}}, {"j1": {"status": "x"}})
    ),
    Told(backend="comfyui", name="not completed", answer=ended({}, completed=False), means="pending"),
    Told(
        backend="comfyui",
        name="a picture, and a preview that is none of it",
        answer=ended({"13": {"images": [PREVIEW]}, "9": {"images": [FILE]}}),
        means=("/view?filename=a+b%26c.png&subfolder=x&type=output",),
    ),
    *(
        Told(
            backend="comfyui",
            name=f"nothing in {outputs!r}",
            answer=ended(outputs),
            error=BadResponseError,
            outcome="empty",
            billed=True,
        )
        for outputs in (
            {},
            None,
            {"9": None},
            {"9": {"images": "x"}},
            {"9": {"images": [None, {"type": "output"}]}},
            {"13": {"images": [PREVIEW]}},
        )
    ),
    Told(
        backend="comfyui",
        name="failed, or interrupted by somebody",
        answer=ended({}, "error", completed=False),
        error=UnavailableError,
        outcome="job_failed",
    ),
]
