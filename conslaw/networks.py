"""The families of networks that conslaw knows by name."""

from conslaw.models.architectures import (
    attention,
    conv,
    cp,
    diagonal,
    glu,
    lora,
    moe,
    residual,
    rnn,
    swiglu,
    tensor_train,
    transformer_block,
    tucker,
)
from conslaw.models.networks import FAMILIES, icnn, linear, monomial, nmf, pca, polynomial, relu

__all__ = [
    "FAMILIES",
    "attention",
    "conv",
    "cp",
    "diagonal",
    "glu",
    "icnn",
    "linear",
    "lora",
    "moe",
    "monomial",
    "nmf",
    "pca",
    "polynomial",
    "relu",
    "residual",
    "rnn",
    "swiglu",
    "tensor_train",
    "transformer_block",
    "tucker",
]
