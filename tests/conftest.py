"""Shared set-up: one thread per process, hypothesis profiles, this folder on the import path."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from hypothesis import HealthCheck, settings

QUIET = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large]}
settings.register_profile("fast", max_examples=25, derandomize=True, **QUIET)
settings.register_profile("thorough", max_examples=500, **QUIET)
settings.load_profile(os.environ.get("ONNXDUP_HYPOTHESIS", "fast"))
