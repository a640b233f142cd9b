#!/usr/bin/env bash
# Generate, train, evaluate: three SLURM jobs, each of which begins when the one before has ended well.
# FOLDER/data gets the data set, FOLDER/student the run and its evaluation. With NODES=N the first two take N nodes.
# DISTILL_GENERATE_JOB, DISTILL_TRAIN_JOB, DISTILL_EVALUATE_JOB: options of sbatch for one of them, such as
# "--gpus=8 --time=24:00:00"; SBATCH_PARTITION and SBATCH_ACCOUNT, which SLURM itself reads, hold for all.
set -euo pipefail

usage() {
  echo "usage: $0 FOLDER GENERATE-ARGUMENTS -- TRAINER TRAIN-ARGUMENTS [-- EVALUATE-ARGUMENTS]" >&2
  exit 2
}

generate=() train=() evaluate=()
[ $# -gt 0 ] || usage
folder=$1
part=1
for word in "${@:2}"; do
  case $part:$word in
    *:--) part=$((part + 1)) ;;
    1:*) generate+=("$word") ;;
    2:*) train+=("$word") ;;
    3:*) evaluate+=("$word") ;;
    *) usage ;;
  esac
done
if [ ${#generate[@]} -eq 0 ] || [ ${#train[@]} -eq 0 ] || [ $part -gt 3 ]; then
  usage
fi
if ! command -v sbatch >/dev/null; then
  echo "$0: no command sbatch here: run this where SLURM takes jobs" >&2
  exit 2
fi

jobs=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
nodes=${NODES:-1}
generate_script=$jobs/slurm_node.sbatch
if [ "$nodes" -gt 1 ]; then
  generate_script=$jobs/slurm_nodes.sbatch
fi
read -ra generate_job <<<"--nodes=$nodes ${DISTILL_GENERATE_JOB:-}"
read -ra train_job <<<"--nodes=$nodes ${DISTILL_TRAIN_JOB:-}"
read -ra evaluate_job <<<"--nodes=1 ${DISTILL_EVALUATE_JOB:-}"

# Print the number of a new job. Where the job before fails, this one is cancelled and does not wait for ever.
submit() {
  local number
  number=$(sbatch --parsable --kill-on-invalid-dep=yes "$@")
  echo "${number%%;*}"
}

first=$(submit --job-name=distill-generate "${generate_job[@]}" "$generate_script" \
  "${generate[@]}" --out "$folder/data")
second=$(submit --job-name=distill-train --dependency="afterok:$first" "${train_job[@]}" "$jobs/slurm_train.sbatch" \
  "${train[@]}" --data "$folder/data" --out "$folder/student")
third=$(submit --job-name=distill-evaluate --dependency="afterok:$second" "${evaluate_job[@]}" \
  "$jobs/slurm_command.sbatch" evaluate "$folder/student" --data "$folder/data" "${evaluate[@]}")
echo "generate: job $first, train: job $second, evaluate: job $third; squeue --job $first,$second,$third shows them"
