"""What known clients send for pictures, field by field and part by part as their sources have it, and what they need.

Read 2026-11-28: Open WebUI `routers/images.py`, LibreChat `OpenAIImageTools.js`, n8n's OpenAI node (`image/generate`,
`image/edit`), LobeHub `openaiCompatibleFactory/createImage.ts`, the AI SDK's `@ai-sdk/openai` and
`@ai-sdk/openai-compatible`, and openai-python and -node as captured from a socket.
"""

import base64
from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from pictures import picture

PNG, JPEG = picture(64, 64), picture(64, 64, "JPEG")
MASK = picture(64, 64, mode="RGBA")
DATA_URL = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
GENERATIONS, EDITS = "/v1/images/generations", "/v1/images/edits"
OCTETS = "application/octet-stream"
UTF8 = "text/plain; charset=utf-8"  # aiohttp declares it for every text


class Part(Struct, frozen=True):
    """One part of a form, in its place. A file has a name; `kind` is the type it declares, "" for none."""

    name: str
    data: bytes
    filename: str = ""
    kind: str = ""


class Vector(Struct, frozen=True, kw_only=True):
    """A request and what its client makes of the answer.

    `body` is JSON, `parts` a form. The client reads `reads` of the first `count` items, which must be a `mime`. `told`
    are beginnings of warnings that must be there; `sent` are fields an upstream must have got, `kept_back` those it
    must not.
    """

    client: str
    path: str = GENERATIONS
    body: dict[str, Any] | None = None
    parts: Sequence[Part] = ()
    headers: dict[str, str] = {}
    reads: str = "b64_json"
    mime: str = "image/png"
    count: int = 1
    told: tuple[str, ...] = ()
    sent: dict[str, Any] = {}
    kept_back: tuple[str, ...] = ()


def texts(kind: str = "", **fields: str) -> list[Part]:
    return [Part(name, value.encode(), kind=kind) for name, value in fields.items()]


def file(name: str, data: bytes = PNG, kind: str = "image/png", filename: str = "cat.png") -> Part:
    return Part(name, data, filename, kind)


# aiohttp: texts first, each with a type; a picture of one is `image`, of a list `image[]`
OPEN_WEBUI = [
    Vector(
        client="Open WebUI, as installed",
        body={"model": "dall-e-2", "prompt": "a cat", "n": 1, "size": "512x512", "response_format": "b64_json"},
        told=("model=dall-e-2 is served by image",),
    ),
    Vector(
        client="Open WebUI, two of another model and parameters of its administrator",
        body={
            "model": "gpt-image-2", "prompt": "a cat", "n": 2, "size": "512x512", "response_format": "b64_json",
            "quality": "low", "cfg_scale": 7,
        },
        count=2,
        told=("size=scaled:", "cfg_scale=dropped"),
        sent={"quality": "low", "n": 2},
        kept_back=("response_format", "cfg_scale"),
    ),
    Vector(
        client="Open WebUI, a gpt-image model",
        body={"model": "gpt-image-1", "prompt": "a cat", "n": 1, "size": "auto"},
    ),
    Vector(
        client="Open WebUI, edit of one",
        path=EDITS,
        parts=[
            *texts(UTF8, model="dall-e-2", prompt="a hat", n="1", size="512x512", response_format="b64_json"),
            file("image", filename="image.png"),
        ],
        told=("model=dall-e-2 is served by image",),
    ),
    Vector(
        client="Open WebUI, edit of a list",
        path=EDITS,
        parts=[
            *texts(UTF8, model="gpt-image-2", prompt="a hat", background="auto"),
            file("image[]", filename="image.png"),
            file("image[]", JPEG, "image/jpeg", "image.jpg"),
        ],
    ),
]  # fmt: skip
LIBRECHAT = [
    Vector(
        client=f"LibreChat, {kind}",
        body={
            "model": "gpt-image-1", "prompt": "a cat", "n": 1, "background": "auto", "output_format": kind,
            **({"output_compression": 100} if kind != "png" else {}), "quality": "auto", "size": "auto",
        },
        mime=f"image/{kind}",
        told=("model=gpt-image-1 is served by gpt-image-2",),
        kept_back=("response_format", "size"),
    )
    for kind in ("png", "webp", "jpeg")
] + [
    Vector(
        client="LibreChat, edit",
        path=EDITS,
        parts=[
            *texts(model="gpt-image-1", prompt="a hat", quality="auto", size="auto"),
            file("image[]"),
            file("image[]", JPEG, "image/jpeg"),
        ],
        told=("model=gpt-image-1 is served by gpt-image-2",),
    ),
]  # fmt: skip
N8N = [
    Vector(
        client="n8n, as installed",
        body={"prompt": "a cat", "model": "gpt-image-1-mini"},
        told=("model=gpt-image-1-mini is served by gpt-image-2",),
    ),
    Vector(
        client="n8n, DALL-E 3 by links",
        body={
            "prompt": "a cat", "model": "dall-e-3", "response_format": "url", "quality": "hd", "size": "1792x1024",
            "style": "vivid",
        },
        reads="url",
        told=("model=dall-e-3 is served by image",),
    ),
    Vector(
        client="n8n, a name it does not know",
        body={"prompt": "a cat", "model": "image", "response_format": "b64_json", "n": 2},
        count=2,
    ),
    Vector(
        client="n8n, edit by DALL-E 2, which it reads by links",
        path=EDITS,
        parts=[
            file("image"),
            *texts(prompt="a hat", model="dall-e-2", n="1", size="1024x1024", response_format="url", user="u"),
        ],
        reads="url",
    ),
    Vector(
        client="n8n, edit by a name it does not know, which it hands on as it is",
        path=EDITS,
        parts=[file("image"), *texts(prompt="a hat", model="image", n="1", size="1024x1024")],
    ),
    Vector(
        client="n8n, edit by gpt-image under a mask",
        path=EDITS,
        parts=[
            file("image[]"),
            *texts(
                prompt="a hat", model="gpt-image-1", n="1", size="1024x1024", background="auto", input_fidelity="high",
                output_compression="100", quality="auto",
            ),
            file("mask", MASK, filename="mask.png"),
        ],
    ),
]  # fmt: skip
# by openai-node: unknown parameters of its models travel along
LOBEHUB = [
    Vector(
        client=f"LobeHub, {model}",
        body={
            "model": model, "n": 1, "prompt": "a cat", "seed": 5, "width": 1024, "height": 768, "cfg": 7.5, "steps": 20,
            "aspectRatio": "4:3",
        },
        told=("seed=ignored", "width=dropped", "height=dropped", "cfg=dropped", "steps=dropped", "aspectRatio=dropped"),
        kept_back=("width", "cfg", "aspectRatio", "seed"),
    )
    for model in ("gemini-3.1-flash-image", "gpt-image-2")
] + [
    Vector(
        client="LobeHub, DALL-E",
        body={"model": "dall-e-3", "n": 1, "response_format": "b64_json", "prompt": "a cat", "quality": "hd"},
    ),
    Vector(
        client="LobeHub, edit",
        path=EDITS,
        parts=[
            *texts(model="gpt-image-1", n="1", input_fidelity="high", prompt="a hat", size="1024x1024"),
            file("image", filename="image.png"),
        ],
    ),
]  # fmt: skip
AI_SDK = [
    Vector(
        client="@ai-sdk/openai",
        body={"model": "image", "prompt": "a cat", "n": 1, "size": "1024x1024", "response_format": "b64_json"},
    ),
    Vector(client="@ai-sdk/openai, a gpt-image model", body={"model": "gpt-image-2", "prompt": "a cat", "n": 1}),
    Vector(client="@ai-sdk/openai-compatible", body={"model": "image", "prompt": "a cat", "n": 1, "size": "1024x1024"}),
    Vector(
        client="AI SDK, edit of one under a mask",
        path=EDITS,
        parts=[
            *texts(model="gpt-image-2", prompt="a hat"),
            file("image", filename="blob"),
            file("mask", MASK, filename="blob"),
            *texts(n="1", size="1024x1024"),
        ],
    ),
    Vector(
        client="AI SDK, edit of several",
        path=EDITS,
        parts=[*texts(model="image", prompt="a hat"), *[file("image[]", filename="blob")] * 2],
    ),
    Vector(
        client="@ai-sdk/deepinfra, edit of several",
        path=EDITS,
        parts=[*texts(model="image", prompt="a hat"), *[file("image", filename="blob")] * 2],
    ),
]  # fmt: skip
NULLS = {
    "model": "gpt-image-2", "prompt": "a cat", "background": None, "moderation": None, "n": None,
    "output_compression": None, "output_format": None, "partial_images": None, "quality": None,
    "response_format": None, "size": None, "stream": None, "style": None, "svg": None, "user": None,
}  # fmt: skip
NEW = {"complexity": "low", "svg": {"model": "m"}, "frame_count": 9, "frame_duration_ms": 200}
SDKS = [
    Vector(client="openai-python, nulls", body=NULLS),
    Vector(
        client="openai-python, the newest fields",
        body={
            "model": "gpt-image-2.6-flare", "prompt": "a cat", "quality": "xhigh", "moderation": "low", "stream": False,
            "partial_images": 0, "safety_identifier": "u-9", **NEW,
        },
        sent={**NEW, "quality": "xhigh", "moderation": "low", "user": "u-9"},
    ),
    Vector(
        client="openai-python, bytes without a name",
        path=EDITS,
        parts=[*texts(prompt="a hat", model="gpt-image-2"), file("image", kind=OCTETS, filename="upload")],
    ),
    Vector(
        client="openai-python, a list of one, nested fields and lists",
        path=EDITS,
        parts=[
            *texts(prompt="a hat", model="gpt-image-2.6-flare"),
            Part("svg[model]", b"gpt-5"),
            Part("svg[reasoning][effort]", b"low"),
            Part("n", b"2"),
            Part("tags[]", b"a"),
            Part("tags[]", b"b"),
            file("image[]", kind=OCTETS, filename="upload"),
        ],
        count=2,
        told=("tags=dropped",),
    ),
    Vector(
        client="openai-node, files before texts",
        path=EDITS,
        parts=[file("image[]"), file("image[]", JPEG, "image/jpeg"), *texts(prompt="a hat", model="gpt-image-2")],
    ),
    Vector(
        client="both names of a picture",
        path=EDITS,
        parts=[*texts(prompt="a hat", model="gpt-image-2"), file("image"), file("image[]", JPEG, "image/jpeg")],
    ),
    Vector(
        client="JSON edit by data URL and null mask",
        path=EDITS,
        body={"model": "gpt-image-2", "prompt": "a hat", "images": [{"image_url": DATA_URL}], "mask": None},
    ),
    Vector(
        client="JSON edit by data URL under a mask",
        path=EDITS,
        body={
            "model": "gpt-image-2", "prompt": "a hat", "images": [{"image_url": DATA_URL}, {"image_url": DATA_URL}],
            "mask": {"image_url": f"data:image/png;base64,{base64.b64encode(MASK).decode()}"},
        },
    ),
    Vector(
        client="curl, a megabyte of picture in a text part",
        path=EDITS,
        parts=[*texts(model="gpt-image-2", prompt="a hat"), Part("image", DATA_URL.encode() + b"A" * (2 << 20))],
    ),
    Vector(
        client="sixteen pictures",
        path=EDITS,
        parts=[*texts(model="gpt-image-2", prompt="a hat"), *[file("image[]")] * 16],
    ),
]  # fmt: skip
VECTORS = [*OPEN_WEBUI, *LIBRECHAT, *N8N, *LOBEHUB, *AI_SDK, *SDKS]
