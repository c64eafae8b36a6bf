/* A program: bound operations in order, and pieces of the rows that each go through all of them, whatever the others do.
 *
 * An operation works on units: groups (lift, layer, layer_spans, distinct, merge), cells (limits) or rows (dense, logits). Piece i does the units
 * cuts[level][i]..cuts[level][i + 1] of each step; a step's level says what its units are. Rows of groups are found by
 * their offsets. The caller cuts so that no piece needs what another one writes. */
#ifndef BPN_PROGRAM_H
#define BPN_PROGRAM_H

#include "kernels.h"

#define BPN_MOST_ARGUMENTS 16

enum bpn_operation {
    BPN_LIFT,
    BPN_LAYER,
    BPN_LAYER_SPANS,
    BPN_DISTINCT,
    BPN_LIMITS,
    BPN_DENSE,
    BPN_MERGE,
    BPN_LOGITS
};

union bpn_argument { /* 8 bytes */
    void *p;
    int32_t i;
};

struct bpn_step {
    int32_t operation, level;
    union bpn_argument argument[BPN_MOST_ARGUMENTS]; /* as in kernels.h, for all units */
};

struct bpn_program {
    const struct bpn_backend *backend;
    const struct bpn_step *steps;
    const int32_t *cuts; /* (levels, pieces + 1) */
    int32_t count, pieces;
};

void bpn_run_piece(const struct bpn_program *program, int32_t piece);

/* Threads that share the pieces of a program; they are made once and sleep when there is nothing to do. One caller at a
 * time, who works too. The pool lies in bpn_pool_bytes(threads) bytes of the caller's, 64 aligned, until it is stopped. */
struct bpn_pool;

size_t bpn_pool_bytes(int32_t threads);

/* Returns how many threads share the work, the caller's included: fewer than asked for where the system gives no more. */
int32_t bpn_pool_start(struct bpn_pool *pool, int32_t threads);

/* Every piece once; pool may be NULL. In a child of fork, where the threads are not, the caller does it all. */
void bpn_pool_run(struct bpn_pool *pool, const struct bpn_program *program);

void bpn_pool_stop(struct bpn_pool *pool);

#endif
