"""The page that `gpu.py` leaves."""

from __future__ import annotations

from typing import Any

from experiments.bench.results import Grid

HEADS = (
    "",
    "",
    "waited, ms",
    "graph, ms",
    "at most: waited",
    "graph",
    "off float64",
    "first call, s",
)
STAND_IN = (
    "**Nothing here was measured on a GPU: there is none. Small batches on the CPU stood in, to "
    "check what is measured, not how fast it is.**"
)


def page(report: dict[str, Any]) -> str:
    """In Markdown."""
    facts = report["conditions"]
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    parts = [
        f"{facts['time']}: {report['device']}; {facts['machine']['processor']}, "
        f"{facts['machine']['cores']} cores; {versions}; `{report['command']}`, "
        f"{report['minutes']:.1f} minutes."
    ]
    if not report["measured_on_a_gpu"]:
        parts.append(STAND_IN)
    timed = [stage for stage in report["stages"] if "waited" in stage]
    epochs = [stage for stage in timed if "arm" in stage]
    steps = [stage for stage in timed if "arm" not in stage]
    rows = tuple(map(_row, steps))
    parts.append(Grid("A step, forward and backward, float32; medians", HEADS, rows).markdown())
    rows = tuple(
        (
            stage["case"].removeprefix("epoch "),
            stage["arm"],
            f"{stage['waited']['median']:.3f}",
            f"{stage['first']:.3f}",
            f"{stage['target'][0] / 1e3:g}" if stage["target"] else "",
        )
        for stage in epochs
    )
    heads = ("recipe", "arm", "s, last epoch", "s, first", "at most")
    parts.append(Grid("An epoch's training, without validation", heads, rows).markdown())
    parts.append("\n".join(_note(each) for each in report["stages"] if "waited" not in each))
    return "\n\n".join(parts) + "\n"


def _row(stage: dict[str, Any]) -> tuple[str, ...]:
    graph, target = stage["graph"], stage["target"] or (None, None)
    error, first = stage["error_of_float64"], stage.get("first")
    return (
        stage["case"],
        stage["who"],
        _milliseconds(stage["waited"]),
        stage["not_captured"] if graph is None else _milliseconds(graph),
        *("" if each is None else f"{each:g}" for each in target),
        "" if error is None else f"{error:.0e}",
        "" if first is None else f"{first:.2f}",
    )


def _milliseconds(timing: dict[str, float]) -> str:
    return (
        f"{1e3 * timing['median']:.3f} [{1e3 * timing['lower']:.3f}, {1e3 * timing['upper']:.3f}]"
    )


def _note(stage: dict[str, Any]) -> str:
    """What became of a stage that was not timed."""
    name = f"{stage['case']}, {stage['who']}"
    for key in ("skipped", "error", "not_installed", "not_measured"):
        if key in stage:
            return f"- {name}: {key.replace('_', ' ')}: {stage[key]}"
    return f"- {name}: left nothing"
