"""Shared set-up: one thread per process, hypothesis profiles, the checkout on the import path.

An installed onnxdup comes first; `training` is found in the checkout only.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest
from hypothesis import HealthCheck, settings

pytest.register_assert_rewrite("laws.checks")

QUIET = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large]}
settings.register_profile("fast", max_examples=25, derandomize=True, **QUIET)
settings.register_profile("thorough", max_examples=500, **QUIET)
settings.load_profile(os.environ.get("ONNXDUP_HYPOTHESIS", "fast"))
