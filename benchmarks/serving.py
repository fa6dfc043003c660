"""Tokens end to end: against the engine alone, over more workers, and with a prefix cache to be found."""

from importlib.util import find_spec

from benchmarks import dispatch, prefixes, scaling, throughput
from benchmarks.results import Findings

TITLE = "Serving: tokens end to end"


def run(*, is_quick: bool) -> Findings:
    tables, aims = [], []
    if find_spec("xllamacpp"):
        table, aim = throughput.measure(is_quick=is_quick)
        tables.append(table)
        aims.append(aim)
    table, aim = scaling.measure(is_quick=is_quick)
    return Findings(
        tables=(*tables, table, dispatch.measure(is_quick=is_quick), prefixes.measure(is_quick=is_quick)),
        aims=(*aims, aim),
    )
