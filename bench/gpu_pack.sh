#!/usr/bin/env bash
# Packs what bench/gpu_check.sh needs into target/gpu-check: bash bench/gpu_pack.sh FOLDER OF A RELEASE BUILD WITH CUDA.
set -euo pipefail
cd "$(dirname "$0")/.."
release=$1
packed=target/gpu-check
rm -rf "$packed"
mkdir -p "$packed/shape"
contract=$(find "$release/deps" -maxdepth 1 -type f -executable -name 'contract-*' -printf '%T@ %p\n' | sort -n | tail -1 | cut -d' ' -f2)
strip -o "$packed/zoetrope" "$release/zoetrope"
strip -o "$packed/contract" "$contract"
xz -T0 -3 "$packed/zoetrope" "$packed/contract"
# The shape of the published 2B model with the embedded model's tokenizer; its weights are random.
cp assets/models/zoetrope-nano/*.json assets/models/zoetrope-nano/*.jinja "$packed/shape"
cp bench/shapes/videollama3-2b/config.json "$packed/shape"
du -sh "$packed"
