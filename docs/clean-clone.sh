#!/usr/bin/env bash
# The two commands of the README in a fresh clone of HEAD with an empty target folder, timed; for `just clean-clone`.
set -euo pipefail
cd "$(dirname "$0")/.."
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
git clone --quiet --no-local . "$place/zoetrope"
cd "$place/zoetrope"
export CARGO_TARGET_DIR=$place/target
unset HF_HOME HF_ENDPOINT HF_TOKEN
export HF_HUB_OFFLINE=1

timed() {
    local begin=$SECONDS
    printf '\n== %s\n' "$*"
    "$@"
    printf '== took %d s\n' "$((SECONDS - begin))"
}

# The README is the source of the commands, so that what it says is what is tried.
sed -n '/^cargo run --release -- ask/p; /^cargo test --workspace/p' README.md > commands
test "$(wc -l < commands)" -eq 2
timed cargo build --release
while read -r command; do
    timed bash -c "$command" < /dev/null
done < commands
du -sh "$CARGO_TARGET_DIR" "$CARGO_TARGET_DIR/release/zoetrope" .git | sed "s|$place/||"
