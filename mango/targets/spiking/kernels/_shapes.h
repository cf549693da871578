/* What the kernels are given, and the memory that they work in. */

enum { DECAY, RELAX, RELAX_BY, RELAX_ALL, RELAX_ALL_BY, CHARGES_END };
enum { NONE, LATE_SUBTRACT, LATE_ZERO, SUBTRACT, REPLACE, BOTH_SUBTRACT, BOTH_ZERO, RESETS_END };

typedef struct {
    int charge, reset, still;
    ptrdiff_t steps, positions, channels;
    const float *currents, *parameters; /* (5, channels), each row filled up to whole words */
    uint16_t *words;
    float *potentials;
    void *room; /* for the potentials of the positions that are stepped together */
} Neurons;

#define POTENTIALS 4096 /* half a usual first cache, where the channels are not more */

typedef struct {
    ptrdiff_t images;
    int together; /* images that are taken at a time */
    int height, width, channels, inputs;
    int rows, columns, outputs;
    int kh, kw, step_y, step_x, pad_y, pad_x;
    int tiles, blocks, block, width_out; /* of the weights' layout */
    int bias_first;
    const uint16_t *words; /* `channels` of each place */
    const float *weights, *bias;
    float *out;
} Convolution;

typedef struct {
    int32_t events, length, shift, partial, out;
} Window;

typedef struct {
    int32_t *events, *starts, *ends;
    float *partial;
    Window *unsorted, *sorted;
} Scratch;

typedef struct {
    Convolution convolution; /* of an image */
    int charge, reset;
    int pool_y, pool_x, pool_step_y, pool_step_x;
    int rows, columns, groups; /* of the neurons; groups are words */
    int fused;                 /* whether scaling and shifting rounds once */
    const float *parameters, *bounds, *scale, *shift;
} Layer;

typedef struct {
    int32_t row;   /* where the neuron's weights lie, in floats from the first of a kernel position */
    int32_t train; /* which one it has */
} Entry;

typedef struct {
    int steps, octets, width;             /* of a train: bits, bytes, and bytes that it takes in memory */
    int trains, slots;                    /* found in the image; a slot is a byte at a place of the train */
    double spikes, density;               /* of the image; the largest share of a window that spikes at once */
    uint8_t *bits;                        /* (neurons, width) */
    const uint8_t **known;                /* (trains,) their bits */
    int32_t *table;                       /* numbers of trains by hash, -1: none */
    uint32_t mask;                        /* of the table's indices */
    Entry *entries;                       /* neurons that spike, by place, then channel */
    int32_t *starts;                      /* (places, blocks + 1) of entries */
    int32_t *train_starts, *train_slots;  /* the slots of a train */
    int32_t *step_starts, *step_slots;    /* the slots that have the bit of a step */
    int32_t *slot_of;                     /* (octets, 256), -1: none */
} Trains;

#define WIDEST 64              /* the most outputs that are computed together */
#define ROWS 8                 /* of a neuron's parameters, with what bounds its doubt */
#define TWICE_ROUNDED 1.2e-7f  /* by how much an operation's result may differ where it is made twice */

typedef struct {
    int32_t *places, *present, *counts;
    float *sums, *bytes, *currents, *bounds;
} Room;

typedef struct {
    const uint16_t *words; /* of its first step; the next lies a stride further */
    const float *currents;
    uint16_t *out;
    ptrdiff_t stride, currents_stride, stride_out;
} Image;
