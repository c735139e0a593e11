"""Document of `onnxdup compare`: schema, how it is built, its tables and its picture."""
