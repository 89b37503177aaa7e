"""Copies an ONNX Runtime library so that it detects a processor with AVX2 but without AVX-512.

ONNX Runtime selects its kernels at load time, by the features of the processor. On a machine with
AVX-512 the copy behaves like on a machine without it. Compare the two with SEMBLANCE_ORT_LIBRARY,
or replace the file in a Python wheel's `capi` folder.

A program may use AVX-512 only if XCR0, which `xgetbv` reads, says that the system saves its
registers. Each `xgetbv` becomes `push 7; pop rax`: only x87, SSE and AVX are saved. AVX-VNNI has no
such bit, so a processor with AVX-VNNI is rejected.
"""

import argparse
import sys
from pathlib import Path

# `xor ecx, ecx; xgetbv`, and its replacement of the same length.
_READ_XCR0 = bytes.fromhex("31c9 0f01d0")
_XCR0_IS_7 = bytes.fromhex("31c9 6a0758")

# ONNX Runtime 1.32: its own AVX2 check, MLAS and CPUIDInfo. A fourth, in the library cpuinfo,
# selects no kernel and uses another instruction sequence.
_READERS = 3


def main() -> int:
    """Writes the copy; returns 1 and writes nothing if the library is not as expected."""
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
