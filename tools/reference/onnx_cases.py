"""ONNX's own operator tests as one compact file, for packages/core/test/onnx.

The package `onnx` makes its node tests in memory: a small graph, inputs and expected outputs each. Those whose types
exist in core are written to packages/core/test/onnx/cases.bin.gz: the length of a JSON header (u32), the header, the
numbers. The others are listed in the header with the reason.

    python tools/reference/onnx_cases.py
"""

import gzip
import json
import struct
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.backend.test.case.node import collect_testcases

OUT = Path(__file__).resolve().parents[2] / "packages/core/test/onnx/cases.bin.gz"

# ONNX type → how its elements are stored in the file.
STORED = {
    "float32": "f32",
    "float16": "f32",
    "bfloat16": "f32",
    "int32": "i32",
    "int64": "i32",
    "uint32": "u32",
    "uint64": "u32",
    "uint8": "u8",
    "bool": "u8",
}
NUMPY = {"f32": "<f4", "i32": "<i4", "u32": "<u4", "u8": "u1"}
# Larger cases would make the file grow without testing anything that small ones do not.
LARGEST = 40_000


class Skip(Exception):
    pass


class Data:
    def __init__(self):
        self.parts, self.size, self.known = [], 0, {}

    def add(self, array):
        """[dtype, shape, offset in bytes]; equal bytes are stored once."""
        dtype = array.dtype.name
        if dtype not in STORED:
            raise Skip(f"element type {dtype if array.dtype.kind != 'O' else 'string'}")
        kind = STORED[dtype]
        if dtype in ("int64", "uint64"):
            info = np.iinfo(np.int32 if dtype == "int64" else np.uint32)
            # Slices mark "to the end" by the greatest int64: any number beyond every size says the same.
            clipped = np.clip(array, -(2**62), 2**62)
            extreme = np.abs(clipped.astype(np.float64)) >= 2**31 - 1
            if np.any((array < info.min) | (array > info.max)) and not np.all(
                extreme | ((array >= info.min) & (array <= info.max))
            ):
                raise Skip(f"{dtype} values beyond 32 bits")
            array = np.clip(array, info.min, info.max)
        raw = np.ascontiguousarray(array).astype(NUMPY[kind]).tobytes()
        key = (kind, raw)
        if key not in self.known:
            pad = -self.size % 4
            self.parts.append(b"\0" * pad + raw)
            self.known[key] = self.size + pad
            self.size += pad + len(raw)
        return [dtype, list(array.shape), self.known[key]]


def attribute(a, data):
    kinds = onnx.AttributeProto
    if a.type == kinds.FLOAT:
        return a.f
    if a.type == kinds.INT:
        return a.i
    if a.type == kinds.STRING:
        return a.s.decode()
    if a.type == kinds.FLOATS:
        return list(a.floats)
    if a.type == kinds.INTS:
        return list(a.ints)
    if a.type == kinds.STRINGS:
        return [s.decode() for s in a.strings]
    if a.type == kinds.TENSOR:
        return {"tensor": data.add(numpy_helper.to_array(a.t))}
    raise Skip("a graph inside an attribute")


def as_array(value):
    return numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else value


def export(case, data):
    graph = case.model.graph
    if any(n.domain not in ("", "ai.onnx") for n in graph.node):
        raise Skip(f"domain {next(n.domain for n in graph.node if n.domain)}")
    if len(case.model.functions) > 0:
        raise Skip("functions in the model")
    for value in [*graph.input, *graph.output]:
        if not value.type.HasField("tensor_type"):
            raise Skip("sequences or optional values")
    if len(case.data_sets) != 1:
        raise Skip("several data sets")
    inputs, outputs = case.data_sets[0]
    inputs, outputs = [[as_array(a) for a in values] for values in (inputs, outputs)]
    arrays = [*inputs, *outputs]
    if not all(isinstance(a, (np.ndarray, np.generic)) for a in arrays):
        raise Skip("sequences or optional values")
    arrays = [np.asarray(a) for a in arrays]
    if any(a.dtype.kind in "OUS" for a in arrays):
        raise Skip("strings")
    for a in arrays:
        if a.dtype.name not in STORED:
            raise Skip(f"element type {a.dtype.name}")
    elements = sum(a.size for a in arrays)
    if elements > LARGEST:
        raise Skip(f"{elements} elements")
    nodes = [
        [n.op_type, list(n.input), list(n.output), {a.name: attribute(a, data) for a in n.attribute}] for n in graph.node
    ]
    opset = max(o.version for o in case.model.opset_import if o.domain in ("", "ai.onnx"))
    named = lambda values, names: [[v.name, data.add(np.asarray(a))] for v, a in zip(values, names, strict=False)]
    return {
        "name": case.name,
        "opset": opset,
        "nodes": nodes,
        "initializers": [[t.name, data.add(numpy_helper.to_array(t))] for t in graph.initializer],
        "inputs": named(graph.input, inputs),
        "outputs": named(graph.output, outputs),
        "rtol": case.rtol,
        "atol": case.atol,
    }


def main():
    data, cases, skipped = Data(), [], []
    for case in collect_testcases(None):
        mark = (len(data.parts), data.size, dict(data.known))
        try:
            cases.append(export(case, data))
        except Skip as reason:
            data.parts, data.size, data.known = data.parts[: mark[0]], mark[1], mark[2]
            skipped.append([case.name, str(reason)])
    header = json.dumps({"onnx": onnx.__version__, "cases": cases, "skipped": skipped}, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 4)
    blob = struct.pack("<I", len(header)) + header + b"".join(data.parts)
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_bytes(gzip.compress(blob, 9, mtime=0))
    print(f"{len(cases)} cases, {len(skipped)} skipped, {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
