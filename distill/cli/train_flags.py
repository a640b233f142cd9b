"""The flags that trainers have beside what all share: their most used settings, under the settings' names."""

from __future__ import annotations

import click

from distill.cli import options

PATH, COUNT, FROM_ZERO, POSITIVE = options.PATH, options.COUNT, options.FROM_ZERO, options.POSITIVE

batch = click.option("--batch", type=COUNT, help="Samples of one update, all GPUs together.  [preset]")
lr = click.option(
    "--lr", type=options.FiniteRange(0, 1, min_open=True), help="Learning rate of Adam.  [preset]"
)

PIX2PIX = (
    click.option("--constant-epochs", type=FROM_ZERO, help="At the full learning rate.  [preset]"),
    click.option("--decay-epochs", type=FROM_ZERO, help="Of linear decay to 0 after them.  [preset]"),
    click.option(
        "--warm-up-epochs",
        type=FROM_ZERO,
        help="The first of all these learn from the distance of pixels alone.  [preset]",
    ),
    click.option("--resolution", type=COUNT, help="Side in px, a divisor of the stored one.  [preset]"),
    click.option("--inputs", metavar="ROLE,…", help="Images that go in.  [the recipe's]"),
    click.option("--target", metavar="ROLE", help="Image to learn.  [the recipe's]"),
    click.option(
        "--reverse",
        is_flag=True,
        default=None,
        help="Learn pairs the other way: their target goes in, their input is what to draw.",
    ),
    click.option(
        "--init",
        type=PATH,
        metavar="FILE",
        help="Start from this generator: .pth as published, or safetensors.",
    ),
    batch,
    lr,
    click.option(
        "--norm",
        type=click.Choice(["instance", "batch"]),
        help="Normalisation; instance cannot see how bright an input is.  [preset]",
    ),
    click.option(
        "--perceptual",
        type=click.Choice(["efficientnet_lite0", "vgg19", "none"]),
        help="Features of that loss.  [efficientnet_lite0 where installed]",
    ),
    click.option("--vgg19", type=PATH, help="File of vgg19.  [distill weights fetch vgg19]"),
    click.option(
        "--augment", metavar="KIND,…", help="Of flip, crop, geometry, colour, sharpness; or none.  [preset]"
    ),
    click.option(
        "--val-fraction",
        type=options.FiniteRange(0, 1, max_open=True),
        help="Part of the faces that is held out for scores.  [0.05]",
    ),
    click.option(
        "--compile",
        "compiled",
        is_flag=True,
        default=None,
        help="Compile the networks: minutes at first, then faster.",
    ),
)
STYLEGAN2 = (
    click.option(
        "--resolution",
        type=click.IntRange(4, 1024),
        help="Side in px; needed for images of several sizes.  [default: theirs]",
    ),
    click.option(
        "--kimg", type=POSITIVE, help="Train until so many thousand images were seen.  [1000; a child: 20]"
    ),
    click.option(
        "--critic",
        type=click.Choice(["stylegan2", "projected"]),
        help="Judge by a discriminator of its own, or by heads on the frozen features of EfficientNet-Lite0:"
        " good on few images much sooner.  [stylegan2]",
    ),
    click.option(
        "--init",
        type=options.TEXT,
        metavar="FILE|NAME",
        help="Start from this generator, of the preset's shape; one of lower resolution is grown.",
    ),
    click.option(
        "--child",
        is_flag=True,
        default=None,
        help="Of the generator of --init: one w draws in both; coarse structure and colours are kept.",
    ),
    click.option("--mirror", is_flag=True, default=None, help="Show half of the images mirrored."),
    batch,
    lr,
    click.option("--gamma", type=FROM_ZERO, help="Weight of R1.  [preset]"),
    click.option(
        "--augment",
        metavar="TARGET",
        help="Target of adaptive augmentation (0 to 1), p=NUMBER for a fixed one, or none.  [0.6;"
        " projected: p=0.2]",
    ),
    click.option(
        "--held-out",
        type=click.IntRange(0, options.MAX_COUNT),
        help="Images kept for the score.  [10 %, up to 1000]",
    ),
)
ENCODER = (
    click.option(
        "--generator", type=options.TEXT, help="Registry name, file, or https URL.  [default: portraits]"
    ),
    click.option("--kimg", type=POSITIVE, help="Train until so many thousand images were seen.  [preset]"),
    click.option(
        "--rounds",
        type=click.IntRange(1, 5),
        help="In which the encoder looks at what it had drawn so far.  [preset]",
    ),
    batch,
    lr,
)
CYCLEGAN = (
    click.option(
        "--domains",
        metavar="A,B",
        help="Pictures of --data by their labels, such as gender=male,gender=female or age<30,age>50.",
    ),
    click.option(
        "--data-b", type=PATH, metavar="FOLDER", help="Pictures of the second domain; --data are the first."
    ),
    click.option(
        "--resolution", type=COUNT, help="Side in px; needed for folders of several sizes.  [theirs]"
    ),
    click.option("--constant-epochs", type=FROM_ZERO, help="At the full learning rate.  [preset]"),
    click.option("--decay-epochs", type=FROM_ZERO, help="Of linear decay to 0 after them.  [preset]"),
    click.option(
        "--init",
        type=PATH,
        metavar="FILE",
        help="Start a → b from this generator: *_net_G_A.pth as published, or safetensors.",
    ),
    click.option("--init-b", type=PATH, metavar="FILE", help="Start b → a from this one."),
    batch,
    lr,
    click.option("--blocks", type=COUNT, help="Residual blocks of a generator.  [9 from 256 px on, else 6]"),
    click.option(
        "--norm", type=click.Choice(["instance", "batch"]), help="Normalisation of all networks.  [preset]"
    ),
    click.option(
        "--discriminator",
        type=click.Choice(["patch", "single"]),
        help="Scores of patches of 70 px, or their mean.  [preset]",
    ),
    click.option("--augment", metavar="KIND,…", help="Of flip, crop, rotate; or none.  [preset]"),
    click.option(
        "--val-fraction",
        type=options.FiniteRange(0, 1, max_open=True),
        help="Part of either domain that is held out for scores.  [preset]",
    ),
)
VAEGAN = (
    click.option(
        "--attributes",
        metavar="A,…",
        help="By labels of an image set, such as gender=female,age>=50: what translate --edit can change.",
    ),
    click.option(
        "--resolution",
        type=COUNT,
        help="Side in px to bring pictures to: of a folder, the middle squares.  [theirs]",
    ),
    click.option("--kimg", type=POSITIVE, help="Train until so many thousand pictures were seen.  [preset]"),
    batch,
    click.option(
        "--lr", type=options.FiniteRange(0, 1, min_open=True), help="Learning rate at the start.  [preset]"
    ),
    click.option("--latent", type=COUNT, help="Numbers that a picture becomes (z).  [128]"),
    click.option(
        "--gamma", type=FROM_ZERO, help="Weight of likeness beside the judgement, for the decoder.  [preset]"
    ),
    click.option(
        "--val-fraction",
        type=options.FiniteRange(0, 1, max_open=True),
        help="Part of the pictures that is held out for scores.  [preset]",
    ),
)
FLAGS = {
    "cyclegan": CYCLEGAN,
    "encoder": ENCODER,
    "pix2pix": PIX2PIX,
    "stylegan2": STYLEGAN2,
    "vaegan": VAEGAN,
}
DATA_OF = {  # where --data is not needed, or more than one thing
    "cyclegan": click.option(
        "--data",
        type=PATH,
        required=True,
        help="A labelled image set (with --domains), pictures of the first domain (with --data-b), or a folder with"
        " trainA and trainB.",
    ),
    "encoder": click.option(
        "--data",
        type=PATH,
        help="Photos to learn from beside samples of the generator, framed as it draws: a folder of images, or an"
        " image set.  [none]",
    ),
    "vaegan": click.option(
        "--data",
        type=PATH,
        required=True,
        help="A folder of pictures, or an image set; --attributes needs one with labels.",
    ),
}

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
    distill train-stylegan2 --data drawings/ --init portraits --child --critic projected --mirror --out runs/drawings
    distill train-stylegan2 --data faces256/ --preset paper256 --gpus 4 --out runs/faces256 --resume
    """,
    "vaegan": """Train a VAE/GAN: an encoder to a small latent z, and a decoder whose pictures a discriminator judges.

    With --attributes the mean z of pictures with and without each are kept, so that `distill translate --edit
    gender=female` moves a photo from the one to the other; without, translate reconstructs. --out gets
    vaegan.safetensors, index.html with pictures, scores and curves, stats.jsonl and checkpoints. Ctrl-C saves; the
    same command with --resume goes on, exactly. Presets: paper (64 px), seed001 (128×256 px), demo (64 px, minutes
    on a CPU); by default the first that fits the pictures.

    \b
    distill train-vaegan --data data/faces --attributes 'gender=female,age>=50' --preset demo --out runs/faces
    distill train-vaegan --data clothes/ --preset seed001 --gpus 2 --out runs/clothes --resume
    """,
}
