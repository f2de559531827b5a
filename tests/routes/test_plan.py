"""Plans: what is tried first, what ends it, and that nothing proved is lost, whatever happens on the way."""

import json
from dataclasses import dataclass, replace
from math import inf, nan

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import array_code, widths

import conslaw
from conslaw.command_line import main
from conslaw.errors import Interrupted
from conslaw.routes import plan
from conslaw.routes.plan import AT_LEAST, AT_MOST, Journey, Route, RouteTaken
from conslaw.routes.table import ANALYZE, SUBNETWORKS
from conslaw.time_limit import TimeIsUp

G, M = conslaw.gradient_flow, conslaw.momentum_flow
LAWS = {route.name for route in ANALYZE if route.proves == AT_LEAST}


# plans in general, on bounds that are numbers


@dataclass(frozen=True)
class Toy:
    least: int = 0
    most: int = 10
    tried: tuple[str, ...] = ()

    @property
    def met(self):
        return self.least == self.most

    def proved(self, proves):
        return self.least if proves == AT_LEAST else self.most


def toy(name, proves, work, laws):
    """A route that takes so much work and proves so many laws."""

    def go(known):
        known = replace(known, tried=(*known.tried, name))
        if proves == AT_LEAST:
            return replace(known, least=max(known.least, laws)), work
        return replace(known, most=min(known.most, laws)), work

    return Route(name, proves, lambda known: None if name in known.tried else work, go)


TABLES = st.lists(
    st.tuples(st.sampled_from([AT_LEAST, AT_MOST]), st.floats(0.01, 9), st.integers(0, 5)), max_size=6
).map(
    lambda rows: [toy(str(i), proves, work, n if proves == AT_LEAST else 10 - n)
                  for i, (proves, work, n) in enumerate(rows)]
)  # fmt: skip


@given(TABLES, st.floats(0.01, 30))
def test_routes_are_tried_from_cheap_to_dear_until_the_bounds_meet_or_the_budget_is_spent(table, budget):
    journey = Journey(Toy(), budget)
    journey.follow(table)
    taken, tried = journey.taken(table), journey.known.tried
    works = {route.name: route.estimate(Toy()) for route in table}
    assert [works[name] for name in tried] == sorted(works.values())[: len(tried)]
    assert taken.work == pytest.approx(sum(works[name] for name in tried))
    assert taken.work <= budget
    assert [step.route for step in taken.steps] == list(tried)
    left = set(works) - set(tried)
    if journey.known.met:
        assert (taken.stopped, taken.left, taken.enough) == (plan.MEET, {}, None)
    elif not left:
        assert (taken.stopped, taken.enough) == (plan.NOTHING_LEFT, None)
    else:
        assert taken.stopped == plan.SPENT
        assert taken.work + min(works[name] for name in left) > budget
        further = Journey(Toy(), taken.enough)
        further.follow(table)
        assert len(further.known.tried) > len(tried), "the budget that is named goes on"
    assert RouteTaken.from_json(json.loads(json.dumps(taken.to_json()))) == taken
    assert str(taken)


def test_a_route_that_fails_is_not_tried_again_and_loses_nothing():
    def fail(known):
        raise conslaw.ConslawError("too large")

    def swell(known):
        raise MemoryError

    table = [
        Route("fails", AT_LEAST, lambda known: 0.1, fail),
        Route("swells", AT_LEAST, lambda known: 0.2, swell),
        toy("works", AT_MOST, 1.0, 4),
    ]
    journey = Journey(Toy(), 60)
    journey.follow(table)
    steps = journey.taken(table).steps
    assert [(x.route, x.failed) for x in steps] == [
        ("fails", "too large"), ("swells", "out of memory"), ("works", "")
    ]  # fmt: skip
    assert journey.known.most == 4
    assert journey.stopped == plan.NOTHING_LEFT


def test_whatever_interrupts_a_plan_leaves_what_is_proved():
    def stop(known):
        raise KeyboardInterrupt

    table = [toy("first", AT_MOST, 0.1, 4), Route("second", AT_LEAST, lambda known: 1.0, stop)]
    journey = Journey(Toy(), 60)
    with pytest.raises(KeyboardInterrupt):
        journey.follow(table)
    taken = journey.taken(table)
    assert (taken.stopped, taken.left, journey.known.most) == (plan.INTERRUPTED, {"second": 1.0}, 4)
    assert [step.route for step in taken.steps] == ["first"]


@pytest.mark.parametrize("budget", ["x", True, 0, -1, nan, inf, 10**400, None, 1j])
def test_a_budget_is_a_positive_number(budget):
    for question in (conslaw.analyze, conslaw.count):
        with pytest.raises(conslaw.ConslawError, match="budget="):
            question(conslaw.linear([1, 1]), budget=budget)


# the routes of conservation laws


@settings(max_examples=15)
@given(array_code(), st.sampled_from([1e-9, 1e-3, 0.005, 0.02, 0.2]), st.sampled_from([None, "matrix"]))
def test_whatever_the_budget_the_bounds_are_true_and_the_same_call_gives_the_same_answer(model, budget, kind):
    exact = conslaw.lie_ranks(G(model)).laws_at_most
    answers = [conslaw.analyze(model, budget=budget, ansatz=kind) for _ in range(2)]
    for answer in answers:
        assert answer.laws_found <= exact <= answer.laws_at_most
        assert answer.complete == (answer.laws_found == answer.laws_at_most and bool(answer.route.steps))
        assert answer.route.work <= budget
        assert conslaw.verify(answer.certificate()).ok
        if answer.error_probability is None:
            assert not answer.probable
    assert answers[0].route == answers[1].route
    assert answers[0].to_json() | {"seconds": 0} == answers[1].to_json() | {"seconds": 0}
    if answers[0].route.enough:
        further = conslaw.analyze(model, budget=answers[0].route.enough, ansatz=kind)
        assert further.route.work > answers[0].route.work
        assert f"budget={answers[0].route.enough:g} would go on" in str(answers[0])


def steps(answer):
    return [step.route for step in answer.route.steps]


NO_LAWS = {
    "a high power": G(
        conslaw.model(
            lambda p, c: (c.v @ (p.U @ c.x)) ** 40, parameters={"U": (30, 20)}, data={"v": (30,), "x": (20,)}
        )
    ),
    "relu with momentum": M(conslaw.relu([4, 5, 3], bias=True), damping=1),
    "large relu with momentum": M(conslaw.relu([40, 30, 20], bias=True)),
    "icnn with momentum": M(conslaw.icnn([3, 4, 2], bias=True), damping="1/2"),
}


@pytest.mark.parametrize("case", NO_LAWS)
def test_where_the_bound_is_0_no_ansatz_is_needed(case):
    answer = conslaw.analyze(NO_LAWS[case])
    assert (answer.laws_found, answer.laws_at_most, answer.complete) == (0, 0, True)
    assert answer.laws == ()
    assert "monomials" not in steps(answer)
    assert conslaw.verify(json.loads(json.dumps(answer.certificate()))).ok
    if case != "large relu with momentum":
        assert not set(steps(answer)) & LAWS
        assert (answer.ansatz, "no laws" in str(answer)) == (None, True)


@settings(max_examples=10)
@given(widths(1, 4, (2, 3), 40), st.booleans())
def test_the_arguments_restrict_the_table(sizes, split):
    model = conslaw.linear(sizes)
    for kind, excluded in (("matrix", {"monomials", "logarithms"}), ("monomials", {"windows", "all arrays"})):
        answer = conslaw.analyze(model, ansatz=kind, split=split)
        assert not set(steps(answer)) & excluded
        assert answer.complete
        assert ("subnetworks" in steps(answer)) <= split
        if split and "plain rank" in steps(answer):  # as it is wanted, it comes first
            assert steps(answer).index("subnetworks") < steps(answer).index("plain rank")


def test_a_rank_that_is_out_of_reach_is_not_begun():
    """What was found stands, nothing is said from above, and the answer says what would go on."""
    answer = conslaw.analyze(conslaw.relu([100, 100, 100]), split=False)
    assert (answer.laws_found, answer.laws_at_most, answer.complete) == (100, 20000, False)
    assert "plain rank" not in steps(answer)
    assert 100 < answer.route.enough < 1000
    assert answer.error_probability is None
    assert "nothing is known from above" in str(answer)
    assert conslaw.verify(answer.certificate()).ok
    with pytest.raises(conslaw.ConslawError, match="too large for the plain route; give budget="):
        conslaw.count(conslaw.linear([200, 200, 200]), split=False)


def test_a_split_shows_that_a_rank_is_out_of_reach():
    answer = conslaw.analyze(conslaw.linear([300, 200, 300]), degree=1, ansatz="monomials", budget=2)
    assert (answer.laws_found, answer.laws_at_most) == (0, 200 * 201 // 2)
    assert "plain rank" not in steps(answer)
    assert answer.route.left["plain rank"] > 1000


def interrupted_by(error):
    """A table whose laws are never found."""

    def stop(known):
        raise error

    plain = next(route for route in ANALYZE if route.name == "plain rank")
    return (plain, Route("monomials", AT_LEAST, lambda known: 0.01, stop))


def test_ctrl_c_hands_out_what_is_proved(monkeypatch):
    monkeypatch.setattr("conslaw.analysis.ANALYZE", interrupted_by(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt) as stopped:
        conslaw.analyze(conslaw.linear([3, 2, 4]))
    assert isinstance(stopped.value, Interrupted)
    answer = stopped.value.answer
    assert (answer.laws_at_most, answer.laws_found, answer.complete) == (3, 0, False)
    assert (answer.route.stopped, answer.probable) == (plan.INTERRUPTED, {})
    assert "Interrupted" in str(answer)
    assert conslaw.verify(answer.certificate()).ok
    monkeypatch.setattr("conslaw.analysis.ANALYZE", interrupted_by(KeyboardInterrupt)[1:])
    with pytest.raises(KeyboardInterrupt) as nothing:
        conslaw.analyze(conslaw.linear([3, 2, 4]))
    assert not isinstance(nothing.value, Interrupted)


def test_the_shell_prints_what_is_proved(monkeypatch, capsys, tmp_path):
    for error, status, line in (
        (KeyboardInterrupt, 130, "conslaw: interrupted\n"), (TimeIsUp, 4, "conslaw: time is up\n")
    ):  # fmt: skip
        monkeypatch.setattr("conslaw.analysis.ANALYZE", interrupted_by(error))
        certificate = tmp_path / f"{status}.json"
        assert main(["analyze", "linear", "3-2-4", "--certificate", str(certificate)]) == status
        captured = capsys.readouterr()
        assert "laws at most     3   proved" in captured.out
        assert captured.err == line
        assert conslaw.verify(certificate).ok
        assert main(["analyze", "linear", "3-2-4", "--json"]) == status
        assert json.loads(capsys.readouterr().out)["route"]["stopped"] == "interrupted"
        monkeypatch.setattr("conslaw.analysis.ANALYZE", interrupted_by(error)[1:])
        assert main(["analyze", "linear", "3-2-4"]) == status
        assert capsys.readouterr().out == ""


def test_a_limit_of_time_ends_a_long_run(capsys):
    arguments = ["analyze", "linear", "40-40-40", "--no-split", "--ansatz", "monomials", "--timeout"]
    assert main([*arguments, "1"]) == 4
    assert "conslaw: time is up" in capsys.readouterr().err
    assert main(["count", "linear", "3-2-4", "--timeout", "600"]) == 0
    for bad in ("0", "-1", "nan", "inf"):
        assert main([*arguments, bad]) == 2
        assert "--timeout" in capsys.readouterr().err


def test_the_shell_explains_and_takes_a_budget(capsys):
    assert main(["analyze", "linear", "3-2-4", "--explain"]) == 0
    assert "1. plain rank" in capsys.readouterr().out
    assert main(["count", "linear", "300-300-300", "--explain"]) == 0
    assert SUBNETWORKS.name in capsys.readouterr().out
    assert main(["analyze", "linear", "9-9-9", "--budget", "1e-6"]) == 0
    assert "would go on" in capsys.readouterr().out
    assert main(["analyze", "linear", "3-2-4", "--budget", "x"]) == 2
    assert main(["count", "linear", "3-2-4", "--budget", "1e-6"]) == 2
    assert "give budget=" in capsys.readouterr().err
