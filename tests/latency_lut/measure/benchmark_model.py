"""A stand-in for TFLite's benchmark_model, for tests on this machine only: same flags, same profile, real LiteRT."""

from __future__ import annotations

import os
import sys
import time


def main(arguments: list[str]) -> int:
    flags = dict(argument.removeprefix("--").split("=", 1) for argument in arguments)
    if os.environ.get("STAND_IN_FAULT") == "garbage":
        with open(flags["op_profiling_output_file"], "wb") as output:
            output.write(b"\xff\xfe no profile \xff" * 100)
        return 0
    from ai_edge_litert import profiling_info_pb2
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(flags["graph"], num_threads=int(flags["num_threads"]))
    interpreter.allocate_tensors()
    interpreter.invoke()
    samples_us = []
    end = time.perf_counter() + min(float(flags["min_secs"]), 0.05)
    while len(samples_us) < int(flags["num_runs"]) or time.perf_counter() < end:
        start = time.thread_time_ns()
        interpreter.invoke()
        samples_us.append((time.thread_time_ns() - start) // 1000)
    if flags.get("op_profiling_output_mode") == "proto":
        profile = profiling_info_pb2.BenchmarkProfilingData()
        node = profile.runtime_profile.subgraph_profiles.add().per_op_profiles.add()
        node.node_type, node.name = "TfLiteXNNPackDelegate", "delegate"
        node.inference_microseconds.sum = sum(samples_us)
        node.inference_microseconds.count = len(samples_us)
        with open(flags["op_profiling_output_file"], "wb") as output:
            output.write(profile.SerializeToString())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
