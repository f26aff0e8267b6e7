"""Replicate's predictions, as its HTTP reference and the models' pages describe them (read 2026-11-20)."""

from image_vectors import MASK, MASK_64, OTHER, OTHER_64, PIXEL, PIXEL_64, Sent, Told, size

from providers.errors import BadResponseError, ContentBlockedError, UnavailableError

URL = "https://replicate.delivery/a/out-0.png"
PIXEL_URL, OTHER_URL = f"data:image/png;base64,{PIXEL_64}", f"data:image/jpeg;base64,{OTHER_64}"
FLUX = "black-forest-labs/flux"

SENT = [
    Sent(
        backend="replicate",
        name="least",
        model=f"{FLUX}-schnell",
        body={
            "path": f"/models/{FLUX}-schnell/predictions",
            "input": {"prompt": "a cat", "num_outputs": 1, "output_format": "png"},
        },
    ),
    Sent(
        backend="replicate",
        name="all it takes",
        model=f"{FLUX}-dev",
        given={
            "n": 3,
            "size": size(1792, 1024),
            "seed": 7,
            "output_format": "jpeg",
            "images": (PIXEL,),
            "extra": {"guidance": 3, "cfg": 1},
        },
        body={
            "path": f"/models/{FLUX}-dev/predictions",
            "input": {
                "prompt": "a cat",
                "num_outputs": 3,
                "seed": 7,
                "aspect_ratio": "16:9",
                "output_format": "jpg",
                "image": PIXEL_URL,
                "guidance": 3,
            },
        },
        warnings=("cfg=dropped",),
    ),
    Sent(
        backend="replicate",
        name="a model without seeds, with tiers and several pictures",
        model="bytedance/seedream-4",
        given={"size": size(2048, 2048, "2K"), "seed": 7, "negative_prompt": "blur", "images": (PIXEL, OTHER)},
        body={
            "path": "/models/bytedance/seedream-4/predictions",
            "input": {
                "prompt": "a cat\n\nAvoid: blur.",
                "aspect_ratio": "1:1",
                "size": "2K",
                "image_input": [PIXEL_URL, OTHER_URL],
            },
        },
        warnings=("seed=ignored", "negative_prompt=folded into the prompt"),
    ),
    Sent(
        backend="replicate",
        name="a mask",
        model=f"{FLUX}-fill-pro",
        given={"images": (PIXEL,), "mask": MASK, "output_format": "webp"},
        body={
            "path": f"/models/{FLUX}-fill-pro/predictions",
            "input": {
                "prompt": "a cat",
                "output_format": "png",
                "image": PIXEL_URL,
                "mask": f"data:image/png;base64,{MASK_64}",
            },
        },
    ),
    Sent(
        backend="replicate",
        name="a version of a model nobody described",
        model="someone/sdxl:39ed52f2",
        given={"size": size(1024, 1024), "seed": 1},
        body={"path": "/predictions", "version": "39ed52f2", "input": {"prompt": "a cat", "seed": 1}},
        warnings=("size=ignored",),
    ),
    Sent(backend="replicate", name="fill needs a picture", model=f"{FLUX}-fill-pro", param="image"),
    Sent(backend="replicate", name="no picture", model=f"{FLUX}-schnell", given={"images": (PIXEL,)}, param="image"),
    Sent(
        backend="replicate",
        name="no mask",
        model=f"{FLUX}-dev",
        given={"images": (PIXEL,), "mask": MASK},
        param="mask",
    ),
]

TOLD = [
    *(
        Told(backend="replicate", name=f"status {status!r}", answer={"status": status}, means="pending")
        for status in ("starting", "processing", "queued", None, 7)
    ),
    Told(backend="replicate", name="a list", answer={"status": "succeeded", "output": [URL, URL]}, means=(URL, URL)),
    Told(backend="replicate", name="one", answer={"status": "succeeded", "output": URL}, means=(URL,)),
    *(
        Told(
            backend="replicate",
            name=f"nothing in {output!r}",
            answer={"status": "succeeded", "output": output},
            error=BadResponseError,
            outcome="empty",
            billed=True,
        )
        for output in (None, "", [], {}, [None])
    ),
    *(
        Told(
            backend="replicate",
            name=f"{status}: {error}",
            answer={"status": status, "error": error},
            error=UnavailableError,
            outcome="job_failed",
            billed=True,
        )
        for status, error in (("failed", "CUDA out of memory"), ("failed", None), ("canceled", None), ("aborted", None))
    ),
    *(
        Told(
            backend="replicate",
            name=error,
            answer={"status": "failed", "error": error},
            error=ContentBlockedError,
            outcome="filtered",
            billed=True,
        )
        for error in ("NSFW content detected in all outputs.", "The input or output was flagged as sensitive. (E005)")
    ),
]
