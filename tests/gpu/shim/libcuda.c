/* A driver library that fails: what libcuda.so.1 answers on machines that we do not have.

   FAILS_WITH is the CUresult of cuInit and of everything else, DRIVER_FOR the version of CUDA that
   the driver is for. The CUDA runtime asks for its functions by name. */
#include <stdlib.h>

static int number(const char *name) {
  const char *text = getenv(name);
  return text ? atoi(text) : 0;
}

int fails(void) { return number("FAILS_WITH"); }

int cuInit(unsigned flags) { return fails(); }

int cuDriverGetVersion(int *version) {
  *version = number("DRIVER_FOR");
  return 0;
}

static void *function(const char *name) {
  const char *wanted = "cuDriverGetVersion";
  for (int i = 0; name[i] == wanted[i]; i++)
    if (!name[i]) return (void *)cuDriverGetVersion;
  return (void *)fails;
}

int cuGetProcAddress(const char *name, void **found, int version, unsigned long long flags) {
  *found = function(name);
  return 0;
}

int cuGetProcAddress_v2(const char *name, void **found, int version, unsigned long long flags,
                        int *status) {
  if (status) *status = 0;
  return cuGetProcAddress(name, found, version, flags);
}

int cuGetExportTable(const void **table, const void *id) { return 500; /* not found */ }
