"""A simulated neuron behind HTTP, so that a rig can be rehearsed the day before: an image comes, a response goes.

    python -m experiments.rig_http.neuron [--target TARGET] [--port PORT] [--seed SEED]
    curl --data-binary @stimulus.png http://127.0.0.1:8701      # 12, or lost

It sees what an animal would see, the pixels of the PNG file, and knows nothing of codes, trials or the service. It is
one neuron: images are shown to it one after the other, and its noise, tiring and drift are those of
`mango.targets.simulated`.
"""

from __future__ import annotations

import argparse
import io
import math
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import numpy as np
from PIL import Image

from mango.errors import InputError, MangoError
from mango.service.images import stimulus_of
from mango.targets import make_target

TARGET = "simulated:fano=1.5,drop=0.02:snn-cifar10:lif2/48"
LARGEST = 2**24  # bytes of an image


class Neuron:
    """Answers images with spikes.

    Args:
        target: what answers stimuli, see `mango list targets`.
        seed: of its noise, the first of one seed for each presentation.

    Attributes:
        presentations: so far.
    """

    def __init__(self, target: str, seed: int = 0) -> None:
        self.target: Any = make_target(target)
        self.presentations = 0
        self._seed = seed

    def answer(self, png: bytes) -> str:
        """The response to a PNG file as text, ``lost`` where there is none.

        Raises:
            InputError: no PNG, or not of the size that the neuron is shown.
        """
        shape = getattr(self.target, "stimulus_shape", None) or _shape(png)
        stimulus = stimulus_of(png, shape, "the image")
        seeds = np.array([self._seed + self.presentations])
        self.presentations += 1
        value = float(self.target.respond(stimulus[None], seeds=seeds)[0])
        return "lost" if math.isnan(value) else f"{value:g}"


def serve(neuron: Neuron, port: int = 0) -> HTTPServer:
    """A server on loopback that has the neuron answer; 0 picks a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            size = int(self.headers.get("Content-Length", 0))
            try:
                if not 0 < size <= LARGEST:
                    raise InputError(f"expected a PNG file of at most {LARGEST:,} bytes; got {size:,}")
                status, text = 200, neuron.answer(self.rfile.read(size))
            except MangoError as error:
                status, text = 422, str(error)
            self.send_response(status)
            self.send_header("Content-Type", "text/plain; charset=utf-8")
            self.end_headers()
            self.wfile.write(f"{text}\n".encode())

        def log_message(self, *_: object) -> None:
            """Nothing: the rig keeps the record."""

    return HTTPServer(("127.0.0.1", port), Handler)


def _shape(png: bytes) -> tuple[int, int, int]:
    """Of the image itself, for a target that takes any size."""
    try:
        with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
            return 3, image.height, image.width
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"expected a PNG file; it cannot be read: {error}") from error


def main() -> None:
    """Serves until Ctrl-C."""
    parser = argparse.ArgumentParser(description="A simulated neuron behind HTTP.")
    parser.add_argument("--target", default=TARGET, help="what answers (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8701, help="0 picks a free one (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of its noise (default: %(default)s)")
    given = parser.parse_args()
    with serve(Neuron(given.target, given.seed), given.port) as server:
        print(f"{given.target} answers at http://127.0.0.1:{server.server_port}", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main()
