"""`python -m onnxdup`."""

from __future__ import annotations

import sys

from onnxdup.cli import main

sys.exit(main())
