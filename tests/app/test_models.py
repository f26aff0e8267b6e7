"""GET /v1/models/{name}: every name that a request may use is found, and no other."""

import pytest
from harness import Turnout


@pytest.mark.parametrize(
    ("name", "alias_of"),
    [
        ("auto", None),
        ("gemini-3.8-flash", None),
        ("google/gemini-3.8-flash", None),
        ("gemini-flash-latest", "gemini-3.8-flash"),
        ("gemini-2.0-pro-whatever", "gemini-3.1-pro-preview"),
        ("dall-e-3", "image"),
    ],
)
@pytest.mark.parametrize("slash", ["/", "%2F"])
def test_a_name_that_is_served_is_found(name: str, alias_of: str | None, slash: str, router: Turnout) -> None:
    answer = router.http.get(f"/v1/models/{name.replace('/', slash)}")
    assert answer.status_code == 200
    model = answer.json()
    assert (model["id"], model.get("alias_of")) == (name, alias_of)
    assert model["targets"]


@pytest.mark.parametrize("name", ["gpt-nobody", "google/gpt-nobody", "nobody/gemini-3.8-flash", "google/"])
def test_a_name_that_nobody_knows_is_not_found(name: str, router: Turnout) -> None:
    answer = router.http.get(f"/v1/models/{name}")
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "model_not_found"


def test_every_listed_model_is_found_as_it_is_listed(router: Turnout) -> None:
    listed = router.http.get("/v1/models").json()["data"]
    assert len(listed) > 20
    for model in listed:
        found = router.http.get(f"/v1/models/{model['id']}").json()
        assert found.keys() == model.keys()
        assert isinstance(found.get("shutdown_date", ""), str)
