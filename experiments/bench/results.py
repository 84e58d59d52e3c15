"""What a measurement becomes: JSON, tables for a terminal and for Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich import box
from rich.table import Table

from qbackend.layers.program import Layer
from qbackend.layers.spec import LayerSpec

from .contest import Contestant, Record


@dataclass(frozen=True)
class Grid:
    """A table before it is drawn: a title, column heads, and rows of cells."""

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def rich(self) -> Table:
        """For a terminal, without the title, which is wider."""
        table = Table(box=box.SIMPLE_HEAD)
        for index, head in enumerate(self.heads):
            table.add_column(
                head, justify="right" if index else "left", no_wrap=not index, overflow="fold"
            )
        for row in self.rows:
            table.add_row(*row)
        return table

    def markdown(self) -> str:
        """For a page."""
        lines = [self.heads, ("---", *("---:" for _ in self.heads[1:])), *self.rows]
        table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
        return f"**{self.title}**\n\n{table}\n"


def to_json(record: Record) -> dict[str, Any]:
    """One record as plain values, times in seconds."""
    return {
        "case": record.case.name,
        "layer": record.case.layer,
        "batch": record.case.batch,
        "dtype": record.case.dtype,
        "contestant": record.contestant,
        "skipped": record.skipped,
        "first": record.first,
        "deviation": record.deviation,
        **({} if record.timing is None else asdict(record.timing)),
    }


def grids(records: Sequence[Record], what: str, base: str, *, quartiles: bool) -> list[Grid]:
    """One table per layer and dtype: milliseconds per call and how many times `base`'s time."""
    groups: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        groups.setdefault((record.case.layer, record.case.dtype), []).append(record)
    return [_grid(group, what, base, quartiles) for group in groups.values()]


def _grid(records: list[Record], what: str, base: str, quartiles: bool) -> Grid:
    cases = list(dict.fromkeys(record.case for record in records))
    table = {(record.contestant, record.case): record for record in records}
    rows = []
    for name in dict.fromkeys(record.contestant for record in records):
        own = [table[name, case] for case in cases]
        if all(record.timing is None for record in own):
            continue
        cells = [_cell(record, table.get((base, record.case)), quartiles) for record in own]
        first = max(record.first or 0.0 for record in own)
        rows.append((name, *cells, f"{_digits(first)} s" if first else "–"))
    spec = cases[0].spec
    title = (
        f"{cases[0].layer}, {cases[0].dtype}: {spec.n_wires} wires, {_described(spec)}; {what}; "
        f"milliseconds{' [quartiles]' if quartiles else ''}, times {base}"
    )
    heads = ("", *(f"B={case.batch}" for case in cases), "first call")
    return Grid(title, heads, tuple(rows))


def _described(spec: Layer) -> str:
    if isinstance(spec, LayerSpec):
        return f"{spec.encoding}, {spec.n_layers} layers {spec.ansatz}"
    return f"{spec.n_features} features, {spec.n_weights} weights, {spec.n_outputs} outputs"


def _cell(record: Record, base: Record | None, quartiles: bool) -> str:
    timing = record.timing
    if timing is None:
        return "–"
    text = _digits(1e3 * timing.median)
    if quartiles:
        text += f" [{_digits(1e3 * timing.lower)}, {_digits(1e3 * timing.upper)}]"
    if base is None or base.timing is None or base.contestant == record.contestant:
        return text
    return f"{text} {_digits(timing.median / base.timing.median)}×"


def _digits(value: float) -> str:
    """Three significant digits, never an exponent."""
    return f"{float(f'{value:.3g}'):,.10g}"


def comparison(records: Sequence[Record], contestants: Sequence[Contestant]) -> Grid:
    """How many times as fast as the fastest peer ours are, and as the fastest one in torch."""
    peers = {one.name: one for one in contestants if one.needs}
    own = [one.name for one in contestants if not one.needs]
    medians: dict[str, dict[str, float]] = {}
    for record in records:
        if record.timing is not None:
            medians.setdefault(record.case.name, {})[record.contestant] = record.timing.median
    rows = []
    for case, times in medians.items():
        rivals = [name for name in times if name in peers]
        in_torch = [name for name in rivals if peers[name].torch]
        cells = [_advantage(times, name, group) for name in own for group in (rivals, in_torch)]
        rows.append((case, *cells))
    heads = (f"{name} against {whom}" for name in own for whom in ("any peer", "torch peers"))
    title = "times as fast as the fastest peer, and as the fastest one that is a torch module"
    return Grid(title, ("", *heads), tuple(rows))


def _advantage(times: dict[str, float], name: str, rivals: Sequence[str]) -> str:
    if name not in times or not rivals:
        return "–"
    rival = min(rivals, key=times.__getitem__)
    return f"{_digits(times[rival] / times[name])}× {rival}"
