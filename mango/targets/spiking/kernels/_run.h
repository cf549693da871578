/* The kernels in every set of instructions, the choice of one, and the memory that they work in. */

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "_shapes.h"
#include "_trains.h"

typedef float vector4 __attribute__((vector_size(16)));
typedef float loose4 __attribute__((vector_size(16), aligned(4), may_alias));
typedef int32_t truth4 __attribute__((vector_size(16)));

#define LANES 4
#define TARGET
#include "_lanes.h"
#include "_integrate.h"
#include "_convolve.h"
#include "_fold.h"
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
#include "_unlanes.h"

#define LANES 16
#define TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,bmi,bmi2,popcnt")))
#include "_lanes.h"
#include "_integrate.h"
#include "_convolve.h"
#include "_fold.h"
#include "_unlanes.h"
#endif

static void (*integrate_with)(const Neurons *) = integrate_plain;
static void (*convolve_with)(const Convolution *, Scratch *) = convolve_plain;
static void (*count_with)(const Convolution *, Trains *, const uint16_t *, ptrdiff_t, int32_t *) = count_plain;
static ptrdiff_t (*fold_with)(const Layer *, const Trains *, Room *, uint16_t *, ptrdiff_t) = fold_plain;

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
    count_with = count_plain;
#if defined(__x86_64__)
    if (set == 1) {
        integrate_with = integrate_avx2;
        convolve_with = convolve_avx2;
        fold_with = fold_avx2;
        count_with = count_avx2;
    } else if (set == 2) {
        integrate_with = integrate_avx512;
        convolve_with = convolve_avx512;
        fold_with = fold_avx512;
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
        .values = malloc((a->values ? events : 1) * sizeof(float)),
        .unsorted = malloc(windows * sizeof(Window)),
        .sorted = calloc(windows + 16, sizeof(Window)), /* some more are looked at ahead */
    };
    char *partial = malloc(a->together * each * sizeof(float) + 64);
    s.partial = (float *)(((uintptr_t)partial + 63) & ~(uintptr_t)63);
    const int enough_memory = s.events && s.starts && s.ends && s.values && s.unsorted && s.sorted && partial;
    if (enough_memory) {
        fill_padding(a);
        convolve_with(a, &s);
    }
    free(s.events);
    free(s.starts);
    free(s.ends);
    free(s.values);
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

/* Every image that it pays for; 0 where there is not enough memory. */
static int fold_all(const Layer *a, int steps, const uint16_t *words, uint16_t *out, uint8_t *folded, ptrdiff_t *doubts)
{
    const Convolution *c = &a->convolution;
    const size_t places = (size_t)c->height * c->width, neurons = places * c->channels * 16;
    const size_t window = (size_t)c->kh * c->kw * c->inputs + 1, lanes = WIDEST * sizeof(float);
    Trains s = {.steps = steps, .octets = (steps + 7) / 8};
    s.width = (s.octets + 15) / 16 * 16;
    for (s.mask = 1024; s.mask < 2 * neurons; s.mask *= 2)
        ;
    s.mask--;
    const size_t sizes[] = {
        neurons * s.width,                                  /* bits */
        neurons * sizeof(*s.known),                         /* known */
        ((size_t)s.mask + 1) * sizeof(int32_t),             /* table */
        (neurons + 16) * sizeof(Entry),                     /* entries; some more are fetched ahead */
        places * (c->blocks + 1) * sizeof(int32_t),         /* starts */
        (neurons + 1) * sizeof(int32_t),                    /* train_starts */
        neurons * s.octets * sizeof(int32_t),               /* train_slots */
        ((size_t)steps + 1) * sizeof(int32_t),              /* step_starts */
        (size_t)steps * 128 * sizeof(int32_t),              /* step_slots */
        (size_t)s.octets * 256 * sizeof(int32_t),           /* slot_of */
        (neurons + 1) * sizeof(int32_t),                    /* places */
        window * sizeof(int32_t),                           /* present */
        (places + c->height + c->width + 1) * sizeof(int32_t), /* counts */
        window * lanes,                                     /* sums */
        (size_t)s.octets * 255 * lanes,                     /* bytes */
        (size_t)steps * lanes,                              /* currents */
        (size_t)c->outputs * 3 * sizeof(float),             /* bounds */
    };
    enum { PARTS = sizeof(sizes) / sizeof(*sizes) };
    size_t size = 64;
    for (int i = 0; i < PARTS; i++)
        size += (sizes[i] + 63) / 64 * 64;
    char *memory = malloc(size), *parts[PARTS];
    if (!memory)
        return 0;
    char *at = (char *)(((uintptr_t)memory + 63) & ~(uintptr_t)63);
    for (int i = 0; i < PARTS; i++) {
        parts[i] = at;
        at += (sizes[i] + 63) / 64 * 64;
    }
    s.bits = (uint8_t *)parts[0];
    s.known = (const uint8_t **)parts[1];
    s.table = (int32_t *)parts[2];
    s.entries = (Entry *)parts[3];
    s.starts = (int32_t *)parts[4];
    s.train_starts = (int32_t *)parts[5];
    s.train_slots = (int32_t *)parts[6];
    s.step_starts = (int32_t *)parts[7];
    s.step_slots = (int32_t *)parts[8];
    s.slot_of = (int32_t *)parts[9];
    Room room = {
        .places = (int32_t *)parts[10],
        .present = (int32_t *)parts[11],
        .counts = (int32_t *)parts[12],
        .sums = (float *)parts[13],
        .bytes = (float *)parts[14],
        .currents = (float *)parts[15],
        .bounds = (float *)parts[16],
    };
    const ptrdiff_t count = (ptrdiff_t)places * c->channels, stride = count * c->images;
    const ptrdiff_t count_out = (ptrdiff_t)a->rows * a->columns * a->groups, stride_out = count_out * c->images;
    memset(room.counts, 0, sizes[12]);
    memset(room.places, -1, sizes[10]);
    for (ptrdiff_t image = 0; image < c->images; image++) {
        read_bits(&s, words + image * count, stride, count);
        list_entries(&s, (ptrdiff_t)places, c->channels, c->inputs, c->block, c->blocks, c->width_out,
                     c->kh * c->kw * c->block * c->width_out);
        list_slots(&s);
        count_with(c, &s, words + image * count, stride, room.counts);
        folded[image] = (uint8_t)pays(c, &s);
        if (folded[image])
            *doubts += fold_with(a, &s, &room, out + image * count_out, stride_out);
    }
    free(memory);
    return 1;
}
