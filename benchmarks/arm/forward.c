/* Runs a recorded forward (record.py) on one thread and compares its logits with the recorded ones.
 * usage: forward FILE BACKEND REPETITIONS; counting two numbers of repetitions and subtracting leaves the forward alone. */
#include "../../bipointnet_ros/native/program.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST 256

static char *at; /* in the file */
static char *buffers[MOST];
static void *prepared[MOST];

static int32_t number(void)
{
    int32_t value;
    memcpy(&value, at, sizeof value);
    at += sizeof value;
    return value;
}

static int64_t long_number(void)
{
    int64_t value;
    memcpy(&value, at, sizeof value);
    at += sizeof value;
    return value;
}

/* Aligned as no allocator promises less, and a word longer for what ends there. */
static char *copy(size_t bytes)
{
    char *block = aligned_alloc(64, (bytes + 127) / 64 * 64);
    memcpy(block, at, bytes);
    at += bytes;
    return block;
}

static union bpn_argument argument(void)
{
    union bpn_argument a = {0};
    int32_t kind = number(), index = number();
    int64_t offset = long_number();
    if (kind == 'I')
        a.i = index;
    else if (kind == 'P')
        a.p = prepared[index];
    else if (kind == 'B')
        a.p = buffers[index] + offset;
    return a;
}

static struct bpn_program program(const struct bpn_backend *backend)
{
    int32_t count = number(), levels = number(), columns = number();
    const int32_t *cuts = (const int32_t *)copy((size_t)levels * (size_t)columns * sizeof *cuts);
    struct bpn_step *steps = calloc((size_t)count, sizeof *steps);
    for (int i = 0; i < count; i++) {
        steps[i].operation = number();
        steps[i].level = number();
        for (int32_t n = number(), k = 0; k < n; k++)
            steps[i].argument[k] = argument();
    }
    return (struct bpn_program){backend, steps, cuts, count, columns - 1};
}

static void read_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        exit(2);
    fseek(file, 0, SEEK_END);
    size_t size = (size_t)ftell(file);
    rewind(file);
    at = malloc(size);
    if (fread(at, 1, size, file) != size)
        exit(2);
    fclose(file);
}

int main(int argc, char **argv)
{
    if (argc != 4)
        return 2;
    const struct bpn_backend *const *b = bpn_backends();
    while (*b && strcmp((*b)->name, argv[2]))
        b++;
    if (!*b || !(*b)->supported())
        return 2;
    read_file(argv[1]);
    for (int32_t n = number(), i = 0; i < n; i++)
        buffers[i] = copy((size_t)long_number());
    for (int32_t n = number(), i = 0; i < n; i++) {
        int32_t C = number(), K = number();
        const uint64_t *weight = (const uint64_t *)copy((size_t)number());
        prepared[i] = aligned_alloc(64, (BPN_PREPARED_BYTES(C, BPN_WORDS(K)) + 127) / 64 * 64);
        (*b)->prepare(weight, C, K, prepared[i]);
    }
    struct bpn_program programs[4];
    int32_t count = number();
    for (int32_t i = 0; i < count; i++)
        programs[i] = program(*b);
    const char *logits = argument().p;
    for (int repetition = atoi(argv[3]); repetition > 0; repetition--)
        for (int32_t i = 0; i < count; i++)
            bpn_pool_run(NULL, &programs[i]);
    size_t bytes = (size_t)number();
    int same = !memcmp(logits, at, bytes);
    printf(same ? "same\n" : "the logits differ\n");
    return !same;
}
