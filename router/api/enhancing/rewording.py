"""Before the pictures are made: the prompt, worded anew by a chat model, or by what that model said lately."""

from msgspec.structs import replace

from providers.errors import ProviderError
from providers.types import ImageRequest
from router.api.enhancing.state import Enhancing, why
from router.errors import RouterError
from router.pictures.enhancement.rewrites import Rewrites
from router.pictures.enhancement.rewriting import (
    NoRewriteError,
    Rewrite,
    prompt_digest,
    require_short,
    rewrite_chat,
    rewrite_from,
    rewriter_for,
    shortest,
    time_for,
)


async def reworded(state: Enhancing, rewrites: Rewrites) -> ImageRequest:
    """The request with a better prompt, or as it was."""
    request = state.parsed.request
    if not state.wish.rewrite:
        return request
    try:
        rewrite, served, outcome = await _rewrite(state, rewrites)
    except NoRewriteError as exc:
        state.note(rewrite=exc.outcome)
        state.warn(f"prompt kept: {exc.message}")
        return request
    state.note(rewrite=outcome, rewrite_model=served)
    state.rewrite = rewrite
    return replace(request, prompt=rewrite.prompt, prompt_is_final=True)


async def _rewrite(state: Enhancing, rewrites: Rewrites) -> tuple[Rewrite, str, str]:
    """The rewrite, whose it is, and the word for metrics. Raises NoRewriteError."""
    request, owner = state.parsed.request, state.key.name
    model = rewriter_for(request, state.settings)
    digest, edit = prompt_digest(request.prompt), bool(request.images)
    found, outcome = rewrites.find(owner, model, digest, edit=edit), "cached"
    if found is None:
        found, outcome = await _ask(state, request, model), "used"
        rewrites.keep(owner, model, digest, *found, edit=edit)
    require_short(found[0], shortest(state.plan))
    return *found, outcome


async def _ask(state: Enhancing, request: ImageRequest, model: str) -> tuple[Rewrite, str]:
    """What the model makes of the prompt, and which model that was. Raises NoRewriteError."""
    limit_s = time_for(state.settings.rewrite_timeout_s, state.help_s, state.plan)
    try:
        aside = state.aside(rewrite_chat(request, model), limit_s, state.left_usd)
        with state.waiting():
            said = await state.ask(aside, "rewrite")
    except (RouterError, ProviderError) as exc:
        raise NoRewriteError(*why(exc)) from exc
    return rewrite_from(said.text, request.prompt), said.model
