/* The spikes of one image as trains: which neurons have equal ones, and which bytes (eight steps) those have. */

/* Eight rows of eight bits, rows and columns exchanged (Warren 2013, Hacker's Delight, section 7-3). */
static inline uint64_t exchanged(uint64_t x)
{
    uint64_t t = (x ^ x >> 7) & 0x00AA00AA00AA00AAull;
    x ^= t ^ t << 7;
    t = (x ^ x >> 14) & 0x0000CCCC0000CCCCull;
    x ^= t ^ t << 14;
    t = (x ^ x >> 28) & 0x00000000F0F0F0F0ull;
    return x ^ t ^ t << 28;
}

/* Fills bits from the words of `count` groups of neurons; those of the next step lie `stride` words further. */
static void read_bits(Trains *s, const uint16_t *words, ptrdiff_t stride, ptrdiff_t count)
{
    memset(s->bits, 0, (size_t)count * 16 * s->width);
    for (int octet = 0; octet < s->octets; octet++) {
        const int steps = s->steps - 8 * octet < 8 ? s->steps - 8 * octet : 8;
        for (ptrdiff_t i = 0; i < count; i++) {
            uint64_t half[2] = {0, 0};
            for (int t = 0; t < steps; t++) {
                const uint64_t word = words[(8 * octet + t) * stride + i];
                half[0] |= (word & 255) << (8 * t);
                half[1] |= (word >> 8) << (8 * t);
            }
            for (int h = 0; h < 2; h++) {
                if (!half[h])
                    continue;
                const uint64_t bytes = exchanged(half[h]);
                for (int c = 0; c < 8; c++)
                    s->bits[(i * 16 + 8 * h + c) * s->width + octet] = (uint8_t)(bytes >> (8 * c));
            }
        }
    }
}

/* The number of a train, a new one where it was not seen before; -1: it is silent. */
static inline int number_of(Trains *s, const uint8_t *bits)
{
    uint64_t hash = 0, any = 0;
    for (int i = 0; i < s->width; i += 8) {
        uint64_t part;
        memcpy(&part, bits + i, 8);
        any |= part;
        hash = (hash ^ part) * 0x9E3779B97F4A7C15ull;
        hash ^= hash >> 29;
    }
    if (!any)
        return -1;
    uint32_t at = (uint32_t)(hash >> 20) & s->mask;
    for (; s->table[at] >= 0; at = (at + 1) & s->mask)
        if (!memcmp(s->known[s->table[at]], bits, s->width))
            return s->table[at];
    s->known[s->trains] = bits;
    return s->table[at] = s->trains++;
}

/* Lists the neurons that spike and numbers their trains; the channels of a place come in blocks. */
static void list_entries(Trains *s, const Convolution *a)
{
    const int row = a->width_out, block_row = a->kh * a->kw * a->block * row;
    int32_t count = 0;
    s->trains = 0;
    memset(s->table, -1, ((size_t)s->mask + 1) * sizeof(int32_t));
    for (ptrdiff_t place = 0; place < (ptrdiff_t)a->height * a->width; place++)
        for (int b = 0; b <= a->blocks; b++) {
            s->starts[place * (a->blocks + 1) + b] = count;
            for (int c = b * a->block; b < a->blocks && c < (b + 1) * a->block && c < a->inputs; c++) {
                const int train = number_of(s, s->bits + (place * a->channels * 16 + c) * s->width);
                if (train >= 0)
                    s->entries[count++] = (Entry){.row = b * block_row + (c - b * a->block) * row, .train = train};
            }
        }
}

/* The bytes of the trains: a slot for each that differs, and for each step those that have its bit. */
static void list_slots(Trains *s)
{
    int32_t count = 0;
    s->slots = 0;
    memset(s->slot_of, -1, (size_t)s->octets * 256 * sizeof(int32_t));
    for (int train = 0; train < s->trains; train++) {
        s->train_starts[train] = count;
        for (int octet = 0; octet < s->octets; octet++) {
            int32_t *slot = s->slot_of + octet * 256 + s->known[train][octet];
            if (!s->known[train][octet])
                continue;
            if (*slot < 0)
                *slot = s->slots++;
            s->train_slots[count++] = *slot;
        }
    }
    s->train_starts[s->trains] = count;
    count = 0;
    for (int t = 0; t < s->steps; t++) {
        s->step_starts[t] = count;
        for (int byte = 1; byte < 256; byte++)
            if (byte >> t % 8 & 1 && s->slot_of[t / 8 * 256 + byte] >= 0)
                s->step_slots[count++] = s->slot_of[t / 8 * 256 + byte];
    }
    s->step_starts[s->steps] = count;
}

/* Words (images, places, groups), to words (images, groups of all neurons) channel by channel, all places of each. */
static void flatten_words(const uint16_t *words, ptrdiff_t images, ptrdiff_t places, ptrdiff_t groups, uint16_t *out,
                          ptrdiff_t groups_out)
{
    memset(out, 0, (size_t)(images * groups_out) * sizeof(*out));
    for (ptrdiff_t image = 0; image < images; image++, out += groups_out)
        for (ptrdiff_t place = 0; place < places; place++)
            for (ptrdiff_t g = 0; g < groups; g++)
                for (uint32_t word = *words++; word; word &= word - 1) {
                    const ptrdiff_t at = (g * 16 + __builtin_ctz(word)) * places + place;
                    if (at / 16 < groups_out)
                        out[at / 16] |= (uint16_t)(1u << at % 16);
                }
}
