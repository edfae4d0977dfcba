/* libFuzzer target for the GGUF reader and what binds a model to it: the first byte says in which pieces the
 * rest arrives. A file that loads is run. Whatever happens, all memory comes back. */
#include "../c/exercise.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0)
        return 0;
    exercise_host host = {.limit = 64 << 20};
    exercise(data + 1, size - 1, data[0] ? data[0] : size, &host);
    if (host.blocks || host.held || host.wrong_size)
        abort();
    return 0;
}
