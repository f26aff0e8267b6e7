"""fal.ai's queue and apps, as their pages describe them (read 2026-11-20)."""

from image_vectors import MASK, MASK_64, OTHER, OTHER_64, PIXEL, PIXEL_64, Sent, Told, size

from providers.errors import BadResponseError, ContentBlockedError

URL = "https://v3.fal.media/files/a/x.png"
PIXEL_URL, OTHER_URL = f"data:image/png;base64,{PIXEL_64}", f"data:image/jpeg;base64,{OTHER_64}"

SENT = [
    Sent(
        backend="fal",
        name="least",
        model="fal-ai/flux/schnell",
        body={"prompt": "a cat", "num_images": 1, "output_format": "png"},
    ),
    Sent(
        backend="fal",
        name="pixels and the vendor's own fields",
        model="fal-ai/flux/dev",
        given={
            "size": size(1536, 1024),
            "n": 3,
            "seed": 7,
            "output_format": "jpeg",
            "extra": {"guidance_scale": 3.5, "enable_safety_checker": True, "cfg": 1},
        },
        body={
            "prompt": "a cat",
            "num_images": 3,
            "image_size": {"width": 1536, "height": 1024},
            "seed": 7,
            "output_format": "jpeg",
            "guidance_scale": 3.5,
            "enable_safety_checker": True,
        },
        warnings=("cfg=dropped",),
    ),
    Sent(
        backend="fal",
        name="ratios and tiers",
        model="fal-ai/nano-banana-2",
        given={"size": size(3840, 2160, "4K"), "negative_prompt": "blur"},
        body={
            "prompt": "a cat\n\nAvoid: blur.",
            "num_images": 1,
            "aspect_ratio": "16:9",
            "resolution": "4K",
            "output_format": "png",
        },
        warnings=("negative_prompt=folded into the prompt",),
    ),
    Sent(
        backend="fal",
        name="one picture",
        model="fal-ai/flux/dev/image-to-image",
        given={"images": (OTHER,), "size": size(1024, 1024), "extra": {"strength": 0.5}},
        body={"prompt": "a cat", "num_images": 1, "output_format": "png", "image_url": OTHER_URL, "strength": 0.5},
        warnings=("size=ignored",),
    ),
    Sent(
        backend="fal",
        name="several pictures",
        model="fal-ai/nano-banana-2/edit",
        given={"images": (PIXEL, OTHER)},
        body={"prompt": "a cat", "num_images": 1, "output_format": "png", "image_urls": [PIXEL_URL, OTHER_URL]},
    ),
    Sent(
        backend="fal",
        name="a mask",
        model="fal-ai/flux-lora/inpainting",
        given={"images": (PIXEL,), "mask": MASK},
        body={
            "prompt": "a cat",
            "num_images": 1,
            "output_format": "png",
            "image_url": PIXEL_URL,
            "mask_url": f"data:image/png;base64,{MASK_64}",
        },
    ),
    Sent(backend="fal", name="no pictures", model="fal-ai/flux/dev", given={"images": (PIXEL,)}, param="image"),
    Sent(
        backend="fal",
        name="no mask",
        model="fal-ai/nano-banana-2/edit",
        given={"images": (PIXEL,), "mask": MASK},
        param="mask",
    ),
]

TOLD = [
    Told(backend="fal", name="a picture", answer={"images": [{"url": URL}], "seed": 1}, means=((URL,), ())),
    Told(backend="fal", name="single form", answer={"image": {"url": URL}}, means=((URL,), ())),
    Told(
        backend="fal",
        name="a flagged picture among others is left out",
        answer={"images": [{"url": "https://a"}, {"url": URL}], "has_nsfw_concepts": [True, False]},
        means=((URL,), ("data[0]=moderated",)),
    ),
    Told(
        backend="fal",
        name="a black picture is a refusal that was paid for",
        answer={"images": [{"url": URL}], "has_nsfw_concepts": [True]},
        error=ContentBlockedError,
        outcome="filtered",
        billed=True,
    ),
    *(
        Told(
            backend="fal",
            name=f"nothing in {images!r}",
            answer={"images": images, "has_nsfw_concepts": [False]},
            error=BadResponseError,
            outcome="empty",
            billed=True,
        )
        for images in (None, [], [{}], [{"url": ""}], ["x"], "x")
    ),
]
