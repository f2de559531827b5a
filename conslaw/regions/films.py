"""Films of training in the plane: polygons, output and target, with exact counts in each frame."""

from __future__ import annotations

import logging
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sized
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from conslaw import display
from conslaw.errors import ConslawError
from conslaw.regions.inequalities import quotient
from conslaw.regions.networks_read import Array, Network, integers, matrix, point, read_states
from conslaw.regions.plane import Plane, outputs, plane

if TYPE_CHECKING:
    from PIL.Image import Image

    from conslaw.regions.pictures import Window

logger = logging.getLogger(__name__)

SUFFIXES = (".gif", ".mp4", ".png")


@dataclass(frozen=True)
class Frame:
    """What a frame shows: numbers of polygons, Betti numbers of the level set, and losses, None if not given.

    ``polygons`` and ``betti`` are proved where ``certified``, and are of the part in the rectangle.
    """

    label: str
    polygons: int
    betti: tuple[int, ...]
    certified: bool
    training: float | None
    validation: float | None


@dataclass(frozen=True, repr=False)
class Film(display.Shown):
    """The answer of :func:`film`: where it was written, and what each frame says."""

    path: str
    level: str
    frames: tuple[Frame, ...]

    @property
    def about(self) -> str:
        return f"a film of {len(self.frames)} networks in {self.path}"

    @property
    def proved(self) -> Mapping[str, Any]:
        """Counts of the frames that are certified, by label."""
        return {f.label: [f.polygons, list(f.betti)] for f in self.frames if f.certified}

    @property
    def probable(self) -> Mapping[str, Any]:
        """Counts of the others."""
        return {f.label: [f.polygons, list(f.betti)] for f in self.frames if not f.certified}

    def _summary(self) -> display.Summary:
        rows = [(frame.label, "; ".join(_words(frame, self.level))) for frame in self.frames]
        return display.Summary(self.about, rows)

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dictionary."""
        frames = [{**vars(frame), "betti": list(frame.betti)} for frame in self.frames]
        return {**display.stamp("film", 1), "path": self.path, "level": self.level, "frames": frames}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The answer from that dictionary."""
        display.check_stamp(data, "film", 1)
        frames = (Frame(**{**frame, "betti": tuple(frame["betti"])}) for frame in data["frames"])
        return cls(data["path"], data["level"], tuple(frames))


def _words(frame: Frame, level: str) -> list[str]:
    about = "" if frame.certified else "about "
    betti = f"b0 = {frame.betti[0]:,}, b1 = {frame.betti[1]:,}"
    said = [f"{about}{frame.polygons:,} polygons", f"F = {level}: {about}{betti}"]
    losses = {"training": frame.training, "validation": frame.validation}
    return said + [f"{name} loss {loss:.3g}" for name, loss in losses.items() if loss is not None]


Points = tuple[Array, Array]  # (n, 2) and (n,)
Samples = dict[str, Points | None]


def film(
    states: Iterable[Any],
    path: str | Path,
    *,
    within: tuple[Any, Any] = ((-1, -1), (1, 1)),
    target: Any = None,
    training: tuple[Any, Any] | None = None,
    validation: tuple[Any, Any] | None = None,
    output: int = 0,
    level: Any = 0.5,
    seconds: float = 0.2,
) -> Film:
    """A film of a network in training: one frame for each state.

    A frame shows the polygons on which the network is affine, coloured by the gradient (hue: direction,
    strength: how steep) and the output (brightness), with the set where the output is equal to the level;
    the output as a shade of grey, 0 black and 1 white; and the target with the points.

    Parameters
    ----------
    states : iterable
        Networks of two inputs as in :func:`polyhedral_complex`, or pairs (label, network). A generator is
        read one by one.
    path : str or path
        Ends in .gif, .mp4 (if the program ffmpeg is there), or .png, for one state.
    within : (lower, upper)
        Corners of the rectangle that is shown.
    target : optional
        An image: a file that Pillow reads, or an array of shape (rows, columns) of numbers from 0 to 1,
        or of bytes, rows from above.
    training, validation : (points, values), optional
        Arrays of shapes (n, 2) and (n,): points in red and in blue, and the mean squared errors.
    output, level :
        Which output, and the level of which the topology is said.
    seconds : float
        That a frame is seen.

    Returns
    -------
    Film
        The counts of each frame, proved where ``certified``. If a state fails or the run is interrupted the
        film until then is written, before the error goes on.

    Raises
    ------
    ConslawError
        If Pillow or ffmpeg is missing, the path is no place for a film, there are no states, a network has
        not two inputs, or arrays do not fit.

    Examples
    --------
    >>> from conslaw import regions
    >>> network = [([[1, 0], [0, 1], [1, 1]], [0, 0, -1]), ([[1, 1, -1]], [0])]
    >>> made = regions.film([("start", network)], "start.png")  # doctest: +SKIP
    >>> made.frames[0].polygons, made.frames[0].betti  # doctest: +SKIP
    (5, (1, 0, 0))
    """
    if find_spec("PIL") is None:
        raise ConslawError("a film needs Pillow: pip install 'conslaw[plots]'")
    from conslaw.regions import pictures

    place = _place(path)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < 3600:
        raise ConslawError(f"seconds={seconds!r}: give a positive number of seconds")
    if not isinstance(within, tuple | list) or len(within) != 2:
        raise ConslawError(f"within={within!r:.60}: give two corners (lower, upper)")
    low, high = (_corner(corner) for corner in within)
    if not np.isfinite(high - low).all() or not (low < high).all():
        raise ConslawError(f"within={within!r:.60}: in float64 the lower corner must be below the upper one")
    window = pictures.Window(low, high)
    goal = None if target is None else _goal(target)
    samples: Samples = {
        "training": _samples(training, "training"),
        "validation": _samples(validation, "validation"),
    }
    images: list[Image] = []
    frames: list[Frame] = []
    try:
        for label, network in read_states(states):
            if network.inputs != 2:
                raise ConslawError(f"state {label!r} has {network.inputs} inputs: a film is of two")
            found = plane(network, within, output, level)
            losses = {name: _loss(network, output, pair) for name, pair in samples.items()}
            frames.append(Frame(label, found.polygons, found.boundary.betti, found.certified, **losses))
            words = _words(frames[-1], str(level))
            panels = _panels(network, output, found, window, goal, samples)
            captions = [words[:2], words[2:], []][: len(panels)]
            picture = pictures.picture(panels, f"{_short(network.name)}, {label}", captions)
            images.append(picture.quantize())
            how_far = {"done": len(images), "total": len(states)} if isinstance(states, Sized) else {}
            logger.info("film: %s, %s", label, "; ".join(words), extra=how_far)
            if place.suffix == ".png" and len(images) > 1:
                raise ConslawError(f"path={str(path)!r}: a .png shows one state; give a path ending in .gif")
            if len(images) & (len(images) - 1) == 0:  # 1, 2, 4, ...: a kill loses half of the frames at most
                _write(images, place, seconds)
        if not images:
            raise ConslawError("states is empty: give at least one network")
    finally:
        if images:
            _write(images, place, seconds)
    return Film(str(path), str(level), tuple(frames))


def _panels(
    network: Network, output: int, found: Plane, window: Window, goal: Array | None, samples: Samples
) -> list[Image]:
    """Polygons, the output, and the target if there is one; the points are in the last."""
    from conslaw.regions import pictures

    polygons = pictures.polygons(network, output, found, window)
    panels = [polygons, pictures.output_of(network, output, window)]
    if goal is not None:
        panels.append(pictures.shades(goal))
    for name, colour in (("training", pictures.RED), ("validation", pictures.BLUE)):
        pair = samples[name]
        if pair is not None:
            pictures.with_points(panels[-1], pair[0], colour, window)
    return panels


def _short(name: str) -> str:
    """A name of many layers would leave the frame."""
    return name if len(name) <= 60 else f"{name[:24]}...{name[-12:]}"


def _place(path: str | Path) -> Path:
    if not isinstance(path, str | Path):
        raise ConslawError(f"path={path!r:.60}: give the name of a file")
    place = Path(path)
    if place.suffix not in SUFFIXES:
        raise ConslawError(f"path={str(path)!r}: give a name that ends in {', '.join(SUFFIXES)}")
    if not place.absolute().parent.is_dir():
        raise ConslawError(f"path={str(path)!r}: there is no folder {place.parent}")
    if place.suffix == ".mp4" and shutil.which("ffmpeg") is None:
        raise ConslawError(f"path={str(path)!r}: needs the program ffmpeg; give a name that ends in .gif")
    return place


def _corner(corner: Any) -> Array:
    numerators, denominator = point(corner, 2, "a corner of within")
    return np.array([quotient(n, denominator) for n in numerators])


def _goal(target: Any) -> Array:
    if isinstance(target, str | Path):
        from PIL import Image

        try:
            with Image.open(target) as image:
                return np.asarray(image.convert("L"), float) / 255
        except OSError as error:
            raise ConslawError(f"target={str(target)!r}: {error}") from None
    bytes_ = getattr(target, "dtype", None) == np.uint8
    goal = _floats(target, "target") / (255 if bytes_ else 1)
    if not goal.size or goal.min() < 0 or goal.max() > 1:
        raise ConslawError(f"target has shape {goal.shape}: give rows of numbers from 0 to 1")
    return goal


def _floats(values: Any, what: str) -> Array:
    """A matrix of finite numbers."""
    rows = matrix(values, what)
    if rows.dtype == object:
        integers(rows, what)  # refuses what is no number
    try:
        return np.asarray(rows, float)
    except OverflowError:
        raise ConslawError(f"{what}: numbers beyond the range of floats; give smaller ones") from None


def _samples(given: tuple[Any, Any] | None, what: str) -> Points | None:
    if given is None:
        return None
    if not isinstance(given, tuple | list) or len(given) != 2:
        raise ConslawError(f"{what}={given!r:.60}: give a pair (points, values)")
    points = _floats(given[0], f"points of {what}")
    values = _floats([list(np.ravel(given[1]))], f"values of {what}")[0]
    if points.shape != (len(values), 2) or not len(values):
        raise ConslawError(
            f"{what}: points of shape {points.shape} for {len(values)} values; give (n, 2) and (n,)"
        )
    return points, values


def _loss(network: Network, output: int, samples: Points | None) -> float | None:
    if samples is None:
        return None
    points, values = samples
    with np.errstate(all="ignore"):  # a run that diverges has no finite loss
        return float(np.mean((outputs(network, points)[:, output] - values) ** 2))


def _write(images: list[Image], place: Path, seconds: float) -> None:
    """Beside its place, then there, so that what stands there is always whole."""
    beside = place.with_name(f".{place.stem}.part{place.suffix}")
    try:
        if place.suffix == ".mp4":
            _encode(images, beside, seconds)
        else:
            timed = {
                "save_all": True,
                "append_images": images[1:],
                "duration": int(1000 * seconds),
                "loop": 0,
            }
            images[0].save(beside, **timed if place.suffix == ".gif" else {"optimize": True})
        beside.replace(place)
    finally:
        beside.unlink(missing_ok=True)


def _encode(images: list[Image], place: Path, seconds: float) -> None:
    with TemporaryDirectory() as folder:
        for number, image in enumerate(images):
            even = image.crop((0, 0, image.width // 2 * 2, image.height // 2 * 2))
            even.save(Path(folder) / f"{number:06}.png")
        command = ["ffmpeg", "-y", "-loglevel", "error", "-framerate", f"{1 / seconds:g}", "-i",
                   str(Path(folder) / "%06d.png"), "-pix_fmt", "yuv420p", str(place)]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ConslawError(f"path={str(place)!r}: ffmpeg says: {done.stderr.strip()[-200:]}")
