import json

import pytest

from bench import stages
from bench.__main__ import main
from bench.measure import measured


@pytest.fixture(scope="module")
def figures(size, home, history_root):
    out = home / "figures.json"
    main(
        [
            "--wallets", str(size.wallets), "--fills", str(size.fills), "--tokens",
            str(size.tokens), "--days", str(size.days), "--home", str(home), "--out", str(out),
            "--sample", "40", "--shards", "--cold",
        ]
    )  # fmt: skip
    return json.loads(out.read_text())


def test_a_benchmark_of_a_tiny_history_says_what_every_stage_took(figures, size):
    (of_size,) = figures["sizes"]
    assert list(of_size["stages"]) == ["read", "ledger", "features", "scores", "personas"]
    assert of_size["stages"]["ledger"]["rows_in"] == size.fills
    for stage in of_size["stages"].values():
        assert {"wall_s", "cpu_s", "peak_mib", "written_mib"} <= stage["cost"].keys()
    assert of_size["stages"]["personas"]["rows_out"] >= size.wallets


def test_the_sum_leaves_out_what_is_part_of_another_stage(figures):
    (of_size,) = figures["sizes"]
    walls = {name: stage["cost"]["wall_s"] for name, stage in of_size["stages"].items()}
    assert of_size["sum"]["wall_s"] == pytest.approx(sum(walls.values()) - walls["read"], abs=0.01)


def test_the_serial_design_stands_beside_and_computes_the_same(figures):
    (of_size,) = figures["sizes"]
    ways = [way["way"] for way in of_size["serial"]["ways"]]
    assert ways == ["fair", "connecting"] == list(of_size["times_faster"])
    assert of_size["serial"]["agreement"]["rows"] > 0
    assert of_size["serial"]["agreement"]["differing"] == {}


def test_machine_and_targets_are_written_beside_the_figures(figures):
    assert figures["machine"]["cores"] >= 1
    assert figures["targets"]["sum_wall_s"] == 10.0
    assert [each["fills"] for each in figures["per_fill"]] == [6_000]


def test_nothing_stays_of_the_working_copies(figures, home):
    assert not list(home.glob("*.work")) + list(home.glob("*.part"))


def test_of_three_runs_the_middle_one_counts():
    def timed(wall):
        cost = measured(lambda: None).cost
        return stages.Timed("ledger", 1, 1, 0.0, type(cost)(wall, wall, 1, 0, 0, 0))

    (middle,) = stages.medians([[timed(3.0)], [timed(1.0)], [timed(2.0)]])
    assert middle.cost.wall_s == 2.0


def test_peak_memory_is_that_of_the_work_alone():
    big = measured(lambda: len(bytearray(200_000_000))).cost
    small = measured(lambda: None).cost
    assert big.peak_mib > small.peak_mib + 100
