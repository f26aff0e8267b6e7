"""C2PA manifests signed with the operator's own key: who made a picture, and from which signed one it was rewritten.

c2pa-python is an optional dependency (`pip install 'turnout[c2pa]'`), loaded only where `images.c2pa` is configured.
Actions and source types: C2PA specification 2.2, sections on actions and digital source types (read 2026-11).
"""

import asyncio
import importlib
import io
import json
import logging
from pathlib import Path

from providers.types import JsonObject, JsonValue
from providers.xmp import Origin, source_type
from router import __version__
from router.errors import Problem, SettingsError
from router.pictures.provenance import is_signed
from router.settings.values import SigningSettings

log = logging.getLogger(__name__)

FORMATS = frozenset({"image/png", "image/jpeg", "image/webp", "image/gif", "image/avif"})
_ALGORITHMS = {"es256": "ES256", "es384": "ES384", "ps256": "PS256", "ps384": "PS384", "ed25519": "ED25519"}
_ORIGINAL = "urn:turnout:original"  # by which an action names the picture that was opened
_PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d4944415478da63fccf50cf0000048501807e09d6850000000049454e44ae426082"
)


class Signer:
    """Signs pictures. Raises SettingsError at once when the package, the certificate or the key is no good."""

    def __init__(self, settings: SigningSettings) -> None:
        try:
            self._c2pa = importlib.import_module("c2pa")  # 53 MB of native code, for those alone who sign
        except ImportError as exc:
            raise _problem(settings, "needs c2pa-python: pip install 'turnout[c2pa]'") from exc
        try:
            chain, key = (Path(path).expanduser().read_bytes() for path in (settings.certificate, settings.private_key))
        except OSError as exc:
            raise _problem(settings, str(exc)) from exc
        self._info = self._c2pa.C2paSignerInfo(
            alg=getattr(self._c2pa.C2paSigningAlg, _ALGORITHMS[settings.algorithm]),
            sign_cert=chain,
            private_key=key,
            ta_url=settings.timestamp_url.encode() if settings.timestamp_url else None,
        )
        try:
            self._signed(_PIXEL, "image/png", _manifest("generated", "router", "image/png"), None)
        except self._c2pa.C2paError as exc:
            raise _problem(settings, f"cannot sign: {exc}") from exc

    async def sign(
        self, data: bytes, mime: str, origin: Origin, model: str, original: tuple[bytes, str] | None = None
    ) -> bytes | None:
        """The picture with a manifest that says which `model` made it; None when it cannot be signed.

        `original` (bytes and MIME type) is the signed picture it was rewritten from, which the manifest then carries.
        """
        if mime not in FORMATS:
            return None
        parent = original if original is not None and is_signed(original[0]) else None
        manifest = _manifest(origin, model, mime, rewritten=parent is not None)
        try:
            return await asyncio.to_thread(self._signed, data, mime, manifest, parent)
        except self._c2pa.C2paError as exc:
            log.error("a picture could not be signed: %s", exc)
            return None

    def _signed(self, data: bytes, mime: str, manifest: JsonObject, parent: tuple[bytes, str] | None) -> bytes:
        out = io.BytesIO()
        with self._c2pa.Signer.from_info(self._info) as signer, self._c2pa.Builder(json.dumps(manifest)) as builder:
            if parent is not None:
                ingredient = {"title": "as it came", "relationship": "parentOf", "instance_id": _ORIGINAL}
                builder.add_ingredient_from_stream(json.dumps(ingredient), parent[1], io.BytesIO(parent[0]))
            builder.sign(signer, mime, io.BytesIO(data), out)
        return out.getvalue()


def _manifest(origin: Origin, model: str, mime: str, *, rewritten: bool = False) -> JsonObject:
    """What is signed. A picture rewritten from a signed one was opened and converted; any other was created."""
    if rewritten:
        opened: JsonObject = {"action": "c2pa.opened", "parameters": {"ingredientIds": [_ORIGINAL]}}
        actions: list[JsonValue] = [opened, {"action": "c2pa.converted"}]
    else:
        agent: JsonObject = {"name": model}
        actions = [{"action": "c2pa.created", "digitalSourceType": source_type(origin), "softwareAgent": agent}]
    return {
        "claim_generator_info": [{"name": "turnout", "version": __version__}],
        "format": mime,
        "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": actions}}],
    }


def _problem(settings: SigningSettings, what: str) -> SettingsError:
    return SettingsError([Problem(settings.file, settings.line, "images.c2pa", what)])
