"""Films: the rectangle against the complex in a box; files; and what is lost when something fails."""

import json
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_complexes import normal, small

from conslaw import ConslawError, regions
from conslaw.regions.networks_read import read
from conslaw.regions.plane import outputs, plane

pytest.importorskip("PIL", reason="the extra 'plots' is missing")
NET = normal((2, 3, 1))
BOX = ((-1, Fraction(-1, 2)), (2, 1))


@st.composite
def networks(draw):
    """With ties and without."""
    if draw(st.booleans()):
        return normal(
            draw(st.sampled_from([(2, 6, 1), (2, 5, 4, 1), (2, 26, 4, 1)])), draw(st.integers(0, 999))
        )
    layers = small(draw)
    return [([row[:1] * 2 for row in layers[0][0]], layers[0][1]), *layers[1:]]


@given(networks(), st.sampled_from([0, 0.25, Fraction(1, 3)]))
def test_the_rectangle_is_the_complex_in_a_box(layers, level):
    found = plane(read(layers), BOX, 0, level)
    box = regions.polyhedral_complex(layers, within=BOX)
    assert found.polygons == box.f_vector[-1]
    assert found.certified
    assert found.boundary.betti == regions.topology(box, level=level).boundary.betti


@given(networks())
def test_polygons_fill_the_rectangle_and_carry_the_output(layers):
    network = read(layers)
    found = plane(network, BOX, 0, 0.1)
    area, at = 0.0, np.append(found.starts, len(found.corners))
    for k, gradient in enumerate(found.gradients):
        corners = found.corners[at[k] : at[k + 1]]
        x, y = corners.T
        area += float(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2
        values = outputs(network, corners)[:, 0]
        assert np.allclose(values - values[0], (corners - corners[0]) @ gradient, atol=1e-9)
    assert area == pytest.approx(4.5)
    assert np.allclose(outputs(network, found.level.reshape(-1, 2))[:, 0], 0.1)


def test_a_gif_has_a_frame_for_each_state_and_says_what_is_proved(tmp_path):
    from PIL import Image

    points = np.array([[0.0, 0.0], [0.5, 0.5]]), np.array([0.0, 1.0])
    states = [(f"step {seed}", normal((2, 7, 5, 1), seed)) for seed in range(3)]
    film = regions.film(states, tmp_path / "a.gif", target=np.eye(4), training=points, validation=points)
    with Image.open(tmp_path / "a.gif") as image:
        assert image.n_frames == 3
    assert list(film.proved) == [label for label, _ in states]
    for frame, (_, layers) in zip(film.frames, states, strict=True):
        expected = (outputs(read(layers), points[0])[:, 0] - points[1]) ** 2
        assert frame.training == frame.validation == pytest.approx(expected.mean())
    back = regions.Film.from_json(json.loads(json.dumps(film.to_json())))
    assert (back, str(back)) == (film, str(film))


def test_points_and_target_are_where_they_are(tmp_path):
    """The target's first row is above; a red point lies in the third panel, a blue one beside it."""
    from PIL import Image

    target = np.zeros((8, 8))
    target[:4] = 1
    regions.film([normal((2, 3, 1))], tmp_path / "a.png", target=target,
                 training=([[-0.5, 0.5]], [0]), validation=([[0.5, -0.5]], [0]))  # fmt: skip
    with Image.open(tmp_path / "a.png") as opened:
        image = opened.convert("RGB")
        left, top = 10 + 2 * 330, 24
        colours = [
            image.getpixel((left + x, top + y)) for x, y in ((80, 80), (240, 240), (20, 20), (20, 300))
        ]
    red, blue, above, below = np.array(colours)
    assert red[0] > 150 > red[2]
    assert blue[2] > 150 > blue[0]
    assert above.min() > 250
    assert below.max() < 5


def test_an_image_file_is_a_target_like_its_array(tmp_path):
    from PIL import Image

    grey = np.arange(0, 240, 5, dtype=np.uint8).reshape(6, 8)
    Image.fromarray(grey).convert("RGB").save(tmp_path / "target.png")
    drawn = []
    for k, target in enumerate((tmp_path / "target.png", str(tmp_path / "target.png"), grey, grey / 255)):
        regions.film([NET], tmp_path / f"{k}.png", target=target)
        with Image.open(tmp_path / f"{k}.png") as image:
            drawn.append(np.asarray(image.convert("RGB"), int))
    assert all(abs(one - drawn[0]).max() <= 1 for one in drawn)
    regions.film([NET], tmp_path / "none.png", target=1 - grey / 255)
    with Image.open(tmp_path / "none.png") as image:
        assert abs(np.asarray(image.convert("RGB"), int) - drawn[0]).max() > 50


def test_what_was_drawn_is_written_when_a_state_fails(tmp_path):
    from PIL import Image

    def states():
        yield normal((2, 3, 1))
        yield normal((2, 3, 1), 1)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        regions.film(states(), tmp_path / "a.gif")
    with Image.open(tmp_path / "a.gif") as image:
        assert image.n_frames == 2
    with pytest.raises(ConslawError, match="has 3 inputs"):
        regions.film([normal((2, 3, 1)), normal((3, 3, 1))], tmp_path / "b.gif")
    assert (tmp_path / "b.gif").exists()


def test_a_kill_leaves_a_whole_film_of_half_of_the_frames_at_least(tmp_path):
    from PIL import Image

    seen = []

    def states():
        for seed in range(7):
            if seed:
                with Image.open(tmp_path / "a.gif") as image:
                    seen.append(image.n_frames)
            yield normal((2, 3, 1), seed)

    regions.film(states(), tmp_path / "a.gif")
    assert all(2 * now > done for done, now in enumerate(seen, 1))
    assert [path.name for path in tmp_path.iterdir()] == ["a.gif"]


@pytest.mark.parametrize(("states", "name", "options", "words"), [
    ([NET], "a.avi", {}, "ends in .gif"),
    ([NET], "no/a.gif", {}, "there is no folder"),
    ([NET], "a.mp4", {}, "ffmpeg"),
    ([], "a.gif", {}, "states is empty"),
    ([NET, NET], "a.png", {}, "shows one state"),
    ([NET], "a.gif", {"within": ((1, 1), (0, 0))}, "lower corner"),
    ([NET], "a.gif", {"within": ((0, 0), (10**400, 1))}, "in float64"),
    ([NET], "a.gif", {"within": 3}, "within=3"),
    ([NET], "a.gif", {"target": "no.png"}, "no.png"),
    ([NET], "a.gif", {"target": [[2.0]]}, "numbers from 0 to 1"),
    ([NET], "a.gif", {"training": [1]}, "training"),
    ([NET], "a.gif", {"validation": ([[0, 0]], [1, 2])}, "validation: points of shape"),
    ([NET], "a.gif", {"output": 1}, "outputs 0 to 0"),
    ([NET], "a.gif", {"seconds": 0}, "seconds=0"),
    ([NET], "a.gif", {"training": ([[0, 0]], [np.nan])}, "values of training contains nan"),
    ([NET], "a.gif", {"training": ([[0, 0]], ["a"])}, "values of training contains .*a"),
    (NET, "a.gif", {}, "state '0': layer 1 is ndarray"),
    (None, "a.gif", {}, "states=None"),
])  # fmt: skip
def test_bad_input(states, name, options, words, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ConslawError, match=words):
        regions.film(states, tmp_path / name, **options)
