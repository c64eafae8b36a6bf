/* The pool under stress: programs of random pieces by every number of threads, run at once or after a rest, give what one
 * thread gives. usage: pool ROUNDS */
#define _POSIX_C_SOURCE 200809L

#include "../../bipointnet_ros/native/program.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define GROUPS 40
#define ROWS (GROUPS * 9)
#define CHANNELS 70
#define INPUTS 64
#define WORDS BPN_WORDS(CHANNELS)
#define MOST_THREADS 8

struct arrays {
    uint64_t codes[ROWS], weight[CHANNELS], own[ROWS * WORDS], pool[GROUPS * WORDS], merged[GROUPS * WORDS];
    int32_t offsets[GROUPS + 1], nesting[GROUPS + 1], cuts[2 * (GROUPS + 1)];
    uint8_t limit[CHANNELS], prepared[BPN_PREPARED_BYTES(CHANNELS, 1)];
};

static uint64_t random_word(void)
{
    static uint64_t state = 88172645463325252u;
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}

static void fill(struct arrays *a, const struct bpn_backend *backend)
{
    for (int i = 0; i < ROWS; i++)
        a->codes[i] = random_word();
    for (int c = 0; c < CHANNELS; c++) {
        a->weight[c] = random_word();
        a->limit[c] = 25;
    }
    for (int s = 0; s <= GROUPS; s++) {
        a->offsets[s] = s * ROWS / GROUPS;
        a->nesting[s] = s; /* merges of one group each: a second step that reads what the first one wrote */
    }
    backend->prepare(a->weight, CHANNELS, INPUTS, a->prepared);
}

/* Random pieces of the groups. */
static int cut(struct arrays *a)
{
    int pieces = 0, group = 0;
    while (group < GROUPS) {
        a->cuts[pieces++] = group;
        group += 1 + (int)(random_word() % 7);
    }
    a->cuts[pieces] = GROUPS;
    return pieces;
}

static void set(struct bpn_step *step, int i, void *array)
{
    step->argument[i].p = array;
}

static void describe(struct bpn_step step[2], struct arrays *a)
{
    memset(step, 0, 2 * sizeof *step);
    step[0].operation = BPN_LAYER;
    set(&step[0], 0, a->codes), step[0].argument[1].i = INPUTS, set(&step[0], 2, a->prepared);
    step[0].argument[3].i = CHANNELS, set(&step[0], 4, a->limit), set(&step[0], 6, a->own);
    set(&step[0], 7, a->limit), set(&step[0], 9, a->pool), set(&step[0], 10, a->offsets);
    step[1].operation = BPN_MERGE;
    set(&step[1], 0, a->pool), step[1].argument[1].i = WORDS, set(&step[1], 2, a->nesting), set(&step[1], 4, a->merged);
}

static void rest(long nanoseconds)
{
    struct timespec time = {0, nanoseconds};
    nanosleep(&time, NULL);
}

int main(int argc, char **argv)
{
    static struct arrays ours, alone;
    const struct bpn_backend *backend = &bpn_portable;
    struct bpn_step steps[2], steps_alone[2];
    if (argc != 2)
        return 2;
    fill(&ours, backend);
    memcpy(&alone, &ours, sizeof ours);
    describe(steps, &ours);
    describe(steps_alone, &alone);
    struct bpn_program whole = {backend, steps_alone, alone.cuts, 2, cut(&alone)};
    bpn_pool_run(NULL, &whole);
    for (int32_t threads = 1; threads <= MOST_THREADS; threads++) {
        struct bpn_pool *pool = aligned_alloc(64, (bpn_pool_bytes(threads) + 63) / 64 * 64);
        if (bpn_pool_start(pool, threads) != threads)
            return 3;
        for (int round = 0; round < atoi(argv[1]); round++) {
            struct bpn_program program = {backend, steps, ours.cuts, 2, cut(&ours)};
            memset(ours.own, 0xa5, sizeof ours.own);
            memset(ours.pool, 0xa5, sizeof ours.pool + sizeof ours.merged);
            bpn_pool_run(pool, &program);
            if (memcmp(ours.own, alone.own, sizeof ours.own) || memcmp(ours.merged, alone.merged, sizeof ours.merged)) {
                printf("%d threads, round %d: another answer\n", threads, round);
                return 1;
            }
            if (random_word() % 16 == 0) /* so that some find the threads asleep */
                rest(200000);
        }
        bpn_pool_stop(pool);
        free(pool);
    }
    printf("same\n");
}
