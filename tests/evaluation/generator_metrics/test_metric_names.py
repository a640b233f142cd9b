"""The names of measures: a published name stands for what was published, and for nothing else."""

from __future__ import annotations

import pytest

from distill.errors import DistillError
from distill.evaluation.generator_metrics import names
from distill.evaluation.generator_metrics.names import MetricName, counted, read_names, split_overview
from distill.evaluation.generator_metrics.published import FIGURES


def test_names_are_read_with_and_without_their_counts():
    found = read_names(
        ["fid", "fid50k", "kid5k_full", "pr50k3", "pr2048" + "3", "ppl2_wend", "ppl_wend_5k", "ls_20k"]
    )
    assert found == (
        MetricName(measure="fid"),
        MetricName(measure="fid", count=50_000),
        MetricName(measure="kid", count=5000, full=True),
        MetricName(measure="pr", count=50_000),
        MetricName(measure="pr", count=2048),
        MetricName(measure="ppl2_wend"),
        MetricName(measure="ppl_wend", count=5000),
        MetricName(measure="ls", count=20_000),
    )
    assert split_overview("overview") == (True, ())
    assert split_overview(" fid , overview") == (True, (MetricName(measure="fid"),))


@pytest.mark.parametrize(
    "text", ["is50k", "fid0", "fid_5k", "pr50k", "pr3", "ppl", "ppl_wend5k", "ls_w", "FID", ","]
)
def test_what_is_no_measure_is_refused(text):
    with pytest.raises(DistillError, match="known are overview, fid50k"):
        split_overview(text)


def test_a_very_long_count_is_refused_in_few_words():
    with pytest.raises(DistillError, match=f"at most {names.MOST:,} samples are drawn") as refusal:
        split_overview("fid" + "9" * 5000)
    assert len(str(refusal.value)) < 120
    with pytest.raises(DistillError, match="known are overview") as refusal:
        split_overview("x" * 5000)
    assert len(str(refusal.value)) < 250


@pytest.mark.parametrize("text", ["fid٥k", "fid5٠", "ls_2０k"])
def test_digits_of_other_scripts_are_refused(text):
    with pytest.raises(DistillError, match="is not a measure"):
        split_overview(text)


def test_so_many_samples_are_drawn():
    def counts(words, asked=None):
        return [metric.count for metric in counted(read_names(words.split()), asked)]

    assert counts("fid ppl_wend ls") == [50_000, 50_000, 200_000], "as published"
    assert counts("fid5k pr50k3 ls_20k ppl2_wend_1k") == [5000, 50_000, 20_000, 1000], "as the names say"
    assert counts("fid50k ls_20k", 5000) == [5000, 5000], "what is asked for outright counts"
    assert counts("fid fid50k") == [50_000], "one measure"
    with pytest.raises(DistillError, match="fid needs at least 100 samples, not 99"):
        counts("pr fid", 99)


def test_only_the_published_features_and_count_give_the_published_name():
    published = {
        names.frechet_name("inception", 50_000, full=False, unbiased=False),
        names.manifold_name("precision", "vgg16", 50_000, full=False),
        names.manifold_name("recall", "vgg16", 50_000, full=False),
        *(names.path_name(kind, "lpips_vgg16", 50_000, form="tf") for kind in ("ppl_zfull", "ppl_wfull")),
        *(names.path_name(kind, "lpips_vgg16", 50_000, form="tf") for kind in ("ppl_zend", "ppl_wend")),
        names.path_name("ppl2_wend", "lpips_vgg16", 50_000, form=""),
    }
    assert published == set(FIGURES)
    others = {
        names.frechet_name("inception", 5000, full=False, unbiased=False): "fid5k",
        names.frechet_name("inception", 50_000, full=True, unbiased=False): "fid50k_full",
        names.frechet_name("inception", 50_000, full=False, unbiased=True): "fid50k_unbiased",
        names.frechet_name("efficientnet_lite0", 50_000, full=False, unbiased=True): (
            "frechet_efficientnet_lite0_50k"
        ),
        names.kernel_name("inception", 1500, full=False): "kid1500",
        names.kernel_name("pixels8", 5000, full=True): "kernel_pixels8_5k_full",
        names.manifold_name("recall", "vgg16", 5000, full=False): "pr5k3_recall",
        names.manifold_name("recall", "pixels8", 5000, full=False): "recall_pixels8_5k",
        names.path_name("ppl_wend", "lpips_vgg16", 50_000, form="ada"): "ppl_wend_ada",
        names.path_name("ppl_wend", "lpips_vgg16", 50_000, form=""): "ppl_wend",
        names.path_name("ppl_wend", "lpips_vgg16", 5000, form="tf"): "ppl_wend_tf_5k",
        names.path_name("ppl2_wend", "efficientnet_lite0", 50_000, form=""): (
            "path_length2_wend_efficientnet_lite0_50k"
        ),
        names.separability_name(2, "w", 20_000): "ls_2_w_20k",
        names.separability_name(40, "w", 200_000): "ls_40_w",
    }
    assert all(name == expected for name, expected in others.items())
    assert not set(others) & set(FIGURES)
    assert names.at_psi("fid50k", 0.7) == "fid50k_psi0.7"
