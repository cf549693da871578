/* Neurons over all their steps; the operations and their order are those of dynamics.py. */

#define TOGETHER 4 /* positions whose groups are stepped side by side: one waits for its own last step */

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

/* n positions from q on, of the group of channels that begins at c. */
INLINE void NAME(train)(const int charge, const int reset, const int n, const Neurons *a, ptrdiff_t q, ptrdiff_t c)
{
    const ptrdiff_t left = a->channels - c < GROUP ? a->channels - c : GROUP;
    const ptrdiff_t whole = a->positions * a->channels, groups = (a->channels + GROUP - 1) / GROUP;
    VECTOR p[PER][4], u[TOGETHER][PER];
    float edge[GROUP] = {0};
    for (int row = 0; row < 5; row++) {
        memcpy(edge, a->parameters + row * a->channels + c, left * sizeof(float));
        for (int v = 0; v < PER; v++) {
            if (row < 4)
                p[v][row] = LOAD(edge + v * LANES);
            else
                for (int i = 0; i < n; i++)
                    u[i][v] = LOAD(edge + v * LANES);
        }
    }
    for (ptrdiff_t t = 0; t < a->steps; t++) {
        const float *currents = a->currents + (a->still ? 0 : t * whole) + q * a->channels + c;
        uint16_t *words = a->words + (t * a->positions + q) * groups + c / GROUP;
        for (int i = 0; i < n; i++) {
            const float *current = currents + i * a->channels;
            uint32_t word = 0;
            if (left < GROUP) {
                memcpy(edge, current, left * sizeof(float));
                current = edge;
            }
            for (int v = 0; v < PER; v++) {
                uint32_t spikes;
                VECTOR charged;
                u[i][v] = NAME(step)(charge, reset, u[i][v], LOAD(current + v * LANES), p[v], &charged, &spikes);
                word |= spikes << (v * LANES);
            }
            words[i * groups] = (uint16_t)(word & (0xffffu >> (GROUP - left)));
        }
        if (a->potentials)
            for (int i = 0; i < n; i++)
                memcpy(a->potentials + t * whole + (q + i) * a->channels + c, u[i], left * sizeof(float));
    }
}

INLINE void NAME(trains)(const int charge, const int reset, const Neurons *a)
{
    for (ptrdiff_t c = 0; c < a->channels; c += GROUP) {
        ptrdiff_t q = 0;
        for (; q + TOGETHER <= a->positions; q += TOGETHER)
            NAME(train)(charge, reset, TOGETHER, a, q, c);
        for (; q < a->positions; q++)
            NAME(train)(charge, reset, 1, a, q, c);
    }
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
#undef TOGETHER
