#!/usr/bin/env bash
# The contract test, answers and speeds on an NVIDIA GPU, with what `just gpu-check` packed in target/gpu-check. Run from the
# repository's root: bash bench/gpu_check.sh [FOLDER FOR LOGS]. Needs a driver of 580 or later and NVIDIA's runtime libraries
# (pip install nvidia-cublas nvidia-curand nvidia-cuda-runtime, as PyTorch's wheels have); no Rust, no network, no compiler.
# At most eight minutes; ends with 1 when something failed.
set -uo pipefail
cd "$(dirname "$0")/.."
packed=$PWD/target/gpu-check
logs=${1:-$packed/logs}
mkdir -p "$logs"
failed=0

step() { # step SECONDS NAME COMMAND...
    local limit=$1 name=$2
    shift 2
    printf '\n== %s (at %d s)\n' "$name" "$SECONDS"
    timeout "$limit" "$@" 2>&1 | tee "$logs/$name.log" | tail -n "${lines:-25}"
    local code=${PIPESTATUS[0]}
    [ "$code" = 0 ] || { printf '!! %s failed (%d)\n' "$name" "$code"; failed=1; }
}

libraries() {
    python3 - <<'PYTHON' 2>/dev/null
import glob, os, site, sys
roots = [*site.getsitepackages(), site.getusersitepackages(), *sys.path]
found = {os.path.dirname(f) for root in roots if root for f in glob.glob(os.path.join(root, "nvidia", "*", "lib", "lib*.so.1[0-9]"))}
print(":".join(sorted(found)))
PYTHON
}
LD_LIBRARY_PATH="$(libraries):$PWD/target/cuda-venv/toolkit/lib:/usr/local/cuda/lib64:${LD_LIBRARY_PATH:-}"
export LD_LIBRARY_PATH CARGO_MANIFEST_DIR=$PWD/crates/models ZOETROPE_TEST_DEVICE=cuda

[ -f "$packed/zoetrope.xz" ] && xz -dkf "$packed/zoetrope.xz" "$packed/contract.xz" && chmod +x "$packed"/{zoetrope,contract}
zoetrope=$packed/zoetrope
step 20 card nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.max.sm --format=csv
step 20 cpu sh -c 'lscpu | grep -E "Model name|^CPU\(s\)|Thread|Flags" | sed "s/Flags.*\(avx512_vnni\).*/\1/" | cut -c1-120'
if ldd "$zoetrope" | grep 'not found'; then
    echo "!! libraries are missing: see the first lines of this script"
    exit 1
fi

clip=assets/clips/red-circle.mp4
answers() { # answers OPTIONS...
    for question in "Which way does the red circle move?" "What color is the circle?" "How many circles are there?"; do
        "$zoetrope" ask "$clip" "$question" --quiet "$@" || return 1
    done
}
# The driver compiles the kernels at their first use.
step 120 first-use "$zoetrope" ask "$clip" "Which way does the red circle move?" --device cuda --dtype f32
for dtype in f32 bf16; do
    ours=$(answers --device cuda --dtype $dtype) want=$(answers --device cpu --dtype f32)
    if [ "$ours" = "$want" ]; then
        echo "answers in $dtype are those of the CPU:" $ours
    else
        printf '!! answers in %s are\n%s\nand on the CPU\n%s\n' $dtype "$ours" "$want"
        failed=1
    fi
done
lines=60 step 150 contract "$packed/contract" --test-threads=1
bench=(bench --model "$packed/shape" --random-weights --dtype bf16 --repeats 3)
step 100 speed-2b "$zoetrope" "${bench[@]}" --device cuda --frames 8 --prompt 2048 --answer 32
step 60 speed-2b-16-sequences "$zoetrope" "${bench[@]}" --device cuda --frames 1 --prompt 512 --answer 16 --sequences 16
printf '\n== done in %d s, %s\n' "$SECONDS" "$([ $failed = 0 ] && echo 'all passed' || echo 'with failures')"
exit $failed
