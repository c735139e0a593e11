"""Which channels become one: each file is one rule, a function (problem, tau, keep) → labels.

Labels are (n,): channels with one label form a cluster, -1 drops a channel without heir.
"""
