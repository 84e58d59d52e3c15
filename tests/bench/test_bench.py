"""The benchmark: who takes part, that they agree, how they are timed, what is shown."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import chain, pairwise, repeat
from pathlib import Path

import numpy as np
import pytest
import torch

from experiments.bench import timing
from experiments.bench.command import run_bench
from experiments.bench.contest import Case, Contestant, Record, Step, measure
from experiments.bench.inference import MATRIX_PRODUCT, measure_inference
from experiments.bench.pennylane import PENNYLANE
from experiments.bench.results import comparison, grids, to_json
from experiments.bench.suite import QUICK_CASES, ours, select_cases, select_contestants
from experiments.bench.timing import Effort, Timing, interleave
from qbackend import LayerSpec
from qbackend.errors import BackendError, OptionError, UnknownNameError

MOMENT = Effort(seconds=0.002, rounds=2)
BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SPECS = {
    "amplitude": LayerSpec(2),
    "angle": LayerSpec(3, encoding="angle"),
    "strong": LayerSpec(3, ansatz="strongly_entangling"),
}


def small(layer: str = "amplitude", dtype: str = "float64") -> Case:
    return Case(layer, SPECS[layer], batch=3, dtype=dtype)


def spoilt(name: str, change: Callable[[torch.Tensor], torch.Tensor], which: int) -> Contestant:
    """`native` with one of its three results changed."""

    def prepare(spec: LayerSpec, dtype: str) -> Step:
        step = ours("native").prepare(spec, dtype)

        def wrong(*arrays: torch.Tensor) -> tuple[torch.Tensor, ...]:
            results = list(step(*arrays))
            results[which] = change(results[which])
            return tuple(results)

        return wrong  # type: ignore[return-value]

    return Contestant(name, prepare)


def record(contestant: str, milliseconds: float, case: Case | None = None) -> Record:
    median = milliseconds / 1e3
    measured = Timing(median=median, lower=0.9 * median, upper=1.2 * median, calls=5)
    return Record(case or small(), contestant, first=2.0, deviation=0.1, timing=measured)


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[dict[str, Timing], str]]:
    """`interleave` for calls whose durations are given; returns also who was called when."""

    def run(effort: Effort, **durations: Iterator[float]) -> tuple[dict[str, Timing], str]:
        order: list[str] = []

        def call(name: str) -> float:
            order.append(name)
            return next(durations[name])

        monkeypatch.setattr(timing, "clock", lambda call: call())
        calls = {name: lambda name=name: call(name) for name in durations}
        return interleave(calls, effort), "".join(order)

    return run


# Timing


def test_rounds_begin_with_another_one_and_warm_up_untimed(scripted) -> None:
    same = {name: repeat(0.01) for name in "abc"}
    timings, order = scripted(Effort(seconds=0.03, rounds=3), **same)
    assert order == "abc" + "aabbcc" + "bbccaa" + "ccaabb"
    assert {one.calls for one in timings.values()} == {3}


def test_quick_calls_fill_their_block(scripted) -> None:
    timings, _ = scripted(Effort(seconds=0.2, rounds=2), a=repeat(0.001), b=repeat(0.02))
    assert (timings["a"].calls, timings["b"].calls) == (200, 10)


def test_slow_calls_are_made_three_times_or_once(scripted) -> None:
    timings, order = scripted(Effort(seconds=1.0, rounds=10), a=repeat(1.5), b=repeat(5.0))
    assert (timings["a"].calls, timings["b"].calls) == (3, 1)
    assert order.count("b") == 1


def test_median_and_quartiles_leave_the_first_call_out(scripted) -> None:
    a = chain([0.5], [0.1, 0.2, 0.3, 0.4, 0.5])
    timings, _ = scripted(Effort(seconds=0.5, rounds=5), a=a)
    assert timings["a"] == Timing(median=0.3, lower=0.2, upper=0.4, calls=5)


# Agreement


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layer", SPECS)
def test_ours_agree(layer: str, dtype: str) -> None:
    records = measure(small(layer, dtype), [ours("native"), ours("aer")], ours("native"), MOMENT)
    assert [one.contestant for one in records] == ["native", "aer"]
    assert all(one.timing and one.timing.calls > 0 for one in records)


@pytest.mark.parametrize(
    ("peer", "dtype"),
    [
        pytest.param(peer, dtype, id=f"{peer.name}-{dtype}")
        for peer in PENNYLANE
        for dtype in peer.dtypes
    ],
)
def test_pennylane_agrees(peer: Contestant, dtype: str) -> None:
    case = small("strong", dtype)
    if reason := peer.refusal(case):
        pytest.skip(reason)
    (measured,) = measure(case, [peer], ours("native"), MOMENT)
    assert measured.timing is not None


def test_peers_of_the_script_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from peers import PEERS

    for layer in SPECS:
        case = small(layer, "float32")
        able = [peer for peer in PEERS if peer.refusal(case) is None]
        records = measure(case, able, ours("native"), MOMENT)
        assert "estimator-qnn-aer" in {one.contestant for one in records}


@pytest.mark.parametrize("which", range(3), ids=["values", "features", "weights"])
@pytest.mark.parametrize(
    "change", [lambda x: x + 1e-9, lambda x: x * torch.nan], ids=["shifted", "nan"]
)
def test_who_disagrees_is_not_timed(which: int, change) -> None:
    with pytest.raises(BackendError, match="'other' and 'native' disagree on amplitude-b3-float64"):
        measure(small(), [spoilt("other", change, which)], ours("native"), MOMENT)


def test_keeping_the_first_weights_is_a_disagreement() -> None:
    def prepare(spec: LayerSpec, dtype: str) -> Step:
        step = ours("native").prepare(spec, dtype)
        kept: list[torch.Tensor] = []

        def stale(
            features: torch.Tensor, weights: torch.Tensor, cotangent: torch.Tensor
        ) -> tuple[torch.Tensor, ...]:
            kept.append(weights)
            return step(features, kept[0], cotangent)

        return stale  # type: ignore[return-value]

    with pytest.raises(BackendError, match="disagree"):
        measure(small(), [Contestant("stale", prepare)], ours("native"), MOMENT)


def test_transposed_gradient_is_a_disagreement() -> None:
    wrong = spoilt("other", lambda gradient: gradient.flip(0), 2)
    with pytest.raises(BackendError, match="disagree"):
        measure(small(dtype="float32"), [wrong], ours("native"), MOMENT)


def test_weights_move_between_calls() -> None:
    seen: list[bytes] = []

    def prepare(spec: LayerSpec, dtype: str) -> Step:
        step = ours("native").prepare(spec, dtype)

        def watched(*arrays: torch.Tensor) -> tuple[torch.Tensor, ...]:
            seen.append(arrays[1].numpy().tobytes())
            return step(*arrays)

        return watched  # type: ignore[return-value]

    measure(small(), [Contestant("watched", prepare)], ours("native"), MOMENT)
    assert all(before != after for before, after in pairwise(seen))


# Choice


def test_case_names_select_by_beginning_or_glob() -> None:
    names = [case.name for case in select_cases(["amplitude4-b1"])]
    assert names == ["amplitude4-b1-float32", "amplitude4-b1-float64"]
    assert {case.layer for case in select_cases(["angle*-b64-*"])} >= {"angle4", "angle16"}
    assert len(select_cases(QUICK_CASES)) == len(QUICK_CASES)


def test_unknown_case_is_refused_with_a_suggestion() -> None:
    with pytest.raises(OptionError, match="did you mean 'amplitude4'"):
        select_cases(["amplitud4"])


def test_unknown_contestant_is_refused_with_a_suggestion() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'pennylane-torch'"):
        select_contestants(["pennylane-torsh"], PENNYLANE)


def test_backend_that_samples_is_refused() -> None:
    name = "qiskit:qiskit.providers.basic_provider:BasicSimulator"
    with pytest.raises(OptionError, match="not exact and local"):
        select_contestants([name], PENNYLANE)


def test_contestant_named_twice_takes_part_once() -> None:
    chosen = select_contestants(["aer", "native", "aer"], PENNYLANE)
    assert [one.name for one in chosen] == ["aer", "native"]


def test_refusals() -> None:
    limited = Contestant(
        "limited", ours, dtypes=("float32",), max_wires=4, max_amplitudes=64, max_features=32
    )
    absent = Contestant("absent", ours, needs=("numpy", "no-such-distribution"))
    assert limited.refusal(Case("", LayerSpec(2), 3, "float64")) == "no float64"
    assert limited.refusal(Case("", LayerSpec(5), 1, "float32")) == "over 4 wires"
    assert limited.refusal(Case("", LayerSpec(4), 5, "float32")) == "over 64 amplitudes"
    assert limited.refusal(Case("", LayerSpec(4), 3, "float32")) == "over 32 features"
    assert limited.refusal(Case("", LayerSpec(4), 2, "float32")) is None
    assert absent.refusal(small()) == "not installed"
    assert absent.missing == ("no-such-distribution",)


# Results


def test_table_gives_milliseconds_and_factors() -> None:
    absent = Record(small(), "absent", skipped="not installed")
    records = [record("native", 0.1), record("peer", 2345.6), absent]
    (plain,) = grids(records, "forward", "native", quartiles=False)
    (full,) = grids(records, "forward", "native", quartiles=True)
    assert plain.rows == (("native", "0.1", "2 s"), ("peer", "2,350 23,500×", "2 s"))
    assert full.rows[0] == ("native", "0.1 [0.09, 0.12]", "2 s")
    assert full.markdown().splitlines()[2:5] == [
        "|  | B=3 | first call |",
        "| --- | ---: | ---: |",
        "| native | 0.1 [0.09, 0.12] | 2 s |",
    ]


def test_comparison_is_with_the_fastest_peer() -> None:
    contestants = [
        ours("native"),
        Contestant("jitted", ours, needs=("numpy",), torch=False),
        Contestant("slow", ours, needs=("numpy",)),
        Contestant("slower", ours, needs=("numpy",)),
    ]
    times = {"native": 0.5, "jitted": 1.0, "slow": 2.0, "slower": 3.0}
    table = comparison([record(name, time) for name, time in times.items()], contestants)
    assert table.heads == ("", "native against any peer", "native against torch peers")
    assert table.rows == (("amplitude-b3-float64", "2× jitted", "4× slow"),)


def test_json_says_what_was_and_what_was_not_measured() -> None:
    measured = json.loads(json.dumps(to_json(record("native", 1.0))))
    skipped = json.loads(json.dumps(to_json(Record(small(), "peer", skipped="no float64"))))
    assert measured["median"] == pytest.approx(1e-3)
    assert (measured["layer"], measured["batch"], measured["calls"]) == ("amplitude", 3, 5)
    assert skipped["skipped"] == "no float64"
    assert "median" not in skipped


def test_forward_alone_is_compared_with_a_matrix_product() -> None:
    records = measure_inference(small(), ["native", "aer"], MOMENT)
    assert [one.contestant for one in records] == [MATRIX_PRODUCT, "native", "aer"]
    assert all(one.timing and np.isfinite(one.timing.median) for one in records)


def test_command_prints_tables_and_keeps_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "results.json"
    status = run_bench(
        quick=True,
        cases=["amplitude4-b1-float32"],
        backends=["native", "aer"],
        as_json=True,
        out=out,
    )
    printed = capsys.readouterr()
    report = json.loads(out.read_text())
    assert status == 0
    assert json.loads(printed.out.splitlines()[-1]) == report
    assert "amplitude4, float32" in printed.err
    assert [one["contestant"] for one in report["training"]] == ["native", "aer"]
    assert report["conditions"]["machine"]["cores"] >= 1
    assert "| native |" in out.with_suffix(".md").read_text()
