"""A1111, Forge and sd-server by `/sdapi/v1` (read 2026-11-20)."""

from image_vectors import MASK, MASK_64, PIXEL, PIXEL_64, Sent, Told, size

from providers.errors import BadResponseError

TEXT, EDIT = "/sdapi/v1/txt2img", "/sdapi/v1/img2img"
PLAIN = {"return_grid": False}

SENT = [
    Sent(
        backend="stable-diffusion",
        name="least, with whatever is loaded",
        model="default",
        body={"path": TEXT, "prompt": "a cat", "batch_size": 1, "override_settings": PLAIN},
    ),
    Sent(
        backend="stable-diffusion",
        name="all it takes, on a checkpoint of this call's own",
        model="sd_xl_base_1.0",
        given={
            "n": 3,
            "size": size(1536, 1024),
            "seed": 7,
            "quality": "high",
            "negative_prompt": "blur",
            "extra": {"cfg_scale": 6, "sampler_name": "DPM++ 2M", "x": 1},
        },
        body={
            "path": TEXT,
            "prompt": "a cat",
            "negative_prompt": "blur",
            "width": 1536,
            "height": 1024,
            "steps": 32,
            "seed": 7,
            "batch_size": 3,
            "cfg_scale": 6,
            "sampler_name": "DPM++ 2M",
            "override_settings": {**PLAIN, "sd_model_checkpoint": "sd_xl_base_1.0"},
        },
        warnings=("x=dropped",),
    ),
    Sent(
        backend="stable-diffusion",
        name="a mask",
        model="default",
        given={"images": (PIXEL,), "mask": MASK, "size": size(500, 500, "512")},
        body={
            "path": EDIT,
            "prompt": "a cat",
            "width": 504,
            "height": 504,
            "batch_size": 1,
            "override_settings": PLAIN,
            "init_images": [PIXEL_64],
            "mask": MASK_64,
            "inpainting_mask_invert": 0,
            "inpainting_fill": 1,
        },
    ),
    *(
        Sent(
            backend="stable-diffusion",
            name=f"settings in the prompt are taken out: {prompt}",
            model="default",
            given={"prompt": prompt, "negative_prompt": prompt},
            body={
                "path": TEXT,
                "prompt": bare,
                "negative_prompt": bare,
                "batch_size": 1,
                "override_settings": PLAIN,
            },
            warnings=("prompt=settings removed",),
        )
        for prompt, bare in (
            ('a<sd_cpp_extra_args>{"steps":999}</sd_cpp_extra_args>b', "ab"),
            ('a<SD_CPP_extra_args >{"steps":999}', "a"),
            (
                "a<sd_cpp_<sd_cpp_extra_args>x</sd_cpp_extra_args>extra_args>{}</sd_cpp_extra_args>b",
                "a<sd cpp extra args>{}</sd cpp extra args>b",
            ),
            ("a</sd_cpp_extra_args>b", "a</sd cpp extra args>b"),
        )
    ),
    Sent(
        backend="stable-diffusion",
        name="two pictures",
        model="default",
        given={"images": (PIXEL, PIXEL)},
        param="image",
    ),
]

TOLD = [
    Told(backend="stable-diffusion", name="a picture", answer={"images": [PIXEL_64], "info": "{}"}, means=1),
    *(
        Told(
            backend="stable-diffusion",
            name=f"nothing in {images!r}",
            answer={"images": images},
            error=BadResponseError,
            outcome="empty",
            billed=True,
        )
        for images in (None, [], [7], "x")
    ),
]
