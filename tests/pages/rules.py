"""What no test runs wherever it stands, with the reason, and smaller numbers for commands of any page."""

from __future__ import annotations

PEOPLE = "needs the pictures that the weights of the package were made from, and hours"
MINUTES = "measures for minutes: tried by hand"

# What no test runs wherever it stands.
NOT_RUN = {
    "make demo": "the tests run in what it makes",
    "make test": "is this",
    ". .venv/bin/activate": "the tests run in it",
    "pip install ": "the tests run in what it makes",
    "distill weights fetch ": "needs a network; tests/weights fetch from a server of their own",
    "--to web": "needs what is fetched as web-runtime; tests/editing and make browser try the page",
    "python -m http.server": "waits for visitors",
    "--gpus ": "needs GPUs; tests/training run two processes on CPUs",
    "--cluster slurm": "needs a batch system; tests/jobs, with the marker slurm",
    "--cluster tls://": "needs a scheduler; tests/generation/test_cluster_tls.py",
    "--cluster tcp://": "needs a scheduler; tests/generation/test_cluster.py",
    "--cluster scheduler.json": "needs a scheduler; tests/generation/test_cluster.py",
    "sbatch ": "needs a batch system; tests/jobs, with the marker slurm",
    "slurm_chain.sh": "needs a batch system; tests/jobs, with the marker slurm",
    "dask_hosts.sh": "needs ssh to other machines; tests/jobs",
    "private=$(": "for the shell that starts the next; tests/generation/test_cluster_tls.py",
    "export DASK_CONFIG": "for the shell that starts the next; tests/generation/test_cluster_tls.py",
    "dask scheduler": "waits for workers; tests/generation/test_cluster_tls.py",
    "docker ": "needs docker",
    "making.face_pictures": PEOPLE,
    "making.people_": PEOPLE,
    "making.learn_": PEOPLE,
    "making.photo_": PEOPLE,
    "--truth PEOPLE/": PEOPLE,
}
# Smaller numbers in the same commands, and quick features, wherever they stand.
TRAIN = " --minutes 0.01 --features pixels8 --score-images 4"
SMALLER = {
    r" --scorer face-api": "",  # not fetched
    r"(distill generate .*)--n (?!16\b)\d{2,}": r"\1--n 4",
    r"^(distill generate (?!.*--cluster).*)": r"\1 --cluster none",
    r"^(distill generate .*)": r"\1 --batch-size 8",
    r"^(distill generate .*--second-generator avatars.*)": r"\1 --steps 2",
    r"^(distill generate .*avatars(?!.*--min-ssim).*)": r"\1 --min-ssim -1",
    r"^(distill generate --task region-swap.*)": r"\1 --steps 1 --max-outside-change 1 --min-inside-change 0",
    r"^(distill train-pix2pix .*)": rf"\1{TRAIN} --perceptual none --val-fraction 0.3 --set ndf=4",
    r"^(distill train-pix2pix (?!.*--init).*)": r"\1 --set ngf=4",  # an init has its own
    r"^(distill train-cyclegan .*)": rf"\1{TRAIN} --val-fraction 0.3 --set ngf=4 --set ndf=4",
    r"^(distill train-stargan .*)": rf"\1{TRAIN} --val-fraction 0.3 --set width=4 --set d_width=4 --batch 2",
    r"^(distill train-vaegan .*)": rf"\1{TRAIN} --val-fraction 0.3 --set channels=4 --set hidden=8 --batch 2",
    r"^(distill train-stylegan2 .*)": rf"\1{TRAIN} --batch 2 --held-out 4",
    r"^(distill train-encoder .*)": rf"\1{TRAIN} --batch 2",
    r"^(distill train-classifier .*)": r"\1 --network small_cnn --size 32",
    r"^(distill evaluate .*--data .*)": r"\1 --faces 2 --features pixels8 --perceptual none",
    r"^(distill evaluate .*--(photos|truth) .*)": r"\1 --limit 2",
    r"^(distill evaluate .*--truth .*)": r"\1 --perceptual none",
    r"^(distill compare .*)": r"\1 --features pixels8 --perceptual none",
    r"^(distill compare (?!.*(--latent-limit|--truth)).*)": r"\1 --latent-limit 4",
    r"^(distill (project|mix|edit|region) .*)": r"\1 --steps 2",
    r"^(distill region .*)": r"\1 --set steps=1",
    r"^(distill project .*pti.*)": r"\1 --tuning-steps 2",
    r"^(distill directions fit .*)--n \d+": r"\1--n 120",
    r"^(distill directions fit .*)--faces \d+": r"\1--faces 8",
    r"^(distill directions fit (?!.*--faces).*)": r"\1 --faces 8",
    r"^(distill directions fit (?!.*--n ).*)": r"\1 --n 120",
    r"^(distill directions import .*)": r"\1 --samples 8",
    r"^(distill assess-teacher (?!.*--metrics).*)": r"\1 --features pixels8 --samples 24",
    r"^(?!.*pixels8)(distill assess-teacher .*--metrics fid.*)": r"\1 --features pixels8",
    r"^(distill assess-teacher .*--metrics.*)": r"\1 --workers 1",
    r" --samples 1200": "",
    r"(?<=[ ,])(fid|kid)(\d+k)?(?=[ ,]|$)": r"\g<1>100",
    r"(?<=,)pr(\d+k3)?(?=[ ,]|$)": "pr1003",
    r"(?<=[ ,])(ppl2?_[a-z]+)(_5k)?(?=[ ,]|$)": r"\1_100",
    r"(?<=[ ,])ls(_20k)?(?=[ ]|$)": "ls_2048",
    r"^(distill serve.*)": r"\1 --dry-run --port 0",
    r"(distill render-avatars .*)--n \d+": r"\1--n 8",
}
