#!/usr/bin/env bash
# A cluster out of machines that share a folder and are reached by ssh. First argument: the hosts, in one string;
# the rest: the arguments of `distill generate`. GPUS_PER_HOST (default 1) workers start on each; with two threads a
# worker writes a shard while it draws the next.
set -euo pipefail

if [ $# -lt 2 ]; then
  echo "usage: $0 \"HOST HOST ...\" GENERATE-ARGUMENTS" >&2
  exit 2
fi
hosts=$1
shift
venv=${DISTILL_VENV:-$PWD/.venv}
ssh_command=${DISTILL_SSH:-ssh}
private=
scheduler=

stop_all() {
  kill "$scheduler" 2>/dev/null || true
  wait 2>/dev/null || true # the workers end by themselves once their scheduler is gone
  rm -rf "$private"
}
trap stop_all EXIT

# A folder that no other user can enter: certificates of this run, without which nobody can give this cluster work.
private=$("$venv/bin/python" -m distill.generation.cluster_tls "$PWD")
address_file=$private/scheduler.json
export DASK_CONFIG=$private/dask.json
export DASK_LOGGING__DISTRIBUTED=${DASK_LOGGING__DISTRIBUTED:-critical}

"$venv/bin/dask" scheduler --port 0 --no-dashboard --dashboard-address 127.0.0.1:0 --scheduler-file "$address_file" &
scheduler=$!
most=${DISTILL_WAIT:-300}
for ((waited = 0; ; waited++)); do
  [ ! -s "$address_file" ] || break
  if ! kill -0 "$scheduler" 2>/dev/null; then
    echo "distill: error: the Dask scheduler ended at once: the lines above say why" >&2
    exit 2
  elif [ "$waited" -ge "$most" ]; then
    echo "distill: error: no Dask scheduler here within $most s: DISTILL_WAIT is how long to wait" >&2
    exit 2
  fi
  sleep 1
done

for host in $hosts; do
  for gpu in $(seq 0 $((${GPUS_PER_HOST:-1} - 1))); do
    $ssh_command "$host" "cd '$PWD' && CUDA_VISIBLE_DEVICES=$gpu OMP_NUM_THREADS=1 MALLOC_ARENA_MAX=1 \
      DASK_CONFIG='$DASK_CONFIG' DASK_LOGGING__DISTRIBUTED='$DASK_LOGGING__DISTRIBUTED' \
      '$venv/bin/dask' worker --scheduler-file '$address_file' --nthreads 1 --nworkers 1 --memory-limit 0 \
      --no-dashboard --dashboard-address 127.0.0.1:0 --death-timeout 60" &
  done
done

"$venv/bin/distill" generate "$@" --cluster "$address_file"
