"""The engines that ours is measured against, each a module with the same names.

NAME: engine, version, precision. SUFFIX: of its model file. save(path, clouds, rows): writes the model.
forward(path, clouds (B, N, 3) float32, threads): a callable that answers (B, 40) logits.
A peer that is not installed raises ImportError when its module is imported.
"""

MODULES = {
    "torch fp32": "torch_fp32",
    "onnxruntime fp32": "onnx_fp32",
    "onnxruntime int8": "onnx_int8",
    "LiteRT fp32": "litert_fp32",
}
