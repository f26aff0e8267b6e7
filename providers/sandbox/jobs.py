"""Create-and-poll jobs as every such dialect needs them: what was asked, how far it is, and its pictures."""

import re
import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Literal

from providers.sandbox.files import Files, Recipe
from providers.sandbox.gemini_models import RATIOS

Phase = Literal["queued", "running", "done", "failed", "moderated", "cancelled"]

INTERNAL_URL = "http://169.254.169.254/latest/meta-data/result.png"
_KEPT = 1000
_MODERATED = frozenset({"image-safety", "safety", "blocked-prompt"})
_EMPTY = frozenset({"no-image", "empty-candidate", "no-candidates"})
_SIZE = re.compile(r"(\d{2,4})\s*[x*]\s*(\d{2,4})\Z")
_RATIO = re.compile(r"([1-9]\d{0,3})[:x]([1-9]\d{0,3})\Z")


class Job:
    """One job. Its phase follows from the time since its submission and from how it is meant to end."""

    def __init__(self, model: str, given: Mapping[str, Any], fault: str, took_s: float) -> None:
        self.model = model
        self.given = given
        self.fault = fault
        self.begun_s = time.monotonic()
        self.took_s = took_s
        self.cancelled = False
        self.stepped_back = False
        self.urls: list[str] | None = None

    def phase(self, fault: str = "") -> Phase:
        """Where the job stands; `fault` is that of this poll, the job's own counts where there is none."""
        fault = fault or self.fault
        if self.cancelled:
            return "cancelled"
        done = (time.monotonic() - self.begun_s) / self.took_s if self.took_s > 0 else 1.0
        if done < 1 / 3:
            return "queued"
        if fault == "backwards" and not self.stepped_back:
            self.stepped_back = True
            return "queued"
        if done < 1 or fault == "job-never-ends":
            return "running"
        if fault in _MODERATED:
            return "moderated"
        return "failed" if fault == "job-fails" else "done"

    def pictures(self, fault: str, files: Files, base_url: str, *, count: int = 1, **look: Any) -> list[str]:
        """Where the results lie: the same at every poll. `look` goes into the recipes: width, height, output_format."""
        fault = fault or self.fault
        if fault == "job-internal-url":
            return [INTERNAL_URL]
        if fault in _EMPTY:
            return []
        if self.urls is None:
            prompt = str(self.given["prompt"])
            self.urls = [files.add(recipe, base_url) for recipe in recipes(prompt, fault, count, **look)]
        return self.urls


class JobBook:
    """The newest 1,000 jobs by id."""

    def __init__(self) -> None:
        self._jobs: OrderedDict[str, Job] = OrderedDict()

    def add(self, name: str, job: Job) -> None:
        self._jobs[name] = job
        while len(self._jobs) > _KEPT:
            self._jobs.popitem(last=False)

    def get(self, name: str) -> Job | None:
        return self._jobs.get(name)


def recipes(prompt: str, fault: str, count: int, **look: Any) -> list[Recipe]:
    """What `count` pictures of one prompt are drawn from, spoilt as a content fault says."""
    return [
        Recipe(prompt=prompt, black=fault == "black-image", broken=is_broken(fault, number), number=number, **look)
        for number in range(count)
    ]


def is_broken(fault: str, number: int) -> bool:
    """Whether the picture of this number is spoilt into bytes that are none."""
    return fault == "bad-image" or (fault == "one-bad-image" and number == 0)


def size_in(given: Mapping[str, Any]) -> tuple[int, int]:
    """Pixels from whatever a model's input calls them; 1024 x 1024 when it says nothing. Raises ValueError in words."""
    if "width" in given and "height" in given:
        width, height = given["width"], given["height"]
        if not all(isinstance(side, int) and 16 <= side <= 4096 for side in (width, height)):
            raise ValueError("width and height must be integers from 16 to 4096")
        return width, height
    for key in ("image_size", "size", "resolution"):
        value = given.get(key)
        if isinstance(value, dict):
            return size_in(value)
        if isinstance(value, str) and (match := _SIZE.match(value)):
            return int(match[1]), int(match[2])
    return ratio_size(given.get("aspect_ratio") or "1:1")


def ratio_size(ratio: Any) -> tuple[int, int]:
    """About a megapixel of a ratio such as "16:9", both sides multiples of 16. Raises ValueError in words."""
    if ratio in RATIOS:
        return RATIOS[ratio]
    match = _RATIO.match(ratio) if isinstance(ratio, str) else None
    if match is None or not 0.1 <= int(match[1]) / int(match[2]) <= 10:
        raise ValueError(f"unsupported aspect_ratio {ratio!r}")
    proportion = int(match[1]) / int(match[2])
    return round(64 * proportion**0.5) * 16, round(64 / proportion**0.5) * 16
