# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # conslaw from scratch
#
# What does training a network conserve?  The whole method in plain NumPy and FLINT, in reading order, with nothing of the
# package until the last cell, where its answers are compared with ours.
#
# Train $\theta$ by gradient flow on any loss and any data.  The velocity always lies in a space of vector fields $W_\varphi$ that
# depends on the architecture alone, so $h$ is conserved whatever the data iff $\nabla h \perp W_\varphi$ everywhere.  Then $\nabla h$ is
# orthogonal to every Lie bracket too, and Frobenius tells how many independent $h$ there are
# (Marcotte, Gribonval, Peyré, [arXiv 2307.00144](https://arxiv.org/abs/2307.00144)):
#
# $$\#\text{laws} \;=\; \dim\theta - \operatorname{rank}\,\mathrm{Lie}(W_\varphi)(\theta)\quad\text{at a generic }\theta.$$
#
# ## 1. A network, and a random element of $W_\varphi$
#
# A ReLU network is locally $x \mapsto W_q\, g_{q-1}\odot(\cdots g_1\odot(W_1x))$ with gates $g_l \in\{0,1\}^{n_l}$.  The potential
# $f(\theta; x, g, v) = v\cdot W_q(g_{q-1}\odot\cdots)$ has the $\varphi_i$ as its coefficients in $(x, g, v)$, so **its gradient at random
# $(x, g, v)$ is a random element of $W_\varphi$**: one backward pass, however many paths there are.  With $g=1$ it is a linear network.
#
# ## 2. Numbers: multi-dual numbers mod $p$
#
# We want exact ranks and exact derivatives.  So: residues mod a 31-bit prime, extended by directions $e_1, e_2, \dots$ with $e_i^2=0$.
# A jet is an array with one slot for each subset of directions (a bit mask), and a product adds up the pairs of disjoint masks.

# %%
import itertools
import random

import numpy as np
from flint import fmpz_mat, fmpz_mpoly_ctx, nmod_mat

p = 2**31 - 1


def multiply(x, y, product):
    """The product of two jets, `product` being bilinear on arrays of residues."""
    terms = {}
    for (i, a), (j, b) in itertools.product(x.items(), y.items()):
        if i & j == 0:
            terms[i | j] = (terms.get(i | j, 0) + product(a, b)) % p
    return terms


def outer(a, b):
    return a[:, None] * b[None, :] % p


def apply(matrix, vector):
    return (matrix * vector[None, :] % p).sum(axis=1) % p


def entrywise(a, b):
    return a * b % p


# %% [markdown]
# ## 3. A vector field: one backward pass over jets


# %%
def random_field(widths, relu, rng):
    """X(theta) = gradient of f(theta; c) at random data c."""
    x, *gates, v = [{0: rng.integers(0, p, n)} for n in widths]
    if not relu:
        gates = [{0: np.ones(n, dtype=np.int64)} for n in widths[1:-1]]

    def field(weights):
        hidden = [x]
        for W, g in zip(weights, gates):
            hidden.append(multiply(g, multiply(W, hidden[-1], apply), entrywise))
        back, gradient = v, []
        for l in reversed(range(len(weights))):
            gradient.insert(0, multiply(back, hidden[l], outer))
            if l:
                transposed = {mask: a.T for mask, a in weights[l].items()}
                back = multiply(gates[l - 1], multiply(transposed, back, apply), entrywise)
        return gradient

    return field


# %% [markdown]
# ## 4. Nested brackets
#
# $[F,G](\theta) = DG(\theta)F(\theta) - DF(\theta)G(\theta)$, and $DG(\theta)F$ is the $e$-part of $G(\theta+eF)$.  For the derivative of a
# *nested* bracket evaluate the bracket itself at $\theta+eF(\theta)$.  Nothing is ever expanded.


# %%
def bracket(fields, theta, e=1):
    """[X_1, [X_2, ... X_k]] at theta; e is the first unused direction."""
    F = fields[0](theta)
    if len(fields) == 1:
        return F
    shift = lambda direction: [t | {m | e: a for m, a in d.items()} for t, d in zip(theta, direction)]
    along = bracket(fields[1:], shift(F), 2 * e)
    G = [{m: a for m, a in x.items() if not m & e} for x in along]
    back = fields[0](shift(G))
    part = lambda x: {m ^ e: a for m, a in x.items() if m & e}
    minus = lambda x, y: {m: (x.get(m, 0) - y.get(m, 0)) % p for m in x | y}
    return [minus(part(a), part(b)) for a, b in zip(along, back)]


def lie_ranks(widths, relu, seed=0):
    """Ranks with brackets of up to 1, 2, ... fields at a random point, until one more adds nothing."""
    rng = np.random.default_rng(seed)
    shapes = list(zip(widths[1:], widths[:-1]))
    theta = [{0: rng.integers(0, p, shape)} for shape in shapes]
    n = sum(a * b for a, b in shapes)
    rows, ranks = [], []
    while len(ranks) < 2 or ranks[-1] > ranks[-2]:
        for _ in range(n + 2):
            fields = [random_field(widths, relu, rng) for _ in range(len(ranks) + 1)]
            value = bracket(fields, theta)
            rows.append(np.concatenate([np.ravel(v.get(0, np.zeros(s))) for v, s in zip(value, shapes)]))
        matrix = np.array(rows).astype(int)
        ranks.append(nmod_mat(*matrix.shape, matrix.ravel().tolist(), p).rank())
    return n, ranks


n, ranks = lie_ranks([3, 2, 4], relu=False)
print(f"linear 3-2-4: {n} parameters, Lie ranks {ranks}: at most {n - ranks[-1]} laws")

# %% [markdown]
# The rank mod $p$ at one point can only be smaller than the generic rank, so "at most 3 laws" is **proved**, although everything was random.
#
# ## 5. The laws: a polynomial with unknown coefficients
#
# $h=\sum_\alpha a_\alpha\theta^\alpha$ over all monomials of degree 2.  $\langle\nabla h,\nabla f\rangle$ must vanish as a polynomial in $\theta$
# *and* in the data: a linear system in the $a_\alpha$, one equation for each monomial, solved exactly.


# %%
def quadratic_laws(widths, relu):
    shapes = list(zip(widths[1:], widths[:-1]))
    theta = [f"W{l}[{i},{j}]" for l, (a, b) in enumerate(shapes, 1) for i in range(a) for j in range(b)]
    data = [f"c{l}_{i}" for l, n in enumerate(widths) for i in range(n)]
    ring = fmpz_mpoly_ctx.get(theta + data, "degrevlex")
    symbols = np.empty(len(theta + data), dtype=object)
    symbols[:] = ring.gens()
    pieces = np.split(symbols, np.cumsum([a * b for a, b in shapes] + widths)[:-1])
    weights = [piece.reshape(shape) for piece, shape in zip(pieces, shapes)]
    x, *gates, v = pieces[len(shapes) :]
    h = x
    for W, g in zip(weights, gates):
        h = W @ h * (g if relu else 1)
    f = v @ (weights[-1] @ h)
    slopes = [f.derivative(name) for name in theta]
    variables = ring.gens()[: len(theta)]
    pairs = list(itertools.combinations_with_replacement(range(len(theta)), 2))
    columns = [(variables[i] * slopes[j] + variables[j] * slopes[i]).to_dict() for i, j in pairs]
    equations = {
        key: number for number, key in enumerate(dict.fromkeys(k for column in columns for k in column))
    }
    system = fmpz_mat(len(equations), len(pairs))
    for number, column in enumerate(columns):
        for key, coefficient in column.items():
            system[equations[key], number] = coefficient
    kernel, dimension = system.nullspace()
    laws = [
        sum(
            (int(kernel[r, c]) * variables[i] * variables[j] for r, (i, j) in enumerate(pairs)),
            ring.from_dict({}),
        )
        for c in range(dimension)
    ]
    # independent laws: the rank of their gradients at a random point
    draw = random.Random(0)
    point = [draw.randrange(p) for _ in theta + data]
    gradients = [int(law.derivative(name)(*point)) % p for law in laws for name in theta]
    independent = nmod_mat(len(laws), len(theta), gradients, p).rank() if laws else 0
    return laws, independent


laws, independent = quadratic_laws([3, 2, 4], relu=False)
print(f"{independent} independent laws of degree 2:", *laws, sep="\n  ")

# %% [markdown]
# At most 3, at least 3: the list is **complete, and that is a theorem about this network**, with no probability left in it.
#
# ## 6. The same questions put to the package

# %%
import conslaw

for widths, relu in [
    ([3, 2, 4], False),
    ([2, 3, 2], False),
    ([1, 3, 1], False),
    ([2, 2, 3, 2], False),
    ([2, 3, 2], True),
    ([2, 2, 2, 2], True),
]:
    n, ranks = lie_ranks(widths, relu)
    laws, independent = quadratic_laws(widths, relu)
    family = conslaw.relu if relu else conslaw.linear
    theirs = conslaw.analyze(conslaw.gradient_flow(family(widths)))
    assert (n, n - ranks[-1]) == (theirs.parameters, theirs.laws_at_most)
    assert (len(laws), independent) == (len(theirs.laws), theirs.laws_found)
    print(f"{theirs.model} {widths}: at most {n - ranks[-1]}, found {independent}; the package agrees")

# %% [markdown]
# What the package adds: models written as array code with gradients by reverse mode, samples in batches on BLAS, an incremental row space,
# keys for monomials so that 100,000 unknowns take a third of a second, stated error probabilities, and errors that say what to do.
