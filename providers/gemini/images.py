"""Image requests <-> `generateContent` of a picture model. Pure.

One call makes one picture; more are the caller's to ask for. Sizes become a ratio and a tier, because the wire takes
no pixels. Source: https://ai.google.dev/gemini-api/docs/image-generation (read 2026-11-20).
"""

import base64
import binascii

from providers.catalogue import ImageCapabilities, ModelInfo
from providers.errors import BadResponseError, ContentBlockedError, ProviderError, UnsupportedFieldError
from providers.gemini.failures import scrubbed
from providers.gemini.finish import FILTERED, native_reason
from providers.gemini.lenient import as_list, as_object, as_text
from providers.gemini.parts import inline, text_part
from providers.gemini.request import refuse_losses
from providers.gemini.response import blocked_by, parsed
from providers.gemini.terms import USUAL, Terms, safety_settings
from providers.gemini.translated import Translated
from providers.gemini.usage import usage_from_metadata
from providers.pictures import nearest_ratio, sniff_mime
from providers.sizes import QUALITY_TIERS
from providers.types import GeneratedImage, ImageRequest, ImageResponse, ImageSize, JsonObject, JsonValue

_RATIOS = ("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9")
_TIERS = ("512", "1K", "2K", "4K")
# An undescribed model is taken for a usual one of the third generation.
_USUAL = ImageCapabilities(tiers=("1K", "2K", "4K"), ratios=_RATIOS, references=14)
_RATIO_LOSS = 0.05  # a twentieth of the shape is what nobody sees; beyond it the caller is told
_MAX_WORDS = 300


def to_image_content(request: ImageRequest, info: ModelInfo, terms: Terms = USUAL) -> Translated:
    """The body for one picture: references before the prompt, size as ratio and tier.

    Raises UnsupportedFieldError for a mask, transparency and more references than the model takes.
    """
    able = info.image or (_USUAL if not info.known else ImageCapabilities(ratios=_RATIOS))
    _refuse_unsupported(request, able)
    warnings: list[str] = []
    prompt = request.prompt
    if request.negative_prompt:
        prompt = f"{prompt}\n\nAvoid: {request.negative_prompt}"
        warnings.append("negative_prompt=folded")
    parts: list[JsonValue] = [inline(image.mime, base64.b64encode(image.data).decode()) for image in request.images]
    parts.append(text_part(prompt))
    generation: JsonObject = {"responseModalities": ["TEXT", "IMAGE"]}
    config = _image_config(request, able, warnings)
    if config:
        generation["imageConfig"] = config
    if request.seed is not None:
        warnings.append("seed=ignored")
    if request.input_fidelity is not None:
        warnings.append("input_fidelity=dropped")
    warnings += [f"{name}=dropped" for name in request.extra]
    if request.strict:
        refuse_losses(warnings)
    body: JsonObject = {"contents": [{"role": "user", "parts": parts}], "generationConfig": generation}
    if terms.options.safety:
        body["safetySettings"] = safety_settings(None, terms)
    return Translated(body=body, warnings=tuple(warnings))


def from_image_content(body: bytes, *, model: str, warnings: tuple[str, ...] = (), per_call: int = 1) -> ImageResponse:
    """The pictures of one answer, drafts left out.

    Raises ContentBlockedError when a filter took them, BadResponseError (outcome `no_image`) when there is none.
    """
    data = parsed(body)
    candidates = [as_object(item) for item in as_list(data.get("candidates"))]
    parts = [
        as_object(part)
        for candidate in candidates
        for part in as_list(as_object(candidate.get("content")).get("parts"))
        if as_object(part).get("thought") is not True
    ]
    images = [image for image in (_picture(part) for part in parts) if image is not None]
    if not images:
        error = _without_picture(data, candidates, parts)
        usage = usage_from_metadata(as_object(data.get("usageMetadata")))
        error.tokens = (usage.prompt_tokens, usage.completion_tokens)
        raise error
    return ImageResponse(
        model=as_text(data.get("modelVersion")) or model,
        images=tuple(images[:per_call]),
        usage=usage_from_metadata(as_object(data.get("usageMetadata"))),
        warnings=warnings,
    )


def _refuse_unsupported(request: ImageRequest, able: ImageCapabilities) -> None:
    if request.mask is not None and not able.mask:
        raise UnsupportedFieldError("this model takes no mask", param="mask")
    if request.background == "transparent" and not able.transparent:
        raise UnsupportedFieldError("this model draws no transparent background", param="background")
    if len(request.images) > able.references:
        raise UnsupportedFieldError(f"this model takes at most {able.references} reference images", param="image")


def _image_config(request: ImageRequest, able: ImageCapabilities, warnings: list[str]) -> JsonObject:
    config: JsonObject = {}
    size = request.size
    if size is not None and able.ratios:
        ratio, loss = nearest_ratio(size.ratio, able.ratios)
        config["aspectRatio"] = ratio
        if loss > _RATIO_LOSS:
            warnings.append(f"size=snapped:{ratio}")
    elif size is not None:
        warnings.append("size=dropped")
    tier = _tier(size, request.quality, able, warnings)
    if tier:
        config["imageSize"] = tier
    return config


def _tier(size: ImageSize | None, quality: str | None, able: ImageCapabilities, warnings: list[str]) -> str | None:
    """The tier to ask for: of the pixels when the caller gave any, else of the quality, else the model's own."""
    by_quality = QUALITY_TIERS.get(quality or "")
    explicit = size is not None and size.explicit
    wanted = size.tier if size is not None and explicit else by_quality
    offered = [tier for tier in _TIERS if tier in able.tiers]
    if by_quality is not None and (explicit or not offered):
        warnings.append("quality=dropped")
    if wanted is None:
        return None
    if not offered:
        if explicit and wanted != "1K":
            warnings.append("size=tier:1K")  # such models have one fixed size of about that many pixels
        return None
    if wanted in offered or wanted not in _TIERS:
        return wanted if wanted in offered else None
    place = _TIERS.index(wanted)
    nearest = min(offered, key=lambda tier: (abs(_TIERS.index(tier) - place), -_TIERS.index(tier)))
    warnings.append(f"{'size' if explicit else 'quality'}=tier:{nearest}")
    return nearest


def _picture(part: JsonObject) -> GeneratedImage | None:
    media = as_object(part.get("inlineData"))
    declared, encoded = as_text(media.get("mimeType")), as_text(media.get("data"))
    if not encoded or not declared.startswith("image/"):
        return None
    try:
        data = base64.b64decode(encoded)
    except (binascii.Error, ValueError) as exc:
        raise BadResponseError("the provider's picture cannot be read", billed=True) from exc
    return GeneratedImage(data=data, mime=sniff_mime(data) or declared)


def _without_picture(data: JsonObject, candidates: list[JsonObject], parts: list[JsonObject]) -> ProviderError:
    """Why there is no picture. The model's own words, if any, tell the caller more than ours."""
    reasons = [native_reason(candidate.get("finishReason")) for candidate in candidates]
    if blocked_by(data) is not None or any(reason in FILTERED for reason in reasons):
        return ContentBlockedError(
            "the provider's safety filter refused the picture", code="moderation_blocked", outcome="filtered"
        )
    words = scrubbed(" ".join(as_text(part.get("text")) for part in parts).strip())[:_MAX_WORDS]
    message = f"the model answered without a picture: {words}" if words else "the model answered without a picture"
    return BadResponseError(
        message, outcome="no_image", code="upstream_no_image", billed=True, dead=True, resend="insist"
    )
