"""The chosen widths cut once more on calibration data: layer after layer, each measured in the model so far.

Candidates of a search are cut at once, from moments of the model as it was. What is measured behind layers
that are cut already lets later ones make good for earlier ones, which takes too long for every candidate.
"""

from __future__ import annotations

from dataclasses import replace

from onnxdup.channels import ChannelGroup, Trace
from onnxdup.evaluation.data import Dataset
from onnxdup.merging import Merge, approximate_merge
from onnxdup.reduce.job import Shared
from onnxdup.reduce.search import Search, Trial


def in_sequence(search: Search, chosen: Trial, data: Dataset, seed: int) -> Trial | None:
    """`chosen` as measured after such a cut of its job, which is left as it was (and None returned) where
    widths differ, the budget is missed, or the outputs are no nearer to the original's.
    """
    candidates, method = search.candidates, search.candidates.method
    job, counts, moments = candidates.job, chosen.counts, Shared()
    before = job.trace, list(job.rounds), dict(job.declined)

    def choose(group: ChannelGroup, traced: Trace, _: int | None) -> Merge | None:
        count = counts.get(group.name, group.size)
        if count >= group.size:
            return None
        known = moments.of(traced)
        return approximate_merge(method, group, traced, 1.0, count=count, seed=seed, moments=known)

    if not chosen.position:
        return None
    first = search.measured(candidates.document(counts))
    job.measured(choose, moments, data, "in sequence")
    found, size = search.measured(job.trace.document), search.sizes(chosen.position, job.trace.document)
    same = all(job.trace.group(name).size == count for name, count in counts.items())
    nearer = found.error is not None and first.error is not None and found.error < first.error
    if same and nearer and found.good(search.budget) and not size.missed(search.budget):
        known = {k: v for k, v in {**vars(size), **vars(found)}.items() if v is not None}
        return replace(chosen, measures=replace(chosen.measures, **known))
    job.trace, job.rounds = before[0], before[1]
    job.declined = before[2]
    return None
