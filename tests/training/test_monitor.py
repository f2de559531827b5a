"""Real PyTorch optimizers against the exact recursions; a Monitor never breaks a training run."""

import copy
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import conslaw

torch = pytest.importorskip("torch")
from monitored import batch, errors, network, train, watch  # noqa: E402


@pytest.fixture(autouse=True)
def _one_seed_and_thread():
    torch.manual_seed(0)
    torch.set_num_threads(1)


SGD = {
    "plain": {},
    "decay": {"weight_decay": 0.05},
    "momentum": {"momentum": 0.9},
    "momentum and decay": {"momentum": 0.9, "weight_decay": 0.05},
    "dampening": {"momentum": 0.8, "dampening": 0.3, "weight_decay": 0.02},
    "nesterov": {"momentum": 0.9, "nesterov": True},
    "nesterov and decay": {"momentum": 0.9, "nesterov": True, "weight_decay": 0.05},
    "ascent": {"momentum": 0.5, "maximize": True, "weight_decay": 0.1},
    "one by one": {"momentum": 0.9, "foreach": False},
    "fused": {"momentum": 0.9, "fused": True},
}


@pytest.mark.parametrize("kind", SGD)
def test_the_prediction_is_that_of_torch(kind):
    net = network()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, **SGD[kind])
    with watch(net, optimizer) as monitor:
        train(net, optimizer)
    drift = monitor.drift()
    assert drift.exact
    assert max(errors(monitor)) < 1e-12
    assert min(law.worst for law in drift.laws) > 1e-4


@given(st.floats(1e-4, 0.3), st.floats(0, 0.95), st.floats(0, 0.3), st.booleans())
def test_the_prediction_is_that_of_torch_at_any_settings(lr, momentum, decay, nesterov):
    net = network()
    optimizer = torch.optim.SGD(
        net.parameters(), lr=lr, momentum=momentum, weight_decay=decay, nesterov=nesterov and momentum > 0
    )
    with watch(net, optimizer) as monitor:
        train(net, optimizer, 5)
    assert max(errors(monitor)) < 1e-12


@pytest.mark.parametrize("options", [{"clip": 0.1}, {"accumulate": 3}, {"schedule": True}])
def test_what_was_applied_counts(options):
    """Clipped and accumulated gradients, rates that a scheduler changes."""
    net = network()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.2, momentum=0.9, weight_decay=0.01)
    if "schedule" in options:
        options = {"schedule": torch.optim.lr_scheduler.StepLR(optimizer, 3, 0.5)}
    with watch(net, optimizer) as monitor:
        train(net, optimizer, **options)
    assert monitor.drift().exact
    assert max(errors(monitor)) < 1e-12


def test_a_monitor_that_begins_late_knows_the_momentum():
    net = network()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    train(net, optimizer, 5)
    with watch(net, optimizer) as monitor:
        train(net, optimizer)
    assert max(errors(monitor)) < 1e-12


def test_groups_with_rates_and_decays_of_their_own():
    net = network()
    rest = [p for name, p in net.named_parameters() if name != "0.weight"]
    groups = [{"params": [net[0].weight], "lr": 0.05, "weight_decay": 0.1}, {"params": rest}]
    optimizer = torch.optim.SGD(groups, lr=0.1, momentum=0.8)
    model = conslaw.relu([4, 5, 4, 3], bias=True)
    fits = conslaw.analyze(conslaw.gradient_flow(model, metric={"W1": "1/2"}))
    with watch(net, optimizer, fits) as right, watch(net, optimizer) as wrong:
        train(net, optimizer)
    assert max(errors(right)) < 1e-12
    assert wrong.drift().laws[0].predicted is None
    assert "metric=" in str(wrong)


@pytest.mark.parametrize("kind", ["Adam", "AdamW", "RMSprop", "Adagrad"])
def test_other_optimizers_are_recorded_without_a_prediction(kind):
    net = network()
    optimizer = getattr(torch.optim, kind)(net.parameters(), lr=0.01)
    with watch(net, optimizer) as monitor:
        train(net, optimizer)
    drift = monitor.drift()
    assert len(drift.steps) == 13
    assert drift.worst > 1e-3
    assert all(law.predicted is None for law in drift.laws)
    assert f"{kind} makes no gradient steps" in str(monitor)


def test_every_tenth_step():
    net = network()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.5)
    with watch(net, optimizer, every=10) as seldom, watch(net, optimizer) as often:
        train(net, optimizer, 35)
    assert seldom.drift().steps.tolist() == [0, 10, 20, 30, 35]
    assert not seldom.drift().exact
    for one, other in zip(seldom.drift().laws, often.drift().laws, strict=True):
        assert (one.values == other.values[[0, 10, 20, 30, 35]]).all()
        for k in range(3):  # that of the step recorded, ten times
            gap, step = np.diff(one.predicted, axis=0)[k], np.diff(other.predicted, axis=0)[10 * k]
            assert abs(gap - 10 * step).max() < 1e-13


def test_gram_laws_are_watched_by_probes():
    net = torch.nn.Sequential(torch.nn.Linear(9, 8, bias=False), torch.nn.Linear(8, 7, bias=False)).double()
    analysis = conslaw.analyze(conslaw.linear([9, 8, 7]))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, nesterov=True)
    names = {"W1": "0.weight", "W2": "1.weight"}
    with (
        watch(net, optimizer, analysis, names, entries=False) as few,
        watch(net, optimizer, analysis, names) as all_,
    ):
        for _ in range(8):
            optimizer.zero_grad()
            ((net(torch.randn(20, 9, dtype=torch.float64)) - 1) ** 2).mean().backward()
            optimizer.step()
    assert len(few.drift().laws[0].labels) < len(all_.drift().laws[0].labels) == 36
    assert max(errors(few) + errors(all_)) < 1e-12


def test_large_layers_are_watched_by_their_first_units():
    net = torch.nn.Sequential(torch.nn.Linear(5, 40), torch.nn.ReLU(), torch.nn.Linear(40, 2, bias=False))
    analysis = conslaw.analyze(conslaw.relu([5, 40, 2], bias=True))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    names = {"W1": "0.weight", "b1": "0.bias", "W2": "2.weight"}
    with (
        watch(net, optimizer, analysis, names, entries=False) as few,
        watch(net, optimizer, analysis, names) as all_,
    ):
        x, y = torch.randn(20, 5), torch.randn(20, 2)
        for _ in range(5):
            optimizer.zero_grad()
            ((net(x) - y) ** 2).mean().backward()
            optimizer.step()
    [one], [other] = few.drift().laws, all_.drift().laws
    assert one.values.shape[1] < other.values.shape[1] == 40
    assert abs(one.values - other.values[:, : one.values.shape[1]]).max() < 1e-6


def test_compiled_modules_and_reduced_precision():
    net = network(torch.float32)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    compiled = torch.compile(net, backend="eager")
    for reduced in (
        False,
        True,
    ):  # each layer's gradient is rounded by itself, so that there they are no laws
        with watch(compiled, optimizer) as monitor:
            for _ in range(5):
                x, y = batch(torch.float32)
                optimizer.zero_grad()
                with torch.autocast("cpu", dtype=torch.bfloat16, enabled=reduced):
                    loss = torch.nn.functional.cross_entropy(compiled(x), y)
                loss.backward()
                optimizer.step()
        assert max(errors(monitor)) < (2**-6 if reduced else 2**-16)


def test_a_scaler_that_skips_steps():
    net = network(torch.float32)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    with watch(net, optimizer) as monitor:
        for k in range(6):
            x, y = batch(torch.float32)
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(net(x), y) * (torch.inf if k == 3 else 1)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
    assert monitor.drift().steps[-1] == 5
    assert max(errors(monitor)) < 1e-4


def test_the_training_itself_is_the_same():
    ends = []
    for watched in (False, True):
        torch.manual_seed(1)
        net = network()
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
        if watched:
            with watch(net, optimizer):
                train(net, optimizer)
        else:
            train(net, optimizer)
        ends.append([p.detach().clone() for p in net.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*ends, strict=True))


def test_nothing_that_goes_wrong_breaks_the_training():
    net = network()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with pytest.warns(UserWarning, match="changed its shape"), watch(net, optimizer) as monitor:  # noqa: PT031
        train(net, optimizer, 3)
        net[0].weight.data = torch.zeros(5, 5, dtype=torch.float64)
        net[0].weight.grad = torch.ones(5, 5, dtype=torch.float64)
        optimizer.step()
        optimizer.step()
    assert monitor.drift().steps.tolist() == [0, 1, 2]
    assert "changed its shape" in str(monitor)


def test_even_where_warnings_are_errors():
    net = network()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with warnings.catch_warnings(), watch(net, optimizer, writer=_BadWriter()):
        warnings.simplefilter("error")
        train(net, optimizer, 3)


class _BadWriter:
    def add_scalar(self, *_):
        raise OSError("disk full")


class _Writer:
    def __init__(self):
        self.written = []

    def add_scalar(self, tag, value, step):
        self.written.append((tag, value, step))


def test_a_writer_gets_the_largest_drift_of_each_kind():
    net, writer = network(), _Writer()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with watch(net, optimizer, writer=writer) as monitor:
        train(net, optimizer, 4)
    law = monitor.drift().laws[0]
    found = [value for tag, value, _ in writer.written if tag == f"conslaw/{law.text}"]
    assert np.allclose(found, abs(law.drift).max(axis=1))


def test_weights_that_overflow_end_the_record():
    net = network()
    optimizer = torch.optim.SGD(net.parameters(), lr=1e200)
    with watch(net, optimizer) as monitor:
        train(net, optimizer, 4)
    assert "not finite" in monitor.drift().stopped
    assert np.isfinite(monitor.drift().laws[0].values).all()


def test_a_parameter_without_gradient_ends_the_prediction():
    net = network()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with watch(net, optimizer) as monitor:
        net[0](batch()[0]).sum().backward()
        optimizer.step()
    assert monitor.drift().laws[0].predicted is None
    assert "no dense gradient" in str(monitor)


def test_by_hand():
    net = network()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    monitor = watch(net, optimizer)
    assert "nothing recorded" in str(monitor)
    with pytest.raises(conslaw.ConslawError, match="nothing is recorded"):
        monitor.drift()
    monitor.record()
    assert len(monitor.drift().steps) == 1


def test_parameters_with_the_same_names_need_none():
    class Own(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.W1, self.W2 = (torch.nn.Parameter(torch.randn(2, 2)) for _ in range(2))

        def forward(self, x):
            return x @ self.W1.T @ self.W2.T

    net = Own()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with conslaw.Monitor(net, conslaw.analyze(conslaw.linear([2, 2, 2])), optimizer, every=1) as monitor:
        (net(torch.randn(5, 2)) ** 2).mean().backward()
        optimizer.step()
    assert monitor.drift().laws[0].error < 1e-6


def test_a_copy_of_a_drift_and_its_json():
    net = network()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with watch(net, optimizer) as monitor:
        train(net, optimizer, 3)
    drift = monitor.drift()
    assert str(copy.deepcopy(drift)) == str(drift) == str(conslaw.training.Drift.from_json(drift.to_json()))


def test_a_transformer_layer_that_was_read_from_torch():
    """Heads and thirds of one parameter are arrays of their own; the names are the module's."""

    class Block(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.head = torch.nn.Linear(8, 8), torch.nn.Linear(8, 3)
            self.layer = torch.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, dropout=0.0)

        def forward(self, x):
            return self.head(self.layer(self.embed(x)).mean(1))

    net = Block().double()
    analysis = conslaw.analyze(conslaw.from_torch(net, torch.randn(1, 4, 8, dtype=torch.float64)))
    for momentum in (0, 0.9):
        optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=momentum)
        with watch(net, optimizer, analysis, None) as monitor:
            for _ in range(6):
                optimizer.zero_grad()
                x, y = torch.randn(16, 4, 8, dtype=torch.float64), torch.randint(0, 3, (16,))
                torch.nn.functional.cross_entropy(net(x), y).backward()
                optimizer.step()
        laws = monitor.drift().laws
        assert len(laws) > 5
        assert sum(len(law.labels) for law in laws) >= analysis.laws_found
        for law in laws:
            assert abs(law.values - law.predicted).max() < 1e-13
        assert max(law.worst for law in laws if law.size.min() > 1e-3) > 1e-7


@pytest.mark.parametrize("kind", ["plain", "decay", "momentum", "nesterov and decay"])
def test_gradients_that_a_closure_makes_within_the_step(kind):
    net = network()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, **SGD[kind])

    def closure():
        optimizer.zero_grad()
        x, y = batch()
        loss = torch.nn.functional.cross_entropy(net(x), y)
        loss.backward()
        return loss

    with watch(net, optimizer) as monitor:
        for _ in range(6):
            optimizer.step(closure)
    assert monitor.drift().exact
    assert max(errors(monitor)) < 1e-12


@pytest.mark.parametrize("momentum", [0, 0.9])
@pytest.mark.parametrize("entries", [False, True])
def test_long_runs_are_evaluated_many_records_at_a_time(momentum, entries):
    """Gram matrices, their probes, norms and sums of slices, over several chunks of records."""
    net = torch.nn.Sequential(torch.nn.Linear(9, 8, bias=False), torch.nn.Linear(8, 7, bias=False)).double()
    analysis = conslaw.analyze(conslaw.linear([9, 8, 7]))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.02, momentum=momentum)
    x, y = torch.randn(20, 9, dtype=torch.float64), torch.randn(20, 7, dtype=torch.float64)
    with watch(net, optimizer, analysis, {"W1": "0.weight", "W2": "1.weight"}, entries=entries) as monitor:
        for k in range(80):
            optimizer.zero_grad()
            ((net(x) - y) ** 2).mean().backward()
            optimizer.step()
            if k == 40:
                assert monitor.drift().steps[-1] == 40
    assert monitor.drift().exact
    assert max(errors(monitor)) < 1e-12


def test_a_rate_that_is_a_tensor_and_changes_in_place():
    net, rate = network(), torch.tensor(0.2, dtype=torch.float64)
    optimizer = torch.optim.SGD(net.parameters(), lr=rate, momentum=0.5, foreach=False)
    with watch(net, optimizer) as monitor:
        for _ in range(6):
            train(net, optimizer, 1)
            rate *= 0.7
    assert max(errors(monitor)) < 1e-12


def test_a_monitor_that_is_switched_off_and_on():
    net = network()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.5)
    monitor = watch(net, optimizer)
    for _ in range(2):  # nothing happens in between
        with monitor:
            train(net, optimizer, 3)
    assert monitor.drift().steps.tolist() == list(range(7))
    assert max(errors(monitor)) < 1e-12
    train(net, optimizer, 1)
    with monitor:
        train(net, optimizer, 3)
    assert monitor.drift().laws[0].predicted is None
    assert "while the monitor was off" in str(monitor)
    with monitor, pytest.raises(conslaw.ConslawError, match="on already"):
        monitor.__enter__()
