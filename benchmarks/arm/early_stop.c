/* Forwards of a vanilla classifier, kernel by kernel, on clouds of a file that benchmarks/early_stop.py writes; to be counted.
 * usage: early_stop FILE REPETITIONS POOLS DISTINCT: POOLS pooling layers a forward, equal rows once if DISTINCT. */
#include "../../bipointnet_ros/native/kernels.h"

#include <stdio.h>
#include <stdlib.h>

static const unsigned char *at;

static const void *take(size_t bytes)
{
    const void *here = at;
    at += (bytes + 7) / 8 * 8;
    return here;
}

static const unsigned char *read_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        exit(2);
    fseek(file, 0, SEEK_END);
    size_t size = (size_t)ftell(file);
    rewind(file);
    unsigned char *data = aligned_alloc(64, (size + 63) / 64 * 64);
    if (fread(data, 1, size, file) != size)
        exit(2);
    fclose(file);
    return data;
}

static const uint8_t *prepared(const struct bpn_backend *b, const uint64_t *weight, int C, int K)
{
    uint8_t *room = malloc(BPN_PREPARED_BYTES(C, BPN_WORDS(K)));
    b->prepare(weight, C, K, room);
    return room;
}

int main(int argc, char **argv)
{
    const struct bpn_backend *b = bpn_backends()[0];
    if (argc != 5)
        return 2;
    at = read_file(argv[1]);
    const int32_t *size = take(16), clouds = size[0], n = size[1], inputs = size[2];
    const float *points = take((size_t)clouds * (size_t)n * (size_t)inputs * 4);
    const float *lift = take((size_t)inputs * 64 * 4), *lift_limit = take(64 * 4);
    const uint8_t *second = prepared(b, take(128 * 8), 128, 64), *second_limit = take(128);
    const uint8_t *third = prepared(b, take(1024 * 16), 1024, 128), *third_limit = take(1024);
    const uint64_t *fourth = take(512 * 128);
    const int16_t *fourth_limit = take(512 * 2);
    const uint64_t *fifth = take(256 * 64);
    const int16_t *fifth_limit = take(256 * 2);
    const float *last = take(256 * 40 * 4), *bias = take(40 * 4);
    uint64_t *bits64 = malloc((size_t)n * 8), *bits128 = malloc((size_t)n * 16), pooled[16], bits512[8], bits256[4];
    const int32_t offsets[2] = {0, n};
    int32_t span[2] = {0, n};
    float scores[40] = {0}, sum = 0;
    for (int i = atoi(argv[2]); i > 0; i--)
        for (int c = 0; c < clouds; c++) {
            b->lift(points + (size_t)c * (size_t)n * (size_t)inputs, n, inputs, lift, 64, lift_limit, bits64, NULL, NULL,
                    offsets, 1, NULL, NULL, 0, NULL, NULL);
            if (atoi(argv[4]))
                b->distinct(bits64, 1, offsets, 1, span);
            b->layer_spans(bits64, 64, second, 128, second_limit, 0, bits128, NULL, 0, NULL, span, 1);
            for (int p = atoi(argv[3]); p > 0; p--)
                b->layer_spans(bits128, 128, third, 1024, NULL, 0, NULL, third_limit, 0, pooled, span, 1);
            b->dense(pooled, 1, 16, fourth, 512, fourth_limit, bits512);
            b->dense(bits512, 1, 8, fifth, 256, fifth_limit, bits256);
            b->logits(bits256, 1, 256, last, NULL, 40, 40, bias, scores);
            sum += scores[0];
        }
    printf("%g\n", (double)sum);
}
