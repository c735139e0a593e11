"""Train the networks of the reference paper with PyTorch and export them to ONNX.

Run from a checkout: ``python -m training train …`` and ``python -m training export …``. This package shares
no code with ``onnxdup``; the two are joined by files: an ``.onnx`` model and an ``.npz`` with ``x`` and
``y``.
"""
