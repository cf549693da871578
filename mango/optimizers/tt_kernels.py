"""Tensor-Train sampling and its gradient in closed form, compiled by numba.

A tensor train of ``d`` cores gives every index tuple an unnormalised probability (Batsheva et al. 2023, PROTES,
arXiv 2301.12162). Arrays, all of one float type, padded to the largest rank ``r`` and number of points ``n``:

    cores   (d, r, r, n)  G_k[a, b, i], points last so that inner loops run over memory; 0 where i >= sizes[k]
    sums    (d, r, n)     H_k[a, i] = sum_b G_k[a, b, i] Z_{k+1}[b]
    right   (d + 1, r)    interfaces Z_k = sum_i H_k[:, i] / z_k of norm 1; Z_d = e_0
    norms   (d,)          z_k
    ranks   r times 0     a tuple, whose length is known when a kernel is compiled: loops over the rank are unrolled

With Q_0 = e_0 the first core's row 0 and the last core's column 0 alone matter. For an index tuple,

    g = Q_k H_k,   p(i_k) = |g_i| / sum |g|,   Q_{k+1} = Q_k G_k[:, :, i_k] / c_k          (c_k: its norm)

No reduction is left to the compiler's order (no fastmath), so that results do not depend on the width of a
processor's vectors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

BLOCK = 16  # points whose sum is taken first when one of many is drawn
FLOOR = 1e-6  # share of sum |g| below which the probability of a point is not divided by
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8  # of Adam (Kingma and Ba 2015), its usual values


def _compiled(function: Callable[..., Any]) -> Any:
    """Compiled once for this machine where some cache folder is writable, else once for each process."""
    try:
        return njit(cache=True, error_model="numpy")(function)
    except RuntimeError:  # numba found no folder it may write to
        return njit(error_model="numpy")(function)


@_compiled
def _total(x, n):  # type: ignore[no-untyped-def]
    """Sum of ``x[:n]``, in eight lanes."""
    s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = x.dtype.type(0)
    whole = n - n % 8
    for i in range(0, whole, 8):
        s0 += x[i]
        s1 += x[i + 1]
        s2 += x[i + 2]
        s3 += x[i + 3]
        s4 += x[i + 4]
        s5 += x[i + 5]
        s6 += x[i + 6]
        s7 += x[i + 7]
    for i in range(whole, n):
        s0 += x[i]
    return ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7))


@_compiled
def _inverse_norm(vector):  # type: ignore[no-untyped-def]
    """1 / norm, or 1 for a zero vector."""
    square = vector.dtype.type(0)
    for a in range(len(vector)):
        square += vector[a] * vector[a]
    return 1 / np.sqrt(square) if square > 0 else vector.dtype.type(1)


@_compiled
def interfaces(cores, sizes, sums, right, norms, ranks):  # type: ignore[no-untyped-def]
    """Fills ``sums``, ``right`` and ``norms`` from the cores, in one sweep from the right."""
    d, r = len(cores), len(ranks)
    right[d] = 0
    right[d, 0] = 1
    for k in range(d - 1, -1, -1):
        n = sizes[k]
        for a in range(r):
            for i in range(n):
                sums[k, a, i] = cores[k, a, 0, i] * right[k + 1, 0]
            for b in range(1, r):
                z = right[k + 1, b]
                for i in range(n):
                    sums[k, a, i] += cores[k, a, b, i] * z
            right[k, a] = _total(sums[k, a], n)
        shrink = _inverse_norm(right[k])
        for a in range(r):
            right[k, a] *= shrink
        norms[k] = 1 / shrink


@_compiled
def sample(cores, sizes, sums, uniform, ranks):  # type: ignore[no-untyped-def]
    """Draws index tuples ``(m, d)`` from uniform numbers ``(m, d)`` in [0, 1), axis by axis for all samples."""
    m, d = uniform.shape
    r, n_max = len(ranks), sums.shape[2]
    one = cores.dtype.type(1)
    drawn = np.empty((m, d), np.int64)
    left = np.zeros((m, r), cores.dtype)
    left[:, 0] = 1
    following = np.empty(r, cores.dtype)
    p = np.empty(n_max + BLOCK, cores.dtype)
    blocks = np.empty(n_max // BLOCK + 1, cores.dtype)
    for k in range(d):
        n = sizes[k]
        for s in range(m):
            for i in range(n):
                w = left[s, 0] * sums[k, 0, i]
                for a in range(1, r):
                    w += left[s, a] * sums[k, a, i]
                p[i] = abs(w)
            i = _pick(p, n, uniform[s, k]) if n <= BLOCK else _pick_in_blocks(p, blocks, n, uniform[s, k])
            drawn[s, k] = i
            scale = one / p[i] if p[i] > 0 else one  # any scale will do; |g_i| keeps what follows near 1
            for b in range(r):
                w = left[s, 0] * cores[k, 0, b, i]
                for a in range(1, r):
                    w += left[s, a] * cores[k, a, b, i]
                following[b] = w * scale
            for b in range(r):
                left[s, b] = following[b]
    return drawn


@_compiled
def _pick(p, n, u):  # type: ignore[no-untyped-def]
    """The point where the running sum of ``p`` first exceeds the share ``u`` of the whole."""
    total = p.dtype.type(0)
    for i in range(n):
        total += p[i]
    if not total > 0:
        return int(u * n)  # nothing has a probability: any point will do
    i, _ = _walk(p, 0, n, total * p.dtype.type(u))
    return i


@_compiled
def _pick_in_blocks(p, blocks, n, u):  # type: ignore[no-untyped-def]
    """The same for many points: first the block, then the point in it."""
    count = (n + BLOCK - 1) // BLOCK
    for i in range(n, count * BLOCK):
        p[i] = 0
    total = p.dtype.type(0)
    for j in range(count):
        i = j * BLOCK
        blocks[j] = (((p[i] + p[i + 1]) + (p[i + 2] + p[i + 3])) + ((p[i + 4] + p[i + 5]) + (p[i + 6] + p[i + 7]))) + (
            ((p[i + 8] + p[i + 9]) + (p[i + 10] + p[i + 11])) + ((p[i + 12] + p[i + 13]) + (p[i + 14] + p[i + 15]))
        )
        total += blocks[j]
    if not total > 0:
        return int(u * n)
    j, rest = _walk(blocks, 0, count, total * p.dtype.type(u))
    i, _ = _walk(p, j * BLOCK, (j + 1) * BLOCK, rest)
    return i


@_compiled
def _walk(weights, start, stop, rest):  # type: ignore[no-untyped-def]
    """Where the running sum first exceeds ``rest``, or else the last weight > 0; and what was left of it there."""
    chosen, left = start, rest
    for i in range(start, stop):
        if weights[i] > 0:
            chosen, left = i, rest
            if rest < weights[i]:
                break
            rest -= weights[i]
    return chosen, left


@_compiled
def _paths(cores, sizes, sums, ranks, tuples, lefts, scales, tails, heads):  # type: ignore[no-untyped-def]
    """What the tuples' own paths give: Q_k and 1 / c_k; eta_k; dH_k = sum over tuples of outer(Q_k, h_k) in ``heads``.

    h = (sign(g) / sum |g| - delta_{i_k} / g_{i_k}) / B;   eta_k = H_k h_k + G_k[:, :, i_k] eta_{k+1} / c_k, eta_d = 0.
    """
    d, r, n_max = len(sums), len(ranks), sums.shape[2]
    count = len(tuples)
    share = 1 / cores.dtype.type(count)
    g = np.empty(n_max, cores.dtype)
    h = np.empty(n_max, cores.dtype)
    product = np.empty(n_max, cores.dtype)
    lefts[0] = 0
    lefts[0, :, 0] = 1
    for k in range(d):
        n = sizes[k]
        for s in range(count):
            for i in range(n):
                w = lefts[k, s, 0] * sums[k, 0, i]
                for a in range(1, r):
                    w += lefts[k, s, a] * sums[k, a, i]
                g[i] = w
                h[i] = abs(w)
            total = _total(h, n)
            chosen = tuples[s, k]
            if total > 0:
                pull = share / total
                for i in range(n):
                    h[i] = pull if g[i] >= 0 else -pull
                size = max(abs(g[chosen]), total * cores.dtype.type(FLOOR))
                h[chosen] -= share / (size if g[chosen] >= 0 else -size)
            else:  # the path has left the tensor's support: nothing to raise from here on
                for i in range(n):
                    h[i] = 0
            for a in range(r):
                q = lefts[k, s, a]
                if s == 0:
                    for i in range(n):
                        heads[k, a, i] = q * h[i]
                else:
                    for i in range(n):
                        heads[k, a, i] += q * h[i]
                for i in range(n):
                    product[i] = sums[k, a, i] * h[i]
                tails[k, s, a] = _total(product, n)
            for b in range(r):
                e = lefts[k, s, 0] * cores[k, 0, b, chosen]
                for a in range(1, r):
                    e += lefts[k, s, a] * cores[k, a, b, chosen]
                lefts[k + 1, s, b] = e
            shrink = _inverse_norm(lefts[k + 1, s])
            for b in range(r):
                lefts[k + 1, s, b] *= shrink
            scales[k, s] = shrink
    for k in range(d - 2, -1, -1):
        for s in range(count):
            i = tuples[s, k]
            for a in range(r):
                e = cores[k, a, 0, i] * tails[k + 1, s, 0]
                for b in range(1, r):
                    e += cores[k, a, b, i] * tails[k + 1, s, b]
                tails[k, s, a] += e * scales[k, s]


@_compiled
def _slope(k, n, cores, right, norms, ranks, tuples, lefts, scales, tails, heads, zeta, out):  # type: ignore[no-untyped-def]
    """The gradient of core ``k`` into ``out`` ``(r, r, n)``; zeta_k becomes zeta_{k+1}.

    t_i = dH_k[:, i] + zeta_k / z_k;   zeta_{k+1} = sum_i G_k[:, :, i]^T t_i
    dG_k[:, :, i] = outer(t_i, Z_{k+1}) + sum over tuples through i of outer(Q_k, eta_{k+1}) / c_k
    """
    r, n_max = len(ranks), out.shape[2]
    product = np.empty(n_max, cores.dtype)
    for a in range(r):
        shift = zeta[a] / norms[k]
        for i in range(n):
            heads[k, a, i] += shift
    for b in range(r):
        z = right[k + 1, b]
        for i in range(n):
            product[i] = 0
        for a in range(r):
            for i in range(n):
                t = heads[k, a, i]
                out[a, b, i] = t * z
                product[i] += cores[k, a, b, i] * t
            for i in range(n, n_max):
                out[a, b, i] = 0
        zeta[b] = _total(product, n)
    if k + 1 < len(cores):
        for s in range(len(tuples)):
            i = tuples[s, k]
            for a in range(r):
                q = lefts[k, s, a] * scales[k, s]
                for b in range(r):
                    out[a, b, i] += q * tails[k + 1, s, b]


@_compiled
def gradient(cores, sizes, sums, right, norms, ranks, tuples):  # type: ignore[no-untyped-def]
    """Of minus the mean log-probability of index tuples ``(B, d)``, for every core: ``(d, r, r, n)``."""
    d, r, n_max = len(sums), len(ranks), sums.shape[2]
    count = len(tuples)
    lefts = np.empty((d + 1, count, r), cores.dtype)
    scales = np.empty((d, count), cores.dtype)
    tails = np.empty((d, count, r), cores.dtype)
    heads = np.empty((d, r, n_max), cores.dtype)
    zeta = np.zeros(r, cores.dtype)
    out = np.empty((d, r, r, n_max), cores.dtype)
    _paths(cores, sizes, sums, ranks, tuples, lefts, scales, tails, heads)
    for k in range(d):
        _slope(k, sizes[k], cores, right, norms, ranks, tuples, lefts, scales, tails, heads, zeta, out[k])
    return out


@_compiled
def ascend(cores, mean, square, count, rate, sizes, sums, right, norms, ranks, tuples, steps):  # type: ignore[no-untyped-def]
    """Raises the log-probability of index tuples ``(B, d)`` by Adam steps, in place; the interfaces are renewed.

    ``mean`` and ``square`` are Adam's moments, shaped like the cores; ``count`` of its steps were made before. Each
    core is moved as soon as its gradient is known: nothing later in the sweep reads it again.
    """
    d, r, n_max = len(sums), len(ranks), sums.shape[2]
    kind = cores.dtype.type
    lefts = np.empty((d + 1, len(tuples), r), cores.dtype)
    scales = np.empty((d, len(tuples)), cores.dtype)
    tails = np.empty((d, len(tuples), r), cores.dtype)
    heads = np.empty((d, r, n_max), cores.dtype)
    slope = np.empty((r, r, n_max), cores.dtype)
    zeta = np.empty(r, cores.dtype)
    for step in range(count + 1, count + steps + 1):
        _paths(cores, sizes, sums, ranks, tuples, lefts, scales, tails, heads)
        zeta[:] = 0
        grow1 = kind(1 / (1 - BETA1**step))
        grow2 = kind(1 / (1 - BETA2**step))
        for k in range(d):
            _slope(k, sizes[k], cores, right, norms, ranks, tuples, lefts, scales, tails, heads, zeta, slope)
            _adam(cores[k], mean[k], square[k], slope, kind(rate), grow1, grow2)
        interfaces(cores, sizes, sums, right, norms, ranks)


@_compiled
def _adam(core, mean, square, slope, rate, grow1, grow2):  # type: ignore[no-untyped-def]
    core, mean, square, slope = core.reshape(-1), mean.reshape(-1), square.reshape(-1), slope.reshape(-1)
    kind = core.dtype.type
    keep1, keep2, take1, take2 = kind(BETA1), kind(BETA2), kind(1 - BETA1), kind(1 - BETA2)
    epsilon = kind(EPSILON)
    for i in range(len(core)):
        m = keep1 * mean[i] + take1 * slope[i]
        v = keep2 * square[i] + take2 * slope[i] * slope[i]
        mean[i] = m
        square[i] = v
        core[i] -= rate * (m * grow1) / (np.sqrt(v * grow2) + epsilon)
