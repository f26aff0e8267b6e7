"""What a request needs and an upstream model lacks, in words. Pure."""

from msgspec import Struct

from providers.catalogue import ModelInfo, vector_space
from router.routing.plan import Features


class Unfit(Struct, frozen=True):
    """Why a model cannot serve a request. `param` is the request's field at fault; "": the model is what is wrong."""

    reason: str
    param: str = ""


def wants_text_only(features: Features) -> bool:
    """Whether any model that writes can serve this if it holds the prompt: most requests, and they need no more."""
    return features.kind == "chat" and not (
        features.tools
        or features.json_schema
        or features.images
        or features.audio
        or features.files
        or features.image_out
        or features.audio_out
    )


def find_unfit(info: ModelInfo, features: Features, prompt_tokens: int, space: str = "") -> Unfit | None:
    """What makes `info` unable to serve, None when nothing does.

    `prompt_tokens` is how many the model will count, `space` the one vectors must lie in, if any.
    """
    if features.kind == "embedding" and (info.kind == "embedding" or not info.known):
        return _unfit_for_embedding(info, features, space)
    if features.kind == "image" and (info.kind == "image" or not info.known):
        return _unfit_for_image(info, features)
    reason = _incapable(info, features, prompt_tokens)
    return Unfit(reason) if reason else None


def _unfit_for_embedding(info: ModelInfo, features: Features, space: str) -> Unfit | None:
    found, able = vector_space(info), info.embedding
    if space and found != space:
        # vectors of different models cannot be compared: to fail over between them would spoil the caller's index
        return Unfit(f"makes vectors of {found}, which cannot stand beside those of {space}")
    if able is None:
        return None
    if features.token_ids and not able.token_ids:
        return Unfit("takes text only, no token ids (LangChain: set check_embedding_ctx_length=False)", "input")
    if able.dimensions and features.dimensions > able.dimensions:
        return Unfit(f"makes vectors of at most {able.dimensions} dimensions", "dimensions")
    if features.longest_tokens > info.context_tokens:
        reason = f"takes {info.context_tokens} tokens an input, the longest has about {features.longest_tokens}"
        return Unfit(reason, "input")
    return None


def _incapable(info: ModelInfo, features: Features, prompt_tokens: int) -> str:
    """What a chat or image request needs and the model lacks; empty when nothing."""
    if features.kind != info.kind and info.known and not (features.kind == "chat" and info.kind == "image"):
        return f"is {'a chat' if info.kind == 'chat' else f'an {info.kind}'} model"
    if "text" not in info.outputs and not (features.audio_out and "audio" in info.outputs):
        return "speaks only (modalities: ['audio'])" if "audio" in info.outputs else "does not chat"
    if features.images or features.audio or features.files:
        for wanted, needed in (("image", features.images), ("audio", features.audio), ("file", features.files)):
            if needed and wanted not in info.inputs:
                return f"takes no {wanted} input"
    if features.image_out and info.known and "image" not in info.outputs:
        return "makes no pictures"
    if features.audio_out and info.known and "audio" not in info.outputs:
        return "makes no audio"
    if features.tools and not info.tools:
        return "has no tools"
    if features.json_schema and not info.json_schema:
        return "has no JSON schema output"
    if features.json_schema and features.tools and not info.tools_with_json:
        return "cannot combine tools with a JSON schema"
    if prompt_tokens > info.context_tokens:
        return f"holds {info.context_tokens} tokens, the prompt has about {prompt_tokens}"
    return ""


def _unfit_for_image(info: ModelInfo, features: Features) -> Unfit | None:
    image = info.image
    if image is None:
        return Unfit("makes no pictures") if info.known else None
    if features.images > image.references and features.edit:
        return Unfit(f"takes at most {image.references} reference pictures", "image")
    if image.edits_only and not features.edit:
        return Unfit("only edits pictures", "image")
    if features.mask and not image.mask:
        return Unfit("takes no mask", "mask")
    if features.transparent and not image.transparent:
        return Unfit("has no transparent background", "background")
    if features.n > image.max_n:
        return Unfit(f"makes at most {image.max_n} pictures a request", "n")
    return None
