"""What pictures cost, worked out by hand from the vendors' price pages: the golden table of image routing.

`cost` is the arithmetic in USD, with the units of the price page; the prompt of every request has ten tokens. Rows with
a `day` are about prices and names that change; None: nobody publishes a price, so that it must be unknown.
"""

from datetime import date
from decimal import Decimal

from msgspec import Struct

PROMPT = "a brass orrery on a desk, dusk, softbox."  # forty bytes


class Row(Struct, frozen=True, kw_only=True):
    """One request for a target (or, without a slash, a model) and what it is expected to cost.

    `silent`: the backend tells neither tokens nor money, so the same figure is booked.
    """

    target: str
    cost: str | None
    size: str | None = None
    quality: str | None = None
    n: int = 1
    references: int = 0
    mask: bool = False
    partial_images: int = 0
    day: date | None = None
    silent: bool = False

    @property
    def usd(self) -> Decimal | None:
        """The sum of the products in `cost`."""
        if self.cost is None:
            return None
        total = Decimal(0)
        for term in self.cost.split(" + "):
            product = Decimal(1)
            for factor in term.split(" * "):
                product *= Decimal(factor)
            total += product
        return total

    @property
    def name(self) -> str:
        asked = (self.size, self.quality, f"n{self.n}", f"{self.references}refs" if self.references else "")
        also = ("mask" if self.mask else "", f"{self.partial_images}previews" if self.partial_images else "")
        return "-".join(filter(None, (self.target, *asked, *also, str(self.day or ""))))


BANANA, FLASH, LITE, PRO = (
    f"google/gemini-{name}" for name in ("nano-banana-2.1", "3.1-flash-image", "3.1-flash-lite-image", "3-pro-image")
)
GPT, FLARE = "openai/gpt-image-2", "openai/gpt-image-2.5-flare"

ROWS = (
    # Google: a price per tier; the prompt goes along with each of n calls, 1.5 USD per million tokens
    Row(target=BANANA, cost="0.0336 + 10 * 0.0000015"),
    Row(target=BANANA, size="1024x1024", n=4, cost="4 * 0.0336 + 4 * 10 * 0.0000015"),
    Row(target=BANANA, size="2048x2048", cost="0.0504 + 10 * 0.0000015"),
    Row(target=BANANA, size="4096x4096", cost="0.113 + 10 * 0.0000015"),
    Row(target=BANANA, size="512x512", cost="0.0336 + 10 * 0.0000015"),  # has no smaller tier than 1K
    Row(target=BANANA, quality="high", cost="0.0504 + 10 * 0.0000015"),  # a quality is a tier there: 2K
    Row(target=BANANA, size="1024x1024", quality="hd", cost="0.0336 + 10 * 0.0000015"),  # but a size says more
    Row(target=BANANA, references=2, cost="0.0336 + 2 * 0.00168 + 10 * 0.0000015"),
    Row(target=BANANA, references=1, n=2, cost="2 * 0.0336 + 2 * 0.00168 + 2 * 10 * 0.0000015"),
    Row(target=FLASH, size="512x512", cost="0.045 + 10 * 0.0000005"),
    Row(target=FLASH, size="auto", quality="auto", cost="0.0672 + 10 * 0.0000005"),  # not the smallest tier's 0.045
    Row(target=FLASH, size="1792x1024", cost="0.0672 + 10 * 0.0000005"),
    Row(target=FLASH, size="3840x2160", cost="0.101 + 10 * 0.0000005"),  # 2880 x 2880: nearer to 2K
    Row(target=FLASH, size="4K", cost="0.151 + 10 * 0.0000005"),
    Row(target=LITE, size="4096x4096", cost="0.0336 + 10 * 0.00000025"),  # it makes 1K, whatever is asked
    Row(target=PRO, size="2048x2048", cost="0.134 + 10 * 0.000002"),
    Row(target=PRO, size="4096x4096", n=2, cost="2 * 0.24 + 2 * 10 * 0.000002"),
    Row(target=PRO, references=3, cost="0.134 + 3 * 0.0011 + 10 * 0.000002"),
    # the last day of a model, and the first of its successor
    Row(target="gemini-3.1-flash-image", day=date(2027, 5, 27), cost="0.0672 + 10 * 0.0000005"),
    Row(target="gemini-3.1-flash-image", day=date(2027, 5, 28), cost="0.0336 + 10 * 0.0000015"),
    # OpenAI: by size and quality; the prompt once for all n, 5 USD per million; a preview has 100 tokens at 30
    Row(target=GPT, size="1024x1024", quality="low", cost="0.006 + 10 * 0.000005"),
    Row(target=GPT, size="1024x1024", quality="medium", cost="0.053 + 10 * 0.000005"),
    Row(target=GPT, size="auto", quality="auto", cost="0.053 + 10 * 0.000005"),
    Row(target=GPT, size="1024x1024", quality="medium", n=4, cost="4 * 0.053 + 10 * 0.000005"),
    Row(target=GPT, size="1536x1024", quality="high", cost="0.165 + 10 * 0.000005"),  # as 1024x1536
    Row(target=GPT, size="3840x2160", quality="high", cost="0.401 + 10 * 0.000005"),
    Row(target=GPT, quality="hd", cost="0.211 + 10 * 0.000005"),
    Row(target=GPT, quality="max", cost="0.211 + 10 * 0.000005"),  # its best is high
    Row(target=GPT, references=1, mask=True, cost="0.053 + 0.008 + 10 * 0.000005"),
    Row(target=GPT, quality="low", partial_images=3, cost="0.006 + 3 * 100 * 0.00003 + 10 * 0.000005"),
    Row(target=FLARE, quality="medium", cost="439 * 0.00003 + 10 * 0.000005"),
    Row(target=FLARE, size="2560x1440", quality="max", cost="7370 * 0.00003 + 10 * 0.000005"),
    Row(target=FLARE, quality="low", references=2, n=3, cost="3 * 196 * 0.00003 + 2 * 0.008 + 10 * 0.000005"),
    Row(target="openai/gpt-image-2.6-sunburst", size="1024x1536", quality="xhigh", cost="2459 * 0.00003 + 0.00005"),
    # Black Forest Labs: the first megapixel, and those begun after it
    Row(target="bfl/flux-2-pro", size="1024x1024", cost="0.03"),
    Row(target="bfl/flux-2-pro", size="2048x2048", cost="0.03 + 3 * 0.015"),
    Row(target="bfl/flux-2-pro", references=1, size="1024x1024", cost="0.03 + 0.015"),
    Row(target="bfl/flux-2-klein-4b", size="1440x1440", cost="0.014 + 0.001"),  # 1.98 megapixels
    Row(target="bfl/flux-kontext-pro", n=3, cost="3 * 0.04"),
    Row(target="bfl/flux-pro-1.0-fill", references=1, mask=True, cost="0.05"),
    # fal: begun megapixels of FLUX, tiers of Gemini at a reseller's price
    Row(target="fal/fal-ai/flux/schnell", size="1024x1024", n=4, cost="4 * 0.003", silent=True),
    Row(target="fal/fal-ai/flux/dev", size="1280x1024", cost="2 * 0.025", silent=True),  # 1.25 megapixels
    Row(target="fal/fal-ai/nano-banana-2", size="2048x2048", cost="0.12", silent=True),
    # Stability: credits of a cent; its edits are not a tenth of that
    Row(target="stability/stable-image-core", n=2, cost="2 * 3 * 0.01", silent=True),
    Row(target="stability/sd3.5-large", size="1536x1024", cost="6.5 * 0.01", silent=True),
    Row(target="stability/stable-image-inpaint", references=1, mask=True, cost="5 * 0.01", silent=True),
    # the rest: per picture
    Row(target="xai/grok-imagine-image-2.0", cost="0.06"),
    Row(target="xai/grok-imagine-image-2.0", quality="low", n=2, cost="2 * 0.04"),
    Row(target="seedream/seedream-4-5-251128", size="1024x1024", cost="0.04", silent=True),
    Row(target="ideogram/ideogram-4-5", quality="high", cost="0.10", silent=True),
    Row(target="ideogram/ideogram-v3", cost="0.06", silent=True),
    Row(target="replicate/black-forest-labs/flux-dev", n=2, cost="2 * 0.025", silent=True),
    Row(target="together/black-forest-labs/FLUX.1-schnell", size="2048x2048", cost="4 * 0.0027", silent=True),
    Row(target="replicate/google/nano-banana", cost=None, silent=True),
    Row(target="eachlabs/flux-1-1-pro", cost=None),
)
