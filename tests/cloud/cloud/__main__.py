"""`python -m cloud`: start the local cloud and print its endpoint.

It runs until it is interrupted or terminated, then removes its functions, mounts and
folders.
"""

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

from cloud import namespace


def main() -> int:
    """Parse, and be the outer process or, inside the namespaces, the cloud."""
    parser = argparse.ArgumentParser(prog="python -m cloud", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--state", type=Path, help="folder for the file systems; kept")
    parser.add_argument(
        "--expose", type=Path, action="append", default=[], help="folder that functions see too"
    )
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        return _serve(options.state, options.port, options.expose)
    state = (options.state or Path(tempfile.mkdtemp(prefix="cloud-"))).resolve()
    state.mkdir(parents=True, exist_ok=True)
    arguments = ["--inside", "--port", str(options.port), "--state", str(state)]
    for folder in options.expose:
        arguments += ["--expose", str(folder.resolve())]
    try:
        return namespace.run_inside(arguments)
    except namespace.NamespaceError as error:
        print(f"python -m cloud: {error}", file=sys.stderr)
        return 1
    finally:
        if options.state is None:
            shutil.rmtree(state, ignore_errors=True)


def _serve(state: Path, port: int, exposed: list[Path]) -> int:
    # moto signs and looks up its own calls; without these boto3 asks the machine's metadata.
    os.environ.update(
        AWS_ACCESS_KEY_ID="testing",
        AWS_SECRET_ACCESS_KEY="testing",
        AWS_EC2_METADATA_DISABLED="true",
    )
    from cloud.server import Cloud  # noqa: PLC0415 - needs the keys

    cloud = Cloud(state, port, exposed)
    namespace.follow_outer(cloud.stop)
    print(f"ready {cloud.endpoint}", flush=True)
    cloud.serve()
    return 0


if __name__ == "__main__":
    sys.exit(main())
