"""Updates that learn from as many conversations as was asked for, although rows hold several."""

from typing import NamedTuple


class BatchSize(NamedTuple):
    per_device: int
    accumulation: int

    def conversations(self, samples_per_row: float, processes: int) -> int:
        return round(self.per_device * self.accumulation * processes * samples_per_row)


def fit(wanted: int, samples_per_row: float, processes: int, most_per_device: int) -> BatchSize:
    """Rows a device takes at once, and how often before an update; at least one row a process."""
    rows = max(1, round(wanted / samples_per_row / processes))
    accumulation = -(-rows // most_per_device)
    return BatchSize(round(rows / accumulation), accumulation)
