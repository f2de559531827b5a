"""What does not fit is refused before the training, in one clear error."""

import pytest

import conslaw

torch = pytest.importorskip("torch")
from monitored import ANALYSIS, NAMES, network  # noqa: E402


def _complex(net):
    net[0].weight = torch.nn.Parameter(net[0].weight.detach() * 1j)
    return net


def _frozen(net):
    net[0].weight.requires_grad_(False)
    return net


GOOD = network()
BAD = {
    "no analysis": (GOOD, {"analysis": "relu"}, "conslaw.analyze"),
    "no module": ("net", {}, "torch.nn.Module"),
    "no optimizer": (GOOD, {"optimizer": 1}, "torch.optim.Optimizer"),
    "no names": (GOOD, {"names": None}, "give names="),
    "a name that is none": (GOOD, {"names": {**NAMES, "W1": "weight"}}, "no 'weight'.*0.weight"),
    "an array that is none": (GOOD, {"names": {**NAMES, "U": "0.weight"}}, "no array 'U'"),
    "another shape": (GOOD, {"names": {**NAMES, "W1": "2.weight"}}, "shape"),
    "a parameter twice": (
        GOOD,
        {"names": {**NAMES, "W2": "2.weight", "b2": "2.bias"}, "every": 0},
        "every=0",
    ),
    "half": (network(torch.float16), {}, "float16"),
    "complex": (_complex(network()), {}, "complex128"),
    "frozen": (_frozen(network()), {}, "not trained"),
    "other parameters": (GOOD, {"optimizer": torch.optim.SGD(network().parameters())}, "other parameters"),
    "a writer": (GOOD, {"writer": print}, "add_scalar"),
    "no laws": (
        GOOD,
        {"analysis": conslaw.analyze(conslaw.pca([3, 2])), "names": {}},
        "no law",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case):
    net, options, message = BAD[case]
    given = {"names": NAMES, "analysis": ANALYSIS, **options}
    if "optimizer" not in given:
        given["optimizer"] = torch.optim.SGD(
            GOOD.parameters() if isinstance(net, str) else net.parameters(), lr=1
        )
    with pytest.raises(conslaw.ConslawError, match=message):
        conslaw.Monitor(net, given.pop("analysis"), given.pop("optimizer"), **given)
