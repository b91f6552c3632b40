"""A person draws, networks recognise, the store keeps it: all of the drawing page but the page."""

import hashlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digitexp.data.geometry import normalise
from digitexp.data.store import ROLES, DrawingStore, Prediction, Sitting, Strokes
from digitexp.errors import ConfigError, DataError
from digitexp.recognise.network import Network
from digitexp.recognise.strokes import CANVAS, rasterise, warnings
from digitexp.settings import Drawn


@dataclass(frozen=True)
class Reading:
    """What became of strokes: the image (28, 28) that the networks were given, what each said, and warnings."""

    image: NDArray[np.uint8]
    warnings: tuple[str, ...]
    predictions: tuple[Prediction, ...]


class Desk:
    """Where people sit and draw: one store, one network or two, and the labels that may be given.

    The labels are `classes` and those of the networks: what a network has no class for can still be drawn and labelled.
    Drawings reach a network in the geometry of `drawn`. Of two networks, the first is the one to be improved. Any number of
    threads may call. Raises ConfigError for two networks that are the same.
    """

    def __init__(self, store: DrawingStore, networks: Sequence[Network], classes: Sequence[str], drawn: Drawn) -> None:
        if len({network.digest for network in networks}) < len(networks):
            raise ConfigError(f"draw.against={networks[1].name}: is the same network as draw.model={networks[0].name}; "
                              "name another one, or null for none.")  # fmt: skip
        self.store, self.networks, self.drawn = store, list(networks), drawn
        self.classes = tuple(dict.fromkeys([*classes, *(name for network in networks for name in network.classes)]))
        self.one_at_a_time = threading.Lock()  # for whoever asks a network: Keras promises nothing about threads
        self.recognise(((((CANVAS / 2, CANVAS / 2),),)), CANVAS)  # the first call compiles

    @property
    def blind(self) -> bool:
        """Whether two networks are compared, so that neither may show what it says before a drawing has its label."""
        return len(self.networks) > 1

    def begin(self, writer: str, role: str, prompted: bool = False) -> Sitting:
        """A new sitting of a person. Raises DataError."""
        if role not in ROLES:
            raise DataError(f"role: found {role!r}; allowed are {' and '.join(ROLES)}.")
        if not writer.strip() or not writer.isprintable() or len(writer) > 60:
            raise DataError("writer: allowed is a name of 1 to 60 letters.")
        return self.store.begin(writer.strip(), role, prompted=prompted, blind=self.blind)

    def recognise(self, strokes: Strokes, size: float) -> Reading:
        """What the networks say of strokes with points from 0 to `size`; nothing is stored."""
        return self._read(rasterise(strokes, size))

    def draw(self, sitting: Sitting, id: str, strokes: Strokes, size: float) -> Reading:
        """Recognise and store a drawing, or store what was added to it. Raises DataError where it has its label already."""
        # The raster is that of the strokes as they are stored, so that it can always be drawn again.
        scaled = [[[round(x * CANVAS / size, 2), round(y * CANVAS / size, 2), *t] for x, y, *t in line] for line in strokes]
        raster = rasterise(scaled, CANVAS)
        reading = self._read(raster)
        self.store.put(sitting, id, scaled, raster, reading.predictions, self.prompt(sitting))
        return reading

    def label(self, sitting: Sitting, id: str, label: str | None) -> None:
        """Say what a drawing is; None takes it back. Raises DataError for what is no class, and for an unknown drawing."""
        if label is not None and label not in self.classes:
            raise DataError(f"label: found {label[:20]!r}; allowed are {', '.join(self.classes)}.")
        self.store.label(sitting, id, label)

    def prompt(self, sitting: Sitting) -> str | None:
        """What is asked for now: every class once in each round, in an order that only the sitting decides."""
        if not sitting.prompted:
            return None
        turn, place = divmod(self.store.labelled(sitting), len(self.classes))
        seed = int(hashlib.sha256(f"{sitting.id} {turn}".encode()).hexdigest()[:16], 16)
        return self.classes[int(np.random.default_rng(seed).permutation(len(self.classes))[place])]

    def _read(self, raster: NDArray[np.uint8]) -> Reading:
        image = normalise(raster, self.drawn.geometry, self.drawn.stroke_width, light_ink=True)
        networks = list(self.networks)  # once: another may take the place of the first meanwhile
        with self.one_at_a_time:
            said = [network.probabilities(image[None])[0] for network in networks]
        predictions = tuple(
            Prediction(network.name, network.digest, network.classes, tuple(round(float(share), 6) for share in shares))
            for network, shares in zip(networks, said, strict=True)
        )
        return Reading(image, tuple(warnings(raster)), predictions)
