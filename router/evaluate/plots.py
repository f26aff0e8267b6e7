"""The curve as a picture. Needs matplotlib, which only this file imports, and only when a picture is asked for."""

from pathlib import Path

from router.evaluate.report import Report


def draw_curve(report: Report, folder: Path) -> list[Path]:
    """Write `quality-cost.svg` and `.png`; gives the files. Raises ImportError."""
    from matplotlib.figure import Figure  # here: an optional extra, 0.5 s to import

    folder.mkdir(parents=True, exist_ok=True)
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    for name, points in report.curves.items():
        style = "--" if name == "oracle" else "-"
        width = 2.5 if name == "score" else 1.2
        axes.plot([p.cost for p in points], [100 * p.quality for p in points], style, label=name, linewidth=width)
    ends = report.curves["score"][0], report.curves["score"][-1]
    axes.plot([p.cost for p in ends], [100 * p.quality for p in ends], ":", color="black", label="random")
    for each in report.settings:
        axes.annotate(f"{each.cost_quality:.1f}", (each.point.cost, 100 * each.point.quality), fontsize="x-small")
    axes.set_xlabel("cost (always the weak model = 1); small figures: cost_quality")
    axes.set_ylabel("right answers, %")
    axes.set_title(f"Quality against cost, {sum(g.samples for g in report.groups if g.kind == 'all')} prompts")
    axes.grid(alpha=0.3)
    axes.legend()
    files = [folder / "quality-cost.svg", folder / "quality-cost.png"]
    for file in files:
        figure.savefig(file)
    return files
