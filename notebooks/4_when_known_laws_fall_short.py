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
# # When do the known laws fall short?
#
# Counting and finding are independent, so a flow that conserves more than the literature lists shows itself: the Lie rank leaves room for laws
# that nobody has written down.  Some have another form (a logarithm, a quotient), some are of higher degree, some have no form that
# conslaw knows; then it says how many there are, and leaves it at that.
#
# ## Quotients: a parameter that only turns
#
# $\varphi=(x^2+y^2)/2$ moves the point along rays.  No polynomial is conserved, but $y/x$ is.

# %%
import sympy

import conslaw

radial = conslaw.model(lambda p, c: (p.x**2 + p.y**2) / 2, parameters={"x": (), "y": ()}, name="radial")
conslaw.analyze(conslaw.gradient_flow(radial))

# %% [markdown]
# ## Principal components: the row space
#
# $\varphi=UU^\top$ with $U$ of shape $n\times r$, $r>n$, conserves the row space of $U$: $n(r-n)$ laws, ratios of minors.

# %%
conslaw.analyze(conslaw.gradient_flow(conslaw.pca([2, 3])))

# %% [markdown]
# ## Logarithms: non-negative factorisation of a number
#
# With $n=m=1$ the mirror flow of $\sum_k u_kv_k$ conserves $2r-1$ functions, of which the literature's $u_k-v_k$ are $r$.  The others are
# $\frac{\log(u_k/v_k)}{u_k-v_k}-\frac{\log(u_l/v_l)}{u_l-v_l}$, polynomials in the entries and their logarithms once the denominators are cleared.

# %%
conslaw.analyze(conslaw.gradient_flow(conslaw.nmf([1, 3, 1])))

# %% [markdown]
# ## Scalar linear networks under momentum
#
# With one input and one output, $\varphi=\sum_k u_kv_k$ has a larger symmetry: $4r-6$ laws under momentum, more than the $r(r-1)/2$ of
# $U^\top\dot U-\dot U^\top U+V^\top\dot V-\dot V^\top V$ for small $r$.  The ansatz finds those of degree 2.

# %%
for r in (1, 2, 3, 4):
    analysis = conslaw.analyze(conslaw.momentum_flow(conslaw.linear([1, r, 1]), damping=1))
    print(
        f"r = {r}: at most {analysis.laws_at_most}, found {analysis.laws_found}, literature {r * (r - 1) // 2}"
    )

# %% [markdown]
# ## Width 1, and weight decay
#
# A chain of scalars, $\varphi=w_1w_2w_3$, conserves all differences of squares; with weight decay they decay at twice its rate.

# %%
conslaw.analyze(conslaw.gradient_flow(conslaw.linear([1, 1, 1, 1]), weight_decay="1/10"))

# %% [markdown]
# ## A law without a form
#
# The field $(x, x+y)$ conserves $y/x-\log x$: neither a polynomial (not even with $\log x$) nor a quotient.  The answer is a proved bound, a
# probable equality with its error, and an empty list.

# %%
x, y = sympy.symbols("x y")
conslaw.analyze(conslaw.flow_from_fields([[x, x + y]], [x, y]), degree=4)
