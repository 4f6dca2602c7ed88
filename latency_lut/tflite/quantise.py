"""Full-integer versions of float TFLite files: int8 weights per output channel, int8 activations, input and output."""

from __future__ import annotations

import numpy as np

from latency_lut.tflite.runtime import Images, load, quiet
from searchspace.support.optional import missing_package


def quantise_int8(content: bytes, images: Images | None = None, seed: int = 0) -> bytes:
    """Return the full-integer version of a float TFLite model with one signature.

    `images` (count, height, width, channels) calibrate the ranges of its only input; without them, or for several
    inputs, standard normal noise does. Raises UserError when ai-edge-quantizer is not installed.
    """
    try:
        from ai_edge_quantizer import calibrator, quantizer, recipe, recipe_manager
        from ai_edge_quantizer.utils import qsv_utils
    except ImportError as error:
        raise missing_package("int8 models", "litert", error) from error
    (signature,) = load(content).get_signature_list()
    runner = load(content).get_signature_runner(signature)
    rng = np.random.default_rng(seed)
    shapes = {name: tuple(detail["shape"]) for name, detail in runner.get_input_details().items()}
    if images is not None and len(shapes) == 1:
        name, shape = next(iter(shapes.items()))
        samples = [{name: image.astype(np.float32).reshape(shape)} for image in images]
    else:
        samples = [{name: rng.standard_normal(shape, np.float32) for name, shape in shapes.items()} for _ in range(2)]
    with quiet():
        rules = recipe_manager.RecipeManager()
        rules.load_quantization_recipe(recipe.static_wi8_ai8())
        # From the smallest to the largest value: the quantiser's own moving averages cut outputs off.
        ranges = calibrator.Calibrator(content, num_threads=1, qsv_update_func=qsv_utils.min_max_update)
        ranges.calibrate({signature: samples}, rules)
        made = quantizer.Quantizer(bytearray(content), recipe.static_wi8_ai8())
        quantised = made.quantize(ranges.get_model_qsvs()).quantized_model
    assert quantised is not None
    return bytes(quantised)
