/* The kernels of one vanilla forward, 1024 points, in the worst case: no point reaches a limit of the pooling layer.
 * usage: forward BACKEND REPETITIONS; counting two runs and subtracting leaves the forward alone. */
#include "../../bipointnet_ros/native/kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POINTS 1024

static uint64_t random_word(void)
{
    static uint64_t state = 88172645463325252u;
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}

static uint64_t *random_words(size_t count)
{
    uint64_t *words = malloc(count * sizeof *words);
    for (size_t i = 0; i < count; i++)
        words[i] = random_word();
    return words;
}

static float *random_floats(size_t count)
{
    float *floats = malloc(count * sizeof *floats);
    for (size_t i = 0; i < count; i++)
        floats[i] = (float)(random_word() % 2001) / 1000.0f - 1.0f;
    return floats;
}

static int16_t *limits(int count, int limit)
{
    int16_t *held = malloc((size_t)count * sizeof *held);
    for (int i = 0; i < count; i++)
        held[i] = (int16_t)limit;
    return held;
}

static uint8_t *prepared(const struct bpn_backend *b, int C, int K)
{
    uint8_t *room = malloc(BPN_PREPARED_BYTES(C, BPN_WORDS(K)));
    b->prepare(random_words((size_t)C * BPN_WORDS((size_t)K)), C, K, room);
    return room;
}

int main(int argc, char **argv)
{
    const struct bpn_backend *const *b = bpn_backends();
    if (argc != 3)
        return 2;
    while (*b && strcmp((*b)->name, argv[1]))
        b++;
    if (!*b)
        return 2;
    const int32_t offsets[2] = {0, POINTS};
    const float *x = random_floats(POINTS * 3), *lift = random_floats(3 * 64), *zero = calloc(64, sizeof *zero);
    const float *last = random_floats(256 * 40), *bias = random_floats(40);
    const uint8_t *second = prepared(*b, 128, 64), *third = prepared(*b, 1024, 128);
    const uint64_t *fourth = random_words(512 * 16), *fifth = random_words(256 * 8);
    const int16_t *limit512 = limits(512, 512), *limit256 = limits(256, 256);
    uint8_t half[128], never[1024];
    memset(half, 32, sizeof half);
    memset(never, 1, sizeof never);
    static uint64_t bits64[POINTS], bits128[POINTS * 2], pooled[16], bits512[8], bits256[4];
    float scores[40] = {0};
    for (int i = atoi(argv[2]); i > 0; i--) {
        (*b)->lift(x, POINTS, 3, lift, 64, zero, bits64, NULL, NULL, offsets, 1, NULL);
        (*b)->layer(bits64, 64, second, 128, half, 0, bits128, NULL, 0, NULL, offsets, 1);
        (*b)->layer(bits128, 128, third, 1024, NULL, 0, NULL, never, 0, pooled, offsets, 1);
        (*b)->dense(pooled, 1, 16, fourth, 512, limit512, bits512);
        (*b)->dense(bits512, 1, 8, fifth, 256, limit256, bits256);
        (*b)->logits(bits256, 1, 256, last, NULL, 40, 40, bias, scores);
    }
    printf("%g\n", (double)scores[0]);
}
