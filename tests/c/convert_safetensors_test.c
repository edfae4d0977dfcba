/* runs: native wasm */
/* Headers of safetensors: one file, shards with an index, and everything that is refused, with what the message names. */
#include "test.h"

#include "convert/safetensors.h"

#include "memory_folder.h"

enum { FILE_MAX = 4096, FILES = 4 };

static struct {
    rp_memory memory;
    failing_host host;
    memory_folder folder;
    rp_files files;
    rp_safetensors *tensors;
    rp_error err;
    char bytes[FILES][FILE_MAX];
} now;

static void start(void) {
    uint64_t fail_at = now.host.fail_at;
    memset(&now, 0, sizeof now);
    now.host.fail_at = fail_at;
    failing_memory(&now.memory, &now.host);
    now.files = memory_folder_files(&now.folder);
}

/* A header and `data` bytes behind it. */
static void put(const char *name, const char *header, size_t data) {
    char *bytes = now.bytes[now.folder.count];
    size_t size = strlen(header);
    memset(bytes, 0, 8);
    bytes[0] = (char)size;
    bytes[1] = (char)(size >> 8);
    memcpy(bytes + 8, header, size);
    memset(bytes + 8 + size, 0x5a, data);
    memory_folder_put(&now.folder, name, bytes, 8 + size + data);
}

/* Whether it opens or not, the end is the same: handles closed, memory given back. */
static rp_status open_now(void) {
    rp_status status = rp_safetensors_open(&now.tensors, &now.files, &now.memory, &now.err);
    if (status != RP_OK) {
        CHECK(now.tensors == NULL);
        CHECK_INT(now.err.status, status);
        CHECK_INT(now.folder.open, 0);
        CHECK_INT((int64_t)now.memory.bytes_now, 0);
    }
    return status;
}

static void close_now(void) {
    rp_safetensors_close(now.tensors);
    now.tensors = NULL;
    CHECK_INT(now.folder.open, 0);
    CHECK_INT((int64_t)now.memory.bytes_now, 0);
}

TEST(one_file) {
    static const char header[] =
        "{\"__metadata__\":{\"format\":\"pt\"},"
        "\"b\":{\"dtype\":\"BF16\",\"shape\":[2,3],\"data_offsets\":[8,20]},"
        "\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
        "\"scalar\":{\"dtype\":\"F16\",\"shape\":[],\"data_offsets\":[20,22]},"
        "\"eight\":{\"dtype\":\"F16\",\"shape\":[1,2,1,1,1,1,1,2],\"data_offsets\":[30,38]}}   ";
    start();
    put("model.safetensors", header, 40);
    REQUIRE(open_now() == RP_OK);
    CHECK_INT(now.folder.open, 1);
    CHECK_INT((int64_t)now.folder.read_ends, 8 + (int64_t)strlen(header)); /* no tensor was read */
    CHECK_INT((int64_t)rp_safetensors_count(now.tensors), 4);
    static const rp_safetensor want[] = {
        {.name = "a", .type = RP_F32, .dims = 1, .shape = {2}, .offset = 0, .bytes = 8},
        {.name = "b", .type = RP_BF16, .dims = 2, .shape = {2, 3}, .offset = 8, .bytes = 12},
        {.name = "scalar", .type = RP_F16, .dims = 1, .shape = {1}, .offset = 20, .bytes = 2},
        {.name = "eight", .type = RP_F16, .dims = 8, .shape = {1, 2, 1, 1, 1, 1, 1, 2}, .offset = 30, .bytes = 8},
    };
    for (size_t i = 0; i < RP_COUNT(want); i++) {
        const rp_safetensor *is = rp_safetensors_at(now.tensors, i);
        CHECK_TEXT(is->name, want[i].name);
        CHECK_INT(is->type, want[i].type);
        CHECK_INT(is->dims, want[i].dims);
        CHECK(memcmp(is->shape, want[i].shape, sizeof is->shape) == 0);
        CHECK_INT((int64_t)is->offset, (int64_t)want[i].offset + 8 + (int64_t)strlen(header));
        CHECK_INT((int64_t)is->bytes, (int64_t)want[i].bytes);
        CHECK(rp_safetensors_find(now.tensors, want[i].name) == is);
    }
    CHECK(rp_safetensors_find(now.tensors, "nothing") == NULL);
    CHECK(rp_safetensors_find(now.tensors, "__metadata__") == NULL);
    close_now();
}

#define INDEX "model.safetensors.index.json"
#define TENSOR(name, from, to) "\"" name "\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[" #from "," #to "]}"

static void put_shards(const char *index) {
    start();
    memory_folder_text(&now.folder, INDEX, index);
    put("model-00001-of-00002.safetensors", "{" TENSOR("c", 0, 4) "," TENSOR("a", 4, 8) "}", 8);
    put("model-00002-of-00002.safetensors", "{" TENSOR("b", 0, 4) "}", 4);
}

#define FIRST "\"model-00001-of-00002.safetensors\""
#define SECOND "\"model-00002-of-00002.safetensors\""

TEST(shards) {
    put_shards("{\"metadata\":{\"total_size\":12},\"weight_map\":{\"b\":" SECOND ",\"a\":" FIRST ",\"c\":" FIRST "}}");
    REQUIRE(open_now() == RP_OK);
    CHECK_INT(now.folder.open, 2);
    CHECK_INT((int64_t)rp_safetensors_count(now.tensors), 3);
    CHECK_TEXT(rp_safetensors_at(now.tensors, 0)->name, "b"); /* files in the index's order */
    CHECK_TEXT(rp_safetensors_at(now.tensors, 1)->name, "c");
    CHECK_TEXT(rp_safetensors_at(now.tensors, 2)->name, "a");
    CHECK(rp_safetensors_at(now.tensors, 0)->file != rp_safetensors_at(now.tensors, 1)->file);
    CHECK(rp_safetensors_at(now.tensors, 1)->file == rp_safetensors_at(now.tensors, 2)->file);
    close_now();
}

TEST(bad_index) {
    static const struct {
        const char *index;
        rp_status status;
        const char *message;
    } cases[] = {
        {"{\"weight_map\":{\"b\":" SECOND ",\"a\":" FIRST "}}", RP_ERR_FORMAT, "names 2 tensors, want the 3"},
        {"{\"weight_map\":{\"b\":" FIRST ",\"a\":" FIRST ",\"c\":" SECOND "}}", RP_ERR_FORMAT,
         "b: " INDEX " names it in"},
        {"{\"weight_map\":{\"d\":" SECOND ",\"b\":" SECOND ",\"a\":" FIRST ",\"c\":" FIRST "}}", RP_ERR_FORMAT,
         "d: " INDEX " names it in model-00002-of-00002.safetensors, and it is not there"},
        {"{\"weight_map\":{\"a\":\"model-00003-of-00003.safetensors\"}}", RP_ERR_IO,
         "model-00003-of-00003.safetensors: " INDEX " names it, and there is no such file"},
        {"{\"weight_map\":{\"a\":\"../x.safetensors\"}}", RP_ERR_FORMAT, "a: want the name of a file beside"},
        {"{\"weight_map\":{\"a\":\"/x.safetensors\"}}", RP_ERR_FORMAT, "a: want the name of a file beside"},
        {"{\"weight_map\":{\"a\":\"C:x.safetensors\"}}", RP_ERR_FORMAT, "a: want the name of a file beside"},
        {"{\"weight_map\":{\"a\":\"\"}}", RP_ERR_FORMAT, "a: want the name of a file beside"},
        {"{\"weight_map\":{\"a\":1}}", RP_ERR_FORMAT, "a: want the name of a file beside"},
        {"{\"weight_map\":{}}", RP_ERR_FORMAT, "want an object \"weight_map\""},
        {"{\"weight_map\":[]}", RP_ERR_FORMAT, "want an object \"weight_map\""},
        {"{}", RP_ERR_FORMAT, "want an object \"weight_map\""},
        {"[", RP_ERR_FORMAT, INDEX ": line 1:"},
    };
    for (size_t i = 0; i < RP_COUNT(cases); i++) {
        put_shards(cases[i].index);
        CHECK_INT(open_now(), cases[i].status);
        if (!strstr(now.err.message, cases[i].message))
            CHECK_TEXT(now.err.message, cases[i].message);
        close_now();
    }
}

/* Headers of a file with 8 bytes of data. */
TEST(bad_headers) {
    static const struct {
        const char *header;
        rp_status status;
        const char *message;
    } cases[] = {
        {"{\"t\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[0,8]}}", RP_ERR_UNSUPPORTED, "t: has dtype I64"},
        {"{\"t\":{\"dtype\":\"F8_E4M3\",\"shape\":[8],\"data_offsets\":[0,8]}}", RP_ERR_UNSUPPORTED, "dtype F8_E4M3"},
        {"{\"t\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[0,8]}}", RP_ERR_UNSUPPORTED,
         "want F32, F16 or BF16"},
        {"{\"t\":{\"shape\":[1],\"data_offsets\":[0,8]}}", RP_ERR_FORMAT, "t: want a \"dtype\""},
        {"{\"t\":{\"dtype\":5,\"shape\":[1],\"data_offsets\":[0,8]}}", RP_ERR_FORMAT, "t: want a \"dtype\""},
        {"{\"t\":{\"dtype\":\"F32\",\"data_offsets\":[0,8]}}", RP_ERR_FORMAT, "t: want a \"shape\""},
        {"{\"t\":{\"dtype\":\"F32\",\"shape\":2,\"data_offsets\":[0,8]}}", RP_ERR_FORMAT, "t: want a \"shape\""},
        {"{\"t\":{\"dtype\":\"F32\",\"shape\":[2,0],\"data_offsets\":[0,0]}}", RP_ERR_FORMAT, "t: dimension 1 is 0"},
        {"{\"t\":{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}}", RP_ERR_FORMAT, "t: dimension 0 is -2"},
        {"{\"t\":{\"dtype\":\"F32\",\"shape\":[1.5],\"data_offsets\":[0,8]}}", RP_ERR_FORMAT, "t: dimension 0 is 1.5"},
        {"{\"t\":{\"dtype\":\"F32\",\"shape\":[\"2\"],\"data_offsets\":[0,8]}}", RP_ERR_FORMAT, "t: dimension 0 is 0"},
        {"{\"t\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}", RP_ERR_FORMAT,
         "t: dimension 1 is"},
        {"{\"t\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,2],\"data_offsets\":[0,8]}}", RP_ERR_UNSUPPORTED,
         "t: has 9 dimensions, want at most 8"},
        {"{\"t\":{\"dtype\":\"F32\",\"shape\":[2]}}", RP_ERR_FORMAT, "t: want \"data_offsets\""},
        {"{\"t\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0]}}", RP_ERR_FORMAT, "t: want \"data_offsets\""},
        {"{\"t\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}}", RP_ERR_FORMAT, "t: want \"data_offsets\""},
        {"{\"t\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[-8,0]}}", RP_ERR_FORMAT,
         "t: want \"data_offsets\""},
        {"{\"t\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8,8]}}", RP_ERR_FORMAT,
         "t: want \"data_offsets\""},
        {"{\"t\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}", RP_ERR_FORMAT,
         "t: ends at byte 12 of the data, and model.safetensors has 8"},
        {"{\"t\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,9223372036854775807]}}", RP_ERR_FORMAT,
         "t: ends at byte 9223372036854775807"},
        {"{\"t\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", RP_ERR_FORMAT, "t: has 4 bytes, want 8"},
        {"{\"t\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,8]}}", RP_ERR_FORMAT, "t: has 8 bytes, want 4"},
        {"{" TENSOR("t", 0, 4) "," TENSOR("u", 2, 6) "}", RP_ERR_FORMAT, "u: lies on t"},
        {"{" TENSOR("t", 0, 4) "," TENSOR("t", 4, 8) "}", RP_ERR_FORMAT, "t: two tensors have this name"},
        {"{" TENSOR("", 0, 4) "}", RP_ERR_FORMAT, "name is empty"},
        {"{" TENSOR("a\\u0000b", 0, 4) "}", RP_ERR_FORMAT, "holds a zero byte"},
        {"{\"t\":null}", RP_ERR_FORMAT, "t: want a \"dtype\""},
        {"{\"__metadata__\":{}}", RP_ERR_FORMAT, "model.safetensors: holds no tensors"},
        {"{}", RP_ERR_FORMAT, "model.safetensors: holds no tensors"},
        {"[]", RP_ERR_FORMAT, "want an object of tensors"},
        {"", RP_ERR_FORMAT, "model.safetensors: line 1: the text ends"},
        {"{", RP_ERR_FORMAT, "model.safetensors: line 1: the text ends"},
    };
    for (size_t i = 0; i < RP_COUNT(cases); i++) {
        start();
        put("model.safetensors", cases[i].header, 8);
        CHECK_INT(open_now(), cases[i].status);
        if (!strstr(now.err.message, cases[i].message))
            CHECK_TEXT(now.err.message, cases[i].message);
        close_now();
    }
}

TEST(bad_lengths) {
    static const uint8_t lengths[][8] = {
        {1}, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, {0, 0, 0, 0, 0, 0, 0, 0x80}};
    for (size_t i = 0; i < RP_COUNT(lengths); i++) {
        start();
        memory_folder_put(&now.folder, "model.safetensors", lengths[i], 8);
        CHECK_INT(open_now(), RP_ERR_FORMAT);
        CHECK(strstr(now.err.message, "is it a safetensors file?") != NULL);
    }
    for (size_t size = 0; size < 8; size++) {
        start();
        memory_folder_put(&now.folder, "model.safetensors", lengths[0], size);
        CHECK_INT(open_now(), RP_ERR_FORMAT);
        CHECK(strstr(now.err.message, "want at least 8") != NULL);
    }
    start();
    put("model.safetensors", "{" TENSOR("t", 0, 4) "}", 4);
    now.folder.unreadable = true;
    CHECK_INT(open_now(), RP_ERR_IO);
    /* Cut anywhere, it is refused. */
    size_t whole = now.folder.files[0].size;
    now.folder.unreadable = false;
    for (size_t size = 0; size < whole; size++) {
        now.folder.files[0].size = size;
        CHECK_INT(open_now(), RP_ERR_FORMAT);
    }
    now.folder.files[0].size = whole;
    CHECK_INT(open_now(), RP_OK);
    close_now();
}

TEST(no_safetensors) {
    static const char *const pickles[] = {"pytorch_model.bin", "pytorch_model.bin.index.json", "model.pt",
                                          "consolidated.00.pth"};
    start();
    CHECK_INT(open_now(), RP_ERR_IO);
    CHECK(strstr(now.err.message, "neither model.safetensors nor") != NULL);
    for (size_t i = 0; i < RP_COUNT(pickles); i++) {
        start();
        memory_folder_text(&now.folder, pickles[i], "x");
        CHECK_INT(open_now(), RP_ERR_UNSUPPORTED);
        CHECK(strstr(now.err.message, pickles[i]) == now.err.message);
        CHECK(strstr(now.err.message, "refused") != NULL);
    }
}

TEST(memory_exhausted) {
    size_t failures = 0;
    for (uint64_t nth = 1;; nth++) {
        now.host.fail_at = nth;
        put_shards("{\"weight_map\":{\"b\":" SECOND ",\"a\":" FIRST ",\"c\":" FIRST "}}");
        rp_status status = open_now();
        if (status == RP_OK)
            break;
        CHECK_INT(status, RP_ERR_MEMORY);
        if (++failures > 100)
            break;
    }
    now.host.fail_at = 0;
    CHECK(failures > 10 && failures < 100);
    close_now();
}

TEST_MAIN(one_file, shards, bad_index, bad_headers, bad_lengths, no_safetensors, memory_exhausted)
