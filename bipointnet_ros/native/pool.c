/* The threads of program.h. A lock is held only to hand a program over; pieces are claimed by one atomic word, so that a
 * thread that is late finds nothing to do and keeps nobody waiting. */
#define _POSIX_C_SOURCE 200809L

#include "program.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#define STACK_BYTES ((size_t)1 << 20) /* kernels take 300 KiB at most */
#define SPIN_NANOSECONDS 30000        /* about what it costs to sleep and be woken */
#define SPINS_A_LOOK 64               /* at the clock */

struct bpn_pool {
    pthread_mutex_t lock;
    pthread_cond_t begun, ended;
    const struct bpn_program *program; /* this, pieces and stopping are read and written with the lock */
    int32_t pieces;
    int stopping;
    pid_t owner;
    int32_t threads;
    _Alignas(64) _Atomic uint64_t ticket; /* round << 32 | next piece; a round is one program */
    _Alignas(64) atomic_int done;         /* pieces of the round that are finished */
    pthread_t worker[];
};

size_t bpn_pool_bytes(int32_t threads)
{
    return sizeof(struct bpn_pool) + (size_t)threads * sizeof(pthread_t);
}

static uint32_t round_of(uint64_t ticket)
{
    return (uint32_t)(ticket >> 32);
}

static void pause_spinning(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static int64_t nanoseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Wait a moment without sleeping: until the round is another one, or all pieces are done. */
static void spin(struct bpn_pool *pool, uint32_t round, int pieces)
{
    int64_t until = nanoseconds() + SPIN_NANOSECONDS;
    do
        for (int i = 0; i < SPINS_A_LOOK; i++) {
            if (round_of(atomic_load_explicit(&pool->ticket, memory_order_acquire)) != round ||
                atomic_load_explicit(&pool->done, memory_order_acquire) == pieces)
                return;
            pause_spinning();
        }
    while (nanoseconds() < until);
}

/* Pieces of a round until there are none to claim. Returns whether this thread finished the last one. */
static int work(struct bpn_pool *pool, const struct bpn_program *program, uint32_t round, int32_t pieces)
{
    int last = 0;
    uint64_t ticket = atomic_load_explicit(&pool->ticket, memory_order_relaxed);
    while (round_of(ticket) == round && (int32_t)(uint32_t)ticket < pieces) {
        if (!atomic_compare_exchange_weak_explicit(&pool->ticket, &ticket, ticket + 1, memory_order_acquire,
                                                   memory_order_relaxed))
            continue;
        bpn_run_piece(program, (int32_t)(uint32_t)ticket);
        last = atomic_fetch_add_explicit(&pool->done, 1, memory_order_acq_rel) + 1 == pieces;
        ticket = atomic_load_explicit(&pool->ticket, memory_order_relaxed);
    }
    return last;
}

static void *serve(void *argument)
{
    struct bpn_pool *pool = argument;
    uint32_t round = 0;
    for (;;) {
        spin(pool, round, -1);
        pthread_mutex_lock(&pool->lock);
        while (!pool->stopping && round_of(atomic_load_explicit(&pool->ticket, memory_order_relaxed)) == round)
            pthread_cond_wait(&pool->begun, &pool->lock);
        const struct bpn_program *program = pool->program; /* gone, if this thread is late and claims no piece of it */
        int stopping = pool->stopping;
        int32_t pieces = pool->pieces;
        round = round_of(atomic_load_explicit(&pool->ticket, memory_order_relaxed));
        pthread_mutex_unlock(&pool->lock);
        if (stopping)
            return NULL;
        if (work(pool, program, round, pieces)) {
            pthread_mutex_lock(&pool->lock);
            pthread_cond_signal(&pool->ended);
            pthread_mutex_unlock(&pool->lock);
        }
    }
}

int32_t bpn_pool_start(struct bpn_pool *pool, int32_t threads)
{
    pthread_attr_t attributes;
    sigset_t all, before;
    pool->program = NULL;
    pool->pieces = pool->stopping = 0;
    pool->owner = getpid();
    atomic_init(&pool->ticket, 0);
    atomic_init(&pool->done, 0);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->begun, NULL);
    pthread_cond_init(&pool->ended, NULL);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are for the caller's threads */
    for (pool->threads = 1; pool->threads < threads; pool->threads++)
        if (pthread_create(&pool->worker[pool->threads - 1], &attributes, serve, pool))
            break;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return pool->threads;
}

void bpn_pool_run(struct bpn_pool *pool, const struct bpn_program *program)
{
    int32_t pieces = program->pieces;
    if (!pool || pieces < 2 || pool->threads < 2 || pool->owner != getpid()) {
        for (int32_t piece = 0; piece < pieces; piece++)
            bpn_run_piece(program, piece);
        return;
    }
    pthread_mutex_lock(&pool->lock);
    uint32_t round = round_of(atomic_load_explicit(&pool->ticket, memory_order_relaxed)) + 1;
    pool->program = program;
    pool->pieces = pieces;
    atomic_store_explicit(&pool->done, 0, memory_order_relaxed);
    atomic_store_explicit(&pool->ticket, (uint64_t)round << 32, memory_order_release);
    pthread_cond_broadcast(&pool->begun);
    pthread_mutex_unlock(&pool->lock);
    work(pool, program, round, pieces);
    spin(pool, round, pieces);
    if (atomic_load_explicit(&pool->done, memory_order_acquire) == pieces)
        return;
    pthread_mutex_lock(&pool->lock);
    while (atomic_load_explicit(&pool->done, memory_order_acquire) < pieces)
        pthread_cond_wait(&pool->ended, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
}

void bpn_pool_stop(struct bpn_pool *pool)
{
    if (pool->owner != getpid())
        return;
    pthread_mutex_lock(&pool->lock);
    pool->stopping = 1;
    pthread_cond_broadcast(&pool->begun);
    pthread_mutex_unlock(&pool->lock);
    for (int32_t i = 0; i < pool->threads - 1; i++)
        pthread_join(pool->worker[i], NULL);
}
