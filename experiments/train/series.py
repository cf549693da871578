"""Trains a classifier of time series: ``python -m experiments.train.series --name trace --out runs/series-trace``.

The series are those of tslearn (Trace) and aeon (GunPoint), ``pip install "mango-neuro[series]"``. A batch is shifted
in time by up to a twentieth, its ends drawn on, and gets a little noise. Weights are rounded to float16 before
anything is measured.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from experiments.train import loop
from mango import appraisal, zoo
from mango.appraisal.series import responses
from mango.networks.series import SeriesConvNet
from mango.series import SOURCES, load_series
from mango.targets.series import evaluated

SHIFT = 20  # a series is moved by up to one part in so many of its length
NOISE = 0.05  # standard deviations of a series
NAMES = {"trace": "Trace", "gunpoint": "GunPoint"}
DATA = {
    "trace": "Trace of the UCR archive (Roverso 2002; Dau et al. 2019), as tslearn holds it",
    "gunpoint": "GunPoint of the UCR archive (Ratanamahatana & Keogh; Dau et al. 2019), as aeon holds it",
}


def main(argv: list[str] | None = None) -> None:
    """Trains, measures on the test series, and publishes weights and card into the output folder."""
    parser = loop.arguments(__doc__ or "", images=False, iterations=2_000)
    parser.add_argument("--name", choices=SOURCES, required=True, help="of the data set")
    options = parser.parse_args(argv)
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    series, labels = (torch.from_numpy(part[: options.limit]) for part in load_series(options.name, "train"))
    built = {"classes": int(labels.max()) + 1}
    network = SeriesConvNet(**built).to(loop.device_of(options.device))

    def loss(x: Tensor, y: Tensor) -> Tensor:
        return nn.functional.cross_entropy(network(x), y, label_smoothing=0.1)

    phase = loop.Phase("series", options.iterations, 3e-3, loss, batch=25, weight_decay=0.01, augment=augment)
    loop.train(network, series, labels, [phase], seed=options.seed, out=options.out, every=options.every)
    zoo.round_to_half(network)
    model = f"series-{options.name}"
    worth = appraisal.figures(model, network, options.out)
    card = loop.card(
        model,
        f"three convolutions (10, 50 and 100 channels) for {NAMES[options.name]}, series of {series.shape[2]} points",
        options,
        worth,
        f"{len(series)} training series.",
        module="series",
        network=built,
        data=DATA[options.name],
    )
    nature = {**responses(options.name, evaluated(model, network)), "natural_series": series[:, 0].numpy()}
    zoo.publish(card, network, nature, options.out)
    print(worth)


def augment(series: Tensor, generator: torch.Generator) -> Tensor:
    """Series ``(n, 1, length)``, each shifted in time, its ends drawn on, with noise."""
    n, _, length = series.shape
    most = length // SHIFT
    by = torch.randint(-most, most + 1, (n, 1), generator=generator)
    places = (torch.arange(length) + by).clamp(0, length - 1)
    moved = series.gather(2, places[:, None])
    return moved + NOISE * torch.randn(series.shape, generator=generator)


if __name__ == "__main__":
    main()
