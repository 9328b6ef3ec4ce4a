// What a page written with roslibjs does, run by test_rosbridge_roslib.py beside an installed roslib.
// node roslib_page.mjs URL '{"headers": {…}, "protocols": […], "brief": true}' prints what it saw as JSON.
import { AbstractTransport, Param, Ros, Service, Topic } from "roslib";
import { WebSocket } from "ws";

class WsTransport extends AbstractTransport {
  constructor(socket) {
    super();
    this.socket = socket;
    socket.onopen = (event) => this.emit("open", event);
    socket.onclose = (event) => this.emit("close", event);
    socket.onerror = (event) => this.emit("error", event);
    socket.onmessage = (event) => this.handleRawMessage(event.data);
  }
  send(message) { this.socket.send(JSON.stringify(message)); }
  close() { this.socket.close(); }
  isConnecting() { return this.socket.readyState === WebSocket.CONNECTING; }
  isOpen() { return this.socket.readyState === WebSocket.OPEN; }
  isClosing() { return this.socket.readyState === WebSocket.CLOSING; }
  isClosed() { return this.socket.readyState === WebSocket.CLOSED; }
}

const [url, options] = process.argv.slice(2);
const { headers, protocols, brief } = JSON.parse(options);
const seen = { statuses: [] };
const transportFactory = async (address) =>
  new WsTransport(new WebSocket(address, protocols ?? [], { headers }));
const ros = new Ros({ transportFactory });

function ask(method, ...args) {
  return new Promise((resolve, reject) => ros[method](...args, resolve, reject));
}
function call(name, serviceType, request) {
  return new Promise((resolve) =>
    new Service({ ros, name, serviceType }).callService(
      request, (response) => resolve({ response }), (failure) => resolve({ failure })));
}
function patiently(promise, what) {
  const late = new Promise((_, reject) => setTimeout(() => reject(new Error(`no ${what}`)), 15000));
  return Promise.race([promise, late]);
}

async function look() {
  await patiently(new Promise((resolve, reject) => {
    ros.on("connection", resolve);
    ros.on("error", (event) => reject(new Error(event.message)));
    ros.connect(url);
  }), "connection");
  const raw = ros.transport.socket;
  raw.addEventListener("message", (event) => {
    const message = JSON.parse(event.data);
    if (message.op === "status") seen.statuses.push(message);
  });

  seen.topics = (await ask("getTopics")).topics;
  if (brief) return;
  seen.odometries = await ask("getTopicsForType", "nav_msgs/Odometry");
  seen.type = await ask("getTopicType", "/odom");
  seen.services = await ask("getServices");
  seen.service_type = await ask("getServiceType", "/estop/set");
  seen.nodes = await ask("getNodes");
  seen.details = await ask("getNodeDetails", "/robot");
  seen.parameter = await new Promise((resolve, reject) =>
    new Param({ ros, name: "/robot:speed" }).get(resolve, reject));

  const odom = new Topic({ ros, name: "/odom", messageType: "nav_msgs/Odometry", throttle_rate: 100 });
  const mode = new Topic({ ros, name: "/robot/mode", messageType: "edge_robot/msg/RobotMode" });
  const scan = new Topic({ ros, name: "/scan", messageType: "sensor_msgs/msg/LaserScan" });
  const image = new Topic({ ros, name: "/camera/front/image_raw", messageType: "sensor_msgs/msg/Image" });
  const first = (topic) => patiently(new Promise((resolve) => topic.subscribe(resolve)), topic.name);
  [seen.odom, seen.mode, seen.scan, seen.image] = await Promise.all([odom, mode, scan, image].map(first));
  let count = 0;
  const begun = Date.now();
  odom.subscribe(() => { count += 1; });
  await new Promise((resolve) => setTimeout(resolve, 1000));
  seen.rate = (1000 * count) / (Date.now() - begun);
  odom.unsubscribe();
  image.unsubscribe();

  new Topic({ ros, name: "/cmd_vel", messageType: "geometry_msgs/TwistStamped" }).publish({});
  new Topic({ ros, name: "/words", messageType: "std_msgs/String" }).publish({ data: 7 });
  const words = new Topic({ ros, name: "/words", messageType: "std_msgs/String" });
  words.advertise();
  const speaking = setInterval(() => words.publish({ data: "grüße" }), 50);

  seen.stop = await call("/estop/set", "std_srvs/SetBool", { data: true });
  seen.reset = await call("/estop/set", "std_srvs/SetBool", { data: false });
  seen.permitted = await call("/add", "example_interfaces/AddTwoInts", { a: 2, b: 40 });
  seen.forbidden = await call("/robot/set_parameters", "rcl_interfaces/SetParameters", { parameters: [] });
  await patiently(first(new Topic({ ros, name: "/heard", messageType: "std_msgs/String" })), "echo");
  clearInterval(speaking);
}

try {
  await look();
} catch (error) {
  seen.failed = error.message;
}
console.log(JSON.stringify(seen));
process.exit(0);
