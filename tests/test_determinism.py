"""One seed, one answer, whatever the process, the threads and the calls before; and answers can be sent."""

import ast
import copy
import multiprocessing
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from results import RESULTS, text

import conslaw

PLACES = [  # hash seed, threads of BLAS, whether the calls are made in the other order
    ("1", "2", True),
    ("2", "1", False),
]


@pytest.fixture(scope="module")
def results():
    return {name: make() for name, make in RESULTS.items()}


@pytest.mark.parametrize("name", RESULTS)
def test_pickled_and_copied_it_says_the_same(name, results):
    result = results[name]
    for other in (pickle.loads(pickle.dumps(result)), copy.deepcopy(result), copy.copy(result)):
        assert type(other) is type(result)
        assert text(other) == text(result)
        if isinstance(result, conslaw.Analysis):
            assert other.certificate() == result.certificate()
            assert other.laws == result.laws
            assert other.given == result.given


def test_every_public_result_is_looked_at(results):
    classes = [x for name in conslaw.__all__ if isinstance(x := getattr(conslaw, name), type)]
    kept = [
        x for x in classes if not issubclass(x, Exception) and x is not conslaw.Monitor
    ]  # it holds a module
    seen = [y for x in results.values() for y in (x if isinstance(x, tuple) else [x])]
    assert not [x for x in kept if not any(isinstance(y, x) for y in seen)]


def test_it_crosses_processes(results):
    """Sent to a process that was started anew, as on Windows and macOS, and back."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        there = pool.map(text, list(results.values()))
        back = pool.map(copy.copy, list(results.values()))
    here = [text(x) for x in results.values()]
    assert there == here
    assert [text(x) for x in back] == here


def test_a_restored_model_can_be_asked_again():
    """The array code of a model ran once, when it was made: what is kept is what it did."""
    model = pickle.loads(pickle.dumps(RESULTS["model"]()))
    assert conslaw.analyze(model).laws == conslaw.analyze(RESULTS["model"]()).laws


@pytest.mark.parametrize("place", PLACES)
def test_everywhere_the_same_answer(place, results):
    seed, threads, backwards = place
    environment = {"PYTHONHASHSEED": seed, "OPENBLAS_NUM_THREADS": threads, "OMP_NUM_THREADS": threads}
    script = [
        sys.executable,
        str(Path(__file__).with_name("results.py")),
        *(["backwards"] if backwards else []),
    ]
    done = subprocess.run(
        script,
        capture_output=True,
        text=True,
        check=True,
        encoding="utf-8",
        env={**os.environ, **environment, "PYTHONIOENCODING": "utf-8"},
    )
    said = ast.literal_eval(done.stdout)
    assert said == {name: text(result) for name, result in results.items()}


def test_workers_do_not_change_it():
    net = conslaw.relu([8, 9, 4])
    assert text(conslaw.count(net, split=True, workers=2)) == text(conslaw.count(net, split=True))
    assert text(conslaw.analyze(net, split=True, workers=2)) == text(conslaw.analyze(net, split=True))


def test_a_seed_draws_the_same_and_another_seed_the_same_laws():
    flow = RESULTS["model from SymPy"]()
    answers = [conslaw.analyze(flow, seed=seed) for seed in (0, 0, 1, 2)]
    assert text(answers[0]) == text(answers[1])
    assert len({answer.laws for answer in answers}) == 1
