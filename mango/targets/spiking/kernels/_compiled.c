/* The kernels in C: what portable.py does, with the same bits, in the widest vectors that the processor has.

   The arguments are arrays as buffers; what does not fit raises ValueError. Build with -ffp-contract=off. */

#define Py_LIMITED_API 0x030B0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <limits.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef __FAST_MATH__
#error "the kernels must round as torch does: build them without -ffast-math"
#endif

#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { DECAY, RELAX, RELAX_BY, RELAX_ALL, RELAX_ALL_BY, CHARGES_END };
enum { NONE, LATE_SUBTRACT, LATE_ZERO, SUBTRACT, REPLACE, BOTH_SUBTRACT, BOTH_ZERO, RESETS_END };

typedef struct {
    int charge, reset, still;
    ptrdiff_t steps, positions, channels;
    const float *currents, *parameters;
    uint16_t *words;
    float *potentials;
} Neurons;

typedef struct {
    ptrdiff_t images;
    int together; /* images that are taken at a time */
    int height, width, channels, inputs;
    int rows, columns, outputs;
    int kh, kw, step_y, step_x, pad_y, pad_x;
    int tiles, blocks, block, width_out; /* of the weights' layout */
    int bias_first;
    const uint16_t *words; /* or values; `channels` are then words */
    const float *values, *weights, *bias;
    float *out;
} Convolution;

typedef struct {
    int32_t events, length, shift, partial, out;
} Window;

typedef struct {
    int32_t *events, *starts, *ends;
    float *values, *partial;
    Window *unsorted, *sorted;
} Scratch;

typedef float vector4 __attribute__((vector_size(16)));
typedef float loose4 __attribute__((vector_size(16), aligned(4), may_alias));
typedef int32_t truth4 __attribute__((vector_size(16)));

#define LANES 4
#define TARGET
#include "_lanes.h"
#include "_integrate.h"
#include "_convolve.h"
#include "_unlanes.h"

#if defined(__x86_64__)
typedef float vector8 __attribute__((vector_size(32)));
typedef float loose8 __attribute__((vector_size(32), aligned(4), may_alias));
typedef float vector16 __attribute__((vector_size(64)));
typedef float loose16 __attribute__((vector_size(64), aligned(4), may_alias));

#define LANES 8
#define TARGET __attribute__((target("avx2,fma,bmi,bmi2,popcnt")))
#include "_lanes.h"
#include "_integrate.h"
#include "_convolve.h"
#include "_unlanes.h"

#define LANES 16
#define TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,bmi,bmi2,popcnt")))
#include "_lanes.h"
#include "_integrate.h"
#include "_convolve.h"
#include "_unlanes.h"
#endif

static void (*integrate_with)(const Neurons *) = integrate_plain;
static void (*convolve_with)(const Convolution *, Scratch *) = convolve_plain;

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
#if defined(__x86_64__)
    if (set == 1) {
        integrate_with = integrate_avx2;
        convolve_with = convolve_avx2;
    } else if (set == 2) {
        integrate_with = integrate_avx512;
        convolve_with = convolve_avx512;
    }
#endif
}

/* A contiguous buffer of a kind ('f', 'H') and number of dimensions. */
static int get(PyObject *object, Py_buffer *buffer, const char *name, const char *kind, int dimensions, int written)
{
    if (PyObject_GetBuffer(object, buffer, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT | (written ? PyBUF_WRITABLE : 0)) < 0) {
        buffer->obj = NULL;
        return -1;
    }
    const char *format = buffer->format ? buffer->format : "B";
    format += format[0] == '@' || format[0] == '=';
    if (strcmp(format, kind) || buffer->ndim != dimensions) {
        PyErr_Format(PyExc_ValueError, "expected %s as '%s' of %d dimensions; got '%s' of %d", name, kind, dimensions,
                     format, buffer->ndim);
        return -1;
    }
    for (int i = 0; i < dimensions; i++)
        if (buffer->shape[i] > INT_MAX) {
            PyErr_Format(PyExc_ValueError, "%s: an axis of %zd is too long", name, buffer->shape[i]);
            return -1;
        }
    return 0;
}

static void release(Py_buffer *buffers, int count)
{
    for (int i = 0; i < count; i++)
        if (buffers[i].obj)
            PyBuffer_Release(buffers + i);
}

static int expect(int fits, const char *message)
{
    if (!fits && !PyErr_Occurred())
        PyErr_SetString(PyExc_ValueError, message);
    return fits ? 0 : -1;
}

static PyObject *integrate(PyObject *self, PyObject *args)
{
    (void)self;
    PyObject *currents, *parameters, *words, *potentials;
    Neurons a = {0};
    if (!PyArg_ParseTuple(args, "OiiOOO:integrate", &currents, &a.charge, &a.reset, &parameters, &words, &potentials))
        return NULL;
    Py_buffer b[4];
    memset(b, 0, sizeof(b));
    if (get(currents, b, "currents", "f", 3, 0) || get(parameters, b + 1, "parameters", "f", 2, 0) ||
        get(words, b + 2, "words", "H", 3, 1) || get(potentials, b + 3, "potentials", "f", 3, 1))
        goto fail;
    const Py_ssize_t *c = b[0].shape, *w = b[2].shape, *p = b[3].shape;
    if (expect(a.charge >= 0 && a.charge < CHARGES_END && a.reset >= 0 && a.reset < RESETS_END,
               "no such charge or reset") ||
        expect(c[0] == 1 || c[0] == w[0], "currents: expected one step or as many as words have") ||
        expect(w[1] == c[1] && w[2] == (c[2] + 15) / 16, "words: expected (T, positions, channels / 16)") ||
        expect(b[1].shape[0] == 5 && b[1].shape[1] == c[2], "parameters: expected (5, channels)") ||
        expect(!b[3].len || (p[0] == w[0] && p[1] == c[1] && p[2] == c[2]),
               "potentials: expected (T, positions, channels), or nothing"))
        goto fail;
    a.still = c[0] == 1;
    a.steps = w[0];
    a.positions = c[1];
    a.channels = c[2];
    a.currents = b[0].buf;
    a.parameters = b[1].buf;
    a.words = b[2].buf;
    a.potentials = b[3].len ? b[3].buf : NULL;
    Py_BEGIN_ALLOW_THREADS
    integrate_with(&a);
    Py_END_ALLOW_THREADS
    release(b, 4);
    Py_RETURN_NONE;
fail:
    release(b, 4);
    return NULL;
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
        .sorted = malloc(windows * sizeof(Window)),
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

static PyObject *convolve(PyObject *self, PyObject *args)
{
    (void)self;
    PyObject *given, *weights, *bias, *out;
    Convolution a = {0};
    if (!PyArg_ParseTuple(args, "OOOp(ii)(ii)O:convolve", &given, &weights, &bias, &a.bias_first, &a.step_y, &a.step_x,
                          &a.pad_y, &a.pad_x, &out))
        return NULL;
    Py_buffer b[4];
    memset(b, 0, sizeof(b));
    if (PyObject_GetBuffer(given, b, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT) < 0) {
        b[0].obj = NULL;
        goto fail;
    }
    const int packed = b[0].format && b[0].format[0] == 'H';
    release(b, 1);
    memset(b, 0, sizeof(b));
    if (get(given, b, "inputs", packed ? "H" : "f", 4, 0) || get(weights, b + 1, "weights", "f", 6, 0) ||
        get(bias, b + 2, "bias", "f", 1, 0) || get(out, b + 3, "out", "f", 4, 1))
        goto fail;
    const Py_ssize_t *x = b[0].shape, *w = b[1].shape, *y = b[3].shape;
    a.images = x[0];
    a.height = (int)x[1];
    a.width = (int)x[2];
    a.channels = (int)x[3];
    a.rows = (int)y[1];
    a.columns = (int)y[2];
    a.outputs = (int)y[3];
    a.tiles = (int)w[0];
    a.blocks = (int)w[1];
    a.kh = (int)w[2];
    a.kw = (int)w[3];
    a.block = (int)w[4];
    a.width_out = (int)w[5];
    const int channels = packed ? 16 : 1; /* of one place of the inputs */
    const double wide = ((double)x[2] + a.kw + a.pad_x) * a.block * a.width_out * sizeof(float);
    if (expect(b[1].len > 0 && x[1] > 0 && x[2] > 0 && x[3] > 0, "inputs, weights: expected some") ||
        expect(a.width_out % 16 == 0 && a.width_out <= 64, "weights: expected 16, 32, 48 or 64 outputs at a time") ||
        expect((double)(a.blocks - 1) * a.block < (double)x[3] * channels &&
                   (double)a.blocks * a.block > (double)(x[3] - 1) * channels,
               "weights: expected as many input channels as the inputs have") ||
        expect(b[2].shape[0] == w[0] * w[5], "bias: expected a number per output of the weights") ||
        expect(y[3] > (w[0] - 1) * w[5] && y[3] <= w[0] * w[5], "out: expected the channels that the weights have") ||
        expect(a.step_y > 0 && a.step_x > 0 && a.pad_y >= 0 && a.pad_x >= 0, "expected stride > 0 and padding >= 0") ||
        expect(x[1] + 2 * (Py_ssize_t)a.pad_y >= w[2] && x[2] + 2 * (Py_ssize_t)a.pad_x >= w[3],
               "the kernel does not fit the padded image") ||
        expect(y[0] == x[0] && y[1] == (x[1] + 2 * (Py_ssize_t)a.pad_y - w[2]) / a.step_y + 1 &&
                   y[2] == (x[2] + 2 * (Py_ssize_t)a.pad_x - w[3]) / a.step_x + 1,
               "out: expected (images, rows, columns, outputs) of the convolution") ||
        expect(wide < INT_MAX && (WINDOWS + (double)y[2]) * y[1] * y[3] < INT_MAX &&
                   ((double)x[1] + a.pad_y + w[2]) * a.step_y < INT_MAX && (WINDOWS + (double)x[2]) * a.block < INT_MAX,
               "inputs: the image is too large"))
        goto fail;
    const Py_ssize_t known = x[3] * channels, laid = (Py_ssize_t)a.blocks * a.block;
    a.inputs = (int)(known < laid ? known : laid);
    a.words = packed ? b[0].buf : NULL;
    a.values = packed ? NULL : b[0].buf;
    a.weights = b[1].buf;
    a.bias = b[2].buf;
    a.out = b[3].buf;
    int done = 1;
    if (b[3].len > 0) {
        Py_BEGIN_ALLOW_THREADS
        done = convolve_all(&a);
        Py_END_ALLOW_THREADS
    }
    release(b, 4);
    if (!done)
        return PyErr_NoMemory();
    Py_RETURN_NONE;
fail:
    release(b, 4);
    return NULL;
}

/* For tests: the kernels are those of another instruction set from now on. */
static PyObject *use(PyObject *self, PyObject *args)
{
    const char *name;
    if (!PyArg_ParseTuple(args, "s:use", &name))
        return NULL;
    for (int set = 0; set < 3; set++)
        if (!strcmp(name, SETS[set]) && has(set)) {
            take(set);
            PyObject *full = PyUnicode_FromFormat("C, %s", SETS[set]);
            if (!full || PyObject_SetAttrString(self, "NAME", full) < 0) {
                Py_XDECREF(full);
                return NULL;
            }
            Py_DECREF(full);
            Py_RETURN_NONE;
        }
    return PyErr_Format(PyExc_ValueError, "this processor has no %s", name);
}

static PyMethodDef METHODS[] = {
    {"integrate", integrate, METH_VARARGS, "See portable.integrate."},
    {"convolve", convolve, METH_VARARGS, "See portable.convolve."},
    {"use", use, METH_VARARGS, "Use another instruction set: plain, AVX2 or AVX-512."},
    {NULL, NULL, 0, NULL},
};

static int begin(PyObject *module)
{
    const int widest = has(2) ? 2 : has(1);
    take(widest);
    PyObject *name = PyUnicode_FromFormat("C, %s", SETS[widest]), *sets = PyTuple_New(widest + 1);
    int done = name && sets;
    for (int set = 0; done && set <= widest; set++) {
        PyObject *word = PyUnicode_FromString(SETS[set]);
        done = word && !PyTuple_SetItem(sets, set, word);
    }
    done = done && !PyObject_SetAttrString(module, "NAME", name) && !PyObject_SetAttrString(module, "SETS", sets);
    Py_XDECREF(name);
    Py_XDECREF(sets);
    return done ? 0 : -1;
}

static PyModuleDef_Slot SLOTS[] = {{Py_mod_exec, (void *)begin}, {0, NULL}};
static PyModuleDef MODULE = {PyModuleDef_HEAD_INIT, .m_name = "_compiled", .m_methods = METHODS, .m_slots = SLOTS};

PyMODINIT_FUNC PyInit__compiled(void) { return PyModuleDef_Init(&MODULE); }
