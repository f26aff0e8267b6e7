"""A configuration may not put models of different vector spaces behind one name."""

from pathlib import Path

import pytest

from router.settings import inspect_settings

CATALOGUE = """
models:
  small: {providers: [up], kind: embedding, embedding: {dimensions: 8}}
  large: {providers: [up], kind: embedding, embedding: {dimensions: 8}}
  b/prod: {kind: embedding, space: small, embedding: {dimensions: 8}}
  chat: {providers: [up]}
"""
PROVIDERS = """\
providers:
  up: {type: openai, base_url: "http://127.0.0.1:9/v1"}
  b: {type: openai, base_url: "http://127.0.0.1:9/v1"}
"""


def problems(folder: Path, models: str) -> list[tuple[str, str]]:
    path = folder / "turnout.yaml"
    path.write_text(PROVIDERS + models)
    (folder / "models.yaml").write_text(CATALOGUE)
    return [(problem.key, problem.message) for problem in inspect_settings(path, {}).problems]


@pytest.mark.parametrize(
    ("models", "names"),
    [
        ("  e: {targets: [up/small, up/large]}\n", ["e"]),
        ("  e: {targets: [up/small, b/other]}\n", ["e"]),
        ("  e: {targets: [up/small], fallbacks: [large]}\n", ["e"]),
        ("  e: {targets: [up/small], fallbacks: [up/large]}\n", ["e"]),
        ("  e: {targets: [up/small], fallbacks: [f]}\n  f: {targets: [up/large]}\n", ["e"]),
        ("  e: {rules: [{when: 'prompt_tokens > 9', use: large}], use: small}\n", ["e"]),
        ("  e: {use: f}\n  f: {targets: [up/small, up/large]}\n", ["f"]),
        ("  e: {targets: [up/small], fallbacks: [old]}\naliases: {old: {to: large, note: x}}\n", ["e"]),
    ],
)
def test_different_models_behind_one_name_are_refused(tmp_path: Path, models: str, names: list[str]) -> None:
    found = problems(tmp_path, "models:\n" + models)
    assert [key for key, _ in found] == [f"models.{name}" for name in names]
    assert "cannot be compared" in found[0][1]


@pytest.mark.parametrize(
    "models",
    [
        "  e: {targets: [up/small, b/small]}\n",
        "  e: {targets: [up/small, b/prod]}\n",
        "  e: {targets: [up/small, b/vendor/small]}\n",
        "  e: {targets: [up/small], fallbacks: [b/small]}\n",
        "  e: {targets: [b/unknown, b/other]}\n",
        "  e: {targets: [up/chat, b/gpt]}\n",
        "  e: {use: small}\n  f: {use: large}\n",
    ],
)
def test_one_model_from_several_sellers_is_accepted(tmp_path: Path, models: str) -> None:
    assert problems(tmp_path, "models:\n" + models) == []
