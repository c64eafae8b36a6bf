/* A QEMU plugin (API version 1) that counts the instructions which the guest executes, by function: exact, repeatable.
 *
 *   gcc -O2 -shared -fPIC -fvisibility=hidden count.c -o libcount.so
 *   qemu-aarch64 -plugin ./libcount.so,out=FILE PROGRAM ...        (the dynamic build of qemu-user; only it has plugins)
 *
 * FILE gets one line a function: count and name; a block of code without a name, as of a library that the guest itself
 * loaded, has the address of its first instruction. Only the declarations that are used are repeated here, so that no QEMU
 * headers are needed. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))
#define BUCKETS 65536

typedef uint64_t plugin_id;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
EXPORT int qemu_plugin_version = 1;
void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, void (*)(plugin_id, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *, int operation, void *to, uint64_t add);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
const char *qemu_plugin_insn_symbol(const struct qemu_plugin_insn *);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *);
void qemu_plugin_register_atexit_cb(plugin_id, void (*)(plugin_id, void *), void *);

struct function {
    char *name;
    uint64_t count;
    struct function *next;
};

static struct function *functions[BUCKETS];
static const char *out_path;

static struct function *find(const char *name)
{
    uint32_t hash = 2166136261u;
    for (const char *p = name; *p; p++)
        hash = (hash ^ (uint8_t)*p) * 16777619u;
    struct function **bucket = &functions[hash % BUCKETS];
    for (struct function *f = *bucket; f; f = f->next)
        if (!strcmp(f->name, name))
            return f;
    struct function *made = calloc(1, sizeof *made);
    made->name = strdup(name);
    made->next = *bucket;
    return *bucket = made;
}

/* A block is translated once: every instruction in it then adds 1 to its function by itself. */
static void translated(plugin_id id, struct qemu_plugin_tb *block)
{
    (void)id;
    char address[24];
    snprintf(address, sizeof address, "0x%llx", (unsigned long long)qemu_plugin_tb_vaddr(block));
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(block); i++) {
        struct qemu_plugin_insn *instruction = qemu_plugin_tb_get_insn(block, i);
        const char *name = qemu_plugin_insn_symbol(instruction);
        qemu_plugin_register_vcpu_insn_exec_inline(instruction, 0, &find(name ? name : address)->count, 1);
    }
}

static void finished(plugin_id id, void *data)
{
    (void)id, (void)data;
    FILE *out = fopen(out_path, "w");
    for (int i = 0; out && i < BUCKETS; i++)
        for (struct function *f = functions[i]; f; f = f->next)
            fprintf(out, "%llu %s\n", (unsigned long long)f->count, f->name);
    if (out)
        fclose(out);
}

EXPORT int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv)
{
    (void)info;
    for (int i = 0; i < argc; i++)
        if (!strncmp(argv[i], "out=", 4))
            out_path = strdup(argv[i] + 4);
    if (!out_path)
        return 1;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, finished, NULL);
    return 0;
}
