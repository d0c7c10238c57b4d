"""What an interval over seeds holds of training data drawn anew, and what the corrected one does.

    python benchmarks/redrawn.py             # some minutes on one core
    python benchmarks/redrawn.py --quick     # some seconds; noisy

Each world has two methods and 1,500 test examples, which stay; training files of 600 examples are drawn again and again. A
trial sees a fraction of its file, its seed's own, and trains on nine tenths of that. Methods are ridge classifiers: `linear`
ones, on all of 40 features and on half of them, where seeds differ in nothing but their examples; and `initialised` ones, on
25 and on 50 random rectified features drawn from the seed, as a network's first layer is. The truth is the mean difference
over training files. Prints a table: how often 95% intervals of ten seeds hold it, and half their median width in points.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from tuneworth.stats import Estimate, over_seeds, over_training_data

Array = NDArray[Any]
FILE, TEST, FEATURES, SEEDS = 600, 1500, 40, 10
KINDS: dict[str, tuple[tuple[int, int], tuple[int, int]]] = {
    "linear": ((40, 0), (20, 0)),
    "initialised": ((40, 25), (40, 50)),
}
"""(inputs, random features; 0: the inputs themselves) of both methods."""


class World:
    def __init__(self, kind: str, generator: np.random.Generator) -> None:
        self.methods, self.generator = KINDS[kind], generator
        self.weights = generator.normal(size=FEATURES) * (generator.random(FEATURES) < 0.4)
        self.noise = generator.uniform(1, 4)
        self.test = self.draw(TEST)

    def draw(self, n: int) -> tuple[Array, Array]:
        inputs = self.generator.normal(size=(n, FEATURES))
        clear = inputs @ self.weights + 0.5 * inputs[:, 0] * inputs[:, 1]
        return inputs, np.sign(clear + self.noise * self.generator.normal(size=n))

    def difference(self, inputs: Array, labels: Array) -> float:
        """In points of accuracy, of one seed's two trials on this training set."""
        seed = int(self.generator.integers(2**31))
        first, second = (self._score(inputs, labels, seed, *method) for method in self.methods)
        return first - second

    def _score(self, inputs: Array, labels: Array, seed: int, used: int, hidden: int) -> float:
        train, test = (_features(part[:, :used], hidden, seed) for part in (inputs, self.test[0]))
        weights = np.linalg.solve(train.T @ train + np.eye(train.shape[1]), train.T @ labels)
        return 100 * float(((test @ weights > 0) == (self.test[1] > 0)).mean())


def _features(inputs: Array, hidden: int, seed: int) -> Array:
    inputs = np.c_[inputs, np.ones(len(inputs))]
    if not hidden:
        return inputs
    layer = np.random.default_rng([seed, hidden]).normal(size=(inputs.shape[1], hidden)) / np.sqrt(inputs.shape[1])
    return np.asarray(np.maximum(inputs @ layer, 0.0))


def _seeds(world: World, inputs: Array, labels: Array, chosen: list[Array]) -> Estimate:
    estimate = over_seeds([world.difference(inputs[which], labels[which]) for which in chosen])
    assert estimate is not None, "several seeds"
    return estimate


def measure(
    kind: str, fraction: float, worlds: int, files: int, generator: np.random.Generator
) -> dict[str, list[Array]]:
    """By interval: for each file whether it held the truth, and half its width."""
    size, found = round(0.9 * fraction * FILE), dict[str, list[Array]]()
    for _ in range(worlds):
        world = World(kind, generator)
        by_file = np.array([world.difference(*world.draw(size)) for _ in range(10 * files)])
        for _ in range(files):
            inputs, labels = world.draw(FILE)

            own = _seeds(world, inputs, labels, [generator.permutation(FILE)[:size] for _ in range(SEEDS)])
            estimates = {"seeds": own, "corrected": over_training_data(own, size / FILE)}
            if fraction == 1.0:  # as many examples, drawn from the file with replacement
                drawn = _seeds(world, inputs, labels, [generator.integers(0, FILE, size) for _ in range(SEEDS)])
                estimates |= {"bootstrapped": drawn, "bootstrapped, corrected": over_training_data(drawn, 0.5)}
            for name, estimate in estimates.items():
                low, high = (estimate and estimate.interval(0.95)) or (-np.inf, np.inf)
                found.setdefault(name, []).append(np.array([low <= by_file.mean() <= high, (high - low) / 2]))
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    worlds, files = (3, 6) if parser.parse_args().quick else (25, 16)
    table = Table("methods", "fraction", "interval", "holds the truth, %", "half width")
    for kind in KINDS:
        for fraction in (1.0, 0.5, 0.3):
            found = measure(kind, fraction, worlds, files, np.random.default_rng([len(kind), int(10 * fraction)]))
            for name, cases in found.items():
                held, width = np.array(cases).T
                table.add_row(kind, f"{fraction:g}", name, f"{100 * held.mean():.1f}", f"{np.median(width):.2f}")
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
