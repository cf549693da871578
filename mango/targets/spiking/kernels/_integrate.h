/* Neurons over all their steps; the operations and their order are those of dynamics.py. */

/* One step: U and I to the potential after it; H and the spikes go where they are wanted. */
INLINE VECTOR NAME(step)(const int charge, const int reset, VECTOR u, VECTOR current, const VECTOR *p, VECTOR *charged,
                         uint32_t *spikes)
{
    const VECTOR one = (VECTOR){0} + 1.0f, rate = p[0], rest = p[1], above = p[2], amount = p[3];
    const int late = reset == LATE_SUBTRACT || reset == LATE_ZERO || reset == BOTH_SUBTRACT || reset == BOTH_ZERO;
    MASK before = ABOVE(late ? u : above, above);
    VECTOR h;
    if (reset == LATE_ZERO || reset == BOTH_ZERO)
        u = DROP(before, one) * u;
    if (charge == DECAY)
        h = rate * u + current;
    else if (charge == RELAX)
        h = (u - (u - rest) * rate) + current;
    else if (charge == RELAX_BY)
        h = (u - (u - rest) / rate) + current;
    else if (charge == RELAX_ALL)
        h = u + (current - (u - rest)) * rate;
    else
        h = u + (current - (u - rest)) / rate;
    if (reset == LATE_SUBTRACT || reset == BOTH_SUBTRACT)
        h = h - KEEP(before, amount);
    MASK now = ABOVE(h, above);
    *spikes = BITS(now);
    *charged = h;
    if (reset == SUBTRACT)
        h = h - KEEP(now, amount);
    else if (reset == REPLACE)
        h = KEEP(now, amount) + DROP(now, one) * h;
    else if (reset == BOTH_SUBTRACT)
        h = h - (KEEP(now, one) - KEEP(before, one)) * amount;
    else if (reset == BOTH_ZERO)
        h = h - (KEEP(now, one) - KEEP(before, one)) * h;
    return h;
}

/* All steps of n positions from `first` on, whose potentials are kept in u. */
INLINE void NAME(train)(const int charge, const int reset, const Neurons *a, ptrdiff_t first, ptrdiff_t n, VECTOR *u)
{
    const ptrdiff_t groups = (a->channels + GROUP - 1) / GROUP, whole = a->positions * a->channels;
    const float *end = a->currents + (a->still ? 1 : a->steps) * whole;
    for (ptrdiff_t t = -1; t < a->steps; t++) /* before the first step the potentials are set */
        for (ptrdiff_t g = 0; g < groups; g++) {
            const ptrdiff_t c = g * GROUP, left = a->channels - c < GROUP ? a->channels - c : GROUP;
            VECTOR p[PER][5], *potential = u + g * n * PER;
            for (int row = 0; row < 5; row++)
                for (int v = 0; v < PER; v++)
                    p[v][row] = LOAD(a->parameters + (row * groups + g) * GROUP + v * LANES);
            if (t < 0) {
                for (ptrdiff_t i = 0; i < n * PER; i++)
                    potential[i] = p[i % PER][4];
                continue;
            }
            const float *current = a->currents + (a->still ? 0 : t * whole) + first * a->channels + c;
            uint16_t *words = a->words + (t * a->positions + first) * groups + g;
            for (ptrdiff_t i = 0; i < n; i++, current += a->channels, potential += PER) {
                float edge[GROUP];
                const float *from = current;
                uint32_t word = 0;
                if (end - current < GROUP) /* else what follows is read too, and thrown away */
                    from = memcpy(edge, current, left * sizeof(float));
                for (int v = 0; v < PER; v++) {
                    uint32_t spikes;
                    VECTOR h;
                    potential[v] = NAME(step)(charge, reset, potential[v], LOAD(from + v * LANES), p[v], &h, &spikes);
                    word |= spikes << (v * LANES);
                }
                words[i * groups] = (uint16_t)(word & (0xffffu >> (GROUP - left)));
                if (a->potentials)
                    memcpy(a->potentials + t * whole + (first + i) * a->channels + c, potential, left * sizeof(float));
            }
        }
}

INLINE void NAME(trains)(const int charge, const int reset, const Neurons *a)
{
    const ptrdiff_t groups = (a->channels + GROUP - 1) / GROUP, most = POTENTIALS / GROUP / groups;
    const ptrdiff_t n = most > 1 ? most : 1;
    for (ptrdiff_t q = 0; q < a->positions; q += n)
        NAME(train)(charge, reset, a, q, a->positions - q < n ? a->positions - q : n, a->room);
}

#define RESETS(charge, reset) \
    case reset: \
        NAME(trains)(charge, reset, a); \
        break;
#define CHARGES(charge) \
    case charge: \
        switch (a->reset) { \
            RESETS(charge, NONE) \
            RESETS(charge, LATE_SUBTRACT) \
            RESETS(charge, LATE_ZERO) \
            RESETS(charge, SUBTRACT) \
            RESETS(charge, REPLACE) \
            RESETS(charge, BOTH_SUBTRACT) \
            RESETS(charge, BOTH_ZERO) \
        } \
        break;

TARGET static void NAME(integrate)(const Neurons *a)
{
    switch (a->charge) {
        CHARGES(DECAY)
        CHARGES(RELAX)
        CHARGES(RELAX_BY)
        CHARGES(RELAX_ALL)
        CHARGES(RELAX_ALL_BY)
    }
}

#undef RESETS
#undef CHARGES
