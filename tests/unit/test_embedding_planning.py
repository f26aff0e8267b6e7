"""Who may make vectors: never one model in another's place, and nobody who cannot take the request."""

from decimal import Decimal

import pytest
from builders import DAY, Desk, info, model, price, settings

from providers.catalogue import EmbeddingCapabilities, ModelInfo, vector_space
from providers.types import Usage
from router.routing.cost import actual_cost
from router.routing.plan import Features
from router.routing.planner import NoCandidateError

TEXT = EmbeddingCapabilities(dimensions=768)
BOTH = EmbeddingCapabilities(dimensions=1536, token_ids=True)


def embedder(name: str, able: EmbeddingCapabilities = TEXT, **more: object) -> ModelInfo:
    return info(name, kind="embedding", embedding=able, **{"context_tokens": 2048, **more})


CATALOGUE = {
    "emb": embedder("emb"),
    "other": embedder("other", BOTH, cost="0.1"),
    "b/emb": embedder("emb", BOTH, cost="0.5"),
    "c/prod": embedder("prod", space="EMB"),
    "chat": info("chat"),
}


def desk(*targets: str, **more: object) -> Desk:
    return Desk(settings(model("vectors", *targets), catalogue=CATALOGUE, **more))  # type: ignore[arg-type]


def asked(**more: object) -> Features:
    values = {"kind": "embedding", "model": "vectors", "inputs": 1, "prompt_tokens": 10, "longest_tokens": 10}
    return Features(**{**values, **more})  # type: ignore[arg-type]


def refusal(wanted: Desk, features: Features) -> NoCandidateError:
    with pytest.raises(NoCandidateError) as caught:
        wanted.plan(features)
    return caught.value


@pytest.mark.parametrize(
    ("known", "space"),
    [
        (info("emb"), "emb"),
        (info("openai/emb"), "emb"),
        (info("Emb"), "emb"),
        (info("prod", space="emb"), "emb"),
        (ModelInfo(name="models/x", known=False), "x"),
    ],
)
def test_a_vector_space_is_named_after_its_model_whoever_sells_it(known: ModelInfo, space: str) -> None:
    assert vector_space(known) == space


def test_targets_of_one_model_compete_by_price() -> None:
    assert desk("a/emb", "b/emb", "c/prod").names(asked()) == ["b/emb", "a/emb", "c/prod"]


def test_another_models_vectors_are_never_given_in_its_place() -> None:
    plan = desk("a/emb", "b/other").plan(asked())
    assert [each.name for each in plan.candidates if not each.retry] == ["a/emb"]
    assert [(each.name, each.reason) for each in plan.excluded] == [
        ("b/other", "makes vectors of other, which cannot stand beside those of emb")
    ]


def test_the_first_target_decides_even_when_it_is_down() -> None:
    error = refusal(desk("a/emb", "b/other", off=("a",)), asked())
    assert [each.name for each in error.excluded] == ["a/emb", "b/other"]
    assert error.status_code == 400


def test_a_callers_fallbacks_are_held_to_the_same_space() -> None:
    wanted = desk("a/emb")
    assert wanted.names(asked(), fallbacks=("b/other", "b/emb")) == ["a/emb", "b/emb"]


def test_models_that_nobody_described_are_told_apart_by_name() -> None:
    assert desk("a/bge-m3", "b/BAAI/bge-m3", "c/e5").names(asked()) == ["a/bge-m3", "b/BAAI/bge-m3"]


def test_a_chat_model_makes_no_vectors_and_an_embedding_model_does_not_chat() -> None:
    assert "a/chat: is a chat model" in refusal(desk("a/chat"), asked()).message
    assert "a/emb: is an embedding model" in refusal(desk("a/emb"), asked(kind="chat")).message


def test_token_ids_go_only_where_they_mean_something() -> None:
    assert desk("a/emb", "b/emb").names(asked(token_ids=True)) == ["b/emb"]
    error = refusal(desk("a/emb"), asked(token_ids=True))
    assert error.param == "input"
    assert "check_embedding_ctx_length=False" in error.message


def test_what_a_model_cannot_take_is_refused_by_its_field() -> None:
    assert desk("a/emb", "b/emb").names(asked(dimensions=1000)) == ["b/emb"]
    assert refusal(desk("a/emb"), asked(dimensions=1000)).param == "dimensions"
    error = refusal(desk("a/emb"), asked(longest_tokens=2049))
    assert error.param == "input"
    assert "takes 2048 tokens an input, the longest has about 2049" in error.message


def test_many_short_inputs_fit_although_they_are_long_together() -> None:
    assert desk("a/emb").names(asked(inputs=500, prompt_tokens=1_000_000))


def test_vectors_cost_their_input_and_no_output_is_expected() -> None:
    candidate = desk("a/emb").plan(asked(prompt_tokens=1_000_000)).candidates[0]
    assert candidate.expected_cost_usd == Decimal(1)
    assert candidate.prediction.total_ms == candidate.prediction.ttft_ms


def test_a_lone_target_is_asked_twice() -> None:
    assert [each.retry for each in desk("a/emb").plan(asked()).candidates] == [False, True]


def test_an_estimated_count_gives_an_estimated_cost() -> None:
    counted, guessed = Usage(prompt_tokens=1_000_000), Usage(prompt_tokens=1_000_000, estimated=True)
    known = embedder("emb", prices=(price("2", "0"),))
    assert actual_cost(known, counted, DAY) == (Decimal(2), "catalogue")
    assert actual_cost(known, guessed, DAY) == (Decimal(2), "estimated")
    assert actual_cost(info("chat"), guessed, DAY) == (None, "unknown")
    assert actual_cost(embedder("emb", cost=None), guessed, DAY) == (None, "unknown")
