/* Neurons whose currents were summed in another order than torch's: behind a convolution of spikes, an average over
   windows and a batch norm, joined into one convolution.

   As in _fold.h, a potential carries a bound; a neuron that comes into doubt is computed again as torch does it: the
   convolution, the average of the windows, the batch norm, one after another. */

/* The currents of one channel as torch has them. */
INLINE void NAME(compute_again)(const Layer *a, const Trains *s, Room *room, int channel, int row, int column)
{
    const Convolution *c = &a->convolution;
    const int windows = a->pool_y * a->pool_x;
    for (int w = 0; w < windows; w++)
        NAME(add_again)(c, s, room, channel, (row * a->pool_step_y + w / a->pool_x) * c->step_y - c->pad_y,
                        (column * a->pool_step_x + w % a->pool_x) * c->step_x - c->pad_x, w ? ADD : REPLACED);
    float *current = room->currents + channel % c->width_out;
    const float scale = a->scale[channel], shift = a->shift[channel];
    for (int t = 0; t < s->steps; t++, current += WIDEST) {
        const float mean = *current / (float)windows;
        *current = a->fused ? fmaf(mean, scale, shift) : mean * scale + shift;
    }
}

/* All neurons of an image. Returns how many were in doubt. */
TARGET static ptrdiff_t NAME(settle)(const Layer *a, Trains *s, Room *room, Image image)
{
    const Convolution *c = &a->convolution;
    ptrdiff_t doubts = 0;
    for (int row = 0; row < a->rows; row++)
        for (int column = 0; column < a->columns; column++)
            for (int channel = 0; channel < c->outputs; channel += GROUP) {
                const ptrdiff_t place = (ptrdiff_t)row * a->columns + column;
                const int left = c->outputs - channel < GROUP ? c->outputs - channel : GROUP;
                const float *from = image.currents + place * c->outputs + channel;
                float *to = room->currents + channel % c->width_out;
                uint16_t *word = image.out + place * a->groups + channel / GROUP;
                for (int t = 0; t < s->steps; t++, from += image.currents_stride, to += WIDEST)
                    if (left == GROUP)
                        for (int v = 0; v < PER; v++)
                            STORE(to + v * LANES, LOAD(from + v * LANES));
                    else {
                        memset(to, 0, GROUP * sizeof(float));
                        memcpy(to, from, left * sizeof(float));
                    }
                const uint32_t doubtful = NAME(fire)(a, s, room, channel, word, image.stride_out);
                if (!doubtful)
                    continue;
                if (!doubts) {
                    read_bits(s, image.words, image.stride, (ptrdiff_t)c->height * c->width * c->channels);
                    list_entries(s, c);
                }
                for (uint32_t bits = doubtful; bits; bits &= bits - 1, doubts++)
                    NAME(compute_again)(a, s, room, channel + __builtin_ctz(bits), row, column);
                NAME(fire)(a, s, room, channel, word, image.stride_out);
            }
    return doubts;
}
