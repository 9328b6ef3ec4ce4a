"""The robot's camera: colour images and segmentations of the world.

Drawn by OpenGL where a library for it loads, else by casting one ray per pixel.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_robot.errors import UserError
from edge_robot.sim import gl
from edge_robot.sim.gl import mujoco
from edge_robot.sim.rays import Caster
from edge_robot.sim.sensors import HEIGHT, MAX_HEIGHT, MAX_WIDTH, WIDTH
from edge_robot.sim.world import COLLISION_GROUP, World

_MAX_RANGE = 60.0
_PLANE = int(mujoco.mjtGeom.mjGEOM_PLANE)  # NumPy compares with the enumeration one by one
_SLACK_GEOMS = 200  # for what MuJoCo adds to a scene beside the model's geoms


@dataclass(frozen=True)
class Intrinsics:
    """A pinhole camera without distortion; pixel centres have integer coordinates.

    Attributes:
        width: Pixels.
        height: Pixels.
        fx: Focal length, pixels.
        fy: Focal length, pixels.
        cx: Principal point, pixels.
        cy: Principal point, pixels.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float

    @property
    def matrix(self) -> NDArray[np.float64]:
        """The 3×3 matrix K."""
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1.0]])


class Camera:
    """Renders what a camera of the world sees.

    A camera that draws by OpenGL belongs to the thread that made it. The image shows the state in
    the `data` it is given, for which `mj_forward` or `mj_kinematics` and `mj_camlight` have run.

    Args:
        world: The world.
        width: Image width, pixels.
        height: Image height, pixels.
        backend: "egl", "osmesa", "raycast" or "auto"; None takes it from MUJOCO_GL.
        ray_stride: Where rays are cast: pixels from one ray to the next. The image between them is
            interpolated; a stride of 2 takes a quarter of the time.
        name: The MuJoCo camera.

    Attributes:
        backend: What it draws with: "egl", "osmesa" or "raycast".
        intrinsics: Its pinhole model.

    Raises:
        UserError: the size is out of range, or the backend does not work here.
    """

    def __init__(
        self,
        world: World,
        width: int = WIDTH,
        height: int = HEIGHT,
        *,
        backend: str | None = None,
        ray_stride: int = 1,
        name: str = "camera_front",
    ) -> None:
        if not (16 <= width <= MAX_WIDTH and 16 <= height <= MAX_HEIGHT):
            raise UserError(
                f"camera size {width}×{height} is out of range; "
                f"give 16×16 to {MAX_WIDTH}×{MAX_HEIGHT} pixels"
            )
        self._model = world.model
        self._id = world.model.camera(name).id
        fovy = math.radians(float(world.model.cam_fovy[self._id]))
        focal = 0.5 * height / math.tan(0.5 * fovy)
        self.intrinsics = Intrinsics(
            width, height, focal, focal, 0.5 * (width - 1), 0.5 * (height - 1)
        )
        self.backend = gl.choose_backend(backend)
        self._drawer: _GlDrawer | _RayDrawer
        if self.backend == "raycast":
            self._drawer = _RayDrawer(world, self._id, self.intrinsics, ray_stride)
        else:
            self._drawer = _GlDrawer(world, self._id, self.intrinsics, self.backend)

    def render(self, data: mujoco.MjData) -> NDArray[np.uint8]:
        """Return the colour image, shape (height, width, 3), RGB."""
        return self._drawer.render(data)

    def segmentation(self, data: mujoco.MjData) -> NDArray[np.int32]:
        """Return the geom each pixel shows, shape (height, width); -1 where there is none."""
        return self._drawer.segmentation(data)

    def close(self) -> None:
        """Free the OpenGL context, in the thread that made it."""
        self._drawer.close()


class _GlDrawer:
    """Draws with MuJoCo's OpenGL renderer, which is given only what may be in the picture.

    MuJoCo itself would send all geoms through OpenGL. Where a processor draws, they cost more than
    the picture does.
    """

    def __init__(self, world: World, camera: int, intrinsics: Intrinsics, backend: str) -> None:
        # A copy, as groups are what MuJoCo chooses geoms by, and other sensors share the world's.
        self._model = copy.copy(world.model)
        self._groups = world.model.geom_group.copy()
        self._reach = world.model.geom_rbound.copy()
        self._reach[world.model.geom_type == _PLANE] = np.inf
        width, height = intrinsics.width, intrinsics.height
        # Of what is reserved for drawing all is cleared for each picture: no more than is needed.
        self._model.vis.global_.offwidth, self._model.vis.global_.offheight = width, height
        self._size = (height, width)
        self._sides = _sides(intrinsics)
        self._context: Any = gl.make_context(backend, width, height)
        self._scene = mujoco.MjvScene(world.model, maxgeom=world.model.ngeom + _SLACK_GEOMS)
        flags = self._scene.flags
        for flag in (
            mujoco.mjtRndFlag.mjRND_SHADOW,
            mujoco.mjtRndFlag.mjRND_REFLECTION,
            mujoco.mjtRndFlag.mjRND_SKYBOX,
            mujoco.mjtRndFlag.mjRND_HAZE,
        ):
            flags[flag] = 0
        self._option = mujoco.MjvOption()
        self._option.geomgroup[:] = 1
        self._option.geomgroup[COLLISION_GROUP] = 0
        self._option.sitegroup[:] = 0
        self._id = camera
        self._camera = mujoco.MjvCamera()
        self._camera.type = mujoco.mjtCamera.mjCAMERA_FIXED
        self._camera.fixedcamid = camera
        self._perturb = mujoco.MjvPerturb()
        self._rect = mujoco.MjrRect(0, 0, width, height)
        self._mjr = mujoco.MjrContext(self._model, mujoco.mjtFontScale.mjFONTSCALE_100.value)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, self._mjr)

    def render(self, data: mujoco.MjData) -> NDArray[np.uint8]:
        self._update(data)
        return self._draw()

    def segmentation(self, data: mujoco.MjData) -> NDArray[np.int32]:
        self._update(data)
        flags = self._scene.flags
        flags[mujoco.mjtRndFlag.mjRND_SEGMENT] = flags[mujoco.mjtRndFlag.mjRND_IDCOLOR] = 1
        try:
            image = self._draw().astype(np.int32)
        finally:
            flags[mujoco.mjtRndFlag.mjRND_SEGMENT] = flags[mujoco.mjtRndFlag.mjRND_IDCOLOR] = 0
        # A pixel's colour is 1 + the geom's index in the scene.
        geoms = self._scene.geoms[: self._scene.ngeom]
        ids = np.full(self._scene.ngeom + 1, -1, np.int32)
        for geom in geoms:
            if geom.objtype == mujoco.mjtObj.mjOBJ_GEOM and geom.segid >= 0:
                ids[geom.segid + 1] = geom.objid
        return ids[image[..., 0] + (image[..., 1] << 8) + (image[..., 2] << 16)]

    def close(self) -> None:
        self._context.make_current()  # else what another camera of this thread has would be freed
        self._mjr.free()
        self._context.free()

    def _update(self, data: mujoco.MjData) -> None:
        self._model.geom_group[:] = np.where(self._may_show(data), self._groups, COLLISION_GROUP)
        mujoco.mjv_updateScene(
            self._model, data, self._option, self._perturb, self._camera,
            mujoco.mjtCatBit.mjCAT_ALL.value, self._scene,
        )  # fmt: skip

    def _may_show(self, data: mujoco.MjData) -> NDArray[np.bool_]:
        """Tell whose bounding spheres reach into the pyramid of what is in view."""
        axes = data.cam_xmat[self._id].reshape(3, 3)
        inside = (data.geom_xpos - data.cam_xpos[self._id]) @ (axes @ self._sides.T)
        return (inside >= -self._reach[:, None]).all(axis=1)

    def _draw(self) -> NDArray[np.uint8]:
        self._context.make_current()
        image = np.empty((*self._size, 3), np.uint8)
        mujoco.mjr_render(self._rect, self._scene, self._mjr)
        mujoco.mjr_readPixels(image, None, self._rect, self._mjr)
        return np.ascontiguousarray(image[::-1])


def _sides(intrinsics: Intrinsics) -> NDArray[np.float64]:
    """Return the inward normals of the four planes around what is in view, shape (4, 3).

    In the camera's axes as MuJoCo has them: x to the right, y up, looking along -z.
    """
    right = 0.5 * intrinsics.width / intrinsics.fx
    up = 0.5 * intrinsics.height / intrinsics.fy
    normals = np.array([[1, 0, -right], [-1, 0, -right], [0, 1, -up], [0, -1, -up]])
    return normals / np.linalg.norm(normals, axis=1, keepdims=True)


class _RayDrawer:
    """Draws by casting rays: the colours of geoms and textures, lit as OpenGL would."""

    def __init__(self, world: World, camera: int, intrinsics: Intrinsics, stride: int) -> None:
        model = world.model
        self._model = model
        self._camera = camera
        self._caster = Caster(world, robot=True)
        self._stride = stride
        self._size = (intrinsics.height, intrinsics.width)
        self._shape = (-(-intrinsics.height // stride), -(-intrinsics.width // stride))
        # A ray goes through the middle of the stride × stride pixels it stands for.
        rows, columns = (np.indices(self._shape) + 0.5) * stride - 0.5
        # MuJoCo's camera looks along -z, x to the right and y up.
        rays = np.stack(
            [
                (columns - intrinsics.cx) / intrinsics.fx,
                (intrinsics.cy - rows) / intrinsics.fy,
                -np.ones(self._shape),
            ],
            axis=-1,
        ).reshape(-1, 3)
        self._rays = rays / np.linalg.norm(rays, axis=1, keepdims=True)
        self._paint = _Paint(model)

    def render(self, data: mujoco.MjData) -> NDArray[np.uint8]:
        rays = self._world_rays(data)
        origin = data.cam_xpos[self._camera]
        hit = self._caster.cast(data, origin, rays, _MAX_RANGE, normals=True)
        points = origin + hit.distance[:, None] * rays
        colour = self._paint.colours(data, hit.geom, points, hit.normal)
        headlight, lamp = self._model.vis.headlight, data.light_xdir[0]
        # MuJoCo's headlight shines along the optical axis.
        axis = -data.cam_xmat[self._camera].reshape(3, 3)[:, 2]
        facing = np.maximum(-hit.normal @ axis, 0)
        lit = np.maximum(-hit.normal @ lamp, 0)
        light = (
            headlight.ambient
            + facing[:, None] * headlight.diffuse
            + lit[:, None] * self._model.light_diffuse[0]
        )
        image = np.clip(colour * light, 0, 1)
        image[hit.geom < 0] = 0
        pixels = (image * 255).astype(np.uint8).reshape(*self._shape, 3)
        return self._enlarge(pixels, cv2.INTER_LINEAR)

    def segmentation(self, data: mujoco.MjData) -> NDArray[np.int32]:
        origin = data.cam_xpos[self._camera]
        rays = self._world_rays(data)
        hit = self._caster.cast(data, origin, rays, _MAX_RANGE)
        return self._enlarge(hit.geom.reshape(self._shape), cv2.INTER_NEAREST)

    def close(self) -> None:
        """Nothing to free."""

    def _enlarge(self, rays: NDArray[Any], interpolation: int) -> NDArray[Any]:
        if self._stride == 1:
            return rays
        width, height = (self._stride * count for count in self._shape[::-1])
        whole = cv2.resize(rays, (width, height), interpolation=interpolation)
        return np.ascontiguousarray(whole[: self._size[0], : self._size[1]])

    def _world_rays(self, data: mujoco.MjData) -> NDArray[np.float64]:
        return self._rays @ data.cam_xmat[self._camera].reshape(3, 3).T


class _Paint:
    """The colour of a point on a geom: its own, times its texture."""

    def __init__(self, model: mujoco.MjModel) -> None:
        self._model = model
        self._rgb = model.geom_rgba[:, :3].astype(np.float64)
        textured = model.geom_matid >= 0
        self._texture = np.full(model.ngeom, -1)
        role = int(mujoco.mjtTextureRole.mjTEXROLE_RGB)
        self._texture[textured] = model.mat_texid[model.geom_matid[textured], role]
        self._patterns = []
        for index in range(model.ntex):
            start, width = int(model.tex_adr[index]), int(model.tex_width[index])
            pattern = model.tex_data[start : start + width * width * 3]
            self._patterns.append(pattern.reshape(width, width, 3) / 255.0)

    def colours(
        self,
        data: mujoco.MjData,
        geom: NDArray[np.int32],
        points: NDArray[np.float64],
        normals: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Return the colours of points on geoms, shape (n, 3), 0..1; white where geom is -1."""
        colours = self._rgb[geom]
        used = self._texture[geom]
        used[geom < 0] = -1
        some = np.flatnonzero(used >= 0)
        owner = geom[some]
        frames = data.geom_xmat[owner].reshape(-1, 3, 3)
        local = np.einsum("nji,nj->ni", frames, points[some] - data.geom_xpos[owner])
        normal = np.abs(np.einsum("nji,nj->ni", frames, normals[some]))
        u, v = self._coordinates(owner, local, normal)
        for index, pattern in enumerate(self._patterns):
            mine = used[some] == index
            side = len(pattern)
            column = (u[mine] * side).astype(int) % side
            row = (v[mine] * side).astype(int) % side
            colours[some[mine]] *= pattern[row, column]
        return colours

    def _coordinates(
        self, geom: NDArray[np.int32], local: NDArray[np.float64], normal: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return texture coordinates as OpenGL has them: tiled over planes, once per box face."""
        model = self._model
        plane = model.geom_type[geom] == _PLANE
        size, repeat = model.geom_size[geom], model.mat_texrepeat[model.geom_matid[geom]]
        u = 0.5 * (size[:, 0] + local[:, 0]) * repeat[:, 0]
        v = 0.5 * (size[:, 1] - local[:, 1]) * repeat[:, 1]
        on_box = 0.5 + 0.5 * local / size
        axis = normal.argmax(axis=1)
        across = np.where(axis == 0, on_box[:, 2], on_box[:, 0])
        down = np.where(axis == 1, on_box[:, 2], on_box[:, 1])
        return np.where(plane, u, across), np.where(plane, v, 1 - down)
