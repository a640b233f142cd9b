"""The flags that trainers have beside what all share: their most used settings, under the settings' names."""

from __future__ import annotations

import click

from distill.cli import options

PATH, COUNT, FROM_ZERO, POSITIVE = options.PATH, options.COUNT, options.FROM_ZERO, options.POSITIVE

batch = click.option("--batch", type=COUNT, help="Samples of an update, all GPUs.  [default: by preset]")
lr = click.option(
    "--lr",
    type=options.FiniteRange(0, 1, min_open=True),
    help="Learning rate of Adam.  [default: by preset]",
)
epochs = (
    click.option(
        "--constant-epochs", type=FROM_ZERO, help="Epochs at the full learning rate.  [default: by preset]"
    ),
    click.option(
        "--decay-epochs", type=FROM_ZERO, help="Epochs of decay to 0 after them.  [default: by preset]"
    ),
)
val_fraction = click.option(
    "--val-fraction",
    type=options.FiniteRange(0, 1, max_open=True),
    help="Part held out for scores.  [default: by preset]",
)

PIX2PIX = (
    *epochs,
    click.option(
        "--warm-up-epochs",
        type=FROM_ZERO,
        help="The first of them, on pixels alone.  [default: by preset]",
    ),
    click.option(
        "--resolution", type=COUNT, help="Side in px; divides the stored one.  [default: by preset]"
    ),
    click.option("--inputs", metavar="ROLE,…", help="Images that go in.  [default: the recipe's]"),
    click.option("--target", metavar="ROLE", help="Image to learn.  [default: the recipe's]"),
    click.option(
        "--reverse",
        is_flag=True,
        default=None,
        help="Learn pairs the other way: from their target to their input.",
    ),
    click.option(
        "--identity-share",
        type=options.FiniteRange(0, 1, max_open=True),
        help="Of measured changes: share of samples without any.  [default: 0.1]",
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
        help="instance does not see how bright an input is.  [default: by preset]",
    ),
    click.option(
        "--perceptual",
        type=click.Choice(["efficientnet_lite0", "vgg19", "none"]),
        help="Network of the perceptual loss.  [default: efficientnet_lite0 if installed]",
    ),
    click.option("--vgg19", type=PATH, help="File of vgg19.  [default: the fetched one]"),
    click.option(
        "--augment",
        metavar="KIND,…",
        help="none, or of flip, crop, geometry, colour, sharpness.  [default: by preset]",
    ),
    click.option(
        "--val-fraction",
        type=options.FiniteRange(0, 1, max_open=True),
        help="Part of the faces held out for scores.  [default: 0.05]",
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
        type=options.WholeRange(4, 1024),
        help="Side in px; needed for images of several sizes.  [default: theirs]",
    ),
    click.option(
        "--kimg",
        type=POSITIVE,
        help="Thousand images to train on.  [default: 1000; a child: 20]",
    ),
    click.option(
        "--critic",
        type=click.Choice(["stylegan2", "projected"]),
        help="Its own discriminator, or heads on frozen EfficientNet-Lite0: sooner good on few"
        " images.  [default: stylegan2]",
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
        help="Make a child of --init: one w draws in both, structure and colours stay.",
    ),
    click.option("--mirror", is_flag=True, default=None, help="Show half of the images mirrored."),
    batch,
    lr,
    click.option("--gamma", type=FROM_ZERO, help="Weight of R1.  [default: by preset]"),
    click.option(
        "--augment",
        metavar="TARGET",
        help="Target of adaptive augmentation (0 to 1), p=NUMBER for a fixed one, or none.  [default: 0.6;"
        " projected: p=0.2]",
    ),
    click.option(
        "--held-out",
        type=options.WholeRange(0, options.MAX_COUNT),
        help="Images kept for the score.  [default: 10 %, up to 1000]",
    ),
)
ENCODER = (
    click.option(
        "--generator", type=options.TEXT, help="Registry name, file, or https URL.  [default: portraits]"
    ),
    click.option(
        "--kimg",
        type=POSITIVE,
        help="Thousand images to train on.  [default: by preset]",
    ),
    click.option(
        "--rounds",
        type=options.WholeRange(1, 5),
        help="Times that it looks at what was drawn so far.  [default: by preset]",
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
        "--resolution", type=COUNT, help="Side in px; needed for folders of several sizes.  [default: theirs]"
    ),
    *epochs,
    click.option(
        "--init",
        type=PATH,
        metavar="FILE",
        help="Start a → b from this generator: *_net_G_A.pth as published, or safetensors.",
    ),
    click.option("--init-b", type=PATH, metavar="FILE", help="Start b → a from this one."),
    batch,
    lr,
    click.option(
        "--blocks", type=COUNT, help="Residual blocks of a generator.  [default: 9 from 256 px on, else 6]"
    ),
    click.option(
        "--norm",
        type=click.Choice(["instance", "batch"]),
        help="Normalisation of all networks.  [default: by preset]",
    ),
    click.option(
        "--discriminator",
        type=click.Choice(["patch", "single"]),
        help="Scores of patches of 70 px, or their mean.  [default: by preset]",
    ),
    click.option("--augment", metavar="KIND,…", help="none, or of flip, crop, rotate.  [default: by preset]"),
    click.option(
        "--val-fraction",
        type=options.FiniteRange(0, 1, max_open=True),
        help="Part of each held out for scores.  [default: by preset]",
    ),
)
STARGAN = (
    click.option(
        "--attributes",
        metavar="A,B,…",
        help="What to learn to change, by the labels of --data, such as gender=female or gender=female,age>=50.",
    ),
    click.option(
        "--resolution", type=COUNT, help="Height in px, a divisor of the stored one.  [default: theirs]"
    ),
    click.option(
        "--constant-updates", type=COUNT, help="Updates at the full learning rate.  [default: by preset]"
    ),
    click.option(
        "--decay-updates",
        type=options.WholeRange(0, options.MAX_COUNT),
        help="Updates of decay to 0 after them.  [default: by preset]",
    ),
    click.option(
        "--init",
        type=PATH,
        metavar="FILE",
        help="Start from this generator: *-G.ckpt as published, or safetensors; its critic is read beside it.",
    ),
    batch,
    lr,
    val_fraction,
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
        help="Side in px to bring pictures to: of a folder, the middle squares.  [default: theirs]",
    ),
    click.option(
        "--kimg",
        type=POSITIVE,
        help="Thousand pictures to train on.  [default: by preset]",
    ),
    batch,
    click.option(
        "--lr",
        type=options.FiniteRange(0, 1, min_open=True),
        help="Learning rate at the start.  [default: by preset]",
    ),
    click.option("--latent", type=COUNT, help="Numbers that a picture becomes (z).  [default: by preset]"),
    click.option(
        "--gamma",
        type=FROM_ZERO,
        help="Weight of likeness, for the decoder.  [default: by preset]",
    ),
    val_fraction,
)
FLAGS = {
    "cyclegan": CYCLEGAN,
    "encoder": ENCODER,
    "pix2pix": PIX2PIX,
    "stargan": STARGAN,
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
    "stargan": click.option(
        "--data",
        type=PATH,
        required=True,
        help="A labelled image set, as distill prepare-images --labels makes it.",
    ),
    "encoder": click.option(
        "--data",
        type=PATH,
        help="Photos to learn from beside samples of the generator, framed as it draws: a folder of images, or an"
        " image set.  [default: none]",
    ),
    "vaegan": click.option(
        "--data",
        type=PATH,
        required=True,
        help="A folder of pictures, or an image set; --attributes needs one with labels.",
    ),
}
