# Every recipe is a few plain commands. `just` itself: `cargo install just`, or the system's package of that name.
# A recipe that needs a system package installs it (Debian or Ubuntu, as root).

set shell := ["bash", "-euo", "pipefail", "-c"]

python := ".venv/bin/python"

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

# Format and lints, as CI asks.
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings

# The documentation, warnings denied.
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

# Benchmarks; each checks its answer.
bench:
    cargo bench -p zoetrope-kernels

# Licences, bans and sources of dependencies.
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
    {{python}} -m pip install --quiet imageio-ffmpeg==0.8.1
    OMP_NUM_THREADS=1 {{python}} reference/make_plan_goldens.py
    {{python}} reference/make_resize_goldens.py torch crates/kernels/tests/golden/resize/torchvision.txt
    {{python}} reference/make_resize_goldens.py pillow crates/kernels/tests/golden/resize/pillow-13.txt
    test -x target/venv-pillow-12/bin/python || python3 -m venv target/venv-pillow-12
    target/venv-pillow-12/bin/python -m pip install --quiet pillow==12.3.0 numpy==2.4.6
    target/venv-pillow-12/bin/python reference/make_resize_goldens.py pillow crates/kernels/tests/golden/resize/pillow-12.txt
