"""How the network is made good for the channels that go: each file is one rule, (problem, labels) → Merge."""
