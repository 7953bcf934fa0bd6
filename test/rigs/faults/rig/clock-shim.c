/*
 * Gives a server a wrong time of day. Preloaded into the server, it moves the time that the C library returns by the
 * milliseconds in a file (a little-endian 64-bit number), also while the server runs. Monotonic clocks do not change, just as
 * when a machine's time of day is wrong. The file is mapped, so reading it is cheap, and children of the server share it.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const int64_t nobody_moves_it = 0;
static const volatile int64_t *ahead_ms = &nobody_moves_it;

__attribute__((constructor)) static void map_the_file(void) {
  const char *path = getenv("FAULT_RIG_CLOCK");
  int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  if (file < 0) return;
  void *page = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);
  if (page != MAP_FAILED) ahead_ms = page;
  close(file);
}

/* Calls the kernel directly, so that the shim does not depend on the symbols of a particular C library. */
int clock_gettime(clockid_t clock, struct timespec *now) {
  int failed = (int)syscall(SYS_clock_gettime, clock, now);
  if (failed || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE)) return failed;
  int64_t ns = now->tv_nsec + *ahead_ms % 1000 * 1000000;
  now->tv_sec += *ahead_ms / 1000 + (ns >= 1000000000) - (ns < 0);
  now->tv_nsec = (ns + 1000000000) % 1000000000;
  return 0;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
  (void)zone;
  struct timespec moved;
  int failed = clock_gettime(CLOCK_REALTIME, &moved);
  if (failed) return failed;
  now->tv_sec = moved.tv_sec;
  now->tv_usec = moved.tv_nsec / 1000;
  return 0;
}

time_t time(time_t *told) {
  struct timespec moved;
  clock_gettime(CLOCK_REALTIME, &moved);
  if (told) *told = moved.tv_sec;
  return moved.tv_sec;
}
