/* What the disk can do to a process: the k-th call that changes a file below a folder fails (once or from then on), or the process is killed in its
   place; and a record of every such call, from which each state that a power cut could leave is made again. Loaded with LD_PRELOAD. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static char folder[PATH_MAX];
static long armed_at, calls, hits;
static int armed_error, armed_for_good;
static int record_fd = -1;

void fault_arm(const char *below, long at, int error, int for_good) {
    strncpy(folder, below, sizeof folder - 1);
    armed_at = at; armed_error = error; armed_for_good = for_good; calls = hits = 0;
}
void fault_disarm(void) { armed_at = 0; armed_for_good = 0; }
long fault_calls(void) { return calls; }
long fault_hits(void) { return hits; }
void fault_record(const char *below, const char *path) {
    strncpy(folder, below, sizeof folder - 1);
    record_fd = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);
}

static void record(char what, const char *path, const char *other, int64_t offset, const void *data, int64_t size) {
    if (record_fd < 0) return;
    int32_t lengths[2] = {(int32_t)strlen(path), (int32_t)strlen(other)};
    int64_t numbers[2] = {offset, size};
    syscall(SYS_write, record_fd, &what, 1);
    syscall(SYS_write, record_fd, lengths, sizeof lengths);
    syscall(SYS_write, record_fd, numbers, sizeof numbers);
    syscall(SYS_write, record_fd, path, lengths[0]);
    syscall(SYS_write, record_fd, other, lengths[1]);
    if (data && size > 0) syscall(SYS_write, record_fd, data, size);
}
void fault_note(long number) { record('n', "", "", number, 0, 0); }

static int below(const char *path) { return folder[0] && strncmp(path, folder, strlen(folder)) == 0; }
static int path_of(int fd, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, PATH_MAX - 1);
    if (n < 0) return 0;
    path[n] = 0;
    return below(path);
}
/* Whether this call is to fail; errno is set then. */
static int fails(void) {
    if (!armed_at) return 0;
    calls++;
    if (calls != armed_at && !(armed_for_good && calls > armed_at)) return 0;
    hits++;
    if (armed_error < 0) { syscall(SYS_kill, getpid(), -armed_error); pause(); }
    errno = armed_error;
    return 1;
}
#define NEXT(name) static __typeof__(&name) real; if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset) {
    NEXT(pwrite64); char path[PATH_MAX];
    if (!path_of(fd, path)) return real(fd, data, size, offset);
    if (fails()) return -1;
    ssize_t n = real(fd, data, size, offset);
    if (n > 0) record('w', path, "", offset, data, n);
    return n;
}
ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) { return pwrite64(fd, data, size, offset); }
ssize_t write(int fd, const void *data, size_t size) {
    NEXT(write); char path[PATH_MAX];
    if (!path_of(fd, path)) return real(fd, data, size);
    if (fails()) return -1;
    int64_t offset = fcntl(fd, F_GETFL) & O_APPEND ? lseek(fd, 0, SEEK_END) : lseek(fd, 0, SEEK_CUR);
    ssize_t n = real(fd, data, size);
    if (n > 0) record('w', path, "", offset, data, n);
    return n;
}
static int synced(int fd, int (*real)(int)) {
    char path[PATH_MAX];
    if (!path_of(fd, path)) return real(fd);
    if (fails()) return -1;
    int done = real(fd);
    if (!done) record('s', path, "", 0, 0, 0);
    return done;
}
int fsync(int fd) { NEXT(fsync); return synced(fd, real); }
int fdatasync(int fd) { NEXT(fdatasync); return synced(fd, real); }
int ftruncate64(int fd, off64_t size) {
    NEXT(ftruncate64); char path[PATH_MAX];
    if (!path_of(fd, path)) return real(fd, size);
    if (fails()) return -1;
    int done = real(fd, size);
    if (!done) record('t', path, "", size, 0, 0);
    return done;
}
int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }
int unlink(const char *path) {
    NEXT(unlink);
    if (!below(path)) return real(path);
    if (fails()) return -1;
    int done = real(path);
    if (!done) record('u', path, "", 0, 0, 0);
    return done;
}
int rename(const char *from, const char *to) {
    NEXT(rename);
    if (!below(to)) return real(from, to);
    if (fails()) return -1;
    int done = real(from, to);
    if (!done) record('r', from, to, 0, 0, 0);
    return done;
}
static int linked(const char *from, const char *to, int done) {
    if (!done) record('l', from, to, 0, 0, 0);
    return done;
}
int link(const char *from, const char *to) {
    NEXT(link);
    if (!below(to)) return real(from, to);
    return fails() ? -1 : linked(from, to, real(from, to));
}
int linkat(int from_folder, const char *from, int to_folder, const char *to, int flags) {
    NEXT(linkat);
    if (!below(to)) return real(from_folder, from, to_folder, to, flags);
    return fails() ? -1 : linked(from, to, real(from_folder, from, to_folder, to, flags));
}
