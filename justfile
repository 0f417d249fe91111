# Every recipe is a few plain commands. `just` itself: `cargo install just`, or the system's package of that name.
# A recipe that needs a system package installs it (Debian or Ubuntu, as root).

set shell := ["bash", "-euo", "pipefail", "-c"]

python := ".venv/bin/python"
# A driver runs the code of compilers up to its own CUDA version: 13.0 needs a driver of 580 or later.
cuda_wheels := "cuda-toolkit[nvcc,nvvm,crt,cudart,cccl,cublas,curand,nvrtc]==13.0.2"
cuda_home := justfile_directory() / "target/cuda-venv/toolkit"

# What recipes there are.
default:
    @just --list

# Everything that must hold before a change lands.
ci:
    bash .ci/run

# All tests.
test *ARGS:
    cargo test --workspace {{ARGS}}

# The habits alone, without building the workspace.
tidy:
    mkdir -p target
    CARGO_MANIFEST_DIR="$PWD/crates/app" rustc --edition 2024 --test crates/app/tests/tidy/main.rs -o target/tidy
    RUST_BACKTRACE=0 target/tidy

# Installs the emulator, a linker and the target's standard library where they are missing.
# The kernels for 64-bit ARM: lints, then their tests on CPUs with NEON alone, with dot products and with all.
arm cpus="cortex-a53 neoverse-n1 max":
    command -v qemu-aarch64 >/dev/null || apt-get install -y --no-install-recommends qemu-user
    command -v aarch64-linux-gnu-gcc >/dev/null \
      || apt-get install -y --no-install-recommends gcc-aarch64-linux-gnu libc6-dev-arm64-cross
    test -d "$("${RUSTC:-rustc}" --print sysroot)/lib/rustlib/aarch64-unknown-linux-gnu" \
      || rustup target add aarch64-unknown-linux-gnu
    cargo clippy -p zoetrope-kernels --target aarch64-unknown-linux-gnu --all-targets -- -D warnings
    for cpu in {{cpus}}; do \
      CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc \
      CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64 -L /usr/aarch64-linux-gnu -cpu $cpu" \
        cargo test -p zoetrope-kernels --target aarch64-unknown-linux-gnu; \
    done

# Format and lints, as CI asks.
lint:
    .ci/format --check
    cargo clippy --workspace --all-targets -- -D warnings

# The documentation, warnings denied.
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

# Benchmarks of the kernels; each checks its result. ARGS are divan's: part of a row's path, `--max-time 1`.
bench *ARGS:
    cargo bench -p zoetrope-kernels -- {{ARGS}}

# The tests of the crates with `unsafe` code, at every instruction set of this machine, under the address sanitizer.
sanitize:
    RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=address" CARGO_TARGET_DIR=target/sanitize \
      cargo test -p zoetrope-kernels -p zoetrope-system --lib --target "$(rustc -vV | sed -n 's/^host: //p')"

# Downloads 680 MB and takes 1.2 GB of disk. Needs Python and a C compiler, no GPU and no driver.
# The CUDA toolkit in target/cuda-venv: NVIDIA's wheels, the names a linker looks for, a stub of the driver's library.
cuda-toolkit:
    test -x target/cuda-venv/bin/python || python3 -m venv target/cuda-venv
    target/cuda-venv/bin/python -m pip install --quiet "{{cuda_wheels}}"
    cd target/cuda-venv && ln -sfn lib/python3*/site-packages/nvidia/cu13 toolkit
    cd {{cuda_home}}/lib && for library in cublas cublasLt cudart curand nvrtc; do \
      ln -sf lib$library.so.* lib$library.so; \
    done
    mkdir -p {{cuda_home}}/lib/stubs
    grep -ohE '\bcu[A-Z][A-Za-z0-9_]*' {{cuda_home}}/include/cuda*.h | sort -u \
      | sed 's/.*/int &(void) { return 34; } \/\* CUDA_ERROR_STUB_LIBRARY *\//' \
      | cc -shared -fPIC -w -Wl,-soname,libcuda.so.1 -x c - -o {{cuda_home}}/lib/stubs/libcuda.so
    ln -sf libcuda.so {{cuda_home}}/lib/stubs/libcuda.so.1

# Compiles candle's kernels for `cap`, the compute capability of the oldest card: 80 (A100) runs on later cards too, whose
# driver compiles them once; 90 runs on H100 and H200 alone. It starts with LD_LIBRARY_PATH=target/cuda-venv/toolkit/lib,
# and on a machine without the driver with target/cuda-venv/toolkit/lib/stubs there as well.
# The program for NVIDIA GPUs, in target/cuda/release.
cuda-build cap="80": cuda-toolkit
    CUDA_HOME={{cuda_home}} PATH="{{cuda_home}}/bin:$PATH" CUDA_COMPUTE_CAP={{cap}} CUDAFORGE_THREADS={{num_cpus()}} \
      CARGO_TARGET_DIR=target/cuda cargo build --release --features cuda

# Builds what a GPU is checked with and packs it into target/gpu-check (about 20 MB). Where there is a GPU it is checked at
# once; else carry the repository with that folder to a machine with one, and run bench/gpu_check.sh there.
# Contract test, answers and speeds on an NVIDIA GPU, in eight minutes.
gpu-check cap="80": (cuda-build cap)
    CUDA_HOME={{cuda_home}} PATH="{{cuda_home}}/bin:$PATH" CUDA_COMPUTE_CAP={{cap}} CARGO_TARGET_DIR=target/cuda \
      cargo test --release --features zoetrope-models/cuda -p zoetrope-models --test contract --no-run
    bash bench/gpu_pack.sh target/cuda/release
    if command -v nvidia-smi >/dev/null; then bash bench/gpu_check.sh; fi

# Licenses, bans and sources of dependencies.
deny:
    command -v cargo-deny >/dev/null || cargo install cargo-deny --locked
    cargo deny check bans licenses sources

# The Python of the golden makers; never needed by users or tests.
venv:
    test -x {{python}} || python3 -m venv .venv
    {{python}} -m pip install --quiet -r reference/requirements.txt

# Makes the goldens again, in the order they depend on each other.
goldens: venv
    OMP_NUM_THREADS=1 {{python}} reference/make_videollama3_toy.py
    OMP_NUM_THREADS=1 {{python}} reference/make_original_toy.py
    OMP_NUM_THREADS=1 {{python}} reference/make_training_goldens.py videollama3 llava-onevision lora dpo-lora dpo-whole
    {{python}} -m pip install --quiet imageio-ffmpeg==0.8.1
    OMP_NUM_THREADS=1 {{python}} reference/make_plan_goldens.py
    {{python}} reference/make_resize_goldens.py torch crates/kernels/tests/golden/resize/torchvision.txt
    {{python}} reference/make_resize_goldens.py pillow crates/kernels/tests/golden/resize/pillow-13.txt
    test -x target/venv-pillow-12/bin/python || python3 -m venv target/venv-pillow-12
    target/venv-pillow-12/bin/python -m pip install --quiet pillow==12.3.0 numpy==2.4.6
    target/venv-pillow-12/bin/python reference/make_resize_goldens.py pillow crates/kernels/tests/golden/resize/pillow-12.txt

# Takes 5 GB of disk and 12 GB of memory.
# A 2B-shaped checkpoint with random weights in the published layout, run by transformers and by us, then compared.
real-shape folder="target/real-shape": venv
    test -f {{folder}}/config.json || {{python}} reference/make_real_shape.py {{folder}}
    {{python}} reference/run_real_shape.py {{folder}} {{folder}}/answers
    just real-shape-case {{folder}} image "" "Describe the image."
    just real-shape-case {{folder}} large "" "Describe the image."
    just real-shape-case {{folder}} clip "--fps 1" "Which way does the box move?"

# One case of `real-shape`: its frames as a lossless animation, our dump of it, beside transformers'.
real-shape-case folder case options question:
    {{python}} -c 'import sys; from PIL import Image; a = [Image.open(p) for p in sys.argv[2:]]; \
      a[0].save(sys.argv[1], save_all=len(a) > 1, append_images=a[1:], duration=1000)' \
      {{folder}}/answers/{{case}}.png {{folder}}/answers/{{case}}-frames/*.png
    test -x /usr/bin/time || apt-get install -y --no-install-recommends time
    cargo build --release
    /usr/bin/time -v target/release/zoetrope dump {{folder}}/answers/{{case}}.png "{{question}}" {{options}} \
      --model {{folder}} --dtype f32 --out {{folder}}/answers/{{case}}-ours.safetensors
    {{python}} reference/compare_dump.py {{folder}}/answers/{{case}}-ours.safetensors {{folder}}/answers/{{case}}.safetensors

# Every clip of a folder beside FFmpeg's frames, times and pictures; writes docs/media-table.md.
media-table clips: venv
    cargo build --release -p zoetrope-media --examples
    {{python}} reference/compare_media.py target/release/examples/compare {{clips}} docs/media-table.md

# The files of a folder that has an expected.json, checked by its check.py: frames, times, sizes, numbers drawn into frames.
media-cases folder: venv
    cargo build --release -p zoetrope-media --example compare
    {{python}} {{folder}}/check.py target/release/examples/compare {{folder}}

# Decoding of every frame beside FFmpeg on two threads (720p in five codecs, made from `clip`), AV1 with its assembly.
media-speed clip folder="target/media-speed": venv
    command -v nasm >/dev/null || apt-get install -y --no-install-recommends nasm
    {{python}} reference/media_speed.py make {{folder}} {{clip}}
    cargo build --release -p zoetrope-media --features av1-asm --example compare
    {{python}} reference/media_speed.py race target/release/examples/compare {{folder}}

# The program with the assembly of the AV1 decoder (four to six times as fast), which needs nasm when it is built.
install:
    command -v nasm >/dev/null || apt-get install -y --no-install-recommends nasm
    cargo install --path crates/app --locked --features av1-asm

# Random files of every codec, container, lie and damage, read here and by FFmpeg: right, warned, refused, wrong. Needs an
# `ffmpeg` program to encode with, or FFMPEG=PATH. ARGS: --seed S, --files N, --only K, --keep FOLDER, --out TABLE.md.
media-random *ARGS: venv
    cargo build -p zoetrope-media --example compare
    {{python}} reference/random_media.py "${CARGO_TARGET_DIR:-target}/debug/examples/compare" {{ARGS}}

# 180 frames spread over an hour of 720p H.264: wall time and peak memory, ours and PyAV's with seeking.
hour-clip clip="target/hour.mp4": venv
    test -f {{clip}} || {{python}} reference/hour_clip.py make {{clip}}
    cargo run --release -p zoetrope-media --example compare -- {{clip}} uniform 180
    {{python}} reference/hour_clip.py sample {{clip}} 180

# Ten minutes on every fuzz target (or the given seconds on the given ones). Needs a nightly toolchain.
fuzz seconds="600" targets=`cd fuzz && ls fuzz_targets | sed -n 's/\.rs$//p' | grep -vx check | tr '\n' ' '`:
    command -v cargo-fuzz >/dev/null || cargo install cargo-fuzz --locked
    for target in {{targets}}; do \
      cargo +nightly fuzz run $target -- -max_total_time={{seconds}} -timeout=10 -rss_limit_mb=2048 -max_len=65536; \
    done

# Trains the default model from its recipe, or goes on from the last checkpoint; hours on two cores.
train-nano out="target/zoetrope-nano":
    cargo run --release -- train recipes/nano.toml --from-scratch --model assets/models/zoetrope-nano \
        --out {{out}}

# The default model on held-out drawn questions, by kind, beside the chance level.
eval-nano model="assets/models/zoetrope-nano":
    cargo run --release -- eval --model {{model}} --items 480

# Commands that write files, killed at every system call that changes one: old state or new, never half of one.
# Takes minutes: every point is a fresh folder, a killed run and a check. Needs Linux with ptrace allowed, and Python.
kill-points:
    command -v strace || apt-get install -y --no-install-recommends strace
    cargo build
    .ci/kill-points-pull target/debug/zoetrope crates/models/tests/golden/videollama3/toy-hf
    .ci/kill-points-models target/debug/zoetrope
    .ci/kill-points-cache target/debug/zoetrope

# A training run, killed at ten random moments and once on a full disk, against one that was never stopped.
kill-training:
    cargo build --release
    .ci/kill-training target/release/zoetrope

# The program that trains in several processes over MPI. Installs an MPI library and libclang where they are missing.
mpi-build:
    dpkg -s openmpi-bin libopenmpi-dev libclang-dev >/dev/null 2>&1 \
      || apt-get install -y --no-install-recommends openmpi-bin libopenmpi-dev libclang-dev
    cargo build --release --features mpi

# Training in two processes over MPI is training in one: losses, bytes, signals, errors.
mpi-test: mpi-build
    .ci/mpi-test "${CARGO_TARGET_DIR:-target}/release/zoetrope"

# Takes twenty minutes on an idle machine of two cores, and 8 GB of memory.
# Throughput of two processes with a core each, beside one process with one core.
mpi-speed *ARGS: mpi-build
    .ci/mpi-speed "${CARGO_TARGET_DIR:-target}/release/zoetrope" {{ARGS}}

# A fresh clone with an empty target folder: the two commands of the README, timed.
clean-clone:
    bash .ci/clean-clone

# Clients of other people against the server: the official Python and JavaScript packages, requests as many programs send
# them, the page in a browser, and a hostile client. `folder` has their programs. Needs network for packages; root for
# the hostile client's own network.
serve-clients folder out="target/serve-clients": venv
    cargo build --release
    bash .ci/serve-clients {{folder}} {{out}}
