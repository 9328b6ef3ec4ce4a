"""A made-up drive that fills every section of the report."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
from synthetic import Scribe

from edge_robot import topics
from edge_robot.stages import STAGES

SECONDS = 30.0
CUT, RESTORED = 10.0, 20.0


def place(t: float) -> tuple[float, float]:
    return 0.6 * t, 2.0 * math.sin(0.25 * t)


def picture(rng: np.random.Generator, walker: float) -> np.ndarray:
    image = np.full((480, 640, 3), (150, 160, 165), np.uint8)
    image[260:] = (95, 100, 105)
    for i in range(5):
        cv2.rectangle(image, (40 + 130 * i, 120), (110 + 130 * i, 270), (60, 90, 150 + 10 * i), -1)
    x = int(60 + 500 * walker)
    cv2.rectangle(image, (x - 22, 180), (x + 22, 360), (120, 60, 40), -1)
    cv2.circle(image, (x, 160), 22, (140, 170, 220), -1)
    noise = rng.integers(0, 12, image.shape, dtype=np.uint8)
    return cv2.add(image, noise)


def write_drive(path: Path) -> None:
    rng = np.random.default_rng(1)
    with Scribe(path, speed=0.97) as s:
        s.event(0.5, "goal_sent", "to (18.0, 1.9)")
        s.event(CUT, "link_cut", "proxy stopped")
        s.event(RESTORED, "link_restored", "proxy started")
        s.event(SECONDS - 0.5, "goal_reached", "0.12 m from the goal")
        s.add(topics.GOAL, 0.5, header=s.header(0.5), pose=s.pose(*place(SECONDS)))
        info = s.make("nav_msgs/MapMetaData", resolution=0.1, width=220, height=90,
                      origin=s.pose(-2.0, -4.5))  # fmt: skip
        grid = np.zeros((90, 220), np.int8)
        grid[:3] = grid[-3:] = 100
        for x, y in ((50, 20), (90, 60), (120, 30), (160, 70), (70, 75)):
            grid[y - 4 : y + 4, x - 8 : x + 8] = 100
        soft = cv2.GaussianBlur((grid == 100).astype(np.float32), (0, 0), 4)
        grid = np.where(grid == 100, 100, np.minimum(soft * 160, 90)).astype(np.int8)
        grid[:, 200:] = -1
        s.add(topics.COSTMAP, 1.0, header=s.header(1.0), info=info, data=grid.reshape(-1))
        s.add(topics.MODE, 0.1, header=s.header(0.1), mode=0, cause="waiting for the lidar")
        s.add(topics.MODE, 0.4, header=s.header(0.4), mode=1, cause="all inputs alive")
        s.add(topics.MODE, 14.0, header=s.header(14.0), mode=2, cause="planning over budget")
        s.add(topics.MODE, 15.5, header=s.header(15.5), mode=1, cause="all stages in budget")
        for t in np.arange(0.0, SECONDS, 0.02):
            t = float(t)
            s.clock(t)
            x, y = place(t)
            speed = s.make("geometry_msgs/Twist", linear=s.make("geometry_msgs/Vector3", x=0.6))
            s.add(
                topics.ODOM, t, header=s.header(t),
                pose=s.make("geometry_msgs/PoseWithCovariance", pose=s.pose(x, y + 0.003 * t)),
                twist=s.make("geometry_msgs/TwistWithCovariance", twist=speed),
            )  # fmt: skip
        walls = np.arange(0.6, SECONDS - 0.4, 0.02) + rng.uniform(-0.006, 0.006, 1450)
        for i, t in enumerate(walls):
            if i != 700:
                s.command(float(t), float(t) - 0.004, 0.6 + 0.2 * math.sin(t), extra_ns=i)
        outputs = {round(float(t) * 50): (i, float(t) - 0.004) for i, t in enumerate(walls)}
        spread = {"camera_perception": 0.012, "lidar_perception": 0.009, "fusion": 0.0018,
                  "planning": 0.013, "control": 0.0006}  # fmt: skip
        for second in range(int(SECONDS)):
            for stage in STAGES:
                captures = [second + 0.1 * k for k in range(10)]
                runs = []
                for capture in captures:
                    key = round((capture + 0.062 + float(rng.exponential(0.008))) * 50)
                    i, output = outputs.get(key, (0, capture))
                    elapsed = spread[stage.name] * float(rng.lognormal(0.0, 0.3))
                    runs.append(s.run(elapsed, capture, output, extra_ns=i))
                s.add(topics.DEADLINES, second + 0.99, header=s.header(second + 0.99),
                      stage=stage.name, budget=stage.budget, runs=runs)  # fmt: skip
        for k in range(int(SECONDS * 10)):
            t = 0.1 * k
            walker = 0.5 + 0.4 * math.sin(0.3 * t)
            px = 60 + 500 * walker
            seen = [s.detection(px, 260, 50, 220, "person", 0.83),
                    s.detection(205, 195, 72, 150, "box", 0.64)]  # fmt: skip
            s.add(topics.CAMERA_DETECTIONS, t + 0.02, header=s.header(t), detections=seen)
            up = not CUT < t < RESTORED
            if k % 5 == 0:
                _, jpeg = cv2.imencode(".jpg", picture(rng, walker))
                s.add(topics.CAMERA_COMPRESSED, t, header=s.header(t), format="jpeg",
                      data=jpeg.reshape(-1))  # fmt: skip
                if up:
                    answer = s.make(
                        "vision_msgs/Detection2DArray", header=s.header(t),
                        detections=[s.detection(px + 2, 258, 56, 232, "person", 0.94),
                                    s.detection(335, 195, 72, 150, "box", 0.88)],
                    )  # fmt: skip
                    s.add(topics.FLEET_DETECTIONS, t + 0.12, detections=answer, age=0.12,
                          computed_by="fleet", model="big", late=k % 35 == 0)  # fmt: skip
            if k % 2 == 0:
                s.add(topics.LINK, t + 0.06, header=s.header(t), up=up,
                      cause="answered" if up else "2 heartbeats missed")  # fmt: skip
            x, y = place(t)
            person = s.tracked(7, 6 + 2 * math.sin(0.3 * t), -2 + 0.1 * t)
            s.add(topics.SIMULATION_TRUTH, t, header=s.header(t, "map"), robot=s.pose(x, y),
                  people=[person], collisions=0, real_time_factor=0.97)  # fmt: skip
            velocity = s.make("geometry_msgs/Vector3", x=0.6 * math.cos(0.3 * t), y=0.1)
            size = s.make("geometry_msgs/Vector3", x=0.5, y=0.5, z=1.75)
            objects = [s.tracked(3, 6 + 2 * math.sin(0.3 * t), -2 + 0.1 * t, size=size,
                                 class_name="person", class_score=0.9, velocity=velocity,
                                 sources=7, age=t)]  # fmt: skip
            if 5 < t < 18:
                objects.append(s.tracked(4, 9.0, 1.5, size=size, class_name="box",
                                         class_score=0.6, sources=2))  # fmt: skip
            s.add(topics.TRACKS, t + 0.03, header=s.header(t), objects=objects)
