"""Numbers of the reference paper that the pages put beside ours.

RoyChowdhury, Sharma, Learned-Miller, "Reducing Duplicate Filters in Deep Neural Networks", 2018.
"""

from __future__ import annotations

COMPONENTS = {
    (100, 0.0): 91,
    (100, 0.2): 95,
    (100, 0.5): 95,
    (100, 0.8): 97,
    (500, 0.0): 277,
    (500, 0.2): 272,
    (500, 0.5): 290,
    (500, 0.8): 285,
    (1000, 0.0): 356,
    (1000, 0.2): 365,
    (1000, 0.5): 368,
    (1000, 0.8): 384,
}
"""Table 1: components at tau 0.9 of fc1 by (width, dropout)."""

ACCURACY = {0.001: (81, 54), 0.01: (63, 55), 0.018: (55, 52)}
"""Table 2: accuracy in per cent on the training and test images by weight decay, width 100."""

KURTOSIS = {100: 3.367, 500: 4.152, 1000: 4.149}
"""Kurtosis of the cosines between filters by width."""
