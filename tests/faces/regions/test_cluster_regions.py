from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from region_pictures import centred_face, find_centred, pictures

from distill.errors import DistillError
from distill.faces.detection import FaceDetector
from distill.faces.regions.clusters import ClusterRegions, layer_sides, memberships, vectors_of
from distill.faces.regions.file import read_clusters, write_clusters
from distill.faces.regions.fit import fit_regions, name_clusters
from distill.faces.regions.open import open_regions
from distill.faces.regions.parts import PARTS, region_masks
from distill.stylegan2.activations import activations
from distill.stylegan2.load import load_generator
from distill.weights.safetensors_file import write_tensors

SAMPLES = 48


@pytest.fixture(scope="module")
def tiny(tiny_teacher):
    return fit_regions(tiny_teacher, "tiny", samples=SAMPLES, find=find_centred)


@pytest.fixture(scope="module")
def portraits():
    return load_generator("portraits", precision="fp32")


def some_ws(generator, count, seed=0):
    z = torch.randn(count, generator.z_dim, generator=torch.Generator().manual_seed(seed))
    return generator.map(z, truncation_psi=0.7)


def test_activations_are_those_on_the_way_to_the_image(tiny_teacher):
    ws = some_ws(tiny_teacher, 2)
    coarse, fine = activations(tiny_teacher, ws, layer_sides(tiny_teacher))
    assert (coarse.shape[2:], fine.shape[2:]) == ((16, 16), (32, 32))
    net = tiny_teacher.network.synthesis
    expected = net.run(net.begin(2), ws, 0, tiny_teacher.num_ws - 1, "const").features
    assert torch.allclose(fine, expected, atol=1e-4)
    with pytest.raises(DistillError, match="this generator has layers of 4, 8, 16, 32 px, but none of 64"):
        activations(tiny_teacher, ws, [64])


def test_vectors_have_length_one_and_end_with_the_place():
    generator = torch.Generator().manual_seed(0)
    layers = [torch.randn(2, 5, side, side, generator=generator) for side in (4, 8)]
    found = vectors_of(layers, torch.zeros(10), torch.ones(10))
    assert found.shape == (2, 12, 8, 8)
    assert torch.allclose(found.norm(dim=1), torch.ones(2, 8, 8), atol=1e-5)
    x, y = found[0, -2], found[0, -1]
    assert (x[:, :4] < 0).all()
    assert (x[:, 4:] > 0).all()
    assert (y[:4] < 0).all()
    assert torch.equal(
        vectors_of([layer[:1] for layer in layers], torch.zeros(10), torch.ones(10)), found[:1]
    )


def test_the_shares_of_a_pixel_make_one_and_are_soft():
    cosines = torch.zeros(1, 3, 2, 2)
    cosines[0, 0, :, 0], cosines[0, 1, :, 1], cosines[0, 2] = 0.5, 0.5, 0.2
    shares = memberships(cosines, ["hair", "face", "hair"], 8, 8)
    assert list(shares) == ["hair", "face"]
    assert torch.allclose(shares["hair"] + shares["face"], torch.ones(1, 8, 8))
    across = shares["face"][0, 0]
    assert (across.diff() >= 0).all()
    assert 0.01 < across[3] < 0.5 < across[4] < 0.99


def test_the_same_seed_gives_the_same_file_and_another_one_another(tiny, tiny_teacher, tmp_path):
    again = fit_regions(tiny_teacher, "tiny", samples=SAMPLES, find=find_centred)
    other = fit_regions(tiny_teacher, "tiny", samples=SAMPLES, find=find_centred, seed=1)
    contents = []
    for number, fitted in enumerate((tiny, again, other)):
        write_clusters(tmp_path / f"{number}.safetensors", fitted.clusters)
        contents.append((tmp_path / f"{number}.safetensors").read_bytes())
    assert contents[0] == contents[1] != contents[2]


def test_what_is_read_is_what_was_written(tiny, tiny_teacher, tmp_path):
    write_clusters(tmp_path / "new" / "a.safetensors", tiny.clusters)
    found = read_clusters(tmp_path / "new" / "a.safetensors", tiny_teacher)
    assert found.facts == tiny.clusters.facts
    assert torch.equal(found.centres, tiny.clusters.centres)
    shown = tiny.shown
    one, other = (ClusterRegions(each, tiny_teacher) for each in (found, tiny.clusters))
    assert np.array_equal(one.masks(shown, one.parts)["face"], other.masks(shown, other.parts)["face"])


def test_regions_of_another_generator_are_refused(tiny, tiny_child, tmp_path):
    child = load_generator(tiny_child, precision="fp32")
    path = tmp_path / "tiny.safetensors"
    write_clusters(path, tiny.clusters)
    for attempt in (lambda: open_regions(child, path), lambda: ClusterRegions(tiny.clusters, child)):
        with pytest.raises(
            DistillError, match=r"regions of the generator with sha256 \w{12}…, this"
        ) as caught:
            attempt()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"centres": torch.zeros(3, 4)}, "centres is not finite float32"),
        ({"deviation": torch.zeros(1)}, "deviation is not finite float32"),
        ({"facts": "{}"}, "its facts: generator: Field required"),
        ({"facts": "{"}, "broken regions"),
        ({"format": "distill-direction"}, "safetensors, but not the regions of a generator; make them with"),
    ],
)
def test_broken_files_are_refused_in_one_line(change, words, tiny, tiny_teacher, tmp_path):
    made = tiny.clusters
    content = {"centres": made.centres, "mean": made.mean, "deviation": made.deviation}
    content |= {"format": "distill-regions", "facts": made.facts.model_dump_json()} | change
    tensors = {name: value for name, value in content.items() if isinstance(value, torch.Tensor)}
    texts = {name: value for name, value in content.items() if isinstance(value, str)}
    write_tensors(tmp_path / "a.safetensors", tensors, texts)
    with pytest.raises(DistillError, match=words) as caught:
        read_clusters(tmp_path / "a.safetensors", tiny_teacher)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_generator_without_regions_is_told_how_to_make_them(tiny_teacher):
    with pytest.raises(DistillError, match=r"no regions of the generator .* come with distill: make them"):
        open_regions(tiny_teacher)


def test_masks_need_the_latents_and_do_not_depend_on_the_batch(tiny, tiny_teacher):
    source = ClusterRegions(tiny.clusters, tiny_teacher)
    with pytest.raises(DistillError, match=r"need the w\+ of each picture"):
        source.masks(pictures(1, 32), source.parts)
    together = source.masks(tiny.shown, source.parts)
    last = replace(
        tiny.shown, images=tiny.shown.images[-1:], faces=tiny.shown.faces[-1:], ws=tiny.shown.ws[-1:]
    )
    alone = source.masks(last, source.parts)
    assert all(np.allclose(alone[part][0], together[part][-1], atol=1e-5) for part in source.parts)


def test_a_part_that_no_cluster_is_named_by_is_unknown(tiny, tiny_teacher):
    facts = tiny.clusters.facts
    only = replace(
        tiny.clusters,
        facts=facts.model_copy(update={"names": ("mouth", "hair") * (len(facts.names) // 2)}),
    )
    source = ClusterRegions(only, tiny_teacher)
    assert source.parts == ["mouth", "face", "hair"]
    with pytest.raises(DistillError, match="part 'clothes' is not one of mouth, face, hair"):
        region_masks(source, tiny.shown, ["clothes"])
    found = source.masks(tiny.shown, ["mouth", "face"])
    assert np.array_equal(found["mouth"], found["face"])


def test_clusters_are_named_by_features_then_by_their_place():
    face = centred_face(32)
    nearest = np.zeros((1, 32, 32), dtype=np.int64)  # 0 is all that is left: background
    x, y = np.rint(face).astype(int).T
    nearest[:, : y[17:27].min() - 4, x[0] + 1 : x[16]] = 1  # above the brows
    nearest[:, y[17:27].min() : y[8], x[0] + 2 : x[16] - 1] = 2
    nearest[:, y[50] : y[57] + 1, x[48] : x[54] + 1] = 3
    nearest[:, -3:] = 4
    assert name_clusters(nearest, [face], 5) == ("background", "hair", "face", "mouth", "clothes")


def test_samples_without_faces_are_told(tiny_teacher):
    with pytest.raises(
        DistillError, match=r"^0 of 16 samples show a face, 32 are needed to name regions"
    ) as caught:
        fit_regions(tiny_teacher, "tiny", samples=16, find=lambda image: [])
    assert "\n" not in str(caught.value)


def test_hair_is_above_the_face_clothes_below_and_background_in_the_corners(portraits):
    fitted = fit_regions(portraits, "portraits", samples=SAMPLES, find=FaceDetector(detect_size=144))
    facts = fitted.clusters.facts
    assert facts.overlaps["face"] > 0.7
    source = ClusterRegions(fitted.clusters, portraits)
    assert set(source.parts) >= {"face", "hair", "background", "clothes"}
    found = region_masks(source, fitted.shown, ["face", "hair", "background", "clothes"])
    height = {part: mean_height(mask) for part, mask in found.items()}
    assert height["hair"] < height["face"] < height["clothes"]
    assert found["background"][:, :4, :4].mean() > 0.9
    assert found["face"][:, 34:40, 28:36].mean() > 0.9
    assert np.allclose(sum(found.values()), 1, atol=1e-4)


def mean_height(mask):
    rows = mask.mean(axis=(0, 2))
    return float(rows @ np.arange(len(rows)) / rows.sum())


@pytest.mark.parametrize("name", ["portraits", "people"])
def test_the_regions_that_come_with_the_package_fit_their_generators(name):
    generator = load_generator(name, precision="fp32")
    source = open_regions(generator)
    assert source.parts == list(PARTS)
    assert source.face_parts == ["eyes", "nose", "mouth", "face"]
    ws = some_ws(generator, 2)
    found = source.masks(pictures(2, 64, ws=ws), ["hair", "background", "clothes"])
    assert all(0.01 < mask.mean() < 0.7 for mask in found.values())
