"""Which channels become one: each file is one rule, a function (problem, aim) → clusters."""
