"""The callbacks in the real trainers, and the table in real pandas."""

import pytest

import conslaw
from conslaw.training import lightning_callback, trainer_callback

torch = pytest.importorskip("torch")

ANALYSIS = conslaw.analyze(conslaw.linear([4, 3, 2]))
NAMES = {"W1": "0.weight", "W2": "1.weight"}
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*:UserWarning"),
]


def network():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(4, 3, bias=False), torch.nn.Linear(3, 2, bias=False)).double()


def data():
    return torch.randn(24, 4, dtype=torch.float64), torch.randn(24, 2, dtype=torch.float64)


def check(monitor, steps):
    drift = monitor.drift()
    assert drift.steps[-1] == steps
    assert drift.exact
    assert drift.laws[0].error < 1e-12
    assert drift.worst > 1e-5


def test_lightning(tmp_path):
    lightning = pytest.importorskip("lightning")

    class Task(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = network()

        def training_step(self, batch, _):
            x, y = batch
            return ((self.net(x) - y) ** 2).mean()

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.05, momentum=0.9)

    names = {name: f"net.{path}" for name, path in NAMES.items()}
    callback = lightning_callback(ANALYSIS, every=1, names=names)
    trainer = lightning.Trainer(
        max_epochs=3, accelerator="cpu", callbacks=[callback], logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, default_root_dir=tmp_path,
    )  # fmt: skip
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*data()), batch_size=8)
    trainer.fit(Task(), loader)
    check(callback.monitor, 9)


def test_hugging_face(tmp_path):
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("accelerate")

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.net = network()

        def forward(self, x, labels):
            out = self.net(x)
            return {"loss": ((out - labels) ** 2).mean(), "logits": out}

    net = Net()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda k: 1 / (1 + k))
    arguments = transformers.TrainingArguments(
        output_dir=str(tmp_path), num_train_epochs=3, per_device_train_batch_size=8, report_to=[],
        use_cpu=True, save_strategy="no", disable_tqdm=True, logging_strategy="no",
        max_grad_norm=0.1,
    )  # fmt: skip
    names = {name: f"net.{path}" for name, path in NAMES.items()}
    callback = trainer_callback(ANALYSIS, every=1, names=names)
    rows = [{"x": x, "labels": y} for x, y in zip(*data(), strict=True)]
    trainer = transformers.Trainer(
        model=net, args=arguments, train_dataset=rows, optimizers=(optimizer, schedule), callbacks=[callback]
    )
    trainer.train()
    check(callback.monitor, 9)


def test_a_callback_that_does_not_fit_warns_and_lets_train():
    pytest.importorskip("lightning")
    callback = lightning_callback(ANALYSIS, names={"W1": "nothing"})
    with pytest.warns(UserWarning, match="does not watch"):
        callback.begin(network(), torch.optim.SGD(network().parameters()))
    callback.end()
    assert callback.monitor is None


def test_a_table_for_pandas():
    pytest.importorskip("pandas")
    drift = conslaw.simulate(
        conslaw.linear([2, 2, 2]), data={"x": [[1, 2]]}, targets=[[1, 1]], method="gd", steps=3
    )
    frame = drift.frame()
    assert len(frame) == 4 * 3
    assert set(frame.columns) == {"step", "time", "law", "entry", "value", "drift", "predicted"}
    assert (frame[frame.step == 0].drift == 0).all()
    assert abs(frame.value - frame.predicted).max() < 1e-14
