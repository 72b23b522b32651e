from __future__ import annotations

from ragcli.engine.progress import IndexProgress, Meter


def test_the_meter_tells_work_in_progress_and_never_more_than_the_total() -> None:
    told: list[IndexProgress] = []
    meter = Meter(told.append)
    meter.start(2, 100)
    meter.embedded(10, 30)
    meter.embedded(10, 60)
    meter.done(1, 60)
    meter.done(1, 60)
    assert [(p.files_done, p.bytes_done, p.passages) for p in told] == [
        (0, 0, 0),
        (0, 30, 10),
        (0, 60, 20),
        (1, 60, 20),
        (2, 100, 20),
    ]
