"""What `distill train-NAME --help` says of each trainer."""

ABOUT = {
    "cyclegan": """Train a CycleGAN: translators between two sets of pictures that are no pairs, one each way.

    An epoch has as many samples as the larger domain has pictures. --out gets a2b.safetensors and b2a.safetensors,
    which `distill translate --model` takes (with --reverse: the second), index.html with pictures, scores and
    curves, stats.jsonl and checkpoints. Ctrl-C saves; the same command with --resume goes on, exactly. Presets:
    paper, seed003, demo (for pictures below 256 px, on a CPU).

    \b
    distill train-cyclegan --data data/faces --domains gender=male,gender=female --out runs/men-women
    distill train-cyclegan --data horses/ --data-b zebras/ --resolution 256 --gpus 2 --out runs/zebras
    distill train-cyclegan --data horse2zebra/ --resolution 256 --out runs/zebras --resume
    """,
    "encoder": """Train an encoder of a generator: a network that reads w+ off an image, in milliseconds.

    It learns from samples of the generator, whose w+ is known, and from photos where --data names some, which brings
    it closer to photographs. --out gets encoder.safetensors, which distill project --space encoder takes, index.html
    with pictures, scores and curves, stats.jsonl and checkpoints. Ctrl-C saves; the same command with --resume goes
    on, exactly. Presets: small, large (256 px and more).

    \b
    distill train-encoder --generator portraits --data data/faces --out runs/encoder
    distill train-encoder --generator ffhq-1024 --preset large --gpus 4 --out runs/ffhq-encoder
    """,
    "pix2pix": """Train a Pix2PixHD student on the triplets of a data set: what the teacher's edit does, in one pass.

    --out gets student.safetensors and student-best.safetensors, index.html with pictures, scores and curves,
    stats.jsonl, scores.json and checkpoints. Ctrl-C saves; the same command with --resume goes on, exactly, also
    with more epochs. Several machines: torchrun. Presets: seed, paper, demo (for images below 256 px).

    \b
    distill train-pix2pix --data runs/demo --out runs/student
    distill train-pix2pix --data runs/faces --preset seed --gpus 2 --out runs/student256 --resume
    distill train-pix2pix --data runs/demo --set ngf=48 --set lean=true --out runs/wider
    distill train-pix2pix --data runs/drawings --reverse --out runs/drawing-to-face
    distill train-pix2pix --data runs/attributes --out runs/edits    # translate --edit age=+20
    """,
    "stargan": """Train a StarGAN: one network that puts several attributes of a picture on or off, from labels alone.

    --data is a labelled image set. --out gets stargan.safetensors and its critic, stargan-critic.safetensors, which
    `distill translate --model RUN --edit gender=female` uses, index.html with pictures, scores and curves,
    stats.jsonl and checkpoints. Ctrl-C saves; the same command with --resume goes on, exactly. Presets: paper, demo
    (for pictures below 128 px, on a CPU).

    \b
    distill train-stargan --data data/faces --attributes gender=female --out runs/gender
    distill train-stargan --data data/faces128 --attributes 'gender=female,age>=50' --gpus 2
        --out runs/both --resume
    """,
    "stylegan2": """Train a StyleGAN2 on a folder of images or an image set, with adaptive augmentation.

    --out gets stats.jsonl, index.html, samples-000123456.png, checkpoints, and generator.safetensors, which `distill
    generate --generator` takes. Ctrl-C saves; the same command with --resume goes on, exactly. Several machines:
    torchrun. Presets: tiny, small, paper256, config-f.

    --child fine-tunes --init for some kimg so that one w draws the same in both: every 2 kimg stays as a file
    generator-000002016.safetensors with its picture, the parent's above the child's. Choose one of them by what is
    still alike (parent_ssim, landmark_drift in stats.jsonl).

    \b
    distill train-stylegan2 --data faces/ --resolution 64 --mirror --out runs/faces --kimg 2000
    distill train-stylegan2 --data cats/ --resolution 64 --init portraits --out runs/cats
    distill train-stylegan2 --data drawings/ --init portraits --child --critic projected --mirror
        --out runs/drawings
    distill train-stylegan2 --data faces256/ --preset paper256 --gpus 4 --out runs/faces256 --resume
    """,
    "vaegan": """Train a VAE/GAN: an encoder to a small latent z, and a decoder whose pictures a discriminator judges.

    With --attributes the mean z of pictures with and without each are kept, so that `distill translate --edit
    gender=female` moves a photo from the one to the other; without, translate reconstructs. --out gets
    vaegan.safetensors, index.html with pictures, scores and curves, stats.jsonl and checkpoints. Ctrl-C saves; the
    same command with --resume goes on, exactly. Presets: demo (64 px, ten minutes of a CPU), paper (64 px, for a
    GPU), seed001 (128×256 px); by default demo, and seed001 for pictures of its size.

    \b
    distill train-vaegan --data data/faces --attributes 'gender=female,age>=50' --out runs/faces
    distill train-vaegan --data clothes/ --preset seed001 --gpus 2 --out runs/clothes --resume
    """,
}
