#!/usr/bin/env bash
# Everything that wants a GPU, in one go, on a machine that has torch but little else and no network.
#
#     bash benchmarks/gpu_pass.sh [--tiny] [--pack DIR] [--out DIR] [--minutes M] [PART…]
#
# Parts, in this order; all of them where none is named:
#   tests      the tests that need a GPU
#   precision  fp16 and bf16 against fp32 at 64 to 1024 px: PSNR, mean and largest difference
#   rates      triplets/s against the grouped formulation, share of the peak, kernels, `generate` from end to end, on
#              `portraits` with its search for faces on the CPU; fresh and in a ring
#   project    images/s put into w and w+ against the loop of the published projector
#   student    steps/s of a student against the plain order, compiled too
#   baselines  steps/s of the other trainers against their public loops
#   teacher    what is left of M minutes (8): train-stylegan2 on DIR/faces, from --init where it is given
#
# DIR is what gpu_pack.sh made; without it the packages must be there, and teacher trains on random pictures. OUT
# ($OUT or gpu-pass) gets a log for each part, the numbers as JSON in one file, and the newest generator with a grid.
# A part that has its log there is not run again, so the same command goes on with the parts for which there was no
# time; one that fails says so in OUT/summary.txt and the others still run. --tiny tries every part with the smallest
# sizes, on a CPU too.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
out=${OUT:-gpu-pass} pack="" minutes=8 tiny="" init="" parts=()
while [ $# -gt 0 ]; do
  case $1 in
    --tiny) tiny=1 ;;
    --pack | --out | --minutes | --init)
      [ $# -ge 2 ] || { echo "$1 needs a value" >&2; exit 2; }
      declare "${1#--}=$2"; shift ;;
    tests | precision | rates | project | student | baselines | teacher) parts+=("$1") ;;
    *) echo "unknown part or option $1: tests, precision, rates, project, student, baselines, teacher, --tiny, --pack, --out, --minutes, --init" >&2
      exit 2 ;;
  esac
  shift
done
[[ $minutes =~ ^[0-9]+$ ]] || { echo "--minutes $minutes: a whole number is needed" >&2; exit 2; }
[ -z "$pack" ] || [ -d "$pack/wheels" ] || { echo "--pack $pack: there is no $pack/wheels; gpu_pack.sh makes it" >&2; exit 2; }
[ ${#parts[@]} -gt 0 ] || parts=(tests precision rates project student baselines teacher)
mkdir -p "$out"
out=$(cd "$out" && pwd) end=$((SECONDS + 60 * minutes))
export PYTHONPATH=$here:$here/tests:$here/benchmarks${PYTHONPATH:+:$PYTHONPATH} PYTHONUNBUFFERED=1
if [ -n "$pack" ]; then
  site=$(mktemp -d)
  python3 -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --upgrade --target "$site" "$pack"/wheels/*.whl \
    || { echo "the wheels of $pack do not install here" >&2; exit 1; }
  export PYTHONPATH=$site:$PYTHONPATH
  pack=$(cd "$pack" && pwd)
fi
[ -z "$init" ] || init=$(realpath "$init")
cd "$here"

# left_out NAME WHY: say so; its part runs again in the next pass.
left_out() {
  whole=""
  echo "$1: left out, $2" | tee -a "$out/summary.txt"
}

# step NAME SECONDS COMMAND…: run it with a limit; its output goes into the part's log, one line into the summary.
step() {
  local name=$1 limit=$2 started=$SECONDS left=$((end - SECONDS)); shift 2
  [ -z "$tiny" ] || limit=600
  [ "$limit" -le "$left" ] || limit=$left
  if [ "$limit" -lt 5 ]; then left_out "$name" "the time is over"; return; fi
  echo "== $name: $*" >>"$log"
  timeout -k 10 "$limit" "$@" >>"$log" 2>&1
  echo "$name: exit code $?, $((SECONDS - started)) s" | tee -a "$out/summary.txt"
}

part_tests() {
  step tests 90 python3 -m pytest -q -m gpu -p no:cacheprovider -o addopts="--import-mode=importlib" tests
}

part_precision() {
  local networks=(portraits 256 512 1024)
  [ -z "$tiny" ] || networks=(portraits)
  step precision 60 python3 benchmarks/generate.py "${networks[@]}" --rounds 1 --json "$json/precision.json"
}

part_rates() {
  local networks=(256 1024) n=(512 256) rounds=3 faces=8192
  [ -z "$tiny" ] || { networks=(portraits); n=(8); rounds=1; faces=16; }
  step rates 45 python3 benchmarks/generate.py "${networks[@]}" --rounds $rounds --json "$json/generate.json"
  step rates-compiled 100 python3 benchmarks/generate.py "${networks[@]}" --rounds $rounds --compiled --json "$json/compiled.json"
  [ -n "$tiny" ] || step floor 45 python3 benchmarks/floor.py "${networks[@]}" --json "$json/floor.json"
  [ -z "$tiny" ] || step floor 120 python3 benchmarks/floor.py 256 --rounds 1 --precision fp32 --json "$json/floor.json"
  step kernels 30 python3 benchmarks/kernels.py "${networks[@]}" --repeats 1 --json "$json/kernels.json"
  for i in "${!networks[@]}"; do
    step "pipeline-${networks[i]}" 60 python3 benchmarks/pipeline.py --network "${networks[i]}" --n "${n[i]}" --codec jpeg \
      --align none --rounds 1 --workers 1 --pairings fresh ring --json "$json/pipeline-${networks[i]}.json"
  done
  step pipeline-faces 60 python3 benchmarks/pipeline.py --network portraits --n $faces --codec jpeg --rounds 1 --workers 1 \
    --pairings fresh ring --json "$json/pipeline-faces.json"
}

part_project() {
  local networks=(portraits 256 1024) work=(--images 8 --steps 10 --rounds 2)
  [ -z "$tiny" ] || { networks=(portraits); work=(--images 2 --steps 2 --rounds 1); }
  step project 60 python3 benchmarks/project.py "${networks[@]}" "${work[@]}" --json "$json/project.json"
}

part_student() {
  local case=paper@256 seconds=10
  [ -z "$tiny" ] || { case=demo@64; seconds=2; }
  step student 60 python3 benchmarks/train_pix2pix.py $case --seconds $seconds --rounds 2 --loader-seconds 1 --json "$json/student.json"
  step student-compiled 120 python3 benchmarks/train_pix2pix.py $case --seconds $seconds --rounds 2 --loader-seconds 1 --compiled \
    --json "$json/student-compiled.json"
}

part_baselines() {
  local work=(--seconds 5 --rounds 2)
  [ -z "$tiny" ] || work=(--seconds 1 --rounds 1)
  step baselines 60 python3 benchmarks/train_baselines.py "${work[@]}" --json "$json/baselines.json"
}

part_teacher() {
  local data=$pack/faces left=$((end - SECONDS - 20)) kimg=100000 size=(--preset small)
  if [ ! -d "$data" ]; then
    data=$(mktemp -d)/pictures
    python3 - "$data" <<'PY'
import sys
from pathlib import Path

import numpy as np
from PIL import Image

folder = Path(sys.argv[1])
folder.mkdir()
for number in range(64):
    Image.fromarray(np.random.default_rng(number).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(folder / f"{number}.png")
PY
    step pictures 60 python3 -m distill prepare-images "$data" --out "$data-set" --resolution 64
    data=$data-set
  fi
  [ -z "$tiny" ] || { kimg=0.1; size=(--preset tiny); }
  [ "$left" -ge 30 ] || { left_out teacher "$left s are too few"; return; }
  local run=$out/teacher
  step teacher $((left + 15)) python3 -m distill train-stylegan2 --data "$data" --out "$run" --resume "${size[@]}" --mirror \
    --kimg $kimg --minutes "$(python3 -c "print($left / 60)")" --features none --tick-kimg 4 --snapshot-kimg 40 ${init:+--init "$init"}
  for file in generator.safetensors stats.jsonl; do [ ! -e "$run/$file" ] || cp "$run/$file" "$out/teacher-$file"; done
  local newest
  newest=$(find "$run" -maxdepth 1 -name 'samples-*.png' | sort | tail -1)
  [ -z "$newest" ] || cp "$newest" "$out/teacher-grid.png"
}

json=$out/json
mkdir -p "$json"
for part in "${parts[@]}"; do
  log=$out/$part.log
  if [ -e "$log" ]; then echo "$part: done before" | tee -a "$out/summary.txt"; continue; fi
  log=$log.part
  whole=1
  : >"$log"
  "part_$part"
  [ -z "$whole" ] || mv "$log" "$out/$part.log"
done
: >"$out/results.tgz"  # a file that appears in the folder while tar reads it would make tar fail
tar -C "$out" -czf "$out/results.tgz" --exclude=teacher --exclude='*.tgz' --exclude='*.safetensors' --exclude='*.png' .
