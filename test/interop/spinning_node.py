"""A node that does what is hard for an executor; prints what came of it, and what it cost.

With `ours` it spins as the package's nodes do, else as rclpy's do.
"""

import json
import sys
import threading
import time
from pathlib import Path

import rclpy
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.task import Future
from std_msgs.msg import Int32
from std_srvs.srv import Trigger

from edge_robot.nodes.spinning import spin

MESSAGES = 300


class Hard(Node):
    def __init__(self):
        super().__init__("hard")
        self.told = {}
        self.steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.publisher = self.create_publisher(Int32, "count", 10)
        self.create_subscription(Int32, "count", self.on_count, 10)
        # An answer that waits for another node's, in a group of its own, and callbacks beside it.
        self.alone = MutuallyExclusiveCallbackGroup()
        self.gate = Future()
        self.create_service(Trigger, "slow", self.on_slow, callback_group=self.alone)
        self.create_service(
            Trigger, "quick", self.on_quick, callback_group=ReentrantCallbackGroup()
        )
        self.barred = 0
        self.create_timer(0.01, self.on_barred, self.alone, clock=self.steady)
        self.barred_guard = self.create_guard_condition(self.on_barred_guard, self.alone)
        self.slow = self.create_client(Trigger, "slow")
        self.quick = self.create_client(Trigger, "quick")
        self.from_thread = self.create_guard_condition(self.on_thread)
        self.create_timer(0.005, self.on_tick, clock=self.steady)
        self.ticks = 0

    def on_tick(self):
        self.ticks += 1
        if self.ticks <= MESSAGES:
            self.publisher.publish(Int32(data=self.ticks))
        if self.ticks == 10:
            self.ask()
        if self.ticks == 100:
            self.told["barred meanwhile"] = self.barred - self.barred_before
            self.gate.set_result(None)
        if self.ticks == 130:
            self.told["barred again"] = self.barred > self.barred_before
            threading.Thread(target=self.from_thread.trigger).start()
        if self.ticks == 140:
            self.watch_a_contract()
            self.victims = [
                self.create_timer(0.001, self.end_timers, clock=self.steady) for _ in range(3)
            ]
            self.guards_of_ours = [self.create_guard_condition(self.end_guards) for _ in range(2)]
            for guard in self.guards_of_ours:
                guard.trigger()
            time.sleep(0.1)  # all is ready at once
        if self.ticks == MESSAGES + 50:
            raise RuntimeError("the end")

    def on_count(self, message):
        self.told["counted"] = message.data

    def ask(self):
        self.slow.call_async(Trigger.Request()).add_done_callback(
            lambda future: self.told.update(answer=future.result().message)
        )
        time.sleep(0.1)  # the question has come when the guard condition is looked at
        self.barred_guard.trigger()

    async def on_slow(self, _request, response):
        self.barred_before = self.barred
        await self.gate
        answer = await self.quick.call_async(Trigger.Request())
        response.message = f"slow and {answer.message}"
        return response

    def on_quick(self, _request, response):
        response.message = "quick"
        return response

    def on_barred(self):
        self.barred += 1

    def on_barred_guard(self):
        self.told["barred guard"] = True

    def on_thread(self):
        self.told["from a thread"] = True

    def count(self, what):
        self.told[what] = self.told.get(what, 0) + 1

    def end_timers(self):
        self.count("timers of three")
        first, second, third = self.victims
        first.cancel()
        second.cancel()
        self.destroy_timer(third)

    def end_guards(self):
        self.count("guards of two")
        for guard in self.guards_of_ours:
            self.destroy_guard_condition(guard)

    def watch_a_contract(self):
        events = SubscriptionEventCallbacks(liveliness=self.end_watch, matched=self.end_watch)
        self.watch = self.create_subscription(
            Int32, "watched", print, QoSProfile(depth=1), event_callbacks=events
        )
        self.watched = self.create_publisher(Int32, "watched", QoSProfile(depth=1))

    def end_watch(self, _info):
        self.count("events of two")
        self.destroy_subscription(self.watch)


def threads():
    return sum(1 for _ in Path("/proc/self/task").iterdir())


def main():
    rclpy.init()
    alone = threads()
    node = Hard()
    before = time.process_time()
    try:
        (spin if sys.argv[1] == "ours" else rclpy.spin)(node)
    except RuntimeError as error:
        node.told["ended by"] = str(error)
    cost = time.process_time() - before
    node.destroy_node()
    node.told["threads left"] = threads() - alone
    rclpy.try_shutdown()
    print(json.dumps([node.told, cost]))


main()
