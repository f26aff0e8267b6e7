"""Stability AI v2beta, as its reference describes it (read 2026-11-20). Forms as dicts, files as file names."""

from image_vectors import MASK, PIXEL, PIXEL_64, Sent, Told, size

from providers.errors import BadResponseError, ContentBlockedError

CORE, ULTRA, SD3, INPAINT = (
    f"/stable-image/{end}" for end in ("generate/core", "generate/ultra", "generate/sd3", "edit/inpaint")
)

SENT = [
    Sent(
        backend="stability",
        name="least",
        model="stable-image-core",
        body={"path": CORE, "prompt": "a cat", "output_format": "png"},
    ),
    Sent(
        backend="stability",
        name="all it takes",
        model="sd3.5-large",
        given={
            "size": size(1792, 1024),
            "seed": 7,
            "negative_prompt": "blur",
            "output_format": "webp",
            "extra": {"style_preset": "anime", "cfg_scale": 4},
        },
        body={
            "path": SD3,
            "model": "sd3.5-large",
            "prompt": "a cat",
            "negative_prompt": "blur",
            "aspect_ratio": "16:9",
            "seed": "7",
            "output_format": "webp",
            "style_preset": "anime",
            "cfg_scale": "4",
        },
    ),
    Sent(
        backend="stability",
        name="4:3 is not among its ratios",
        model="stable-image-ultra",
        given={"size": size(768, 1024)},
        body={"path": ULTRA, "prompt": "a cat", "aspect_ratio": "4:5", "output_format": "png"},
        warnings=("size=snapped:4:5",),
    ),
    Sent(
        backend="stability",
        name="turbo knows no negatives",
        model="sd3.5-large-turbo",
        given={"negative_prompt": "blur", "quality": "low"},
        body={"path": SD3, "model": "sd3.5-large-turbo", "prompt": "a cat\n\nAvoid: blur.", "output_format": "png"},
        warnings=("quality=ignored", "negative_prompt=folded into the prompt"),
    ),
    Sent(
        backend="stability",
        name="the largest seed of callers is one too large",
        model="stable-image-core",
        given={"seed": 2**32 - 1},
        body={"path": CORE, "prompt": "a cat", "seed": "0", "output_format": "png"},
    ),
    Sent(
        backend="stability",
        name="a picture to start from",
        model="sd3.5-medium",
        given={"images": (PIXEL,), "size": size(1024, 1024)},
        body={
            "path": SD3,
            "model": "sd3.5-medium",
            "mode": "image-to-image",
            "strength": "0.7",
            "prompt": "a cat",
            "output_format": "png",
            "image": "image.png",
        },
        warnings=("size=ignored",),
    ),
    Sent(
        backend="stability",
        name="a picture to start from, on ultra",
        model="stable-image-ultra",
        given={"images": (PIXEL,), "extra": {"strength": 0.4}},
        body={"path": ULTRA, "strength": "0.4", "prompt": "a cat", "output_format": "png", "image": "image.png"},
    ),
    Sent(
        backend="stability",
        name="a mask",
        model="stable-image-inpaint",
        given={"images": (PIXEL,), "mask": MASK},
        body={"path": INPAINT, "prompt": "a cat", "output_format": "png", "image": "image.png", "mask": "mask.png"},
    ),
    Sent(backend="stability", name="inpaint needs a picture", model="stable-image-inpaint", param="image"),
    Sent(
        backend="stability",
        name="core takes no picture",
        model="stable-image-core",
        given={"images": (PIXEL,)},
        param="image",
    ),
    Sent(
        backend="stability",
        name="only inpaint takes a mask",
        model="sd3.5-large",
        given={"images": (PIXEL,), "mask": MASK},
        param="mask",
    ),
]

TOLD = [
    Told(
        backend="stability",
        name="a picture",
        answer={"image": PIXEL_64, "finish_reason": "SUCCESS", "seed": 7},
        means="image/png",
    ),
    Told(
        backend="stability",
        name="a filtered picture is none",
        answer={"image": PIXEL_64, "finish_reason": "CONTENT_FILTERED", "seed": 7},
        error=ContentBlockedError,
        outcome="filtered",
        billed=True,
    ),
    *(
        Told(
            backend="stability",
            name=f"nothing in {image!r}",
            answer={"image": image, "finish_reason": "SUCCESS"},
            error=BadResponseError,
            outcome="empty",
            billed=True,
        )
        for image in (None, "", 7, [])
    ),
    Told(
        backend="stability",
        name="no picture",
        answer={"image": "aGVsbG8=", "finish_reason": "SUCCESS"},
        error=BadResponseError,
        outcome="bad_image",
        billed=True,
    ),
]
