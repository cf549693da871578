/* Convolution of spikes, event by event; the sums are made in the order that convolution.py tells of.

   Rows of the images are taken in turn, several images at a time. Of each row and block of input channels all spikes
   are listed, x * block + channel; the window of an output is a stretch of that list, for every kernel row the same.
   Outputs are visited by the length of their stretch, so that the processor foresees where each loop ends. */

#define AHEAD 3 /* windows */

/* The events of one stretch, their weights added to `from` (NULL: to 0), into `to`. */
INLINE void NAME(gather)(const int groups, uintptr_t weights, const int32_t *events, ptrdiff_t count,
                         const float *from, float *to)
{
    VECTOR sum[4 * PER];
    for (int v = 0; v < groups * PER; v++)
        sum[v] = from ? LOAD(from + v * LANES) : (VECTOR){0};
    for (ptrdiff_t e = 0; e < count; e++) {
        const float *row = (const float *)(weights + (uintptr_t)events[e]);
        for (int v = 0; v < groups * PER; v++)
            sum[v] += LOAD(row + v * LANES);
    }
    for (int v = 0; v < groups * PER; v++)
        STORE(to + v * LANES, sum[v]);
}

/* Lists the channels whose bits are set, each times `size`; up to GROUP places are overwritten. Returns how many. */
INLINE int NAME(list)(uint32_t word, int32_t first, int32_t size, int32_t *events)
{
#if LANES == 16
    const __m512i channels = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512i places = _mm512_mullo_epi32(_mm512_add_epi32(channels, _mm512_set1_epi32(first)),
                                              _mm512_set1_epi32(size));
    _mm512_storeu_si512(events, _mm512_maskz_compress_epi32((__mmask16)word, places));
    return __builtin_popcount(word);
#else
    int count = 0;
    for (; word; word &= word - 1)
        events[count++] = (first + __builtin_ctz(word)) * size;
    return count;
#endif
}

/* Lists the events of one row of the images, channels `begin` to `end`. */
INLINE void NAME(read)(const Convolution *a, ptrdiff_t image, int images, int y, int begin, int end, Scratch *s)
{
    const int32_t size = a->width_out * (int32_t)sizeof(float);
    int32_t count = 0;
    for (int n = 0; n < images; n++) {
        const ptrdiff_t row = ((image + n) * a->height + y) * a->width;
        int32_t *starts = s->starts + n * (a->width + 1);
        for (int x = 0; x < a->width; x++) {
            starts[x] = count;
            const uint16_t *words = a->words + (row + x) * a->channels;
            for (int g = begin / GROUP; g * GROUP < end; g++) {
                uint32_t word = words[g];
                if (g * GROUP < begin)
                    word &= 0xffffu << (begin - g * GROUP);
                if (g * GROUP + GROUP > end)
                    word &= 0xffffu >> (g * GROUP + GROUP - end);
                count += NAME(list)(word, x * a->block + g * GROUP - begin, size, s->events + count);
            }
        }
        starts[a->width] = count;
    }
}

/* Sorts the outputs along a row by the length of their stretch; returns the longest. */
INLINE int NAME(sort)(const Convolution *a, int images, Scratch *s)
{
    const int32_t size = a->block * a->width_out * (int32_t)sizeof(float);
    int longest = 0;
    memset(s->ends, 0, (a->kw * (size_t)a->block + 2) * sizeof(*s->ends));
    for (int n = 0; n < images; n++)
        for (int x = 0; x < a->columns; x++) {
            const int left = x * a->step_x - a->pad_x, right = left + a->kw;
            const int32_t *starts = s->starts + n * (a->width + 1);
            const int begin = left < 0 ? 0 : left, end = right > a->width ? a->width : right;
            const int length = end > begin ? starts[end] - starts[begin] : 0;
            s->unsorted[n * a->columns + x] = (Window){
                .events = end > begin ? starts[begin] : 0,
                .length = length,
                .shift = -left * size,
                .partial = (n * a->columns + x) * a->width_out,
                .out = (n * a->rows * a->columns + x) * a->outputs,
            };
            s->ends[length + 1]++;
            longest = length > longest ? length : longest;
        }
    for (int i = 1; i <= longest; i++)
        s->ends[i] += s->ends[i - 1];
    for (int i = 0; i < images * a->columns; i++)
        s->sorted[s->ends[s->unsorted[i].length]++] = s->unsorted[i];
    return longest;
}

/* The sum of a block goes to the sums of the blocks before. */
INLINE void NAME(finish)(const int groups, const Convolution *a, int block, const float *bias, const float *sum, int lanes,
                         float *out)
{
    float edge[4 * GROUP];
    float *to = out;
    if (lanes < groups * GROUP) {
        memcpy(edge, out, lanes * sizeof(float));
        to = edge;
    }
    for (int v = 0; v < groups * PER; v++) {
        VECTOR total = LOAD(sum + v * LANES);
        if (block)
            total = total + LOAD(to + v * LANES);
        else if (a->bias_first)
            total = total + LOAD(bias + v * LANES);
        if (!a->bias_first && block == a->blocks - 1)
            total = total + LOAD(bias + v * LANES);
        STORE(to + v * LANES, total);
    }
    if (lanes < groups * GROUP)
        memcpy(out, edge, lanes * sizeof(float));
}

/* What one row of the input, of some block, adds to one row of the outputs, through kernel row i. */
INLINE void NAME(add)(const int groups, const Convolution *a, int images, int y, int i, int block, int tile, int longest,
                      ptrdiff_t image, Scratch *s)
{
    const int from = y + a->pad_y - i, row = from / a->step_y;
    if (from < 0 || from % a->step_y || row >= a->rows)
        return;
    const int top = row * a->step_y - a->pad_y, bottom = top + a->kh - 1;
    const int first = y == (top < 0 ? 0 : top), last = y == (bottom >= a->height ? a->height - 1 : bottom);
    const uintptr_t weights =
        (uintptr_t)(a->weights + (((ptrdiff_t)tile * a->blocks + block) * a->kh + i) * a->kw * a->block * a->width_out);
    const ptrdiff_t ring = (ptrdiff_t)(tile * a->kh + row % a->kh) * images * a->columns * a->width_out;
    const int lanes = a->outputs - tile * a->width_out < a->width_out ? a->outputs - tile * a->width_out : a->width_out;
    const float *bias = a->bias + tile * a->width_out;
    float *out = a->out + (image * a->rows + row) * a->columns * a->outputs + tile * a->width_out;
    int w = 0;
    for (int length = 0; length <= longest; length++) {
        const int end = s->ends[length];
        if (!length && !first && !last)
            w = end;
        for (; w < end; w++) {
            const Window *window = s->sorted + w;
            float *partial = s->partial + ring + window->partial;
            for (int v = 0; v < groups; v++) /* the sums lie in no order that the processor foresees */
                __builtin_prefetch(s->partial + ring + window[AHEAD].partial + v * GROUP, 1);
            NAME(gather)(groups, weights + (uintptr_t)window->shift, s->events + window->events, length,
                         first ? NULL : partial, partial);
            if (last)
                NAME(finish)(groups, a, block, bias, partial, lanes, out + window->out);
        }
    }
}

INLINE void NAME(convolve_groups)(const int groups, const Convolution *a, Scratch *s)
{
    for (ptrdiff_t image = 0; image < a->images; image += a->together) {
        const int images = (int)(a->images - image < a->together ? a->images - image : a->together);
        for (int block = 0; block < a->blocks; block++)
            for (int y = 0; y < a->height; y++) {
                const int begin = block * a->block, end = begin + a->block;
                NAME(read)(a, image, images, y, begin, end > a->inputs ? a->inputs : end, s);
                const int longest = NAME(sort)(a, images, s);
                for (int tile = 0; tile < a->tiles; tile++)
                    for (int i = 0; i < a->kh; i++)
                        NAME(add)(groups, a, images, y, i, block, tile, longest, image, s);
            }
    }
}

#define GROUPS(groups) \
    case groups: \
        NAME(convolve_groups)(groups, a, s); \
        break;

TARGET static void NAME(convolve)(const Convolution *a, Scratch *s)
{
    switch (a->width_out / GROUP) {
        GROUPS(1)
        GROUPS(2)
        GROUPS(3)
        GROUPS(4)
    }
}

#undef GROUPS
#undef AHEAD
