"""The configuration that ships: it loads clean, its names lead somewhere, and its schema describes it."""

import re
from datetime import date
from pathlib import Path

import jsonschema
import pytest
import yaml

from providers.catalogue import lookup
from router.routing.cost import expected_cost
from router.routing.plan import Features
from router.routing.rules import compile_rules
from router.settings import Settings, is_direct, load_settings, resolve_alias, settings_schema

CONFIG = Path(__file__).parents[2] / "config" / "turnout.yaml"
KEYS = re.findall(r"^  [a-z]+: .*\$\{([A-Z]+_API_KEY)\}", CONFIG.read_text(), re.M)
TODAY = date(2026, 11, 20)


@pytest.fixture(scope="module")
def shipped() -> Settings:
    return load_settings(CONFIG, dict.fromkeys(KEYS, "test"))


def test_it_loads_without_a_warning(shipped: Settings) -> None:
    assert shipped.warnings == ()
    assert all(provider.enabled for provider in shipped.providers.values())
    assert compile_rules(shipped).first_match("auto", Features(prompt_tokens=200_001)) is not None


def test_without_any_key_every_provider_is_off() -> None:
    bare = load_settings(CONFIG, {})
    assert [provider.off_reason for provider in bare.providers.values()] == [f"{key} is not set" for key in KEYS]
    assert {"GEMINI_API_KEY", "OPENAI_API_KEY", "BFL_API_KEY"} <= set(KEYS)


def test_the_public_models_are_there(shipped: Settings) -> None:
    assert set(shipped.models) == {"auto", "gemini-flash", "gemini-pro", "image", "image-draft", "embedding"}
    assert [target.name for target in shipped.catalogue_targets["gemini-3.8-flash"]] == ["google/gemini-3.8-flash"]


def test_every_alias_leads_to_something_that_serves(shipped: Settings) -> None:
    for alias in shipped.aliases.values():
        end, _ = resolve_alias(shipped, alias.name.replace("*", "anything"))
        assert end in shipped.models or end in shipped.catalogue_targets or is_direct(shipped, end), alias.name
        assert alias.note, alias.name


@pytest.mark.parametrize(
    ("asked", "served"),
    [
        ("gemini-2.0-flash-exp", "gemini-3.5-flash-lite"),
        ("gemini-2.0-flash-exp-image-generation", "gemini-nano-banana-2.1"),
        ("gemini-2.0-flash-001", "gemini-3.5-flash-lite"),
        ("gemini-2.5-flash-preview-05-20", "gemini-3.5-flash-lite"),
        ("gemini-2.5-pro-preview-03-25", "gemini-3.1-pro-preview"),
        ("gemini-2.5-flash-image-preview", "gemini-nano-banana-2.1"),
        ("gemini-1.5-pro-latest", "gemini-3.1-pro-preview"),
        ("gemini-1.5-flash", "gemini-3.5-flash-lite"),
        ("gemini-pro-vision", "gemini-3.1-pro-preview"),
        ("gemini-flash-latest", "gemini-3.8-flash"),
        ("imagen-4.0-generate-001", "gemini-nano-banana-2.1"),
        ("imagen-4.0-ultra-generate-001", "gemini-3-pro-image"),
        ("dall-e-2", "image"),
        ("dall-e-3", "image"),
        ("gpt-image-1", "gpt-image-2"),
        ("gpt-image-1.5-2025-12-16", "gpt-image-2"),
        ("text-embedding-004", "gemini-embedding-001"),
        ("text-embedding-ada-002", "text-embedding-3-small"),
        ("gemini-embedding-exp-03-07", "gemini-embedding-001"),
        ("gemini-2.5-pro", "gemini-2.5-pro"),
        ("gemini-pro", "gemini-pro"),
    ],
)
def test_a_retired_name_has_its_successor(shipped: Settings, asked: str, served: str) -> None:
    assert resolve_alias(shipped, asked)[0] == served


def test_no_model_that_has_ended_is_a_target_or_successor(shipped: Settings) -> None:
    for model in shipped.models.values():
        for target in model.targets:
            info = lookup(shipped.catalogue, target.provider, target.model)
            assert info.known, target.name
            assert info.retires is None or info.retires > TODAY, target.name


@pytest.mark.parametrize("model", ["gemini-flash", "gemini-pro", "image", "image-draft", "embedding"])
def test_every_model_has_a_target_of_known_price(shipped: Settings, model: str) -> None:
    for day in (TODAY, date(2026, 12, 1), date(2027, 1, 1)):
        targets = shipped.models[model].targets
        assert any(lookup(shipped.catalogue, each.provider, each.model).price_on(day) for each in targets)


def test_pictures_are_to_be_had_with_any_one_key(shipped: Settings) -> None:
    targets = {target.provider for name in ("image", "image-draft") for target in shipped.models[name].targets}
    makers = {name for name, provider in shipped.providers.items() if provider.type not in ("litellm",)}
    assert makers - targets == {"xroute", "openrouter"}, "who sells models under names of its own"


def test_every_picture_model_has_a_price_or_says_that_it_has_none(shipped: Settings) -> None:
    rows = yaml.safe_load((CONFIG.parent / "models.yaml").read_text())["models"]
    unpriced = set()
    for name, info in shipped.catalogue.items():
        if info.kind != "image":
            continue
        assert "prices" in rows[name], f"{name}: an unknown price is said so (prices: [])"
        cost = expected_cost(info, Features(kind="image", edit=True, images=1), 0, 0, TODAY)
        if cost is None:
            assert rows[name]["prices"] == [], name
            unpriced.add(name)
        else:
            assert 0 < cost < 1, name
    assert "flux-1-1-pro" in unpriced
    assert all(
        name.startswith(("doubao-", "replicate/", "together/", "fal/", "ideogram-4-6", "flux-1-1", "midjourney"))
        for name in unpriced
    )


def test_the_schema_describes_the_shipped_file() -> None:
    schema = settings_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(yaml.safe_load(CONFIG.read_text()), schema)


@pytest.mark.parametrize(
    "wrong",
    [
        {"providers": {"a": {"type": "gemni"}}},
        {"server": {"prot": 1}},
        {"server": {"port": 70000}},
        {"server": {"port": "80"}},
        {"routing": {"deadline_ms": 0}},
        {"models": {"a": {"targets": [{"weight": 1}]}}},
    ],
)
def test_the_schema_refuses_what_the_loader_refuses(wrong: dict[str, object]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, settings_schema())


def test_the_schema_takes_variables_and_shorthands() -> None:
    right = {
        "server": {"port": "${PORT:-8080}", "docs": "${DOCS}", "keys": ["s", {"secret": "t"}]},
        "models": {"a": {"targets": ["p/m", {"target": "p/m", "timeout_s": 3}], "sort": "${SORT:-cost}"}},
        "aliases": {"b": "a", "c": {"to": "a", "note": "why"}},
    }
    jsonschema.validate(right, settings_schema())


def test_every_key_of_the_schema_is_described() -> None:
    def undescribed(schema: dict[str, object], path: str) -> list[str]:
        found = []
        for part in (schema, *schema.get("anyOf", [])):  # type: ignore[misc]
            for name, inner in part.get("properties", {}).items():
                if not inner.keys() & {"description", "$ref"}:  # what a reference names says its own
                    found.append(f"{path}.{name}")
        return found

    schema = settings_schema()
    parts = {"turnout": schema, **schema["$defs"]}  # type: ignore[dict-item]
    assert [each for name, part in parts.items() for each in undescribed(part, name)] == []  # type: ignore[arg-type]
