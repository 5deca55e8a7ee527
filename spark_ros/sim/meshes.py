"""Makes an arm's CAD meshes light enough to draw many times a second without a GPU.

The FR3 comes with 240,000 triangles, nearly all of them smaller than a pixel; a software renderer spends 10 of 12 ms
per picture on them. Merging the vertices in each small cell (Rossignac and Borrel, "Multi-resolution 3D approximations
for rendering complex scenes", 1993) leaves the shape and removes the detail nobody can see.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spark_ros.contracts import FloatArray
from spark_ros.sim.engine import mujoco

FaceArray = NDArray[np.int32]


def simplify_visuals(mjcf: mujoco.MjSpec, cell_m: float, min_faces: int = 300) -> None:
    """Replaces every mesh that is only seen, never touched, by a simplified one, inside the model.

    Args:
        mjcf: The model; its meshes are read from their files.
        cell_m: Edge of the cells, m; about the size of a detail that may vanish.
        min_faces: Meshes with fewer triangles stay as they are.
    """
    touched = {geom.meshname for geom in mjcf.geoms if geom.contype or geom.conaffinity}
    model = mjcf.copy().compile()  # compiling leaves its traces in the meshes
    for mesh in mjcf.meshes:
        index = model.mesh(mesh.name).id
        if mesh.name in touched or model.mesh_facenum[index] < min_faces:
            continue
        vertices, faces = simplify(*_geometry(model, index), cell_m)
        mesh.file = ""
        mesh.scale = [1.0, 1.0, 1.0]  # the compiled vertices have it already
        mesh.uservert = vertices.flatten()
        mesh.userface = faces.flatten()
        mesh.inertia = mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL  # a simplified surface need not be closed


def simplify(vertices: FloatArray, faces: FaceArray, cell_m: float) -> tuple[FloatArray, FaceArray]:
    """Merges all vertices within a cell of the grid into their mean.

    Args:
        vertices: (V, 3) m.
        faces: (F, 3) indices of vertices.
        cell_m: Edge of the cells, m.

    Returns:
        The remaining vertices and the triangles that still have three corners.
    """
    cells = np.floor(vertices / cell_m).astype(np.int64)
    _, cluster = np.unique(cells, axis=0, return_inverse=True)
    cluster = cluster.reshape(-1)
    count = np.bincount(cluster)
    means = np.stack([np.bincount(cluster, weights=vertices[:, axis]) / count for axis in range(3)], axis=1)
    merged = cluster[faces]
    a, b, c = merged.T
    merged = merged[(a != b) & (b != c) & (c != a)]
    _, first = np.unique(np.sort(merged, axis=1), axis=0, return_index=True)
    used, renumbered = np.unique(merged[np.sort(first)], return_inverse=True)
    return means[used], renumbered.reshape(-1, 3).astype(np.int32)


def _geometry(model: mujoco.MjModel, index: int) -> tuple[FloatArray, FaceArray]:
    """Vertices (V, 3) in the axes of the mesh's file, and faces (F, 3), of a compiled mesh."""
    start, count = model.mesh_vertadr[index], model.mesh_vertnum[index]
    first, faces = model.mesh_faceadr[index], model.mesh_facenum[index]
    rotation = np.empty(9)
    mujoco.mju_quat2Mat(rotation, model.mesh_quat[index])  # the compiler moves meshes to their inertial frame
    vertices = model.mesh_vert[start : start + count] @ rotation.reshape(3, 3).T + model.mesh_pos[index]
    return vertices.astype(np.float64), model.mesh_face[first : first + faces]
