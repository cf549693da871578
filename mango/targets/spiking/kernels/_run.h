/* The kernels in every set of instructions, the choice of one, and the memory that they work in. */

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "_shapes.h"
#include "_trains.h"

enum { REPLACED, LARGEST, ADD }; /* what becomes of the sum of a window before */

typedef float vector4 __attribute__((vector_size(16)));
typedef float loose4 __attribute__((vector_size(16), aligned(4), may_alias));
typedef int32_t truth4 __attribute__((vector_size(16)));

#define LANES 4
#define TARGET
#include "_lanes.h"
#include "_integrate.h"
#include "_convolve.h"
#include "_fold.h"
#include "_settle.h"
#include "_unlanes.h"

#if defined(__x86_64__)
typedef uint16_t loose_word __attribute__((aligned(1), may_alias));
typedef float vector8 __attribute__((vector_size(32)));
typedef float loose8 __attribute__((vector_size(32), aligned(4), may_alias));
typedef float vector16 __attribute__((vector_size(64)));
typedef float loose16 __attribute__((vector_size(64), aligned(4), may_alias));

#define LANES 8
#define TARGET __attribute__((target("avx2,fma,bmi,bmi2,popcnt")))
#include "_lanes.h"
#include "_integrate.h"
#include "_convolve.h"
#include "_fold.h"
#include "_settle.h"
#include "_unlanes.h"

#define LANES 16
#define TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,bmi,bmi2,popcnt")))
#include "_lanes.h"
#include "_integrate.h"
#include "_convolve.h"
#include "_fold.h"
#include "_settle.h"
#include "_unlanes.h"
#endif

static void (*integrate_with)(const Neurons *) = integrate_plain;
static void (*convolve_with)(const Convolution *, Scratch *) = convolve_plain;
static void (*count_with)(const Convolution *, Trains *, const uint16_t *, ptrdiff_t, int32_t *) = count_plain;
static ptrdiff_t (*fold_with)(const Layer *, const Trains *, Room *, uint16_t *, ptrdiff_t) = fold_plain;
static ptrdiff_t (*settle_with)(const Layer *, Trains *, Room *, Image) = settle_plain;

/* The instruction sets that this processor has, the narrowest first; taking one makes the kernels use it. */
static const char *const SETS[] = {"plain", "AVX2", "AVX-512"};

static int has(int set)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (set == 1)
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
    if (set == 2)
        return has(1) && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#endif
    return set == 0;
}

static void take(int set)
{
    integrate_with = integrate_plain;
    convolve_with = convolve_plain;
    fold_with = fold_plain;
    settle_with = settle_plain;
    count_with = count_plain;
#if defined(__x86_64__)
    if (set == 1) {
        integrate_with = integrate_avx2;
        convolve_with = convolve_avx2;
        fold_with = fold_avx2;
        settle_with = settle_avx2;
        count_with = count_avx2;
    } else if (set == 2) {
        integrate_with = integrate_avx512;
        convolve_with = convolve_avx512;
        fold_with = fold_avx512;
        settle_with = settle_avx512;
        count_with = count_avx512;
    }
#endif
}

/* The work itself, in memory of its own; 0 where there is not enough. Parameters are given as (5, channels). */
static int integrate_all(Neurons *a)
{
    const size_t lanes = ((size_t)a->channels + 15) / 16 * 16, room = lanes > POTENTIALS ? lanes : POTENTIALS;
    float *memory = calloc(room + 5 * lanes + 16, sizeof(float));
    if (!memory)
        return 0;
    float *filled = (float *)(((uintptr_t)memory + 63) & ~(uintptr_t)63);
    for (int row = 0; row < 5; row++)
        memcpy(filled + row * lanes, a->parameters + row * a->channels, a->channels * sizeof(float));
    a->parameters = filled;
    a->room = filled + 5 * lanes;
    integrate_with(a);
    free(memory);
    return 1;
}

/* Rows of outputs whose windows lie in the padding altogether. */
static void fill_padding(const Convolution *a)
{
    for (int y = 0; y < a->rows; y++) {
        const int top = y * a->step_y - a->pad_y;
        if (top < a->height && top + a->kh > 0)
            continue;
        for (ptrdiff_t n = 0; n < a->images; n++)
            for (ptrdiff_t x = 0; x < a->columns; x++)
                for (int o = 0; o < a->outputs; o++)
                    a->out[((n * a->rows + y) * a->columns + x) * a->outputs + o] = 0.0f + a->bias[o];
    }
}

#define PARTIAL (1 << 17) /* floats of unfinished sums that are kept at a time, half of a usual second cache */
#define WINDOWS 320       /* places along the rows of the images that are taken at a time */

/* The work itself, in memory of its own; 0 where there is not enough. */
static int convolve_all(Convolution *a)
{
    const ptrdiff_t each = (ptrdiff_t)a->tiles * a->kh * a->columns * a->width_out;
    ptrdiff_t together = PARTIAL / (each ? each : 1), enough = (WINDOWS + a->width - 1) / a->width;
    together = together > enough ? enough : together;
    together = together > a->images ? a->images : together;
    a->together = together < 1 ? 1 : (int)together;
    const size_t windows = (size_t)a->together * a->columns, events = (size_t)a->together * a->width * a->block + 16;
    Scratch s = {
        .events = malloc(events * sizeof(int32_t)),
        .starts = malloc((size_t)a->together * (a->width + 1) * sizeof(int32_t)),
        .ends = malloc(((size_t)a->kw * a->block + 2) * sizeof(int32_t)),
        .unsorted = malloc(windows * sizeof(Window)),
        .sorted = calloc(windows + 16, sizeof(Window)), /* some more are looked at ahead */
    };
    char *partial = malloc(a->together * each * sizeof(float) + 64);
    s.partial = (float *)(((uintptr_t)partial + 63) & ~(uintptr_t)63);
    const int enough_memory = s.events && s.starts && s.ends && s.unsorted && s.sorted && partial;
    if (enough_memory) {
        fill_padding(a);
        convolve_with(a, &s);
    }
    free(s.events);
    free(s.starts);
    free(s.ends);
    free(s.unsorted);
    free(s.sorted);
    free(partial);
    return enough_memory;
}

/* Whether to fold is likely to be faster than to convolve; in additions, a store counted as two. */
static int pays(const Convolution *c, const Trains *s)
{
    const double share = (double)c->kh * c->kw / ((double)c->height * c->width);
    const double neurons = share * s->starts[(ptrdiff_t)c->height * c->width * (c->blocks + 1) - 1];
    const double trains = s->trains < neurons ? s->trains : neurons;
    const double octets = s->trains ? (double)s->train_starts[s->trains] / s->trains : 0;
    const double folded = 3 * neurons + 3 * trains * octets + s->step_starts[s->steps] + s->slots + 3 * s->steps;
    return folded < 1.8 * share * s->spikes; /* an event costs more than its additions */
}

/* Memory for the trains of an image and what is made of them, in one piece; NULL where there is not enough. */
static char *take_room(const Layer *a, int steps, Trains *s, Room *room)
{
    const Convolution *c = &a->convolution;
    const size_t places = (size_t)c->height * c->width, neurons = places * c->channels * 16;
    const size_t window = (size_t)c->kh * c->kw * c->inputs + 1, lanes = WIDEST * sizeof(float);
    s->steps = steps;
    s->octets = (steps + 7) / 8;
    s->width = (s->octets + 15) / 16 * 16;
    for (s->mask = 1024; s->mask < 2 * neurons; s->mask *= 2)
        ;
    s->mask--;
    const struct {
        void *to;
        size_t size;
    } parts[] = {
        {&s->bits, neurons * s->width},
        {&s->known, neurons * sizeof(*s->known)},
        {&s->table, ((size_t)s->mask + 1) * sizeof(int32_t)},
        {&s->entries, (neurons + 16) * sizeof(Entry)}, /* some more are fetched ahead */
        {&s->starts, places * (c->blocks + 1) * sizeof(int32_t)},
        {&s->train_starts, (neurons + 1) * sizeof(int32_t)},
        {&s->train_slots, neurons * s->octets * sizeof(int32_t)},
        {&s->step_starts, ((size_t)steps + 1) * sizeof(int32_t)},
        {&s->step_slots, (size_t)steps * 128 * sizeof(int32_t)},
        {&s->slot_of, (size_t)s->octets * 256 * sizeof(int32_t)},
        {&room->places, (neurons + 1) * sizeof(int32_t)},
        {&room->present, window * sizeof(int32_t)},
        {&room->counts, (places + c->height + c->width + 1) * sizeof(int32_t)},
        {&room->sums, window * lanes},
        {&room->bytes, (size_t)s->octets * 255 * lanes},
        {&room->currents, (size_t)steps * lanes},
        {&room->bounds, (size_t)c->outputs * 3 * sizeof(float)},
    };
    enum { PARTS = sizeof(parts) / sizeof(*parts) };
    size_t size = 64;
    for (int i = 0; i < PARTS; i++)
        size += (parts[i].size + 63) / 64 * 64;
    char *memory = malloc(size);
    if (!memory)
        return NULL;
    char *at = (char *)(((uintptr_t)memory + 63) & ~(uintptr_t)63);
    for (int i = 0; i < PARTS; i++) {
        memcpy(parts[i].to, &at, sizeof(at));
        at += (parts[i].size + 63) / 64 * 64;
    }
    memset(room->counts, 0, (places + c->height + c->width + 1) * sizeof(int32_t));
    memset(room->places, -1, (neurons + 1) * sizeof(int32_t));
    return memory;
}

/* What bounds the doubt of each output, where a share p of a window's inputs spikes at the most. */
static void set_bounds(const Layer *a, double p, float *bounds)
{
    for (int o = 0, n = a->convolution.outputs; o < n; o++) {
        const float *b = a->bounds + o;
        bounds[o] = (float)sqrt(((b[0] * p + b[n]) * p + b[2 * n]) * p + b[3 * n]);
        bounds[n + o] = b[4 * n];
        bounds[2 * n + o] = (float)(1 / (b[5 * n] * p + b[6 * n] * sqrt(p) + b[7 * n] + FLT_MIN));
    }
}

/* Every image that it pays for; 0 where there is not enough memory. */
static int fold_all(const Layer *a, int steps, const uint16_t *words, uint16_t *out, uint8_t *folded, ptrdiff_t *doubts)
{
    const Convolution *c = &a->convolution;
    Trains s = {0};
    Room room = {0};
    char *memory = take_room(a, steps, &s, &room);
    if (!memory)
        return 0;
    const ptrdiff_t count = (ptrdiff_t)c->height * c->width * c->channels, stride = count * c->images;
    const ptrdiff_t count_out = (ptrdiff_t)a->rows * a->columns * a->groups, stride_out = count_out * c->images;
    for (ptrdiff_t image = 0; image < c->images; image++) {
        read_bits(&s, words + image * count, stride, count);
        list_entries(&s, c);
        list_slots(&s);
        count_with(c, &s, words + image * count, stride, room.counts);
        folded[image] = (uint8_t)pays(c, &s);
        if (folded[image]) {
            set_bounds(a, s.density, room.bounds);
            *doubts += fold_with(a, &s, &room, out + image * count_out, stride_out);
        }
    }
    free(memory);
    return 1;
}

/* Neurons whose currents (T, images, rows, columns, outputs) are known up to their order; 0 for want of memory. */
static int settle_all(const Layer *a, int steps, const uint16_t *words, const float *currents, uint16_t *out,
                      ptrdiff_t *doubts)
{
    Convolution joined = a->convolution; /* whose windows are all that a neuron sees */
    joined.kh += (a->pool_y - 1) * joined.step_y;
    joined.kw += (a->pool_x - 1) * joined.step_x;
    joined.step_y *= a->pool_step_y;
    joined.step_x *= a->pool_step_x;
    const Convolution *c = &a->convolution;
    Trains s = {0};
    Room room = {0};
    char *memory = take_room(a, steps, &s, &room);
    if (!memory)
        return 0;
    const ptrdiff_t count = (ptrdiff_t)c->height * c->width * c->channels, places = (ptrdiff_t)a->rows * a->columns;
    for (ptrdiff_t image = 0; image < c->images; image++) {
        const Image one = {
            .words = words + image * count,
            .stride = count * c->images,
            .currents = currents + image * places * c->outputs,
            .currents_stride = c->images * places * c->outputs,
            .out = out + image * places * a->groups,
            .stride_out = c->images * places * a->groups,
        };
        count_with(&joined, &s, one.words, one.stride, room.counts);
        const double share = s.density;
        count_with(c, &s, one.words, one.stride, room.counts);
        set_bounds(a, share > s.density ? share : s.density, room.bounds);
        *doubts += settle_with(a, &s, &room, one);
    }
    free(memory);
    return 1;
}
