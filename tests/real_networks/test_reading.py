"""Names, ties, modes, and what is refused: in one line, with the place in the user's code."""

import copy
import re
import sys

import pytest

import conslaw

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812
from torch.utils.checkpoint import checkpoint  # noqa: E402
from written_out import GPT, Code, LoRA  # noqa: E402

from conslaw.command_line import main  # noqa: E402
from conslaw.models.from_torch.inputs import inputs_of  # noqa: E402


def test_parameters_keep_their_names_and_ties_are_one_array():
    model = conslaw.from_torch(GPT(), torch.zeros(1, 3, dtype=torch.int64))
    names = model.arguments["names"]
    assert names["h_0_attn_c_attn_weight"] == "h.0.attn.c_attn.weight"
    assert "lm_head_weight" not in names
    assert model.size == sum(x.numel() for x in GPT().parameters())


def test_names_that_clash_are_told_apart():
    module = nn.Module()
    module.a, module.a_b = nn.Module(), nn.Parameter(torch.ones(2))
    module.a.b = nn.Parameter(torch.ones(2))
    module.forward = lambda x: module.a.b * module.a_b * x
    names = conslaw.from_torch(module, torch.ones(2)).arguments["names"]
    assert sorted(names.values()) == ["a.b", "a_b"]
    assert len(set(names)) == 2


def test_frozen_parameters_are_data():
    model = conslaw.from_torch(LoRA(4, 3, 2), torch.zeros(1, 4))
    assert sorted(model.parameters) == ["A_weight", "B_weight"]


def test_a_frozen_layer_between_trained_ones_is_data():
    module = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3).requires_grad_(False), nn.Linear(3, 2))
    model = conslaw.from_torch(module, torch.zeros(1, 3))
    assert set(model.parameters) == {"m0_weight", "m0_bias", "m2_weight", "m2_bias"}
    assert conslaw.analyze(model).laws_found == 0  # W3 M W1 with free M


def test_the_mode_is_the_modules_own_or_the_one_that_is_asked_for():
    module = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5), nn.Linear(3, 2)).train()
    module[1].eval()
    before = [part.training for part in module.modules()]
    state = copy.deepcopy(module.state_dict())
    read = {
        mode: conslaw.from_torch(module, torch.zeros(1, 3), mode=mode) for mode in (None, "train", "eval")
    }
    operations = {mode: [r.operation for r in model.readings] for mode, model in read.items()}
    assert operations == {None: [], "train": ["dropout"], "eval": []}
    assert [part.training for part in module.modules()] == before
    assert all(bool((x == state[name]).all()) for name, x in module.state_dict().items())
    assert "in training" in read["train"].name
    assert "in evaluation" in read["eval"].name


def test_a_reading_says_where_it_stands():
    """The path of the module, and the line of the innermost forward that the user wrote."""
    code = nn.ModuleList([Code(lambda m, x: torch.tanh(m.l(x)))])
    code.forward = lambda x: code[0](x)
    [tanh] = conslaw.from_torch(code, torch.zeros(1, 4)).readings
    assert re.fullmatch(r"0, written_out.py:\d+: return self.code\(self, x\)", tanh.where)
    assert tanh.rule == "value and slope"
    [reading] = conslaw.from_torch(nn.TransformerEncoderLayer(4, 2, 4).eval(), torch.zeros(3, 1, 4)).readings[
        :1
    ]
    assert reading.where == "self_attn"


def test_no_weights_are_needed():
    module = nn.Linear(3, 2, device="meta")
    assert conslaw.from_torch(module, torch.zeros(1, 3, device="meta")).size == 8
    assert conslaw.from_torch(module, torch.zeros(1, 3)).size == 8
    assert conslaw.from_torch(nn.Linear(3, 2), torch.zeros(1, 3, device="meta")).size == 8


def test_modules_on_several_devices_are_refused():
    module = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1, device="meta"))
    with pytest.raises(conslaw.ConslawError, match=r"'0.weight' on cpu, '1.weight' on meta"):
        conslaw.from_torch(module, torch.zeros(1, 3))


def test_only_the_module_itself_is_heard(capfd):
    """Not what PyTorch prints of a module that it cannot export."""
    branching = Code(lambda m, x: m.l(x) if m.l(x).sum() > 0 else x)
    with pytest.raises(conslaw.ConslawError, match="branches"):
        conslaw.from_torch(branching, torch.zeros(1, 4))
    assert capfd.readouterr().err == ""
    loud = Code(lambda m, x: (print("here", file=sys.stderr), m.l(x))[1])
    conslaw.from_torch(loud, torch.zeros(1, 4))
    assert "here" in capfd.readouterr().err


def test_inputs_of_any_structure():
    module = Code(lambda m, x: {"a": m.l(x["u"]), "b": [m.k(x["v"][0]), 3, None]})
    model = conslaw.from_torch(module, {"u": torch.zeros(1, 4), "v": [torch.zeros(2, 4)]})
    assert conslaw.analyze(model).laws_found == 0
    by_name = nn.Module()
    by_name.l = nn.Linear(4, 2)
    by_name.forward = lambda *, x, twice=False: by_name.l(x) * (2 if twice else 1)
    assert conslaw.from_torch(by_name, kwargs={"x": torch.zeros(1, 4), "twice": True}).size == 10


class Sign(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.sign()

    @staticmethod
    def backward(ctx, gradient):
        return gradient


def changed_without_gradient(m, x):
    y = m.l(x)
    with torch.no_grad():
        y.mul_(2)
    return y


def hook_in_the_forward(m, x):
    y = m.l(x)
    y.register_hook(lambda g: 2 * g)
    return m.k(y)


def in_inference_mode(m, x):
    with torch.inference_mode():
        y = m.l(x)
    return m.l(x) + y


REFUSED = {
    "hook in the forward": (hook_in_the_forward, "hook on a tensor"),
    "detached in place": (lambda m, x: m.l(x) + m.l(x).detach_(), r"write detach\(\)"),
    "inference mode": (in_inference_mode, "inference_mode"),
    "deviation": (lambda m, x: torch.native_layer_norm(m.l(x), (4,), None, None, 1e-5), "mean or deviation"),
    "over minus infinity": (lambda m, x: x / m.l(x).masked_fill(x > 0, float("-inf")), "minus infinity"),
    "gradient of its own": (lambda m, x: Sign.apply(m.l(x)), "Sign, a torch.autograd.Function"),
    "old checkpoint": (lambda m, x: checkpoint(m.l, x, use_reentrant=True), "use_reentrant=False"),
    "change in place": (changed_without_gradient, "in place under torch.no_grad"),
    "branch": (lambda m, x: m.l(x) if m.l(x).sum() > 0 else x, r"branches on the value.*test_reading.py:\d+"),
    "shape of data": (lambda m, x: m.l(x)[m.l(x) > 0], "depends on data"),
    "unknown": (lambda m, x: torch.linalg.svd(m.l.weight).S, r"linalg_svd.*written_out.py:\d+"),
    "complex": (lambda m, x: torch.view_as_complex(m.l(x).view(1, 2, 2)).abs(), "view_as_complex"),
    "minus infinity": (lambda m, x: m.l(x).masked_fill(x > 0, float("-inf")).sum(), "minus infinity"),
    "one entry": (lambda m, x: F.softmax(m.l(x)[:, :1], -1), "softmax of one entry"),
    "norm of one": (lambda m, x: F.layer_norm(m.l(x)[:, :1], (1,)), "norm of one entry"),
    "nothing trained": (lambda m, x: x * 2, "no tensor in which a trained parameter is"),
    "an error": (lambda m, x: x @ m.l.weight[:3], "cannot be exported"),
    "3-D": (lambda m, x: F.conv3d(x.view(1, 1, 1, 2, 2), m.l.weight.view(4, 1, 1, 2, 2)), "3 dimensions"),
    "gradient by frequency": (
        lambda m, x: F.embedding(torch.tensor([1]), m.l.weight, scale_grad_by_freq=True),
        "scale_grad_by_freq",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_refused_in_one_line(name):
    code, words = REFUSED[name]
    with pytest.raises(conslaw.ConslawError, match=words) as refused:
        conslaw.from_torch(Code(code), torch.zeros(1, 4))
    assert "\n" not in str(refused.value)


def hooked():
    module = nn.Linear(2, 2)
    module.register_full_backward_hook(lambda *_: None)
    return module


def hooked_after():
    module = nn.Linear(2, 2)
    module.weight.register_post_accumulate_grad_hook(lambda _: None)
    return module


def two_that_share():
    module = Code(lambda m, x: m.l(m.k(x)))
    module.k.weight.data = module.l.weight.data
    return module


def test_a_buffer_that_is_a_view_of_a_parameter_is_no_constant():
    module = Code(lambda m, x: m.l(x * (m.k.bias + m.anchor)))
    module.k.bias.data = torch.zeros(4)
    module.register_buffer("anchor", module.k.bias.data)
    assert "b_anchor" in conslaw.from_torch(module, torch.zeros(1, 4)).data


def sparse():
    module = nn.Module()
    module.w = nn.Parameter(torch.eye(2).to_sparse())
    return module


BAD = {
    "no module": (lambda: 3, {}, "give a torch.nn.Module"),
    "no input": (lambda: nn.Linear(2, 2), {"inputs": ()}, "give an input"),
    "mode": (lambda: nn.Linear(2, 2), {"mode": "test"}, "mode='test'"),
    "loss": (lambda: nn.Linear(2, 2), {"loss": "mse"}, "loss='mse'"),
    "loss of two": (
        lambda: Code(lambda m, x: (m.l(x), m.k(x), m.l(m.k(x)))),
        {"loss": "cross_entropy", "inputs": (torch.zeros(1, 4),)},
        "returns 3 arrays",
    ),
    "frozen": (lambda: nn.Linear(2, 2).requires_grad_(False), {}, "nothing is trained"),
    "lazy": (lambda: nn.LazyLinear(2), {}, "is lazy"),
    "sparse": (sparse, {}, "is sparse"),
    "complex": (lambda: nn.Linear(2, 2, dtype=torch.complex64), {}, "give real ones"),
    "wrapped": (lambda: nn.DataParallel(nn.Linear(2, 2)), {}, "net.module"),
    "hook": (hooked, {}, "backward hook"),
    "hook after": (hooked_after, {}, "gradient hook"),
    "memory": (two_that_share, {"inputs": (torch.zeros(1, 4),)}, "share memory"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_in_one_line(name):
    make, options, words = BAD[name]
    inputs = options.pop("inputs", (torch.zeros(1, 2),))
    with pytest.raises(conslaw.ConslawError, match=words) as refused:
        conslaw.from_torch(make(), *inputs, **options)
    assert "\n" not in str(refused.value)


def test_a_module_on_the_command_line(tmp_path, capsys):
    file = tmp_path / "my_net.py"
    file.write_text(
        "from torch import nn\nnet = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))\n"
    )
    assert main(["analyze", f"{file}:net", "--input", "1,3"]) == 0
    assert "0.weight[k,:]" in capsys.readouterr().out
    for wrong in (["analyze", f"{file}:net"], ["analyze", "relu", "3-4-2", "--input", "1,3"]):
        assert main(wrong) == 2
        assert "input" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["1,x", "", "0,3", "1,3:int3x", "-1,3", "1,3:nn"])
def test_shapes_that_are_none(text):
    with pytest.raises(conslaw.ConslawError, match="give a shape, such as"):
        inputs_of(nn.Linear(3, 2), [text])
