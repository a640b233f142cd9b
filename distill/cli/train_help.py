"""What `distill train-NAME --help` says of each trainer."""

EVERY_RUN = """It also gets index.html with pictures, scores and curves, stats.jsonl and checkpoints. Ctrl-C saves;
    the same command with --resume goes on, exactly. Several machines: torchrun. --features of the score are
    efficientnet_lite0, inception[=FILE] (FID's), pixels8 or none."""
ABOUT = {
    "cyclegan": f"""Train a CycleGAN: translators between two sets of pictures that are no pairs, one each way.

    --data is a labelled image set (with --domains), a folder with trainA and trainB, or the pictures of the first
    domain (with --data-b). An epoch has as many samples as the larger domain has pictures. Presets: paper, clothes
    (a report's, for leather and denim), demo (for pictures below 256 px, on a CPU).

    --out gets a2b.safetensors and b2a.safetensors, which `distill translate --model` takes (with --reverse: the
    second). {EVERY_RUN}

    \b
    distill train-cyclegan --data data/faces --domains gender=male,gender=female --out runs/men-women
    distill train-cyclegan --data horses/ --data-b zebras/ --resolution 256 --gpus 2 --out runs/zebras
    distill train-cyclegan --data horse2zebra/ --resolution 256 --out runs/zebras --resume
    """,
    "encoder": f"""Train an encoder of a generator: a network that reads w+ off an image, in milliseconds.

    It learns from samples of the generator, whose w+ is known; photos (--data, framed as the generator draws) bring
    it closer to photographs. In each round it looks at what was drawn so far, and corrects. Presets: small, large
    (256 px and more).

    --out gets encoder.safetensors, which `distill project --space encoder` takes. {EVERY_RUN}

    \b
    distill train-encoder --generator portraits --data data/faces --out runs/encoder
    distill train-encoder --generator ffhq-1024 --preset large --gpus 4 --out runs/ffhq-encoder
    """,
    "pix2pix": f"""Train a Pix2PixHD student on the triplets of a data set: what the teacher's edit does, in one pass.

    Presets: seed, paper, demo (for images below 256 px). --resume also goes on with more epochs. Data of the task
    attributes make one student of many edits. The perceptual loss takes efficientnet_lite0 where it is installed,
    else no network.

    --out gets student.safetensors, student-best.safetensors and scores.json. {EVERY_RUN}

    \b
    distill train-pix2pix --data runs/demo --out runs/student
    distill train-pix2pix --data runs/faces --preset seed --gpus 2 --out runs/student256 --resume
    distill train-pix2pix --data runs/demo --set ngf=48 --set lean=true --out runs/wider
    distill train-pix2pix --data runs/drawings --reverse --out runs/drawing-to-face
    distill train-pix2pix --data runs/attributes --out runs/edits    # translate --edit age=+20
    """,
    "stargan": f"""Train a StarGAN: one network that puts attributes of a picture on or off, from labels alone.

    With --init the critic is read beside the generator. Presets: paper, demo (for pictures below 128 px, on a CPU).

    --out gets stargan.safetensors and its critic, stargan-critic.safetensors; `distill translate --model RUN --edit
    gender=female` uses both. {EVERY_RUN}

    \b
    distill train-stargan --data data/faces --attributes gender=female --out runs/gender
    distill train-stargan --data data/faces128 --attributes 'gender=female,age>=50' --gpus 2
        --out runs/both --resume
    """,
    "stylegan2": f"""Train a StyleGAN2 on a folder of images or an image set, with adaptive augmentation.

    --critic projected judges by heads on the frozen features of EfficientNet-Lite0 instead of a discriminator. --init
    starts from a generator, in its widths. Presets: tiny, small, paper256, config-f.

    --child fine-tunes --init for some kimg so that one w draws the same in both; structure and colours stay. Every 2
    kimg stays as a file generator-000002016.safetensors with its picture, the parent's above the child's. Choose one
    of them by what is still alike (parent_ssim, landmark_drift in stats.jsonl).

    --out gets generator.safetensors, which `distill generate --generator` takes, and samples-000123456.png.
    {EVERY_RUN}

    \b
    distill train-stylegan2 --data faces/ --resolution 64 --mirror --out runs/faces --kimg 2000
    distill train-stylegan2 --data cats/ --resolution 64 --init portraits --out runs/cats
    distill train-stylegan2 --data drawings/ --init portraits --child --critic projected --mirror
        --out runs/drawings
    distill train-stylegan2 --data faces256/ --preset paper256 --gpus 4 --out runs/faces256 --resume
    """,
    "vaegan": f"""Train a VAE/GAN: an encoder to a small latent z, and a decoder judged by a discriminator.

    With --attributes, which need an image set with labels, the mean z of pictures with and without each is kept:
    `distill translate --edit gender=female` moves a photo from the one to the other. Without, translate reconstructs.
    Presets: demo (64 px, ten minutes of a CPU), paper (64 px, for a GPU), clothes (128×256 px); by default demo, and
    clothes for pictures of its size.

    --out gets vaegan.safetensors. {EVERY_RUN}

    \b
    distill train-vaegan --data data/faces --attributes 'gender=female,age>=50' --out runs/faces
    distill train-vaegan --data clothes/ --preset clothes --gpus 2 --out runs/clothes --resume
    """,
}
