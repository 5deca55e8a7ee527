from __future__ import annotations

import numpy as np

from spark_ros.sim.meshes import simplify


def sphere(rings: int, radius: float) -> tuple[np.ndarray, np.ndarray]:
    polar, around = np.meshgrid(np.linspace(0, np.pi, rings), np.linspace(0, 2 * np.pi, rings), indexing="ij")
    vertices = radius * np.stack(
        [np.sin(polar) * np.cos(around), np.sin(polar) * np.sin(around), np.cos(polar)], axis=-1
    ).reshape(-1, 3)
    corner = (np.arange(rings - 1)[:, None] * rings + np.arange(rings - 1)).ravel()
    lower = np.stack([corner, corner + rings, corner + 1], axis=1)
    upper = np.stack([corner + 1, corner + rings, corner + rings + 1], axis=1)
    return vertices, np.concatenate([lower, upper]).astype(np.int32)


def test_simplifying_keeps_the_shape_and_drops_the_detail() -> None:
    vertices, faces = sphere(80, 0.1)
    few_vertices, few_faces = simplify(vertices, faces, 0.02)
    assert len(few_faces) < len(faces) / 10
    assert np.abs(np.linalg.norm(few_vertices, axis=1) - 0.1).max() < 0.01
    assert few_faces.min() == 0 and few_faces.max() == len(few_vertices) - 1
    corners = few_vertices[few_faces]
    outward = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert np.mean(np.sum(outward * corners.mean(axis=1), axis=1) > 0) > 0.98  # still wound the same way
