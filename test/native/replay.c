/* Replays recorded operations on every backend that runs here and compares each output byte with the recorded answer.
 *
 * usage: replay FILE; test/recorded.py writes the file. All integers are little-endian int32. The file is a row of calls:
 * operation, number of arguments, then for each argument a kind and
 *   N nothing (NULL) | I the value | A bytes, then the array | O bytes, then the expected output
 *   U bytes, then the array, then what becomes of it
 *   P C, K, bytes, then the weights that the backend must prepare
 * Every array is a block of its own, so that a sanitizer sees any read or write beyond it; outputs start dirty. */
#include "../../bipointnet_ros/native/kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_ARGUMENTS 24

union argument {
    void *p;
    int32_t i;
};

struct call {
    int32_t operation, count;
    union argument argument[MOST_ARGUMENTS];
    const unsigned char *expected[MOST_ARGUMENTS]; /* of an output */
    size_t bytes[MOST_ARGUMENTS];
};

static int32_t number(const unsigned char **at)
{
    int32_t value;
    memcpy(&value, *at, sizeof value);
    *at += sizeof value;
    return value;
}

static void *copy(const unsigned char **at, size_t bytes)
{
    void *block = malloc(bytes);
    memcpy(block, *at, bytes);
    *at += bytes;
    return block;
}

static void *prepared(const struct bpn_backend *backend, const unsigned char **at)
{
    int32_t C = number(at), K = number(at);
    uint64_t *weight = copy(at, (size_t)number(at));
    void *block = malloc(BPN_PREPARED_BYTES(C, BPN_WORDS(K)));
    backend->prepare(weight, C, K, block);
    free(weight);
    return block;
}

static void read_argument(struct call *call, int i, const struct bpn_backend *backend, const unsigned char **at)
{
    int32_t kind = number(at);
    call->expected[i] = NULL;
    call->argument[i].p = NULL;
    call->bytes[i] = 0;
    if (kind == 'I') {
        call->argument[i].i = number(at);
    } else if (kind == 'P') {
        call->argument[i].p = prepared(backend, at);
        call->bytes[i] = 1;
    } else if (kind != 'N') {
        call->bytes[i] = (size_t)number(at);
        call->expected[i] = kind == 'O' ? *at : NULL;
        call->argument[i].p = copy(at, call->bytes[i]);
        if (kind == 'O')
            memset(call->argument[i].p, 0xa5, call->bytes[i]);
        if (kind == 'U') {
            call->expected[i] = *at;
            *at += call->bytes[i];
        }
    }
}

#define P(k) a[k].p
#define I(k) a[k].i
static void run(const struct bpn_backend *b, const struct call *call)
{
    const union argument *a = call->argument;
    switch (call->operation) {
    case 'L': b->lift(P(0), I(1), I(2), P(3), I(4), P(5), P(6), P(7), P(8), P(9), I(10), P(11), P(12), I(13), P(14), P(15)); break;
    case 'Y': b->layer(P(0), I(1), P(2), I(3), P(4), I(5), P(6), P(7), I(8), P(9), P(10), I(11)); break;
    case 'Z': b->layer_spans(P(0), I(1), P(2), I(3), P(4), I(5), P(6), P(7), I(8), P(9), P(10), I(11)); break;
    case 'U': b->distinct(P(0), I(1), P(2), I(3), P(4)); break;
    case 'S': b->limits(P(0), I(1), I(2), P(3), P(4), I(5), P(6), P(7), I(8), P(9)); break;
    case 'D': b->dense(P(0), I(1), I(2), P(3), I(4), P(5), P(6)); break;
    case 'M': b->merge(P(0), I(1), P(2), I(3), P(4)); break;
    case 'G': b->logits(P(0), I(1), I(2), P(3), P(4), I(5), I(6), P(7), P(8)); break;
    case 'A': b->argsort(P(0), I(1), P(2), P(3)); break;
    case 'W': b->search(P(0), I(1), P(2), I(3), P(4)); break;
    case 'E': b->extremes(P(0), P(1), P(2), I(3), I(4), I(5), P(6), P(7), P(8)); break;
    case 'F': b->farthest(P(0), I(1), P(2), I(3), P(4)); break;
    case 'V': b->voxels(P(0), I(1), P(2), P(3)); break;
    case 'H': b->match(P(0), I(1), P(2), I(3), P(4), I(5), P(6)); break;
    case 'K': b->link(P(0), P(1), I(2), P(3)); break;
    case 'T': b->means(P(0), I(1), P(2), P(3), P(4), I(5), P(6), I(7), P(8), P(9), P(10)); break;
    case 'B': b->describe(P(0), P(1), I(2), P(3), I(4), P(5), I(6), P(7), I(8), P(9), I(10), P(11), P(12), P(13), P(14), I(15), P(16), P(17), I(18), P(19), I(20)); break;
    case 'R': b->terrain(P(0), I(1), I(2), P(3), P(4), P(5)); break;
    case 'Q': b->rectangles(P(0), P(1), I(2), P(3), I(4), P(5), P(6)); break;
    case 'X': b->segment_max(P(0), P(1), I(2), I(3), P(4), P(5)); break;
    case 's': b->signs(P(0), I(1), I(2), P(3)); break;
    case 'g': b->gram(P(0), I(1), I(2), P(3)); break;
    case 'i': b->inside(P(0), I(1), I(2), P(3)); break;
    case 'c': b->scatter(P(0), P(1), I(2), I(3), P(4), I(5), I(6), P(7)); break;
    case 'e': b->selected(P(0), P(1), I(2), I(3), P(4), I(5), P(6)); break;
    default: fprintf(stderr, "unknown operation %d\n", call->operation); exit(2);
    }
}

/* Returns the number of wrong outputs. */
static int replay(const struct bpn_backend *backend, const unsigned char **at, int index)
{
    struct call call;
    int wrong = 0;
    call.operation = number(at);
    call.count = number(at);
    for (int i = 0; i < call.count; i++)
        read_argument(&call, i, backend, at);
    run(backend, &call);
    for (int i = 0; i < call.count; i++) {
        if (call.expected[i] && memcmp(call.expected[i], call.argument[i].p, call.bytes[i])) {
            printf("%s: call %d, operation %c, argument %d differs\n", backend->name, index, call.operation, i);
            wrong++;
        }
        if (call.bytes[i])
            free(call.argument[i].p);
    }
    return wrong;
}

static unsigned char *read_file(const char *path, long *size)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        exit(2);
    fseek(file, 0, SEEK_END);
    *size = ftell(file);
    rewind(file);
    unsigned char *data = malloc((size_t)*size);
    if (fread(data, 1, (size_t)*size, file) != (size_t)*size)
        exit(2);
    fclose(file);
    return data;
}

int main(int argc, char **argv)
{
    long size;
    int wrong = 0;
    if (argc != 2)
        return 2;
    unsigned char *data = read_file(argv[1], &size);
    for (const struct bpn_backend *const *b = bpn_backends(); *b; b++) {
        int calls = 0;
        if (!(*b)->supported())
            continue;
        for (const unsigned char *at = data; at < data + size; calls++)
            wrong += replay(*b, &at, calls);
        printf("%s %d calls\n", (*b)->name, calls);
    }
    free(data);
    return wrong != 0;
}
