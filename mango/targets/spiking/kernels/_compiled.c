/* The kernels in C: what portable.py does, with the same bits, in the widest vectors that the processor has.

   The arguments are arrays as buffers; what does not fit raises ValueError. Build with -ffp-contract=off. */

#define Py_LIMITED_API 0x030B0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <float.h>
#include <limits.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef __FAST_MATH__
#error "the kernels must round as torch does: build them without -ffast-math"
#endif

#include "_run.h"

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
    int done;
    Py_BEGIN_ALLOW_THREADS
    done = integrate_all(&a);
    Py_END_ALLOW_THREADS
    release(b, 4);
    if (!done)
        return PyErr_NoMemory();
    Py_RETURN_NONE;
fail:
    release(b, 4);
    return NULL;
}

/* What the buffers of a convolution say; those of out are checked against (images, rows, columns, outputs). */
static int describe(Convolution *a, ptrdiff_t images, const Py_ssize_t *place, const Py_buffer *weights,
                    const Py_buffer *bias)
{
    const Py_ssize_t *w = weights->shape;
    a->images = images;
    a->height = (int)place[0];
    a->width = (int)place[1];
    a->channels = (int)place[2];
    a->tiles = (int)w[0];
    a->blocks = (int)w[1];
    a->kh = (int)w[2];
    a->kw = (int)w[3];
    a->block = (int)w[4];
    a->width_out = (int)w[5];
    const double wide = ((double)a->width + a->kw + a->pad_x) * a->block * a->width_out * sizeof(float);
    const double room = (double)a->blocks * a->kh * a->kw * a->block * a->width_out * sizeof(float);
    if (expect(weights->len > 0 && place[0] > 0 && place[1] > 0 && place[2] > 0, "words, weights: expected some") ||
        expect(a->width_out % 16 == 0 && a->width_out <= WIDEST, "weights: expected 16, 32, 48 or 64 outputs at a time") ||
        expect((double)(a->blocks - 1) * a->block < (double)place[2] * 16 &&
                   (double)a->blocks * a->block > (double)(place[2] - 1) * 16,
               "weights: expected as many input channels as the words have") ||
        expect(bias->shape[0] == w[0] * w[5], "bias: expected a number per output of the weights") ||
        expect(a->outputs > (w[0] - 1) * w[5] && a->outputs <= w[0] * w[5], "out: expected the channels of the weights") ||
        expect(a->step_y > 0 && a->step_x > 0 && a->pad_y >= 0 && a->pad_x >= 0, "expected stride > 0 and padding >= 0") ||
        expect(place[0] + 2 * (Py_ssize_t)a->pad_y >= w[2] && place[1] + 2 * (Py_ssize_t)a->pad_x >= w[3],
               "the kernel does not fit the padded image"))
        return -1;
    const Py_ssize_t rows = (place[0] + 2 * (Py_ssize_t)a->pad_y - w[2]) / a->step_y + 1;
    const Py_ssize_t columns = (place[1] + 2 * (Py_ssize_t)a->pad_x - w[3]) / a->step_x + 1;
    if (expect(wide < INT_MAX && room < INT_MAX && (WINDOWS + (double)columns) * rows * a->outputs < INT_MAX &&
                   ((double)a->height + a->pad_y + a->kh) * a->step_y < INT_MAX &&
                   (WINDOWS + (double)a->width) * a->block < INT_MAX &&
                   (double)a->height * a->width * a->channels < INT_MAX / 256,
               "words: the image is too large"))
        return -1;
    const Py_ssize_t known = place[2] * 16, laid = (Py_ssize_t)a->blocks * a->block;
    a->inputs = (int)(known < laid ? known : laid);
    a->rows = (int)rows;
    a->columns = (int)columns;
    a->weights = weights->buf;
    a->bias = bias->buf;
    return 0;
}

static PyObject *convolve(PyObject *self, PyObject *args)
{
    (void)self;
    PyObject *words, *weights, *bias, *out;
    Convolution a = {0};
    if (!PyArg_ParseTuple(args, "OOOp(ii)(ii)O:convolve", &words, &weights, &bias, &a.bias_first, &a.step_y, &a.step_x,
                          &a.pad_y, &a.pad_x, &out))
        return NULL;
    Py_buffer b[4];
    memset(b, 0, sizeof(b));
    if (get(words, b, "words", "H", 4, 0) || get(weights, b + 1, "weights", "f", 6, 0) ||
        get(bias, b + 2, "bias", "f", 1, 0) || get(out, b + 3, "out", "f", 4, 1))
        goto fail;
    const Py_ssize_t *y = b[3].shape;
    a.outputs = (int)y[3];
    if (describe(&a, b[0].shape[0], b[0].shape + 1, b + 1, b + 2) ||
        expect(y[0] == b[0].shape[0] && y[1] == a.rows && y[2] == a.columns,
               "out: expected (images, rows, columns, outputs) of the convolution"))
        goto fail;
    a.words = b[0].buf;
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

/* What the buffers say of the neurons behind a convolution: words (T, images, rows, columns, channels / 16), parameters
   (5, outputs), bounds (8, outputs), and out, words as well. */
static int describe_layer(Layer *a, const Py_buffer *words, const Py_buffer *weights, const Py_buffer *bias,
                          const Py_buffer *parameters, const Py_buffer *bounds, const Py_buffer *out)
{
    Convolution *c = &a->convolution;
    const Py_ssize_t *x = words->shape, *y = out->shape;
    c->outputs = (int)parameters->shape[1];
    if (expect(a->charge >= 0 && a->charge < CHARGES_END && a->reset >= 0 && a->reset < BOTH_ZERO, "no such charge or reset") ||
        expect(parameters->shape[0] == 5, "parameters: expected (5, outputs)") ||
        expect(bounds->shape[0] == 8 && bounds->shape[1] == c->outputs, "bounds: expected (8, outputs)") ||
        describe(c, x[1], x + 2, weights, bias) ||
        expect(a->pool_y > 0 && a->pool_x > 0 && a->pool_step_y > 0 && a->pool_step_x > 0, "expected pooling of at least 1") ||
        expect(a->pool_y <= c->rows && a->pool_x <= c->columns, "the pooled window does not fit") ||
        expect(x[0] > 0 && (double)x[0] * c->height * c->width * c->channels < INT_MAX, "words: expected some steps"))
        return -1;
    a->rows = (c->rows - a->pool_y) / a->pool_step_y + 1;
    a->columns = (c->columns - a->pool_x) / a->pool_step_x + 1;
    a->groups = (c->outputs + 15) / 16;
    a->parameters = parameters->buf;
    a->bounds = bounds->buf;
    return expect(y[0] == x[0] && y[1] == x[1] && y[2] == a->rows && y[3] == a->columns && y[4] == a->groups,
                  "out: expected (T, images, rows, columns, outputs / 16)");
}

static PyObject *fold(PyObject *self, PyObject *args)
{
    (void)self;
    PyObject *words, *weights, *bias, *parameters, *bounds, *out, *folded;
    Layer a = {0};
    Convolution *c = &a.convolution;
    if (!PyArg_ParseTuple(args, "OOOp(ii)(ii)(iiii)iiOOOO:fold", &words, &weights, &bias, &c->bias_first, &c->step_y,
                          &c->step_x, &c->pad_y, &c->pad_x, &a.pool_y, &a.pool_x, &a.pool_step_y, &a.pool_step_x,
                          &a.charge, &a.reset, &parameters, &bounds, &out, &folded))
        return NULL;
    Py_buffer b[7];
    memset(b, 0, sizeof(b));
    if (get(words, b, "words", "H", 5, 0) || get(weights, b + 1, "weights", "f", 6, 0) ||
        get(bias, b + 2, "bias", "f", 1, 0) || get(parameters, b + 3, "parameters", "f", 2, 0) ||
        get(bounds, b + 4, "bounds", "f", 2, 0) || get(out, b + 5, "out", "H", 5, 1) ||
        get(folded, b + 6, "folded", "B", 1, 1) || describe_layer(&a, b, b + 1, b + 2, b + 3, b + 4, b + 5) ||
        expect(b[6].shape[0] == b[0].shape[1], "folded: expected a number per image"))
        goto fail;
    ptrdiff_t doubts = 0;
    int done;
    Py_BEGIN_ALLOW_THREADS
    done = fold_all(&a, (int)b[0].shape[0], b[0].buf, b[5].buf, b[6].buf, &doubts);
    Py_END_ALLOW_THREADS
    release(b, 7);
    return done ? PyLong_FromSsize_t(doubts) : PyErr_NoMemory();
fail:
    release(b, 7);
    return NULL;
}

static PyObject *settle(PyObject *self, PyObject *args)
{
    (void)self;
    PyObject *words, *weights, *bias, *affine, *parameters, *bounds, *currents, *out;
    Layer a = {0};
    Convolution *c = &a.convolution;
    if (!PyArg_ParseTuple(args, "OOOp(ii)(ii)(iiii)OpiiOOOO:settle", &words, &weights, &bias, &c->bias_first, &c->step_y,
                          &c->step_x, &c->pad_y, &c->pad_x, &a.pool_y, &a.pool_x, &a.pool_step_y, &a.pool_step_x,
                          &affine, &a.fused, &a.charge, &a.reset, &parameters, &bounds, &currents, &out))
        return NULL;
    Py_buffer b[8];
    memset(b, 0, sizeof(b));
    if (get(words, b, "words", "H", 5, 0) || get(weights, b + 1, "weights", "f", 6, 0) ||
        get(bias, b + 2, "bias", "f", 1, 0) || get(parameters, b + 3, "parameters", "f", 2, 0) ||
        get(bounds, b + 4, "bounds", "f", 2, 0) || get(out, b + 5, "out", "H", 5, 1) ||
        get(affine, b + 6, "affine", "f", 2, 0) || get(currents, b + 7, "currents", "f", 5, 0) ||
        describe_layer(&a, b, b + 1, b + 2, b + 3, b + 4, b + 5))
        goto fail;
    const Py_ssize_t *y = b[5].shape, *z = b[7].shape;
    if (expect(b[6].shape[0] == 2 && b[6].shape[1] == c->outputs, "affine: expected (2, outputs)") ||
        expect(z[0] == y[0] && z[1] == y[1] && z[2] == y[2] && z[3] == y[3] && z[4] == c->outputs,
               "currents: expected (T, images, rows, columns, outputs)"))
        goto fail;
    a.scale = b[6].buf;
    a.shift = a.scale + c->outputs;
    ptrdiff_t doubts = 0;
    int done;
    Py_BEGIN_ALLOW_THREADS
    done = settle_all(&a, (int)b[0].shape[0], b[0].buf, b[7].buf, b[5].buf, &doubts);
    Py_END_ALLOW_THREADS
    release(b, 8);
    return done ? PyLong_FromSsize_t(doubts) : PyErr_NoMemory();
fail:
    release(b, 8);
    return NULL;
}

static PyObject *flatten(PyObject *self, PyObject *args)
{
    (void)self;
    PyObject *words, *out;
    int channels;
    if (!PyArg_ParseTuple(args, "OiO:flatten", &words, &channels, &out))
        return NULL;
    Py_buffer b[2];
    memset(b, 0, sizeof(b));
    if (get(words, b, "words", "H", 3, 0) || get(out, b + 1, "out", "H", 2, 1))
        goto fail;
    const Py_ssize_t *x = b[0].shape, *y = b[1].shape;
    if (expect(channels > 0 && x[2] == ((Py_ssize_t)channels + 15) / 16, "words: expected (images, places, channels / 16)") ||
        expect(y[0] == x[0] && y[1] == (x[1] * channels + 15) / 16, "out: expected (images, neurons / 16)"))
        goto fail;
    Py_BEGIN_ALLOW_THREADS
    flatten_words(b[0].buf, x[0], x[1], x[2], b[1].buf, y[1]);
    Py_END_ALLOW_THREADS
    release(b, 2);
    Py_RETURN_NONE;
fail:
    release(b, 2);
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
    {"fold", fold, METH_VARARGS, "A whole layer: convolution of spikes, pooling, neurons."},
    {"settle", settle, METH_VARARGS, "Neurons behind an average or a batch norm of a convolution of spikes."},
    {"flatten", flatten, METH_VARARGS, "See portable.flatten."},
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
