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
        help="Of all epochs the first N, on pixels alone.  [default: by preset]",
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
        help="attributes: share of samples unchanged.  [default: 0.1]",
    ),
    click.option(
        "--init",
        type=options.STUDENT,
        metavar="FILE|NAME",
        help="Start from this generator (.pth, .safetensors) or student.",
    ),
    batch,
    lr,
    click.option(
        "--norm",
        type=click.Choice(["instance", "batch"]),
        help="instance is blind to an input's brightness.  [default: by preset]",
    ),
    click.option(
        "--perceptual",
        type=click.Choice(["efficientnet_lite0", "vgg19", "none"]),
        metavar="NETWORK",
        help="Perceptual loss: efficientnet_lite0, vgg19, none.  [default: first]",
    ),
    click.option("--vgg19", type=PATH, help="File of vgg19.  [default: the fetched one]"),
    click.option(
        "--augment",
        metavar="none|KIND,…",
        help="flip, crop, geometry, colour, sharpness.  [default: by preset]",
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
        help="Side in px; needed if sizes differ.  [default: theirs]",
    ),
    click.option(
        "--kimg",
        type=POSITIVE,
        help="Thousand images to train on.  [default: 1000; a child: 20]",
    ),
    click.option(
        "--critic",
        type=click.Choice(["stylegan2", "projected"]),
        metavar="KIND",
        help="projected: good sooner on few images.  [default: stylegan2]",
    ),
    click.option(
        "--init",
        type=options.TEXT,
        metavar="NAME|FILE",
        help="Start from this generator; a smaller resolution is grown.",
    ),
    click.option(
        "--child",
        is_flag=True,
        default=None,
        help="Make a child of --init: one w draws the same in both.",
    ),
    click.option("--mirror", is_flag=True, default=None, help="Show half of the images mirrored."),
    batch,
    lr,
    click.option("--gamma", type=FROM_ZERO, help="Weight of R1.  [default: by preset]"),
    click.option(
        "--augment",
        metavar="TARGET|p=P|none",
        help="Adapt to TARGET (0 to 1), or fix p.  [default: 0.6; projected p=0.2]",
    ),
    click.option(
        "--held-out",
        type=options.WholeRange(0, options.MAX_COUNT),
        help="Images kept for the score.  [default: 10 %, up to 1000]",
    ),
)
ENCODER = (
    click.option(
        "--generator",
        type=options.TEXT,
        metavar="NAME|FILE|URL",
        help="The teacher; see 'distill weights list'.  [default: portraits]",
    ),
    click.option(
        "--kimg",
        type=POSITIVE,
        help="Thousand images to train on.  [default: by preset]",
    ),
    click.option(
        "--rounds",
        type=options.WholeRange(1, 5),
        help="Rounds of refinement.  [default: by preset]",
    ),
    batch,
    lr,
)
CYCLEGAN = (
    click.option(
        "--domains",
        metavar="A,B",
        help="By labels: gender=male,gender=female or age<30,age>50.",
    ),
    click.option(
        "--data-b", type=PATH, metavar="FOLDER", help="Pictures of the second domain; --data are the first."
    ),
    click.option("--resolution", type=COUNT, help="Side in px; needed if sizes differ.  [default: theirs]"),
    *epochs,
    click.option(
        "--init",
        type=PATH,
        metavar="FILE",
        help="Start a → b from it: published *_net_G_A.pth, or safetensors.",
    ),
    click.option("--init-b", type=PATH, metavar="FILE", help="Start b → a from this one."),
    batch,
    lr,
    click.option("--blocks", type=COUNT, help="Residual blocks.  [default: 9 from 256 px on, else 6]"),
    click.option(
        "--norm",
        type=click.Choice(["instance", "batch"]),
        help="Normalisation of all networks.  [default: by preset]",
    ),
    click.option(
        "--discriminator",
        type=click.Choice(["patch", "single"]),
        metavar="KIND",
        help="patch: scores of patches (70 px); single: one.  [default: by preset]",
    ),
    click.option("--augment", metavar="none|KIND,…", help="flip, crop, rotate.  [default: by preset]"),
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
        help="What to change, by label, such as gender=female,age>=50.",
    ),
    click.option("--resolution", type=COUNT, help="Height in px; divides the stored one.  [default: theirs]"),
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
        help="Start from this generator: published *-G.ckpt, or safetensors.",
    ),
    batch,
    lr,
    val_fraction,
)
VAEGAN = (
    click.option(
        "--attributes",
        metavar="A,…",
        help="What to change, by label, such as gender=female,age>=50.",
    ),
    click.option(
        "--resolution",
        type=COUNT,
        help="Side in px; folders give middle squares.  [default: theirs]",
    ),
    click.option(
        "--kimg",
        type=POSITIVE,
        help="Thousand images to train on.  [default: by preset]",
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
        help="Pictures of both domains or of the first: see above.",
    ),
    "stargan": click.option(
        "--data",
        type=PATH,
        required=True,
        help="A labelled image set, of prepare-images --labels.",
    ),
    "encoder": click.option(
        "--data",
        type=PATH,
        help="Photos to learn from too: a folder or an image set.  [default: none]",
    ),
    "vaegan": click.option(
        "--data",
        type=PATH,
        required=True,
        help="A folder of pictures, or an image set.",
    ),
}
