"""Ideogram's v2 API and v3, as its reference describes them (read 2026-11-20). Files as file names."""

from image_vectors import MASK, PIXEL, Sent, Told, size

from providers.errors import BadResponseError, ContentBlockedError

URL = "https://ideogram.ai/api/images/ephemeral/x.png?exp=1&sig=2"

SENT = [
    Sent(
        backend="ideogram",
        name="least",
        model="ideogram-4-6",
        body={"path": "/v2/image/generate/ideogram-4-6", "prompt": "a cat", "num_images": 1},
    ),
    Sent(
        backend="ideogram",
        name="all it takes",
        model="ideogram-4-5",
        given={
            "n": 4,
            "size": size(1792, 1024),
            "seed": 7,
            "quality": "hd",
            "negative_prompt": "blur",
            "extra": {"style_type": "REALISTIC", "x": 1},
        },
        body={
            "path": "/v2/image/generate/ideogram-4-5",
            "prompt": "a cat\n\nAvoid: blur.",
            "num_images": 4,
            "aspect_ratio": "16:9",
            "seed": 7,
            "rendering_speed": "QUALITY",
            "style_type": "REALISTIC",
        },
        warnings=("negative_prompt=folded into the prompt", "x=dropped"),
    ),
    Sent(
        backend="ideogram",
        name="with a picture it is a form",
        model="ideogram-4-6",
        given={"images": (PIXEL,)},
        body={
            "path": "/v2/image/generate/ideogram-4-6",
            "prompt": "a cat",
            "num_images": "1",
            "images": "image-0.png",
        },
    ),
    Sent(
        backend="ideogram",
        name="v3 writes ratios its own way and knows negatives",
        model="ideogram-v3",
        given={"size": size(1024, 1536), "negative_prompt": "blur", "quality": "low"},
        body={
            "path": "/v1/ideogram-v3/generate",
            "prompt": "a cat",
            "negative_prompt": "blur",
            "num_images": "1",
            "aspect_ratio": "2x3",
            "rendering_speed": "TURBO",
        },
    ),
    Sent(
        backend="ideogram",
        name="v3 from a picture",
        model="ideogram-v3",
        given={"images": (PIXEL,)},
        body={"path": "/v1/ideogram-v3/remix", "prompt": "a cat", "num_images": "1", "image": "image-0.png"},
    ),
    Sent(
        backend="ideogram",
        name="v3 with a mask",
        model="ideogram-v3",
        given={"images": (PIXEL,), "mask": MASK, "size": size(1024, 1024)},
        body={
            "path": "/v1/ideogram-v3/edit",
            "prompt": "a cat",
            "num_images": "1",
            "image": "image-0.png",
            "mask": "mask.png",
        },
        warnings=("size=ignored",),
    ),
    Sent(
        backend="ideogram",
        name="no mask beside v3",
        model="ideogram-4-6",
        given={"images": (PIXEL,), "mask": MASK},
        param="mask",
    ),
    Sent(
        backend="ideogram",
        name="transparency",
        model="ideogram-4-6",
        given={"background": "transparent"},
        param="background",
    ),
]

TOLD = [
    Told(
        backend="ideogram",
        name="pictures with their prompts",
        answer={"data": [{"url": URL, "prompt": "a cat, lit", "is_image_safe": True}, {"url": URL}]},
        means=(((URL, "a cat, lit"), (URL, None)), ()),
    ),
    Told(
        backend="ideogram",
        name="one of two is unsafe",
        answer={"data": [{"url": "", "is_image_safe": False}, {"url": URL, "is_image_safe": True}]},
        means=(((URL, None),), ("data[0]=moderated",)),
    ),
    Told(
        backend="ideogram",
        name="unsafe with 200",
        answer={"data": [{"url": "", "is_image_safe": False}]},
        error=ContentBlockedError,
        outcome="filtered",
        billed=True,
    ),
    *(
        Told(
            backend="ideogram",
            name=f"nothing in {data!r}",
            answer={"data": data},
            error=BadResponseError,
            outcome="empty",
            billed=True,
        )
        for data in (None, [], [{}], ["x"], [{"url": None, "is_image_safe": True}])
    ),
]
