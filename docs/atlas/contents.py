"""What is in the atlas: architectures, their sizes, and the flows that they are trained by."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import conslaw

if TYPE_CHECKING:
    from conslaw import Flow, Model

DECAY = "1/10"


@dataclass(frozen=True)
class Training:
    """A flow, its name in the data, and what it is called on the pages."""

    name: str
    title: str

    def of(self, model: Model) -> Flow:
        """The flow of a model."""
        if self.name == "momentum":
            return conslaw.momentum_flow(model, damping=1)
        if self.name == "nesterov":
            return conslaw.momentum_flow(model, damping="nesterov")
        return conslaw.gradient_flow(model, weight_decay=DECAY if self.name == "decay" else 0)


FLOWS = (
    Training("gradient", "gradient flow"),
    Training("decay", "gradient flow with weight decay 1/10"),
    Training("momentum", "momentum (heavy ball), damping 1"),
    Training("nesterov", "Nesterov, damping 3/t"),
)
FLOW = {flow.name: flow for flow in FLOWS}


@dataclass(frozen=True)
class Size:
    """A network.

    Attributes
    ----------
    name : within its architecture
    code : an expression that makes the model, in the names of ``architectures.py``
    known : how many laws a published statement gives, for each flow that it speaks of
    budget : as of :func:`conslaw.analyze`
    flows : those that are asked about
    """

    name: str
    code: str
    known: Mapping[str, int] = field(default_factory=dict)
    budget: float = 60.0
    flows: tuple[str, ...] = ("gradient", "decay", "momentum", "nesterov")


@dataclass(frozen=True)
class Architecture:
    """A page.

    Attributes
    ----------
    title, about : what it is, and what to see
    sizes : the first is that of the picture
    source : of the known numbers
    shown : classes of which the page shows the code, as ``file:name``
    """

    title: str
    about: str
    sizes: tuple[Size, ...]
    source: str = ""
    shown: tuple[str, ...] = ()

    @property
    def page(self) -> str:
        """The name of its page."""
        return re.sub(r"[^a-z0-9]+", "_", self.title.lower()).strip("_")


def _read(module: str, inputs: str) -> str:
    """A module as it is in evaluation."""
    return f"conslaw.from_torch({module}, {inputs}, mode='eval')"


OWN, WRITTEN = "architectures.py", "../../tests/real_networks/written_out.py"


def _no_momentum(laws: int, *, momentum: int = 0) -> dict[str, int]:
    """Numbers of the gradient flow (with decay or without), and of both momentum flows."""
    return {"gradient": laws, "decay": laws, "momentum": momentum, "nesterov": momentum}


ATLAS = (
    Architecture(
        "Linear networks",
        "Layers without activations. Each hidden layer keeps the difference of the Gram matrices before and "
        "behind it; with momentum their skew parts with the velocities remain. Where all widths are 1, or "
        "inputs and outputs are scalar, more can be conserved.",
        (
            Size("3-2-4", "conslaw.linear([3, 2, 4])", _no_momentum(3, momentum=1)),
            Size("4-3-3-4", "conslaw.linear([4, 3, 3, 4])", _no_momentum(12, momentum=6)),
            Size("1-2-1", "conslaw.linear([1, 2, 1])", _no_momentum(3, momentum=2)),
            Size("784-512-10", "conslaw.linear([784, 512, 10])", {"gradient": 512 * 513 // 2}),
        ),
        "[MGP23] for the gradient flow, [MGP24] for momentum",
    ),
    Architecture(
        "ReLU networks",
        "Each hidden unit keeps the norm of its incoming weights and bias minus that of its outgoing "
        "weights. With momentum nothing remains. Behind softmax and cross-entropy the last bias keeps its "
        "sum, and the last weights keep the sums of their columns where no ReLU unit rescales them.",
        (
            Size("4-3-3", "conslaw.relu([4, 3, 3], bias=True)", _no_momentum(3)),
            Size("784-512-512-10", _read("MLP(784, 512, 512, 10)", "row(784)"), _no_momentum(1024)),
            Size(
                "784-20-10, cross-entropy",
                "conslaw.from_torch(MLP(784, 20, 10), row(784), loss='cross_entropy', mode='eval')",
                {"gradient": 41},
            ),
        ),
        "[MGP23]; with cross-entropy 20 + 20 + 1",
        (f"{OWN}:MLP",),
    ),
    Architecture(
        "GELU networks",
        "A smooth activation ends the laws of its units: nothing is conserved, except sums behind softmax "
        "and cross-entropy.",
        (
            Size("4-3-3", _read("MLP(4, 3, 3, activation=nn.GELU)", "row(4)")),
            Size(
                "784-512-10, cross-entropy",
                "conslaw.from_torch(MLP(784, 512, 10, activation=nn.GELU), row(784), "
                "loss='cross_entropy', mode='eval')",
            ),
        ),
        "",
        (f"{OWN}:MLP",),
    ),
    Architecture(
        "Convolutions",
        "Channels are the units of a convolution: ReLU ones keep the norm of their incoming kernels minus "
        "that of their outgoing kernels, one law for each hidden channel.",
        (
            Size("2-3-1", "networks.conv([2, 3, 1], pixels=5)", {"gradient": 3, "decay": 3}),
            Size("3-8-8-4", "networks.conv([3, 8, 8, 4], pixels=8)", {"gradient": 16, "decay": 16}),
        ),
        "[MGP25]",
    ),
    Architecture(
        "VGG",
        "Convolutions with biases, max-pooling, and three fully connected layers. One law for each hidden "
        "channel and unit; max-pooling passes them on.",
        (
            Size(
                "4-6, 8 hidden",
                _read("VGG([4, 'pool', 6, 'pool'], 8, 3, 2)", "row(3, 8, 8)"),
                {"gradient": 26},
            ),
            Size(
                "VGG-16",
                _read("VGG(VGG16, 4096, 1000, 1)", "row(3, 32, 32)"),
                {"gradient": 4224 + 8192},
                flows=("gradient",),
            ),
        ),
        "one law for each hidden channel and unit, as derived from [MGP23]",
        (f"{OWN}:VGG",),
    ),
    Architecture(
        "ResNet",
        "Blocks of two convolutions with BatchNorm (in evaluation) beside the identity. Gains and shifts of "
        "the first norm of a block go with the kernels behind them; the stream has one law for each "
        "channel, in which all blocks take part; where a block changes the width, the two shifts that are "
        "added keep their difference.",
        (
            Size(
                "one block of 2",
                _read("ResNet([(2, 1)], 2, stem=1, pool=False)", "row(3, 4, 4)"),
                {"gradient": 4},
            ),
            Size(
                "one block of 4",
                _read("ResNet([(4, 1)], 3, stem=3, pool=False)", "row(3, 8, 8)"),
                {"gradient": 8},
            ),
            Size(
                "blocks of 4 and 8", _read("ResNet([(4, 1), (8, 2)], 3, stem=3, pool=False)", "row(3, 8, 8)")
            ),
            Size(
                "ResNet-18",
                _read("ResNet(RESNET18, 1000)", "row(3, 64, 64)"),
                {"gradient": 3776},
                flows=("gradient",),
            ),
            Size("ResNet-34", _read("ResNet(RESNET34, 1000)", "row(3, 64, 64)"), flows=("gradient",)),
        ),
        "derived: hidden channels + channels of the streams + linear laws of the shifts",
        (f"{WRITTEN}:BasicBlock", f"{WRITTEN}:ResNet"),
    ),
    Architecture(
        "MLP-Mixer",
        "MLPs across patches and across channels, LayerNorms first, GELU. What moves all channels of the "
        "stream alike is not seen behind a LayerNorm: these sums never change. Gains and shifts go with the "
        "columns behind them where one array reads them.",
        (
            Size("4 patches, 4 channels", _read("Mixer(4, 2, 4, 3, 6, 1, 3)", "row(3, 4, 4)")),
            Size("two blocks", _read("Mixer(4, 2, 4, 3, 6, 2, 3)", "row(3, 4, 4)")),
            Size(
                "B/16 widths, four patches",
                _read("Mixer(32, 16, 768, 384, 3072, 1, 1000)", "row(3, 32, 32)"),
                flows=("gradient",),
            ),
        ),
        "",
        (f"{OWN}:MixerBlock", f"{OWN}:Mixer"),
    ),
    Architecture(
        "Attention",
        "Softmax attention, each head on its own: QQᵀ − KKᵀ and VVᵀ − OOᵀ.",
        (
            Size("width 4, 2 heads", "networks.attention(4, heads=2)", {"gradient": 12, "decay": 12}),
            Size("width 32, 4 heads", "networks.attention(32, heads=4)", {"gradient": 288, "decay": 288}),
            Size("width 768, 12 heads", "networks.attention(768, heads=12)", {"gradient": 12 * 64 * 65}),
        ),
        "[MGP25]",
    ),
    Architecture(
        "Transformer encoder",
        "PyTorch's own encoder layer with ReLU. The bias of the keys never moves; heads keep QQᵀ − KKᵀ and "
        "VVᵀ − OOᵀ, biases appended; ReLU units their balance; gains and shifts of a norm go with the "
        "columns that read them.",
        (
            Size(
                "width 8, norm first",
                _read("nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=True)", "row(3, 8)"),
                {"gradient": 81},
            ),
            Size(
                "width 8, norm after",
                _read("nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)", "row(3, 8)"),
                {"gradient": 90},
            ),
            Size(
                "width 768",
                _read(
                    "nn.TransformerEncoderLayer(768, 12, 3072, batch_first=True, norm_first=True)",
                    "row(2, 768)",
                ),
                {"gradient": 55_297},
            ),
        ),
        "derived",
    ),
    Architecture(
        "ViT",
        "A vision transformer: patches, a class token, positions, encoder layers with GELU, classes. Beside "
        "the laws of its heads and norms, what moves all channels alike is not seen: sums over the channels "
        "of everything that writes to the stream.",
        (
            Size("width 8, one block", _read("ViT(4, 2, 8, 2, 16, 1, 3)", "row(3, 4, 4)")),
            Size("width 8, two blocks", _read("ViT(4, 2, 8, 2, 16, 2, 3)", "row(3, 4, 4)")),
            Size(
                "ViT-B/16, four patches",
                _read("ViT(32, 16, 768, 12, 3072, 12, 1000)", "row(3, 32, 32)"),
                budget=120,
                flows=("gradient",),
            ),
        ),
        "",
        (f"{OWN}:ViT",),
    ),
    Architecture(
        "GPT-2",
        "A language model with tied embeddings, learned positions, LayerNorms first, GELU, all biases. "
        "Heads keep their Gram differences, biases of keys never move, what moves all channels alike is not "
        "seen, and gains and shifts go with the columns that read them.",
        (
            Size("width 8, one block", _read("GPT()", "tokens(2)"), {"gradient": 114}),
            Size("width 8, two blocks", _read("GPT(blocks=2)", "tokens(2)"), {"gradient": 220}),
            Size(
                "GPT-2 small (124M)",
                _read("GPT(50_257, 1024, 768, 12, 3072, 12)", "tokens(2)"),
                {"gradient": 673_816},
                flows=("gradient",),
            ),
        ),
        "derived",
        (f"{WRITTEN}:Attention", f"{WRITTEN}:GPTBlock", f"{WRITTEN}:GPT"),
    ),
    Architecture(
        "Llama",
        "A language model with rotary positions, grouped heads, RMSNorm, SwiGLU, no biases. Rotations leave "
        "only norms of pairs of rows of queries and keys; values and outputs keep their Gram difference; "
        "SwiGLU one law for each hidden unit.",
        (
            Size("width 8, one block", _read("Llama()", "tokens(2)"), {"gradient": 48}),
            Size("width 8, two blocks", _read("Llama(blocks=2)", "tokens(2)"), {"gradient": 88}),
            Size(
                "one block of width 2048",
                _read(
                    "LlamaBlock(2048, 32, 8, 8192)", "row(2, 2048), torch.zeros(2, 64), torch.zeros(2, 64)"
                ),
                {"gradient": 29_184},
                flows=("gradient",),
            ),
        ),
        "derived",
        (f"{WRITTEN}:LlamaBlock", f"{WRITTEN}:Llama"),
    ),
    Architecture(
        "LSTM and GRU",
        "PyTorch adds two biases in each gate: their difference never changes, four laws for each unit of "
        "an LSTM and two for each of a GRU. Gates are smooth: nothing else remains.",
        (
            Size("LSTM 3-4", _read("Recurrent(nn.LSTM, 3, 4, 2)", "row(3, 3)"), {"gradient": 16}),
            Size("GRU 3-4", _read("Recurrent(nn.GRU, 3, 4, 2)", "row(3, 3)"), {"gradient": 8}),
            Size(
                "LSTM 256-512", _read("Recurrent(nn.LSTM, 256, 512, 10)", "row(2, 256)"), {"gradient": 2048}
            ),
        ),
        "derived: 4h and 2h",
        (f"{OWN}:Recurrent",),
    ),
    Architecture(
        "Linear RNN",
        "h = A h + B x at each step, read by C at the end: AAᵀ − AᵀA + BBᵀ − CᵀC.",
        (
            Size("2-3-2", "networks.rnn(2, 3, 2)", {"gradient": 6}),
            Size("16-32-16", "networks.rnn(16, 32, 16)", {"gradient": 528}),
        ),
        "derived",
    ),
    Architecture(
        "Autoencoders",
        "An encoder and a decoder with biases. Not tied they are networks like others. Linear and tied, the "
        "gradient flow conserves nothing, but momentum does: rotations of the hidden units leave WᵀW alone, "
        "and the skew products of W with its velocity remain. ReLU ends that too.",
        (
            Size(
                "linear, not tied",
                _read("Autoencoder(5, 3, tied=False)", "row(5)"),
                _no_momentum(6, momentum=3),
            ),
            Size("linear, tied", _read("Autoencoder(5, 3, tied=True)", "row(5)"), {"gradient": 0}),
            Size(
                "ReLU, not tied",
                _read("Autoencoder(5, 3, tied=False, activation=nn.ReLU)", "row(5)"),
                _no_momentum(3),
            ),
            Size("ReLU, tied", _read("Autoencoder(5, 3, tied=True, activation=nn.ReLU)", "row(5)")),
            Size(
                "ReLU, 784-128",
                _read("Autoencoder(784, 128, tied=False, activation=nn.ReLU)", "row(784)"),
                _no_momentum(128),
            ),
        ),
        "[MGP23], [MGP24]",
        (f"{OWN}:Autoencoder",),
    ),
    Architecture(
        "LoRA",
        "A low-rank update of a frozen matrix: of rank r, BᵀB − AAᵀ, r (r + 1)/2 laws, whatever the size of "
        "the matrix.",
        (
            Size("8-8, rank 3", "networks.lora(8, 8, rank=3)", _no_momentum(6, momentum=3)),
            Size("768-768, rank 16", "networks.lora(768, 768, rank=16)", _no_momentum(136, momentum=120)),
        ),
        "[MGP23] for BA, [MGP24] for momentum",
    ),
    Architecture(
        "Gated linear units",
        "A bilinear unit keeps two balances, a SwiGLU one.",
        (
            Size("GLU 3-4-2", "networks.glu(3, 4, 2)", {"gradient": 8}),
            Size("SwiGLU 3-4-2", "networks.swiglu(3, 4, 2)", {"gradient": 4}),
            Size("SwiGLU 768-3072-768", "networks.swiglu(768, 3072, 768)", {"gradient": 3072}),
        ),
        "derived",
    ),
    Architecture(
        "Mixture of experts",
        "ReLU experts, weighted by the softmax of a router: the balance of each hidden unit of each expert, "
        "and the sums of the columns of the router.",
        (
            Size("width 3, 2 experts", "networks.moe(3, hidden=2, experts=2)", {"gradient": 7}),
            Size(
                "width 64, 8 experts", "networks.moe(64, hidden=128, experts=8)", {"gradient": 8 * 128 + 64}
            ),
        ),
        "derived: hidden units of all experts + width",
    ),
    Architecture(
        "NMF",
        "Non-negative matrix factorisation by mirror descent: the sum of a column of U minus that of V. "
        "Where both matrices have one row, logarithms come in, more than the literature lists.",
        (
            Size("3-2-4", "conslaw.nmf([3, 2, 4])", _no_momentum(2)),
            Size("1-2-1", "conslaw.nmf([1, 2, 1])", {"gradient": 3, "momentum": 0}),
            Size("100-10-100", "conslaw.nmf([100, 10, 100])", {"gradient": 10}),
        ),
        "[MGP24]; 2r − 1 for 1-r-1, confirmed here",
    ),
    Architecture(
        "ICNN",
        "Input-convex networks, the non-negative weights by mirror descent: the sum of a column minus half "
        "the squared norm of what feeds it. That is of degrees 1 and 2 at once: with weight decay, and with "
        "momentum, nothing remains.",
        (
            Size("2-3-2", "conslaw.icnn([2, 3, 2])", {"gradient": 3, "momentum": 0}),
            Size("2-3-2 with bias", "conslaw.icnn([2, 3, 2], bias=True)", {"gradient": 3, "momentum": 0}),
            Size("20-50-10", "conslaw.icnn([20, 50, 10])", {"gradient": 50}),
        ),
        "[MGP24]",
    ),
    Architecture(
        "PCA",
        "UUᵀ, a factorisation into one matrix: rotations of its columns are a symmetry, which momentum has "
        "a law for (a skew product) and the gradient flow has none.",
        (Size("5, rank 2", "conslaw.pca([5, 2])"), Size("100, rank 10", "conslaw.pca([100, 10])")),
    ),
    Architecture(
        "CP decomposition",
        "A tensor as a sum of products of vectors: for each term and each further factor the difference of "
        "two norms.",
        (
            Size("3×3×3, rank 2", "networks.cp([3, 3, 3], rank=2)", {"gradient": 4}),
            Size("8×8×8×8, rank 5", "networks.cp([8, 8, 8, 8], rank=5)", {"gradient": 15}),
        ),
        "derived: (factors − 1) · rank",
    ),
    Architecture(
        "Tucker decomposition",
        "A small core and a matrix for each axis: each matrix keeps its Gram matrix minus that of the core "
        "along its axis.",
        (
            Size("3×3×3, ranks 2", "networks.tucker([3, 3, 3], [2, 2, 2])", {"gradient": 9}),
            Size("10×10×10, ranks 4", "networks.tucker([10, 10, 10], [4, 4, 4])", {"gradient": 30}),
        ),
        "derived: Σ r (r + 1)/2",
    ),
    Architecture(
        "Tensor train",
        "A product of cores: neighbours keep the difference of their Gram matrices along their bond.",
        (
            Size("3×3×3, rank 2", "networks.tensor_train([3, 3, 3], rank=2)", {"gradient": 6}),
            Size("10×10×10×10, rank 5", "networks.tensor_train([10, 10, 10, 10], rank=5)", {"gradient": 45}),
        ),
        "derived: bonds · r (r + 1)/2",
    ),
    Architecture(
        "Diagonal networks",
        "u² − v² entry by entry (or another power): uv of each entry, or 1/u + 1/v.",
        (
            Size("width 3", "networks.diagonal(3)", {"gradient": 3}),
            Size("width 3, cubes", "networks.diagonal(3, power=3)", {"gradient": 3}),
            Size("width 1000", "networks.diagonal(1000)", {"gradient": 1000}),
        ),
        "derived",
    ),
    Architecture(
        "High-order layers",
        "Each weight is a piecewise polynomial. In the Lagrange basis functions sum to one: sums of weights "
        "over the basis keep their differences between inputs. In the monomial basis units also keep a "
        "weighted balance.",
        (
            Size(
                "2-2-2-1, two segments",
                "layers.model(layers.HighOrderMLP([2, 2, 2, 1], degree=2, segments=2, normalize=False))",
                {"gradient": 5},
            ),
            Size(
                "2-2-2, monomials",
                "layers.model(layers.HighOrderMLP([2, 2, 2], degree=2, segments=1, normalize=False, "
                "basis='monomial'))",
                {"gradient": 6},
            ),
            Size(
                "2-3-1, two segments, a norm between",
                "layers.model(layers.HighOrderMLP([2, 3, 1], degree=2, segments=2))",
            ),
        ),
        "derived: partition of unity",
    ),
)


def cases() -> Iterator[dict[str, str | float]]:
    """All rows of the atlas, in its order."""
    for architecture in ATLAS:
        for size in architecture.sizes:
            for flow in size.flows:
                named = {"architecture": architecture.title, "size": size.name, "flow": flow}
                yield {**named, "code": size.code, "budget": size.budget}
