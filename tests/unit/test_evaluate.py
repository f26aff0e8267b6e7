"""`turnout eval`: the figures against ones worked out by hand, the file as people write it, and the real data."""

import csv
import gzip
import json
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded import DATA
from typer.testing import CliRunner

from router.cli import app
from router.evaluate.data import DataError, Sample, read_samples, score_prompt
from router.evaluate.gain import Ranking, intervals, oracle
from router.evaluate.report import Plan, evaluate, groups_of
from router.routing.plan import Features
from router.routing.score import score_of

COLUMNS = ["source", "pair", "pid", "category", "weak", "strong", "weak_out_chars", "strong_out_chars", "prompt"]
REAL = DATA / "data" / "routing" / "train.csv.gz"


def sample(weak: float, strong: float, score: float = 0.0, **more: Any) -> Sample:
    values = {"source": "s", "pair": "a|b", "pid": str(id(more)), "category": "c", "weak_out": 100, "strong_out": 100}
    return Sample(**{**values, "weak": weak, "strong": strong, "score": score, "length": int(score * 1000), **more})


def row(number: int, **more: object) -> dict[str, object]:
    """Long prompts are those that only the strong model gets right."""
    hard = number % 2 == 0
    return {
        "source": "one" if number % 4 < 2 else "two", "pair": "flash|pro", "pid": number, "category": "maths",
        "weak": int(not hard), "strong": 1, "weak_out_chars": 100, "strong_out_chars": 200,
        "prompt": "Why, so? " * (200 + number if hard else number + 1), **more,
    }  # fmt: skip


def write(file: Path, rows: list[dict[str, object]], columns: list[str] = COLUMNS) -> Path:
    opened = gzip.open if file.suffix == ".gz" else open
    with opened(file, "wt", encoding="utf-8", newline="") as text:
        writer = csv.DictWriter(text, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return file


# --- the figure


def apgr(samples: list[Sample], values: list[float]) -> float | None:
    return Ranking(samples, values, 0).apgr([1.0] * len(samples))


def test_the_figure_is_the_area_under_the_curve() -> None:
    samples = [sample(0, 1), sample(1, 1), sample(1, 1), sample(0, 1)]
    assert apgr(samples, [4, 3, 2, 1]) == pytest.approx((0.25 + 0.5 + 0.5 + 0.75) / 4)
    assert apgr(samples, oracle(samples)) == pytest.approx((0.25 + 0.75 + 1 + 1) / 4)


def test_where_there_is_no_gap_there_is_no_figure() -> None:
    assert apgr([sample(1, 0), sample(0, 1)], [1, 2]) is None


CORRECT = st.sampled_from([(0, 0), (0, 1), (1, 0), (1, 1)])


@given(st.lists(st.tuples(CORRECT, st.floats(0, 1)), min_size=2, max_size=40))
def test_no_order_is_better_than_the_oracles(drawn: list[tuple[tuple[int, int], float]]) -> None:
    samples = [sample(weak, strong) for (weak, strong), _ in drawn]
    best, found = apgr(samples, oracle(samples)), apgr(samples, [value for _, value in drawn])
    assert (best is None) == (found is None)
    assert best is None or found is None or found <= best + 1e-9


def test_an_interval_holds_its_figure_and_a_gap_that_may_be_none_has_no_figure() -> None:
    clear = [sample(0, 1, number / 100, pid=str(number)) for number in range(50)] + [sample(1, 1, 0.0)] * 50
    found, gap = intervals(clear, {"score": Ranking(clear, [one.score for one in clear], 0)}, 50, 0)
    assert found["score"] is not None
    assert found["score"].low <= found["score"].value <= found["score"].high
    assert 0 < gap.low < gap.high
    unclear = [sample(0, 1, pid="1"), sample(1, 0, pid="2"), sample(0, 1, pid="3")]
    assert intervals(unclear, {"score": Ranking(unclear, [1, 2, 3], 0)}, 50, 0)[0]["score"] is None


# --- the file


@given(st.text(max_size=3000))
def test_the_score_is_the_routers_own(prompt: str) -> None:
    size = len(json.dumps(prompt, ensure_ascii=False)) if prompt.isascii() else None
    score = score_prompt(prompt)
    assert 0 <= score <= 1
    if size is not None and prompt.isprintable():
        assert score == score_of(Features(question_bytes=size - 2, prompt_bytes=size - 2)).value


@pytest.mark.parametrize("name", ["data.csv", "data.csv.gz"])
def test_a_file_is_read_plain_or_zipped(tmp_path: Path, name: str) -> None:
    found = list(read_samples(write(tmp_path / name, [row(1), row(2, weak_out_chars="")])))
    assert [one.weak for one in found] == [1.0, 0.0]
    assert [one.weak_out for one in found] == [100.0, None]
    assert found[0].score < found[1].score


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"weak": "yes"}, ":2: weak must be a number, got 'yes'"),
        ({"strong": ""}, ":2: strong must be between 0 and 1"),
        ({"weak": 2}, ":2: weak must be between 0 and 1, got '2'"),
        ({"strong_out_chars": -1}, ":2: strong_out_chars must be a number of characters"),
    ],
)
def test_a_wrong_value_is_named_with_its_line(tmp_path: Path, more: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        list(read_samples(write(tmp_path / "data.csv", [row(1, prompt="x", **more)])))


def test_only_pairs_whose_name_holds_a_text_are_read(tmp_path: Path) -> None:
    data = write(tmp_path / "data.csv", [row(1), row(2, pair="mini|large"), row(3)])
    assert [one.pid for one in read_samples(data, "flash")] == ["1", "3"]


def test_missing_columns_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the columns strong, prompt are missing"):
        list(read_samples(write(tmp_path / "data.csv", [], [c for c in COLUMNS if c not in ("strong", "prompt")])))


# --- the command


def test_the_command_prints_curve_figures_and_caveats(tmp_path: Path) -> None:
    data = write(tmp_path / "data.csv.gz", [row(number) for number in range(80)])
    options = ["--data", str(data), "--resamples", "20", "--least", "20"]
    shown = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["eval", *options])
    assert shown.exit_code == 0, shown.output
    for text in ("cost_quality", "APGR", "oracle", "length", "random", "two flash|pro", "not those of your config"):
        assert text in shown.stdout
    file, plots = tmp_path / "report.json", tmp_path / "plots"
    written = CliRunner().invoke(app, ["eval", *options, "--json", str(file), "--plots", str(plots)])
    assert written.exit_code == 0, written.output
    report = json.loads(file.read_bytes())
    whole = report["groups"][0]
    assert (whole["name"], whole["samples"], whole["weak"], whole["strong"]) == ("all", 80, 0.5, 1.0)
    assert whole["apgr"]["score"]["value"] == pytest.approx(0.75)  # all that is to be gained is in the first half
    assert whole["apgr"]["score"] == whole["apgr"]["length"] == whole["apgr"]["oracle"]
    assert [point["cost"] for point in report["curves"]["score"][:: len(report["curves"]["score"]) - 1]] == [1.0, 6.4]
    shares = [each["point"]["share"] for each in report["settings"]]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)
    assert sorted(each.name for each in plots.iterdir()) == ["quality-cost.png", "quality-cost.svg"]


def test_json_alone_goes_to_stdout(tmp_path: Path) -> None:
    data = write(tmp_path / "data.csv", [row(number) for number in range(8)])
    shown = CliRunner().invoke(app, ["eval", "--data", str(data), "--resamples", "2", "--json", "-"])
    assert json.loads(shown.stdout)["groups"][0]["samples"] == 8


@pytest.mark.parametrize("text", [None, "", "a,b\n1,2\n", ",".join(COLUMNS) + "\n"])
def test_a_file_that_cannot_be_used_is_refused(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "data.csv"
    if text is not None:
        file.write_text(text)
    shown = CliRunner().invoke(app, ["eval", "--data", str(file)])
    assert shown.exit_code == 2
    assert "data.csv" in shown.output


def test_groups_are_overall_pairs_sources_and_categories_with_enough_prompts() -> None:
    samples = [sample(0, 1, source=name, category=name) for name in ("x", "x", "y")]
    found = [(kind, name, len(members)) for kind, name, members in groups_of(samples, 2)]
    assert found == [("all", "all", 3), ("pair", "x a|b", 2), ("source", "x", 2), ("category", "x", 2)]


@pytest.mark.skipif(not REAL.exists(), reason="no routing data here: set TURNOUT_DATA to the folder of data/routing/")
def test_on_real_answers_the_score_is_worth_what_length_is_worth() -> None:
    samples = list(islice(read_samples(REAL, "gemini-1.5-pro-002"), 8387))
    apgr = evaluate(samples, REAL.name, Plan(resamples=20, least=len(samples))).groups[0].apgr
    assert apgr["score"] is not None
    assert apgr["length"] is not None
    assert apgr["score"].low > 0.6
    assert apgr["score"].value == pytest.approx(apgr["length"].value, abs=0.01)
