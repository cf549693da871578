/* Neurons behind a convolution of spikes many of which have equal trains: the weights of equal trains are added up
   first, these sums for equal bytes of the trains, and each step adds up the bytes that have its bit.

   The sums are not made in torch's order. So each potential carries a bound on the difference; where one comes so near
   its threshold that the spike is in doubt, the neuron's currents are summed again in torch's order. */

#define AHEAD 12 /* entries */

/* The weights of a window by trains, into sums; returns how many trains, listed as present. */
INLINE int NAME(add_trains)(const int groups, const Convolution *a, const Trains *s, Room *room, const float *weights,
                            int top, int left)
{
    int known = 0;
    for (int i = top < 0 ? -top : 0; i < a->kh && top + i < a->height; i++)
        for (int j = left < 0 ? -left : 0; j < a->kw && left + j < a->width; j++) {
            const int32_t *starts = s->starts + ((ptrdiff_t)(top + i) * a->width + left + j) * (a->blocks + 1);
            const float *rows = weights + (ptrdiff_t)(i * a->kw + j) * a->block * a->width_out;
            for (const Entry *e = s->entries + starts[0]; e < s->entries + starts[a->blocks]; e++) {
                const float *row = rows + e->row;
                for (int v = 0; v < groups; v++) /* weights come from afar, and not in a pattern */
                    __builtin_prefetch(rows + e[AHEAD].row + v * GROUP);
                int place = room->places[e->train];
                if (place < 0) {
                    room->places[e->train] = place = known;
                    room->present[known++] = e->train;
                    float *sum = room->sums + (ptrdiff_t)place * WIDEST;
                    for (int v = 0; v < groups * PER; v++)
                        STORE(sum + v * LANES, LOAD(row + v * LANES));
                } else {
                    float *sum = room->sums + (ptrdiff_t)place * WIDEST;
                    for (int v = 0; v < groups * PER; v++)
                        STORE(sum + v * LANES, LOAD(sum + v * LANES) + LOAD(row + v * LANES));
                }
            }
        }
    return known;
}

/* The sums of the trains to those of their bytes. */
INLINE void NAME(add_bytes)(const int groups, const Trains *s, Room *room, int known)
{
    memset(room->bytes, 0, (size_t)s->slots * WIDEST * sizeof(float));
    for (int place = 0; place < known; place++) {
        const int train = room->present[place];
        VECTOR sum[4 * PER];
        room->places[train] = -1;
        for (int v = 0; v < groups * PER; v++)
            sum[v] = LOAD(room->sums + (ptrdiff_t)place * WIDEST + v * LANES);
        for (int i = s->train_starts[train]; i < s->train_starts[train + 1]; i++) {
            float *byte = room->bytes + (ptrdiff_t)s->train_slots[i] * WIDEST;
            for (int v = 0; v < groups * PER; v++)
                STORE(byte + v * LANES, LOAD(byte + v * LANES) + sum[v]);
        }
    }
}

/* The bytes to the currents of each step; of several windows the largest stays. */
INLINE void NAME(add_steps)(const int groups, const int others, const Trains *s, Room *room, const float *bias)
{
    for (int t = 0; t < s->steps; t++) {
        float *current = room->currents + (ptrdiff_t)t * WIDEST;
        VECTOR sum[4 * PER];
        for (int v = 0; v < groups * PER; v++)
            sum[v] = LOAD(bias + v * LANES);
        for (int i = s->step_starts[t]; i < s->step_starts[t + 1]; i++) {
            const float *byte = room->bytes + (ptrdiff_t)s->step_slots[i] * WIDEST;
            for (int v = 0; v < groups * PER; v++)
                sum[v] += LOAD(byte + v * LANES);
        }
        for (int v = 0; v < groups * PER; v++)
            STORE(current + v * LANES, others ? LARGER(sum[v], LOAD(current + v * LANES)) : sum[v]);
    }
}

/* The currents of one channel and window in torch's order, `stretch` steps at a time; `join` says what becomes of those
   that are there. */
INLINE void NAME(add_stretches)(const int stretch, const Convolution *a, const Trains *s, Room *room, int channel,
                                int top, int left, int join)
{
    const int tile = channel / a->width_out, lane = channel % a->width_out;
    const float *weights = a->weights + (ptrdiff_t)tile * a->blocks * a->kh * a->kw * a->block * a->width_out + lane;
    const VECTOR bias = (VECTOR){0} + a->bias[channel];
    for (int t = 0; t < s->steps; t += stretch) {
        VECTOR sum[stretch / LANES], total[stretch / LANES];
        for (int b = 0; b < a->blocks; b++) {
            for (int v = 0; v < stretch / LANES; v++)
                sum[v] = (VECTOR){0};
            for (int i = top < 0 ? -top : 0; i < a->kh && top + i < a->height; i++)
                for (int j = left < 0 ? -left : 0; j < a->kw && left + j < a->width; j++) {
                    const ptrdiff_t place = (ptrdiff_t)(top + i) * a->width + left + j;
                    const int32_t *starts = s->starts + place * (a->blocks + 1) + b;
                    const float *rows = weights + (ptrdiff_t)(i * a->kw + j) * a->block * a->width_out;
                    for (const Entry *e = s->entries + starts[0]; e < s->entries + starts[1]; e++) {
                        const VECTOR weight = (VECTOR){0} + rows[e->row];
                        const uint8_t *bits = s->known[e->train] + t / 8;
                        for (int v = 0; v < stretch / LANES; v++)
                            sum[v] += WHERE(bits, v, weight);
                    }
                }
            for (int v = 0; v < stretch / LANES; v++) {
                if (!b)
                    total[v] = a->bias_first ? sum[v] + bias : sum[v];
                else
                    total[v] = sum[v] + total[v];
            }
        }
        float *current = room->currents + (ptrdiff_t)t * WIDEST + lane;
        for (int v = 0; v < stretch / LANES; v++)
            for (int i = 0; i < LANES && t + v * LANES + i < s->steps; i++, current += WIDEST) {
                const float value = (a->bias_first ? total[v] : total[v] + bias)[i];
                *current = join == ADD ? *current + value : join == LARGEST && *current > value ? *current : value;
            }
    }
}

INLINE void NAME(add_again)(const Convolution *a, const Trains *s, Room *room, int channel, int top, int left, int join)
{
    if (s->steps <= 2 * LANES)
        NAME(add_stretches)(2 * LANES, a, s, room, channel, top, left, join);
    else
        NAME(add_stretches)(STRETCH, a, s, room, channel, top, left, join);
}

/* Spikes of a group of neurons driven by the currents, and as bits those of them that are in doubt. */
TARGET static uint32_t NAME(fire)(const Layer *a, const Trains *s, const Room *room, int channel, uint16_t *words,
                                  ptrdiff_t stride)
{
    const int outputs = a->convolution.outputs, left = outputs - channel < GROUP ? outputs - channel : GROUP;
    const float *currents = room->currents + channel % a->convolution.width_out;
    const VECTOR zero = {0}, one = zero + 1.0f, ulps = zero + 3 * TWICE_ROUNDED;
    VECTOR p[PER][ROWS], u[PER], doubt[PER], each[PER];
    uint32_t doubtful = 0;
    for (int row = 0; row < ROWS; row++) {
        float edge[GROUP] = {0};
        memcpy(edge, (row < 5 ? a->parameters : room->bounds - 5 * outputs) + row * outputs + channel,
               left * sizeof(float));
        for (int v = 0; v < PER; v++)
            p[v][row] = LOAD(edge + v * LANES);
    }
    for (int v = 0; v < PER; v++) {
        u[v] = p[v][4];
        doubt[v] = zero;
        each[v] = one; /* how much larger the currents are than expected, so are the partial sums */
        for (int t = 0; t < s->steps; t++)
            each[v] = LARGER(each[v], SIZE(LOAD(currents + (ptrdiff_t)t * WIDEST + v * LANES)) * p[v][7]);
        each[v] = each[v] * p[v][5] + ulps * (SIZE(p[v][1]) + SIZE(p[v][3]));
    }
    for (int t = 0; t < s->steps; t++) {
        uint32_t word = 0;
        for (int v = 0; v < PER; v++) {
            const VECTOR before = u[v], current = LOAD(currents + (ptrdiff_t)t * WIDEST + v * LANES);
            VECTOR h;
            uint32_t spikes;
            u[v] = NAME(step)(a->charge, a->reset, before, current, p[v], &h, &spikes);
            word |= spikes << (v * LANES);
            doubt[v] = p[v][6] * doubt[v] + each[v] + ulps * (SIZE(before) + SIZE(h));
            uint32_t sure = BITS(ABOVE(SIZE(h - p[v][2]), doubt[v]));
            if (a->reset == BOTH_SUBTRACT) /* which looks at the potential after the reset too */
                sure &= BITS(ABOVE(SIZE(u[v] - p[v][2]), doubt[v]));
            doubtful |= (~sure & ((1u << LANES) - 1)) << (v * LANES);
        }
        words[t * stride] = (uint16_t)(word & (0xffffu >> (GROUP - left)));
    }
    return doubtful & (0xffffu >> (GROUP - left));
}

/* One place of the layer: the neurons of a tile of channels. Returns how many were in doubt. */
INLINE int NAME(fire_place)(const int groups, const Layer *a, const Trains *s, Room *room, int tile, int row, int column,
                            uint16_t *words, ptrdiff_t stride)
{
    const Convolution *c = &a->convolution;
    const ptrdiff_t size = (ptrdiff_t)c->blocks * c->kh * c->kw * c->block * c->width_out;
    const int windows = a->pool_y * a->pool_x, first = tile * c->width_out;
    int doubts = 0;
    for (int w = 0; w < windows; w++) {
        const int top = (row * a->pool_step_y + w / a->pool_x) * c->step_y - c->pad_y;
        const int left = (column * a->pool_step_x + w % a->pool_x) * c->step_x - c->pad_x;
        const int known = NAME(add_trains)(groups, c, s, room, c->weights + tile * size, top, left);
        NAME(add_bytes)(groups, s, room, known);
        NAME(add_steps)(groups, w > 0, s, room, c->bias + first);
    }
    for (int channel = first; channel < first + groups * GROUP && channel < c->outputs; channel += GROUP) {
        uint16_t *word = words + channel / GROUP;
        const uint32_t doubtful = NAME(fire)(a, s, room, channel, word, stride);
        for (uint32_t bits = doubtful; bits; bits &= bits - 1, doubts++)
            for (int w = 0; w < windows; w++)
                NAME(add_again)(c, s, room, channel + __builtin_ctz(bits),
                                (row * a->pool_step_y + w / a->pool_x) * c->step_y - c->pad_y,
                                (column * a->pool_step_x + w % a->pool_x) * c->step_x - c->pad_x,
                                w ? LARGEST : REPLACED);
        if (doubtful)
            NAME(fire)(a, s, room, channel, word, stride);
    }
    return doubts;
}

/* Counts the spikes of an image, all of them, and the largest share of a window's inputs that spike in one step. */
TARGET static void NAME(count)(const Convolution *a, Trains *s, const uint16_t *words, ptrdiff_t stride, int32_t *sums)
{
    int32_t most = 0;
    s->spikes = 0;
    for (int t = 0; t < s->steps; t++, words += stride) {
        const uint16_t *word = words; /* sums[y][x]: of all places above and to the left */
        for (int y = 0; y < a->height; y++)
            for (int x = 0; x < a->width; x++) {
                int32_t *at = sums + (y + 1) * (a->width + 1) + x + 1, spikes = 0;
                for (int g = 0; g < a->channels; g++)
                    spikes += __builtin_popcount(*word++);
                *at = spikes + at[-1] + at[-a->width - 1] - at[-a->width - 2];
            }
        s->spikes += sums[a->height * (a->width + 1) + a->width];
        for (int y = -a->pad_y; y <= a->height + a->pad_y - a->kh; y += a->step_y)
            for (int x = -a->pad_x; x <= a->width + a->pad_x - a->kw; x += a->step_x) {
                const int top = y < 0 ? 0 : y, bottom = y + a->kh > a->height ? a->height : y + a->kh;
                const int left = x < 0 ? 0 : x, right = x + a->kw > a->width ? a->width : x + a->kw;
                if (top >= bottom || left >= right)
                    continue;
                const int32_t *low = sums + bottom * (a->width + 1), *high = sums + top * (a->width + 1);
                const int32_t count = low[right] - low[left] - high[right] + high[left];
                most = count > most ? count : most;
            }
    }
    s->density = (double)most / ((double)a->inputs * a->kh * a->kw);
}

#define TILES(n) \
    case n: \
        for (int tile = 0; tile < c->tiles; tile++) \
            for (int row = 0; row < a->rows; row++) \
                for (int column = 0; column < a->columns; column++) \
                    doubts += NAME(fire_place)(n, a, s, room, tile, row, column, \
                                               out + (row * a->columns + column) * a->groups, stride_out); \
        break;

/* All neurons of an image. Returns how many were in doubt. */
TARGET static ptrdiff_t NAME(fold)(const Layer *a, const Trains *s, Room *room, uint16_t *out, ptrdiff_t stride_out)
{
    const Convolution *c = &a->convolution;
    ptrdiff_t doubts = 0;
    switch (c->width_out / GROUP) {
        TILES(1)
        TILES(2)
        TILES(3)
        TILES(4)
    }
    return doubts;
}

#undef TILES
#undef AHEAD
