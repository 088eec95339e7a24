"""Running models. The only package that imports `onnxruntime`."""
