"""Black Forest Labs, as its documentation describes it (read 2026-11-20)."""

from image_vectors import MASK, MASK_64, OTHER, OTHER_64, PIXEL, PIXEL_64, Sent, Told, size

from providers.errors import BadResponseError, ContentBlockedError, ModelNotFoundError, UnavailableError

SENT = [
    Sent(
        backend="bfl",
        name="least",
        model="flux-2-pro",
        body={"prompt": "a cat", "output_format": "png"},
    ),
    Sent(
        backend="bfl",
        name="pixels, seed and the vendor's own fields",
        model="flux-2-pro",
        given={
            "size": size(1536, 1024),
            "seed": 7,
            "output_format": "jpeg",
            "extra": {"safety_tolerance": 2, "prompt_upsampling": False},
            "user": "u",
        },
        body={
            "prompt": "a cat",
            "width": 1536,
            "height": 1024,
            "seed": 7,
            "output_format": "jpeg",
            "safety_tolerance": 2,
            "prompt_upsampling": False,
        },
    ),
    Sent(
        backend="bfl",
        name="four megapixels are the most",
        model="flux-2-max",
        given={"size": size(3840, 2160, "4K")},
        body={"prompt": "a cat", "width": 2720, "height": 1536, "output_format": "png"},
        warnings=("size=scaled:2720x1536",),
    ),
    Sent(
        backend="bfl",
        name="what has no place is folded or named",
        model="flux-2-pro",
        given={
            "negative_prompt": "blur",
            "quality": "high",
            "moderation": "low",
            "output_format": "webp",
            "extra": {"cfg": 3},
        },
        body={"prompt": "a cat\n\nAvoid: blur.", "output_format": "png"},
        warnings=(
            "quality=ignored",
            "moderation=ignored",
            "negative_prompt=folded into the prompt",
            "cfg=dropped",
        ),
    ),
    Sent(
        backend="bfl",
        name="the first generation has sides of its own",
        model="flux-pro-1.1",
        given={"size": size(1792, 1024)},
        body={"prompt": "a cat", "width": 1440, "height": 832, "output_format": "png"},
        warnings=("size=scaled:1440x832",),
    ),
    Sent(
        backend="bfl",
        name="ratios",
        model="flux-kontext-max",
        given={"size": size(1792, 1024), "images": (PIXEL,)},
        body={"prompt": "a cat", "aspect_ratio": "16:9", "output_format": "png", "input_image": PIXEL_64},
    ),
    Sent(
        backend="bfl",
        name="several references",
        model="flux-2-pro",
        given={"images": (PIXEL, OTHER, PIXEL)},
        body={
            "prompt": "a cat",
            "output_format": "png",
            "input_image": PIXEL_64,
            "input_image_2": OTHER_64,
            "input_image_3": PIXEL_64,
        },
    ),
    Sent(
        backend="bfl",
        name="a mask",
        model="flux-pro-1.0-fill",
        given={"images": (PIXEL,), "mask": MASK, "size": size(1024, 1024)},
        body={"prompt": "a cat", "output_format": "png", "image": PIXEL_64, "mask": MASK_64},
        warnings=("size=ignored",),
    ),
    Sent(
        backend="bfl",
        name="a model nobody described is of the second generation",
        model="flux-9",
        given={"size": size(1000, 1000)},
        body={"prompt": "a cat", "width": 1008, "height": 1008, "output_format": "png"},
    ),
    Sent(backend="bfl", name="fill needs a picture", model="flux-pro-1.0-fill", param="image"),
    Sent(
        backend="bfl",
        name="no mask beside fill",
        model="flux-2-pro",
        given={"images": (PIXEL,), "mask": MASK},
        param="mask",
    ),
    Sent(backend="bfl", name="nine references", model="flux-2-pro", given={"images": (PIXEL,) * 9}, param="image"),
    Sent(
        backend="bfl", name="transparency", model="flux-2-pro", given={"background": "transparent"}, param="background"
    ),
    Sent(backend="bfl", name="strict", model="flux-2-pro", given={"quality": "low", "strict": True}, param="quality"),
]

TOLD = [
    *(
        Told(backend="bfl", name=f"status {status!r}", answer={"id": "t", "status": status}, means="pending")
        for status in ("Pending", "Queued", "something new", None, 7)
    ),
    Told(
        backend="bfl",
        name="ready",
        answer={"id": "t", "status": "Ready", "result": {"sample": "https://delivery.bfl.ai/a.png?sig=1&x=2"}},
        means="https://delivery.bfl.ai/a.png?sig=1&x=2",
    ),
    *(
        Told(
            backend="bfl",
            name=f"ready with {result!r}",
            answer={"status": "Ready", "result": result},
            error=BadResponseError,
            outcome="empty",
            billed=True,
        )
        for result in (None, {}, {"sample": None}, {"sample": ""}, "x", [])
    ),
    *(
        Told(
            backend="bfl",
            name=status,
            answer={"status": status},
            error=ContentBlockedError,
            outcome="filtered",
            billed=True,
        )
        for status in ("Request Moderated", "Content Moderated")
    ),
    *(
        Told(
            backend="bfl",
            name=status,
            answer={"status": status},
            error=UnavailableError,
            outcome="job_failed",
            billed=True,
        )
        for status in ("Error", "Failed")
    ),
    Told(
        backend="bfl", name="not known", answer={"status": "Task not found"}, error=ModelNotFoundError, outcome="config"
    ),
]
