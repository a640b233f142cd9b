"""What `--help` says above the options, of commands that need more than a few lines."""

GENERATE = """Make a data set of accepted triplets or pairs from a StyleGAN2 generator, as a folder of HDF5 shards.

    The same command resumes an interrupted run; a larger --n adds to it. The result does not depend on the number of
    workers.

    \b
    style-mix, morph                     two faces → their mix; the face between them
    gender-swap, ageing, rejuvenation    a face → the face moved along a direction
    attribute-swap --attribute NAME      the same, of another attribute
    attributes --attributes NAME,…       a face → one or two attributes changed, by any amount
    region-swap --part PART              person, reference → the person with that part
    face-to-drawing, drawing-to-face     a face and its drawing, by two generators

    An option whose help begins with a task goes with that task alone. --pairing ring (of two faces) lets 16 triplets
    share 16 faces; fresh draws two for each. Of two generators, shared draws one w by both, embed searches for each
    face in the second; shared is the default where they map z to w alike. Changes of a part, and outside of it (or of
    the face), are means of pixels from 0 to 1. A shard has 256 triplets; 32 of region-swap, 8 of embeddings.

    --cluster: none is this process, local are processes of this machine. tcp://HOST:PORT, tls://HOST:PORT or
    SCHEDULER.json is a Dask cluster that runs. slurm, pbs, lsf, sge and htcondor start worker jobs, with a process
    for each GPU or, without GPUs, for each core.

    \b
    distill generate --task style-mix --n 256
    distill generate --task style-mix --n 25000 --generator ffhq-1024 --resolution 256 --out data/mix
    distill generate --task gender-swap --n 2000 --max-identity-distance 0.6
    distill generate --task attributes --attributes gender,age --n 5000
    distill generate --task attribute-swap --attribute smile --n 2000
    distill generate --task face-to-drawing --n 26000
    distill generate --task region-swap --part hair --n 1000
    """
PROJECT = """Find the latent of the largest face in each of PHOTOS (files and folders), as DIR/NAME.npz.

    \b
    --space w          one latent for all layers; edits best
    --space w+         one for each layer; comes nearer
    --space pti        w, and the generator itself tuned to the photo; comes nearest
    --space encoder    w+ by a network, in milliseconds

    --encoder is a name of distill weights list, or a file of distill train-encoder. With several spaces, such as
    w,w+,pti, results lie in DIR/w, DIR/w+ and DIR/pti. NAME.npz holds w, [1, layers, width]; NAME.json says how near
    it came; NAME.png is drawn from it; DIR/compare/NAME.png shows it beside the photo, DIR/sheet.png shows all. A
    search takes at most 450 steps for w and pti and 300 for w+, and ends early where it stalls. With --lpips w is
    found as by NVIDIA's projector, in 1,000 steps. The same command does what is missing.

    \b
    distill project me.jpg you.jpg --out projected
    distill project holiday/ --space encoder --out projected
    distill project me.jpg --generator ffhq-1024 --space w+,pti --out projected
    """
EVALUATE = """Score a student on a data set, on photos, or on true pairs, beside two baselines.

    --data: distance of outputs and targets (L1, SSIM, perceptual, Fréchet), faces, time. The baselines are copying
    the content and the mean of the inputs; for faces also the target itself. For faces: is it the same person,
    how many change class (gender), how many years the age moves (0.8 s a face on a CPU). Of the data that the student
    was trained on only rows held out count. --out gets evaluation.md, evaluation.json, samples.png.

    --photos: faces alone, since no target is needed; photos.md, photos.json, photos.png. A student of any strength
    that gets no --edit is asked for each attribute by seven amounts, and what a scorer sees change stands beside what
    was asked: response.md, response.json, response.png, strips.png.

    --truth: distance to true edits of the same faces; truth.md, truth.json, truth.png.

    --latent-edit also embeds each face (of --truth 50) into the teacher and edits it there: about 16 s a face on a
    CPU core at 64 px. --scorer auto is face-api where it is fetched, else builtin. --features are of the Fréchet
    distance: inception is FID's, none leaves it out.

    \b
    distill evaluate runs/student --data runs/demo
    distill evaluate runs/student --photos holidays --scorer face-api --latent-edit
    distill evaluate runs/student --truth people/pairs --column older
    distill evaluate latest_net_G.pth --data runs/demo --limit 500 --features inception
    """
COMPARE = """Run methods of face editing on the same photographs, and put what they score into one table.

    \b
    --method NAME=WHAT, where WHAT is
      a student                    gender-swap, runs/student, student.safetensors
      one edit of a student        runs/stargan:gender=female, runs/edits:age=+20
      a translator of a CycleGAN   runs/cyclegan (the one that fits --edit), runs/cyclegan:b2a
      a latent edit                portraits:w, portraits:w+, portraits:pti, portraits:encoder
      pictures made elsewhere      a folder of them

    --edit says what changes; ATTRIBUTE=yes|no takes an attribute of a --scorer. Photographs without that value are
    edited, those that have it are the real pictures of the target. With --truth, --edit takes one side of pairs that
    change people both ways. Two rows are always there: copy the input, and real against real. --scorer auto is
    face-api where it is fetched, else builtin. --features are of the distances between sets; inception is FID's.

    --out gets comparison.md, comparison.json, sheet.png and ab.html, a page on which a person chooses blindly;
    photos.json, the frozen list; aligned/, the faces that every method gets; methods/, what they made. The same
    command goes on where it was; one more --method adds a row.

    \b
    distill compare portraits/ --edit gender=female --labels labels.csv --method student=gender-swap
        --method 'encoder=portraits:encoder' --method other=made-elsewhere/ --out table
    distill compare --truth people/pairs --column older --method student=ageing --out truth
    distill compare --truth people/pairs --column sex_changed --method CycleGAN=runs/cyclegan
        --method StarGAN=runs/stargan --out swaps
    """
ASSESS = """Draw samples of a generator and measure them.

    The overview is a score, variety, faces and likeness to the training pictures; --out gets samples.png,
    samples-psi1.png, truncation.png, report.json and assessment.md. Faces take most of the time: about 0.2 s each.

    Published measures go by their exact protocols: fid50k, kid50k, pr50k3, ppl_zfull, ppl_wfull, ppl_zend, ppl_wend,
    ppl2_wend and ls, or with another count: fid5k, pr5k3, ppl_wend_5k, ls_20k. Without a count they take 50,000
    samples, ls 200,000. --out gets metrics.json, metrics.md and their pictures. They run on worker processes, or with
    --cluster tcp://HOST:PORT, tls://HOST:PORT or SCHEDULER.json on a Dask cluster; the same command resumes them.
    Without the networks that FID and PPL are defined by (distill weights fetch features) others stand in, under names
    of their own. --features are of score, FID and KID. --crop-form tf is the program of the published path lengths.

    \b
    distill assess-teacher runs/faces/generator.safetensors --data data/faces
    distill assess-teacher portraits --data faces/ --samples 200 --out look
    distill assess-teacher portraits --data faces/ --metrics fid,kid,pr,ppl_wend,ls --psi 0.5,0.7,1
    """
TRANSLATE = """Turn the face of each of PHOTOS (files and folders) into what a student makes of it, as DIR/NAME.png.

    --model is a name of distill weights list, the folder of a training, or a file: .safetensors, or a published
    generator of pix2pixHD, CycleGAN (*_net_G.pth) or StarGAN (*-G.ckpt). A face is found, turned upright and cut out
    as by distill align. DIR/compare holds input and output side by side, DIR/sheet.png all of them. Photos without a
    face are skipped and counted; --align none looks for none.

    Videos (extra: pip install 'distill[video]') become DIR/NAME.mp4: the face is followed, each frame holds it pasted
    back, and the sound stays as it was. With --all-faces every face.

    \b
    distill translate me.jpg --model gender-swap --out swapped
    distill translate holiday/ --model attributes --edit age=+20,smile=1 --paste-back --out older
    distill translate me.jpg --model style-mix --style you.jpg --out mixed
    distill translate clip.mp4 --model gender-swap --out swapped
    distill translate me.jpg --model attributes --strip age=-30:30:7 --out ages
    """
