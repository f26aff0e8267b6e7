"""turnout.yaml: what it means, and one clear line for each thing that is wrong with it."""

import importlib.util
from decimal import Decimal
from pathlib import Path

import pytest
from msgspec.structs import replace

from router.errors import SettingsError
from router.settings import (
    EnhanceSettings,
    FailoverSettings,
    FetchSettings,
    Settings,
    find_alias,
    find_config,
    has_provider_key,
    inspect_settings,
    load_settings,
    resolve_alias,
    use_sandbox,
)
from router.settings.values import QueueSettings

CATALOGUE = """
models:
  m-chat: {providers: [up, elsewhere]}
  m-image: {providers: [up], kind: image, image: {}}
"""
GOOD = """\
providers:
  up: {type: openai, base_url: "http://127.0.0.1:9/v1"}
models:
  chat:
    targets: [up/m-chat]
"""


def write(folder: Path, text: str, catalogue: str = CATALOGUE) -> Path:
    path = folder / "turnout.yaml"
    path.write_text(text)
    (folder / "models.yaml").write_text(catalogue)
    return path


def load(folder: Path, text: str, environ: dict[str, str] | None = None, catalogue: str = CATALOGUE) -> Settings:
    return load_settings(write(folder, text, catalogue), environ or {})


def problems(folder: Path, text: str, environ: dict[str, str] | None = None) -> list[tuple[int, str, str]]:
    with pytest.raises(SettingsError) as caught:
        load(folder, text, environ)
    return [(problem.line, problem.key, problem.message) for problem in caught.value.problems]


# Each: what is wrong, the whole file, then line, key and a part of the message of the one problem it has.
BAD = [
    ("misspelt section", "provider: {}\n" + GOOD, 1, "provider", "did you mean 'providers'?"),
    (
        "misspelt key of an unset variable",
        GOOD.replace("models:", "  q: {type: gemini, api_kye: '${NOT_SET}'}\nmodels:"),
        3,
        "providers.q.api_kye",
        "unknown key 'api_kye'; did you mean 'api_key'?",
    ),
    ("misspelt key", "server:\n  prot: 1\n" + GOOD, 2, "server.prot", "unknown key 'prot'; did you mean 'port'?"),
    ("unknown key deep", GOOD + "routing:\n  hedge: {on: true}\n", 7, "routing.hedge.on", "known: enabled"),
    ("queue below none", GOOD + "routing: {queue: {size: -1}}\n", 6, "routing.queue.size", "greater"),
    ("a wait twice", GOOD + "routing: {queue: {max_wait_s: 1, max_wait_ms: 1}}\n", 6, "routing.queue", "keep one"),
    ("nothing at once", GOOD.replace("/v1\"", "/v1\", max_concurrency: 0"), 2, "providers.up.max_concurrency", "1"),
    ("no place at all", GOOD.replace("/v1\"", "/v1\", capacity: 0"), 2, "providers.up.capacity", "1"),
    ("a public API's capacity", GOOD.replace("/v1\"", "/v1\", capacity: 9, self_hosted: false"), 2,
     "providers.up.capacity", "self_hosted"),
    ("no router", GOOD + "routing: {replicas: 0}\n", 6, "routing.replicas", "1"),
    ("stream mode unknown", GOOD + "routing: {stream_mode: mend}\n", 6, "routing.stream_mode", "one of live"),
    ("helper unknown", GOOD + "images: {enhance: {rewrite_model: chad}}\n", 6, "images.enhance.rewrite_model",
     "unknown model 'chad'; did you mean 'chat'?"),
    ("judge unknown", GOOD + "images:\n  enhance:\n    critique_model: pu/x\n", 8, "images.enhance.critique_model",
     "no provider 'pu'"),
    ("rounds without end", GOOD + "images: {enhance: {max_rounds: 3}}\n", 6, "images.enhance.max_rounds", "equal to 2"),
    ("threshold", GOOD + "images: {enhance: {threshold: 11}}\n", 6, "images.enhance.threshold", "equal to 10"),
    ("failover misspelt", GOOD + "routing:\n  failover:\n    aut: true\n", 8, "routing.failover.aut",
     "unknown key 'aut'; did you mean 'auth'?"),
    ("failover of a number", GOOD + "routing:\n  failover: {auth: 2}\n", 7, "routing.failover.auth", "true or false"),
    ("fetch misspelt", GOOD + "fetch: of\n", 6, "fetch", "must be true or false, got 'of'"),
    ("fetch of all", GOOD + 'fetch: {allow_origins: ["*"]}\n', 6, "fetch.allow_origins[0]", "must be an exact origin"),
    ("fetch a path", GOOD + 'fetch: {allow_origins: ["http://a/b"]}\n', 6, "fetch.allow_origins[0]", "an origin"),
    ("fetch a host", GOOD + "fetch: {allow_origins: [nas.lan]}\n", 6, "fetch.allow_origins[0]", "absolute"),
    ("fetch a name", GOOD + 'fetch: {allow_origins: ["http://nas.lan."]}\n', 6, "fetch.allow_origins[0]", "valid name"),
    ("fetch a user", GOOD + 'fetch: {allow_origins: ["http://u@a"]}\n', 6, "fetch.allow_origins[0]", "without user"),
    ("wrong type", "server: {port: abc}\n" + GOOD, 1, "server.port", "must be a whole number, got 'abc'"),
    ("text for a number", 'server:\n  port: "80"\n' + GOOD, 2, "server.port", "must be a whole number, got '80'"),
    ("switch for a number", "routing: {attempts: true}\n" + GOOD, 1, "routing.attempts", "whole number, got true"),
    ("number for text", "server: {host: 5}\n" + GOOD, 1, "server.host", "must be text (quote it), got 5"),
    ("list for a mapping", "server: [1]\n" + GOOD, 1, "server", "must be a mapping, got a list"),
    ("mapping for a list", GOOD + "    fallbacks: {a: b}\n", 6, "models.chat.fallbacks", "must be a list"),
    ("port range", "server: {port: 70000}\n" + GOOD, 1, "server.port", "less than or equal to 65535, got 70000"),
    ("infinite", "routing: {deadline_s: .inf}\n" + GOOD, 1, "routing.deadline_s", "finite"),
    ("negative duration", "routing: {deadline_ms: -1}\n" + GOOD, 1, "routing.deadline_ms", "greater than 0, got -1"),
    ("two units", "routing: {deadline_ms: 1, deadline_s: 1}\n" + GOOD, 1, "routing", "say the same thing"),
    ("not a choice", GOOD + "    sort: costs\n", 6, "models.chat.sort", "got 'costs'; did you mean 'cost'?"),
    ("bad base_url", "providers:\n  up: {type: openai, base_url: ftp://x}\n", 2, "providers.up.base_url", "http"),
    ("bad origin", "server: {cors_origins: [x]}\n" + GOOD, 1, "server.cors_origins[0]", "must be an absolute"),
    ("unknown type", "providers:\n  up: {type: gemni}\n", 2, "providers.up.type", "'gemni'; did you mean 'gemini'?"),
    ("no type", "providers:\n  up: {base_url: http://x}\n", 2, "providers.up", "'type' is missing"),
    ("no providers", "models: {}\n", 1, "", "no providers"),
    ("provider name", 'providers:\n  "U p": {type: openai}\n', 2, "providers.U p", "lower-case"),
    ("unknown provider", GOOD + "  x:\n    targets:\n      - pu/m\n", 8, "models.x.targets[0]", "did you mean 'up'?"),
    ("no slash", GOOD + "  x: {targets: [m-chat]}\n", 6, "models.x.targets[0]", "must be provider/upstream-model"),
    ("dots", GOOD + "  x: {targets: [up/../m]}\n", 6, "models.x.targets[0]", "without spaces, '..'"),
    ("space", GOOD + '  x: {targets: ["up/m x"]}\n', 6, "models.x.targets[0]", "without spaces"),
    ("negative weight", GOOD + "  x:\n    targets:\n      - {target: up/m-chat,\n         weight: -1}\n", 9,
     "models.x.targets[0].weight", "greater than or equal to 0, got -1"),
    ("no weight", GOOD + "  x: {sort: weighted, targets: [{target: up/m-chat, weight: 0}]}\n", 6,
     "models.x.targets", "a weight above 0"),
    ("unknown use", GOOD + "  x: {use: chad}\n", 6, "models.x.use", "unknown model 'chad'; did you mean 'chat'?"),
    ("unknown fallback", GOOD + "    fallbacks:\n      - up/x\n      - pu/x\n", 8, "models.chat.fallbacks[1]",
     "no provider 'pu'; did you mean 'up'?"),
    ("unknown rule use", GOOD + "  x:\n    rules:\n      - when: stream\n        use: caht\n    use: chat\n", 9,
     "models.x.rules[0].use", "did you mean 'chat'?"),
    ("rules only", GOOD + "  x:\n    rules: [{when: stream, use: chat}]\n", 6, "models.x", "that no rule matches"),
    ("nothing to ask", GOOD + "  x: {sort: cost}\n", 6, "models.x", "needs 'targets' or 'use'"),
    ("use and targets", GOOD + "    use: m-chat\n", 6, "models.chat.use", "exclude each other"),
    ("use and tiers", GOOD + "  x:\n    use: chat\n    tiers: [chat, m-chat]\n", 7, "models.x.use", "exclude each"),
    ("one tier", GOOD + "  x:\n    tiers: [chat]\n", 7, "models.x.tiers", "no choice: write 'use: chat'"),
    ("a tier twice", GOOD + "  x:\n    tiers:\n      - m-chat\n      - chat\n      - m-chat\n", 10, "models.x.tiers[2]",
     "m-chat is a tier already (line 8)"),
    ("unknown tier", GOOD + "  x:\n    tiers:\n      - chat\n      - use: chad\n", 9, "models.x.tiers[1].use",
     "did you mean 'chat'?"),
    ("unknown effort", GOOD + "  x:\n    tiers:\n      - chat\n      - {use: chat, reasoning_effort: hi}\n", 9,
     "models.x.tiers[1].reasoning_effort", "one of none, minimal, low"),
    ("tiers in tiers", GOOD + "  x: {tiers: [chat, m-chat]}\n  y: {use: x}\n  z:\n    tiers: [y, chat]\n", 9,
     "models.z.tiers[0]", "'y' leads to the tiers of 'x'"),
    ("circle of tiers", GOOD + "  x: {tiers: [chat, y]}\n  y: {use: x}\n", 7, "models.y.use", "circle: x -> y -> x"),
    ("knob without tiers", GOOD + "    cost_quality: 0.5\n", 6, "models.chat.cost_quality", "needs 'tiers'"),
    ("knob too far", GOOD + "  x:\n    tiers: [chat, m-chat]\n    cost_quality: 1.5\n", 8, "models.x.cost_quality",
     "less than or equal to 1, got 1.5"),
    ("tier zero", GOOD + "server: {keys: [{secret: abc, max_tier: 0}]}\n", 6, "server.keys[0].max_tier", "greater"),
    ("circle of use", GOOD + "  a: {use: b}\n  b: {use: a}\n", 7, "models.b.use", "circle: a -> b -> a"),
    ("circle of fallbacks", GOOD + "    fallbacks: [x]\n  x: {use: chat}\n", 7, "models.x.use",
     "circle: chat -> x -> chat"),
    ("circle of itself", GOOD + "    fallbacks: [chat]\n", 6, "models.chat.fallbacks[0]", "circle: chat -> chat"),
    ("circle of aliases", GOOD + "aliases:\n  a: b\n  b: a\n", 8, "aliases.b", "circle: a -> b -> a"),
    ("circle of wildcards", GOOD + "aliases:\n  a*: ab\n", 7, "aliases.a*", "circle: a* -> a*"),
    ("alias to nothing", GOOD + "aliases:\n  a: chatt\n", 7, "aliases.a", "did you mean 'chat'?"),
    ("alias is a model", GOOD + "aliases:\n  chat: m-chat\n", 7, "aliases.chat", "already a model (line 4)"),
    ("alias hides a provider", GOOD + "aliases:\n  up/x: chat\n", 7, "aliases.up/x", "hides direct targets"),
    ("star inside", GOOD + "aliases:\n  a*b: chat\n", 7, "aliases.a*b", "must be letters"),
    ("key twice", GOOD + "  chat: {use: m-chat}\n", 6, "models.chat", "stands here twice (first on line 4)"),
    ("merge key", GOOD + "    <<: {}\n", 6, "models.chat.<<", "not supported"),
    ("variable not set", "server: {host: '${NO_SUCH}'}\n" + GOOD, 1, "server.host", "NO_SUCH is not set"),
    ("malformed variable", "server: {host: '${1X}'}\n" + GOOD, 1, "server.host", "malformed variable"),
    ("syntax", GOOD + "  x: [1\n", 7, "", "not YAML"),
    ("tab", GOOD + "\tx: 1\n", 6, "", "not YAML"),
    ("two documents", GOOD + "---\na: 1\n", 6, "", "not YAML"),
    ("not a mapping", "- 1\n", 1, "", "must be a mapping, got a list"),
    ("python tag", "server: !!python/object:os.x {}\n" + GOOD, 1, "server", "must be a mapping"),
    ("anchor inside itself", "server: &a\n  host: *a\n" + GOOD, 2, "server.host", "inside itself"),
    ("prefix without slash", 'providers: {a: {type: litellm, api_key: k, model_prefix: anthropic}}\n', 1,
     "providers.a.model_prefix", "and a slash"),
    ("prefix of another type", 'providers: {a: {type: openai, api_key: k, model_prefix: "x/"}}\n', 1,
     "providers.a.model_prefix", "is for type litellm"),
    ("bad date", "server: {host: 2026-13-01}\n" + GOOD, 1, "server.host", "not a date"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line", "key", "message"), [each[1:] for each in BAD], ids=[each[0] for each in BAD])
def test_a_fault_is_one_problem_with_line_and_key(tmp_path: Path, text: str, line: int, key: str, message: str) -> None:
    if key == "server" and "python" in text:  # a tagged mapping is read as the mapping it is: nothing is constructed
        assert load(tmp_path, text).server.host == "127.0.0.1"
        return
    found = problems(tmp_path, text)
    assert [(each[0], each[1]) for each in found] == [(line, key)], found
    assert message in found[0][2]
    assert "\n" not in found[0][2]


def test_all_faults_are_found_at_once_and_in_order(tmp_path: Path) -> None:
    text = (
        "server: {port: 0, hots: x}\n"
        "providers:\n"
        "  up: {type: gemni}\n"
        "models:\n"
        "  a: {targets: [pu/x, up/y, nothing], sort: costs}\n"
        "  b: {use: c}\n"
    )
    found = problems(tmp_path, text)
    assert [(line, key) for line, key, _ in found] == [
        (1, "server.hots"),
        (1, "server.port"),
        (3, "providers.up.type"),
        (5, "models.a.sort"),
        (5, "models.a.targets[0]"),
        (5, "models.a.targets[2]"),
        (6, "models.b.use"),
    ]


def test_items_behind_a_broken_one_keep_their_lines(tmp_path: Path) -> None:
    text = GOOD + "  x:\n    targets:\n      - broken\n      - up/m-chat\n      - pu/m\n"
    assert [(line, "provider/" in text or "pu" in text) for line, _, text in problems(tmp_path, text)] == [
        (8, True),
        (10, True),
    ]


def test_a_problem_never_shows_a_secret(tmp_path: Path) -> None:
    text = "server:\n  keys: [{secret: [hunter2]}, {secret: 1234567}]\n" + GOOD.replace("9/v1", '9/v1", api_key: "5')
    text = text.replace('api_key: "5"', "api_key: 98765")
    found = problems(tmp_path, text, {"PW": "hunter3"})
    assert [line for line, _, _ in found] == [2, 2, 4]
    assert not any("hunter" in each[2] or "1234567" in each[2] or "98765" in each[2] for each in found)


def test_a_value_from_the_environment_is_never_shown(tmp_path: Path) -> None:
    found = problems(tmp_path, "server: {port: '${PORT}'}\n" + GOOD, {"PORT": "hunter2"})
    assert found == [(1, "server.port", "must be a whole number, got a value from the environment")]


def test_settings_do_not_print_keys(tmp_path: Path) -> None:
    text = GOOD.replace("}", ', api_key: "hunter2"}', 1)
    settings = load(tmp_path, text, {"TURNOUT_API_KEYS": "hunter3"})
    assert settings.providers["up"].api_key == "hunter2"
    assert "hunter" not in repr(settings)


BUCKET = """
images:
  s3: {bucket: pics, endpoint: "http://127.0.0.1:9000/", access_key_id: hunter1, secret_access_key: hunter2}
"""


def test_a_bucket_is_told_where_and_by_whom_and_does_not_print_it(tmp_path: Path) -> None:
    bucket = inspect_settings(write(tmp_path, GOOD + BUCKET), {}).settings.images.bucket
    assert bucket is not None
    assert (bucket.bucket, bucket.prefix, bucket.endpoint) == ("pics", "turnout", "http://127.0.0.1:9000")
    assert (bucket.access_key_id, bucket.secret_access_key) == ("hunter1", "hunter2")
    assert "hunter" not in repr(bucket)


def test_a_bucket_needs_obstore_and_whole_keys(tmp_path: Path) -> None:
    half = BUCKET.replace(", secret_access_key: hunter2", "")
    found = [message for _, key, message in problems(tmp_path, GOOD + half) if key == "images.s3"]
    needed = (
        []
        if importlib.util.find_spec("obstore")
        else ["needs obstore, which is not installed: pip install 'turnout[s3]'"]
    )
    assert sorted(found) == ["needs both 'access_key_id' and 'secret_access_key', or neither", *needed]
    shown = problems(tmp_path, GOOD + BUCKET.replace("hunter2", "[hunter2]"))
    assert "hunter2" not in str(shown)


def test_enhancement_is_nobodys_unless_the_operator_names_models(tmp_path: Path) -> None:
    assert load(tmp_path, GOOD).images.enhance == EnhanceSettings()
    assert EnhanceSettings().rewrite_model is None
    text = "images: {enhance: {rewrite_model: chat, critique_model: m-chat, rewrite_timeout_ms: 1500, max_rounds: 0, "
    found = load(tmp_path, GOOD + text + "threshold: 0, max_cost_usd: 0.1}}\n").images.enhance
    assert (found.rewrite_model, found.critique_model, found.rewrite_timeout_s) == ("chat", "m-chat", 1.5)
    assert (found.max_rounds, found.threshold, found.max_cost_usd) == (0, 0.0, Decimal("0.1"))


def test_variables_and_defaults_are_filled_in(tmp_path: Path) -> None:
    text = (
        "server:\n"
        "  host: ${A}\n"
        '  port: "${B:-81}"\n'
        "  docs: ${C}\n"
        "  cors_origins: ${D}\n"
        "  public_url: ${E:-}\n"
        "  trusted_hosts: ['$${A}', 'x${A}y']\n" + GOOD
    )
    server = load(tmp_path, text, {"A": "::1", "C": "yes", "D": "https://a.example, https://b.example/"}).server
    assert (server.host, server.port, server.docs, server.public_url) == ("::1", 81, True, None)
    assert server.cors_origins == ("https://a.example", "https://b.example")
    assert server.trusted_hosts == ("${A}", "x::1y")


def test_a_choice_may_come_from_the_environment(tmp_path: Path) -> None:
    settings = load(tmp_path, GOOD + "    sort: ${S:-latency}\n")
    assert settings.models["chat"].sort == "latency"


def test_durations_take_either_unit(tmp_path: Path) -> None:
    text = (
        GOOD
        + "    targets: []\n".replace("    targets: []\n", "")
        + (
            "  t: {targets: [{target: up/m-chat, timeout_ms: 1500}]}\n"
            "routing: {deadline_ms: 2500, image_deadline_s: 3}\n"
            "server: {drain_ms: 500, json_limit_mib: 0.5}\n"
            "images: {ttl_s: 60, quota_mib: 1}\n"
        )
    )
    settings = load(tmp_path, text)
    assert settings.models["t"].targets[0].timeout_s == 1.5
    assert (settings.routing.deadline_s, settings.routing.image_deadline_s) == (2.5, 3.0)
    assert (settings.server.drain_s, settings.server.json_limit_bytes) == (0.5, 524_288)
    assert (settings.images.ttl_s, settings.images.quota_bytes) == (60.0, 1_048_576)


def test_classes_of_failure_are_switched_one_by_one(tmp_path: Path) -> None:
    usual = load(tmp_path, GOOD).routing.failover
    assert not usual.content_policy
    assert usual.context_length
    switched = load(tmp_path, GOOD + "routing: {failover: {content_policy: true, auth: false}}\n").routing.failover
    assert switched == FailoverSettings(content_policy=True, auth=False)


def test_an_empty_section_means_its_defaults(tmp_path: Path) -> None:
    settings = load(tmp_path, GOOD + "server:\nrouting:\naliases:\n")
    assert settings.server.port == 8080
    assert settings.routing.attempts == 3


@pytest.mark.parametrize(
    ("provider", "environ", "reason"),
    [
        ('{type: openai, api_key: "${K}"}', {"K": "sk"}, ""),
        ('{type: openai, api_key: "${K}"}', {}, "K is not set"),
        ('{type: openai, api_key: "${K}"}', {"K": ""}, "K is not set"),
        ('{type: openai, api_key: "${K}", enabled: false}', {"K": "sk"}, "enabled is false"),
        ('{type: openai, api_key: "a\\nb"}', {}, "its api_key is empty or not a key"),
        ("{type: openai}", {}, "it has no api_key"),
        ('{type: openai, base_url: "http://127.0.0.1:9"}', {}, ""),
        ('{type: gemini, vertex: {express_key: "${K}"}}', {"K": "AQ.key"}, ""),
        ('{type: gemini, vertex: {express_key: "${K}"}}', {}, "K is not set"),
        ('{type: gemini, vertex: {project: "${P}"}}', {}, "P is not set"),
    ],
)
def test_a_provider_without_its_key_is_off(tmp_path: Path, provider: str, environ: dict[str, str], reason: str) -> None:
    up = load(tmp_path, f"providers:\n  up: {provider}\n", environ).providers["up"]
    assert (up.off_reason, up.enabled) == (reason, not reason)
    assert up.line == 2


def test_base_urls_default_by_type(tmp_path: Path) -> None:
    text = "providers:\n  g: {type: gemini}\n  o: {type: openai}\n  e: {type: eachlabs}\n"
    urls = [provider.base_url for provider in load(tmp_path, text).providers.values()]
    assert urls == [
        "https://generativelanguage.googleapis.com/v1beta",
        "https://api.openai.com/v1",
        "https://api.eachlabs.ai/v1",
    ]


def test_client_keys_come_from_file_and_environment(tmp_path: Path) -> None:
    text = "server:\n  keys:\n    - {name: app, secret: s1, tags: [batch]}\n    - s2\n" + GOOD
    keys = load(tmp_path, text, {"TURNOUT_API_KEYS": "ci:s3, s4"}).server.keys
    assert [(key.name, key.secret, key.tags) for key in keys] == [
        ("app", "s1", ("batch",)),
        ("key2", "s2", ()),
        ("ci", "s3", ()),
        ("key4", "s4", ()),
    ]


def test_what_is_fetched_for_callers_is_bounded_and_can_be_switched_off(tmp_path: Path) -> None:
    assert load(tmp_path, GOOD).fetch == FetchSettings()
    text = GOOD + 'fetch: {max_mib: 0.5, timeout_ms: 2500, allow_origins: ["http://127.0.0.1:9000/"]}\n'
    found = FetchSettings(max_bytes=512 * 1024, timeout_s=2.5, allow_origins=("http://127.0.0.1:9000",))
    assert load(tmp_path, text).fetch == found
    for off in ("off", "false", "{enabled: off}", "${FETCH}", '{enabled: "${FETCH}"}', "${MISSING:-off}"):
        assert load(tmp_path, f"{GOOD}fetch: {off}\n", {"FETCH": "off"}).fetch.enabled is False
    assert load(tmp_path, f"{GOOD}fetch: on\n").fetch == FetchSettings()


@pytest.mark.parametrize(
    ("provider", "own"),
    [
        ('{type: openai, base_url: "http://127.0.0.1:8000/v1"}', True),
        ('{type: openai, base_url: "http://10.1.2.3/v1"}', True),
        ('{type: openai, base_url: "http://gpu-box/v1"}', True),
        ('{type: openai, base_url: "http://gpu.lan:8000/v1"}', True),
        ('{type: openai, base_url: "https://models.example.com/v1"}', False),
        ('{type: openai, base_url: "http://127.0.0.1:8000/v1", api_key: "k"}', False),
        ('{type: openai, base_url: "http://127.0.0.1:8000/v1", self_hosted: false}', False),
        ('{type: openai, api_key: "k", self_hosted: true}', True),
        ('{type: openai, api_key: "k", capacity: 12}', True),
        ("{type: stable-diffusion}", True),
        ('{type: litellm, api_key: "k", model_prefix: "anthropic/"}', False),
    ],
)
def test_a_server_of_ones_own_is_known_by_type_or_by_a_private_address_without_a_key(
    tmp_path: Path, provider: str, own: bool
) -> None:
    found = load_settings(write(tmp_path, GOOD.replace("models:", f"  it: {provider}\nmodels:")), {})
    assert found.providers["it"].self_hosted is own


def test_what_a_server_takes_and_who_shares_it_is_read_from_the_environment_too(tmp_path: Path) -> None:
    text = GOOD.replace('/v1"', '/v1", capacity: "${TAKES}"') + 'routing: {replicas: "${ROUTERS}"}\n'
    found = load_settings(write(tmp_path, text), {"TAKES": "12", "ROUTERS": "8"})
    assert (found.providers["up"].capacity, found.routing.replicas) == (12, 8)
    found = load_settings(write(tmp_path, GOOD), {})
    assert (found.providers["up"].capacity, found.routing.replicas) == (None, 1)


def test_limits_and_the_queue_are_read_with_their_units(tmp_path: Path) -> None:
    text = GOOD.replace('/v1"', '/v1", max_concurrency: 7, self_hosted: "${OWN}"')
    found = load_settings(write(tmp_path, text), {"OWN": "no"})
    assert (found.providers["up"].max_concurrency, found.providers["up"].self_hosted) == (7, False)
    assert found.routing.queue == QueueSettings(size=100, max_wait_s=20.0, image_max_wait_s=60.0)
    queue = "routing: {queue: {size: 0, max_wait_ms: 1500, image_max_wait_s: 90}}\n"
    found = load_settings(write(tmp_path, GOOD + queue), {})
    assert found.routing.queue == QueueSettings(size=0, max_wait_s=1.5, image_max_wait_s=90.0)


def test_two_keys_of_one_secret_or_name_are_refused(tmp_path: Path) -> None:
    text = "server:\n  keys:\n    - {name: a, secret: s}\n    - {name: a, secret: s}\n" + GOOD
    assert [(line, key) for line, key, _ in problems(tmp_path, text)] == [(4, "server.keys[1]")] * 2


def test_catalogue_names_of_configured_providers_are_public(tmp_path: Path) -> None:
    settings = load(tmp_path, GOOD)
    assert {name: [t.name for t in targets] for name, targets in settings.catalogue_targets.items()} == {
        "m-chat": ["up/m-chat"],
        "m-image": ["up/m-image"],
    }


def test_alias_order_is_model_exact_direct_catalogue_then_longest_wildcard(tmp_path: Path) -> None:
    text = GOOD + "aliases:\n  m-*: chat\n  m-x*: up/other\n  '*': chat\n  m-xy: old\n  old: m-image\n"
    settings = load(tmp_path, text)

    def end(name: str) -> str:
        return resolve_alias(settings, name)[0]

    assert [end(name) for name in ("chat", "m-chat", "m-xy", "m-x2", "m-9", "zz", "up/zz")] == [
        "chat", "m-chat", "m-image", "up/other", "chat", "chat", "up/zz",
    ]  # fmt: skip
    alias = find_alias(settings.aliases, "m-x2")
    assert alias is not None
    assert alias.name == "m-x*"


def test_the_sandbox_replaces_every_provider(tmp_path: Path) -> None:
    text = (
        "providers:\n  g: {type: gemini, api_key: '${K}'}\n  o: {type: openai}\n"
        "  e: {type: eachlabs, base_url: 'http://10.0.0.1'}\n"
    )
    settings = load(tmp_path, text)
    simulated = use_sandbox(settings, "http://127.0.0.1:7/")
    assert {name: each.base_url for name, each in simulated.providers.items()} == {
        "g": "http://127.0.0.1:7/p/g/gemini/v1beta",
        "o": "http://127.0.0.1:7/p/o/openai/v1",
        "e": "http://127.0.0.1:7/p/e/eachlabs/v1",
    }
    assert all(each.enabled and each.api_key == "sandbox" and not each.off_reason for each in
               simulated.providers.values())  # fmt: skip
    assert simulated.sandbox
    assert not settings.sandbox
    assert replace(simulated, providers=settings.providers, sandbox=False) == settings


def test_a_key_or_a_local_provider_counts_as_real(tmp_path: Path) -> None:
    keyed = "providers:\n  up: {type: openai, api_key: '${K}'}\n"
    assert not has_provider_key(load(tmp_path, keyed))
    assert has_provider_key(load(tmp_path, keyed, {"K": "x"}))
    assert has_provider_key(load(tmp_path, GOOD))


def test_mixed_kinds_and_unknown_upstream_models_are_warnings(tmp_path: Path) -> None:
    settings = load(tmp_path, GOOD + "  x: {targets: [up/m-chat, up/m-image, up/m-chta]}\n")
    assert [(each.line, each.key) for each in settings.warnings] == [(6, "models.x"), (6, "models.x.targets[2]")]
    assert "did you mean 'm-chat'?" in settings.warnings[1].message


def test_what_can_be_used_is_given_beside_the_problems(tmp_path: Path) -> None:
    settings, found = inspect_settings(write(tmp_path, GOOD + "    sort: costs\n"), {})
    assert [each.key for each in found] == ["models.chat.sort"]
    assert settings.models["chat"].targets[0].name == "up/m-chat"


def test_the_file_is_found_by_argument_variable_folder_then_installation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("named", "variable"):
        (tmp_path / f"{name}.yaml").write_text("")
    installed = tmp_path / "share" / "turnout" / "config"
    for folder in (tmp_path / "work" / "config", installed):
        folder.mkdir(parents=True)
        (folder / "turnout.yaml").write_text("")
    environ = {"TURNOUT_CONFIG": str(tmp_path / "variable.yaml")}
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    assert find_config(tmp_path / "named.yaml", environ) == tmp_path / "named.yaml"
    assert find_config(None, environ) == tmp_path / "variable.yaml"
    assert find_config(None, {}) == Path("config/turnout.yaml")
    monkeypatch.chdir(tmp_path)
    assert find_config(None, {}) == installed / "turnout.yaml"
    (installed / "turnout.yaml").unlink()
    for path, variables in ((None, {}), (None, {"TURNOUT_CONFIG": "no.yaml"}), (Path("no.yaml"), environ)):
        with pytest.raises(SettingsError):
            find_config(path, variables)


def test_a_litellm_provider_needs_a_key_and_knows_its_own_address(tmp_path: Path) -> None:
    provider = '{type: litellm, model_prefix: "anthropic/", api_key: "${KEY}"}'
    text = f"providers: {{a: {provider}}}\nmodels: {{m: {{targets: [a/x]}}}}\n"
    assert load(tmp_path, text).providers["a"].off_reason == "KEY is not set"
    on = load(tmp_path, text, {"KEY": "k"}).providers["a"]
    assert (on.enabled, on.base_url, on.options.model_prefix) == (True, "", "anthropic/")


def test_in_the_sandbox_litellm_asks_an_openai(tmp_path: Path) -> None:
    text = 'providers: {a: {type: litellm, model_prefix: "anthropic/"}}\nmodels: {m: {targets: [a/x]}}\n'
    simulated = use_sandbox(load(tmp_path, text), "http://127.0.0.1:9/").providers["a"]
    assert simulated.base_url == "http://127.0.0.1:9/p/a/openai/v1"
    assert simulated.options.model_prefix == "openai/"


def test_the_catalogue_may_stand_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text("models:\n  z: {providers: [up], prices: [{input: '0.1', output: 2}]}\n")
    settings = load(tmp_path, "catalogue: other.yaml\n" + GOOD.replace("m-chat", "z"))
    assert settings.catalogue["z"].prices[0].input == Decimal("0.1")
    assert settings.sources == (tmp_path / "turnout.yaml", tmp_path / "other.yaml")


def test_a_missing_catalogue_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.yaml: cannot be read: No such file"):
        load(tmp_path, "catalogue: none.yaml\n" + GOOD)


def test_tiers_are_read_with_their_knobs_and_may_be_bare_names(tmp_path: Path) -> None:
    text = GOOD + "  x:\n    tiers: [chat, {use: chat, reasoning_effort: high}, m-chat]\n    cost_quality: 0\n"
    found = load(tmp_path, text + "    escalations_per_minute: 0\n").models["x"]
    assert [str(tier) for tier in found.tiers] == ["chat", "chat (high reasoning)", "m-chat"]
    assert (found.cost_quality, found.escalations_per_minute, found.usual) == (0.0, 0, "chat")
    assert load(tmp_path, GOOD + "  x: {tiers: [chat, m-chat]}\n").models["x"].cost_quality == 0.4


def test_a_tier_that_cannot_be_told_how_much_to_think_is_a_warning(tmp_path: Path) -> None:
    text = GOOD + "  x: {tiers: [chat, {use: chat, reasoning_effort: high}]}\n"
    found = [(problem.key, problem.message) for problem in load(tmp_path, text).warnings]
    assert found == [("models.x.tiers[1]", "no target of 'chat' can be told how much to think")]


def test_a_client_key_may_have_a_highest_tier(tmp_path: Path) -> None:
    text = GOOD + "server: {keys: [{secret: abc, max_tier: 2}, {secret: abd}]}\n"
    assert [key.max_tier for key in load(tmp_path, text).server.keys] == [2, None]
