from __future__ import annotations

import numpy as np

from distill.faces.regions.kmeans import spherical_kmeans, unit


def bundles(seed=0):
    """300 unit vectors about three directions that are far apart."""
    rng = np.random.default_rng(seed)
    middles = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, -1, 0.2]], dtype=np.float32)
    return middles, unit(
        np.repeat(middles, 100, axis=0) + 0.1 * rng.standard_normal((300, 4)).astype(np.float32)
    )


def test_bundles_of_directions_are_found():
    middles, vectors = bundles()
    centres = spherical_kmeans(vectors, 3, seed=0)
    assert np.allclose(np.linalg.norm(centres, axis=1), 1, atol=1e-5)
    assert ((unit(middles) @ centres.T) > 0.99).sum(axis=1).tolist() == [1, 1, 1]


def test_lengths_do_not_matter_and_a_seed_fixes_the_centres():
    _, vectors = bundles()
    first = spherical_kmeans(vectors, 5, seed=7)
    assert np.array_equal(first, spherical_kmeans(vectors, 5, seed=7))
    assert np.allclose(first, spherical_kmeans(unit(vectors * 8), 5, seed=7), atol=1e-5)


def test_equal_vectors_leave_centres_without_members_where_they_are():
    same = np.repeat(unit(np.array([[3, 4]], dtype=np.float32)), 10, axis=0)
    assert np.allclose(spherical_kmeans(same, 4, seed=0), [[0.6, 0.8]] * 4)
