"""Larq Compute Engine, binary: as ours, the first layer and the weights of the last are floats, all between is signs.

Fully connected layers are 1 x 1 convolutions, the only layer that it has in binary. TensorFlow makes and converts the
model; the engine alone runs it. Its assembly is for ARM: on x86-64 it runs its portable C++.
"""

from __future__ import annotations

from importlib.metadata import version

import numpy as np
from larq_compute_engine.tflite.python.interpreter import Interpreter

from peers import vanilla

NAME = f"Larq Compute Engine {version('larq-compute-engine')} binary"
SUFFIX = ".tflite"


def save(path, clouds: int, rows: int):
    import larq_compute_engine

    path.write_bytes(larq_compute_engine.convert_keras_model(network(clouds, rows)))


def forward(path, clouds, threads: int, **kernel: bool):
    """``kernel``: use_indirect_bgemm=True, the fastest on x86-64 (the default), or another of its interpreter."""
    kernel = kernel or {"use_indirect_bgemm": True}
    interpreter = Interpreter(path.read_bytes(), threads, **kernel).interpreter
    wide = [np.ascontiguousarray(cloud[None, :, None]) for cloud in clouds]
    return lambda: np.concatenate([interpreter.predict([cloud])[0] for cloud in wide])


def network(clouds: int, rows: int):
    """The Keras model for clouds (B, N, 1, 3), BatchNorm after every layer and signs before all but the first."""
    import larq
    import tensorflow as tf

    tf.keras.utils.set_random_seed(0)
    layers, last = tf.keras.layers, len(vanilla.HEAD) - 1
    signs = {"input_quantizer": "ste_sign", "use_bias": False}
    binary = {**signs, "kernel_quantizer": "ste_sign", "kernel_constraint": "weight_clip"}
    given = x = layers.Input((rows, 1, 3), clouds)
    for i, (_, channels) in enumerate(vanilla.POINT_LAYERS):
        layer = larq.layers.QuantConv2D(channels, 1, **binary) if i else layers.Conv2D(channels, 1, use_bias=False)
        x = layers.BatchNormalization()(layer(x))
    x = layers.MaxPool2D((rows, 1))(x)
    for i, (_, channels) in enumerate(vanilla.HEAD):
        x = larq.layers.QuantConv2D(channels, 1, **(binary if i < last else signs))(x)
        x = layers.BatchNormalization()(x)
    return tf.keras.Model(given, layers.Flatten()(x))
