"""Copies an ONNX Runtime library so that it takes this processor for one with AVX2 and no more.

ONNX Runtime picks its kernels when it is loaded, by the features of the processor. On a machine
with AVX-512 the copy shows what a machine without it would do: compare the two by setting
SEMBLANCE_ORT_LIBRARY, or by the file in a Python wheel's `capi` folder.

A program may use AVX-512 only if XCR0, which `xgetbv` reads, says that the system keeps its
registers. Each `xgetbv` becomes `push 7; pop rax`: x87, SSE and AVX kept, no more. AVX-VNNI needs
no such bit, so a processor that has it is refused.
"""

import argparse
import sys
from pathlib import Path

# `xor ecx, ecx; xgetbv`, and what takes its place, of the same length.
_READ_XCR0 = bytes.fromhex("31c9 0f01d0")
_XCR0_IS_7 = bytes.fromhex("31c9 6a0758")

# ONNX Runtime 1.32: an AVX2 check of its own, MLAS and CPUIDInfo. A fourth, in the library cpuinfo,
# picks no kernel and reads otherwise.
_READERS = 3


def main() -> int:
    """Writes the copy; returns 1, and writes nothing, if the library is not as expected."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("library", type=Path, help="libonnxruntime.so, or a wheel's extension")
    parser.add_argument("copy", type=Path, help="the file to write")
    arguments = parser.parse_args()
    if "avx_vnni" in Path("/proc/cpuinfo").read_text():
        return _refuse("this processor has AVX-VNNI, which cannot be hidden")
    library = arguments.library.read_bytes()
    found = library.count(_READ_XCR0)
    if found != _READERS:
        return _refuse(f"{arguments.library}: {found} places that read XCR0, expected {_READERS}")
    arguments.copy.write_bytes(library.replace(_READ_XCR0, _XCR0_IS_7))
    return 0


def _refuse(reason: str) -> int:
    print(f"avx2_only: {reason}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
