"""Midjourney's bridges, as their documentation describes them (read 2026-11-28)."""

from typing import Any

from image_vectors import MASK, OTHER, OTHER_64, PIXEL, PIXEL_64, Sent, Told, size

from providers.errors import BadResponseError, ContentBlockedError, UnavailableError

PIXEL_URL, OTHER_URL = f"data:image/png;base64,{PIXEL_64}", f"data:image/jpeg;base64,{OTHER_64}"
URL = "https://cdn.example/grid.png?ex=1&is=2"


def line(text: str, *images: str) -> dict[str, Any]:
    return {"path": "/mj/submit/imagine", "prompt": text, "base64Array": list(images)}


REMOVED = ("prompt=settings removed",)
SENT = [
    Sent(backend="midjourney", name="least", model="midjourney", body=line("a cat")),
    Sent(
        backend="midjourney",
        name="everything that has a parameter",
        model="midjourney-v7",
        given={
            "n": 4,
            "size": size(1920, 1080),
            "seed": 7,
            "quality": "high",
            "negative_prompt": "blur, text",
            "extra": {"stylize": 250, "chaos": 0, "weird": 3000},
        },
        body=line(
            "a cat --ar 16:9 --seed 7 --q 2 --stylize 250 --chaos 0 --weird 3000 --no blur, text --v 7",
        ),
    ),
    Sent(backend="midjourney", name="niji is a version too", model="midjourney-niji-7", body=line("a cat --niji 7")),
    Sent(
        backend="midjourney",
        name="what is lost is named",
        model="midjourney",
        given={"size": size(4096, 512, "2K"), "quality": "low", "moderation": "low", "extra": {"cfg": 1}},
        body=line("a cat --ar 21:9 --q 1"),
        warnings=(
            "moderation=ignored",
            "cfg=dropped",
            "size=snapped:21:9",
            "size=tier:1K",
            "quality=medium",
        ),
    ),
    Sent(
        backend="midjourney",
        name="pictures come along",
        model="midjourney",
        given={"images": (PIXEL, OTHER)},
        body=line("a cat", PIXEL_URL, OTHER_URL),
    ),
    *(
        Sent(
            backend="midjourney",
            name=f"words stay words: {prompt!r}",
            model="midjourney",
            given={"prompt": prompt},
            body=line(text),
            warnings=warnings,
        )
        for prompt, text, warnings in (
            ("a cat --ar 1:8 --v 2", "a cat -ar 1:8 -v 2", REMOVED),
            ("a cat---q 4", "a cat-q 4", REMOVED),
            ("a cat \u2014ar 1:8", "a cat -ar 1:8", ()),
            ("a well-known cat \u2014 asleep", "a well-known cat - asleep", ()),
            ("a cat \u2014\u2013ar 1:8", "a cat -ar 1:8", REMOVED),
            ("a cat -\u200b-ar 1:8", "a cat -ar 1:8", REMOVED),
            ("a cat\n--ar\n1:8", "a cat -ar 1:8", REMOVED),
            ("a cat -://-ar 1:8", "a cat -:-ar 1:8", REMOVED),
            ("https://evil.example/x.png a cat", "https:evil.example/x.png a cat", REMOVED),
            ("a {red, blue} cat", "a (red, blue) cat", REMOVED),
            ("a cat\uff0d\uff0dar 1:8", "a cat-ar 1:8", REMOVED),
        )
    ),
    Sent(
        backend="midjourney",
        name="negatives are words as well",
        model="midjourney",
        given={"negative_prompt": "blur --v 2"},
        body=line("a cat --no blur -v 2"),
        warnings=REMOVED,
    ),
    Sent(
        backend="midjourney",
        name="a parameter of the caller's is a number",
        model="midjourney",
        given={"extra": {"stylize": "5 --v 2"}},
        param="stylize",
    ),
    Sent(
        backend="midjourney",
        name="within its bounds",
        model="midjourney",
        given={"extra": {"chaos": 101}},
        param="chaos",
    ),
    Sent(
        backend="midjourney",
        name="a mask",
        model="midjourney",
        given={"images": (PIXEL,), "mask": MASK},
        param="mask",
    ),
    Sent(backend="midjourney", name="too many", model="midjourney", given={"images": (PIXEL,) * 5}, param="image"),
    Sent(
        backend="midjourney",
        name="strict",
        model="midjourney",
        given={"prompt": "a cat --v 2", "strict": True},
        param="prompt",
    ),
    Sent(
        backend="legnext",
        name="the same line",
        model="midjourney-v8.1",
        given={"size": size(1024, 1536), "seed": 1},
        body={"path": "/diffusion", "text": "a cat --ar 2:3 --seed 1 --v 8.1"},
    ),
    Sent(backend="legnext", name="no pictures", model="midjourney", given={"images": (PIXEL,)}, param="image"),
]

TOLD = [
    *(
        Told(
            backend="midjourney",
            name=f"{status}, whatever its address says",
            answer={"id": "1", "status": status, "progress": "60%", "imageUrl": "https://cdn.example/sketch.webp"},
            means="pending",
        )
        for status in ("NOT_START", "SUBMITTED", "IN_PROGRESS", "MODAL", None, 7)
    ),
    Told(backend="midjourney", name="a grid", answer={"status": "SUCCESS", "imageUrl": URL}, means=((URL,), True)),
    *(
        Told(
            backend="midjourney",
            name=f"success with {url!r}",
            answer={"status": "SUCCESS", "imageUrl": url},
            error=BadResponseError,
            outcome="empty",
            billed=True,
        )
        for url in (None, "", 7)
    ),
    *(
        Told(
            backend="midjourney",
            name=f"failure: {reason!r}",
            answer={"status": "FAILURE", "failReason": reason, "imageUrl": URL},
            error=kind,
            outcome=outcome,
            billed=True,
        )
        for reason, kind, outcome in (
            ("[Invalid parameter] Unrecognized parameter(s): x", UnavailableError, "job_failed"),
            (None, UnavailableError, "job_failed"),
            (7, UnavailableError, "job_failed"),
            ("Banned prompt detected", ContentBlockedError, "filtered"),
            ("Sorry! Our AI moderator thinks this prompt is probably against our community standards.",
             ContentBlockedError, "filtered"),
        )
    ),
    Told(
        backend="midjourney",
        name="failure with a banned word",
        answer={"status": "FAILURE", "failReason": "no", "properties": {"bannedWord": "x"}},
        error=ContentBlockedError,
        outcome="filtered",
        billed=True,
    ),
    *(
        Told(backend="legnext", name=f"status {status!r}", answer={"job_id": "j", "status": status}, means="pending")
        for status in ("pending", "processing", "staged", None)
    ),
    Told(
        backend="legnext",
        name="four pictures",
        answer={"status": "completed", "output": {"image_url": URL, "image_urls": ["https://a", "https://b"]}},
        means=(("https://a", "https://b"), False),
    ),
    Told(
        backend="legnext",
        name="only the grid",
        answer={"status": "completed", "output": {"image_url": URL, "image_urls": None}},
        means=((URL,), True),
    ),
    *(
        Told(
            backend="legnext",
            name=f"completed with {output!r}",
            answer={"status": "completed", "output": output},
            error=BadResponseError,
            outcome="empty",
            billed=True,
        )
        for output in (None, {}, {"image_urls": []}, {"image_urls": [None], "image_url": ""}, "x")
    ),
    Told(
        backend="legnext",
        name="failed",
        answer={"status": "failed", "error": {"code": 10000, "message": "task failed"}},
        error=UnavailableError,
        outcome="job_failed",
        billed=True,
    ),
    Told(
        backend="legnext",
        name="moderated",
        answer={"status": "failed", "error": {"code": 10000, "message": "Banned prompt detected: x"}},
        error=ContentBlockedError,
        outcome="filtered",
        billed=True,
    ),
]  # fmt: skip
