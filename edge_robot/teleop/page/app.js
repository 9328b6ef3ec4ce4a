// The dashboard's page: what it is made of, and who hears whom.

import { startAudit } from "./audit.js";
import { Bar } from "./bar.js";
import { Camera } from "./camera.js";
import { Control } from "./control.js";
import { byId } from "./dom.js";
import { GoalTool } from "./goal.js";
import { Hud } from "./hud.js";
import { Inputs } from "./inputs.js";
import { startKeys } from "./keys.js";
import { MapView } from "./map.js";
import { Panels } from "./panels.js";
import { startRobots } from "./robots.js";
import { Stop } from "./stop.js";
import { startTabs } from "./tabs.js";
import { startTheme } from "./theme.js";
import { View } from "./view.js";
import { Wheel } from "./wheel.js";

startTheme();
const view = new View();
const control = new Control();
const inputs = new Inputs({ stick: byId("stick"), knob: byId("stick-knob") });

new Bar(view, control);
new Camera(view);
new Hud(view, control, inputs);
const wheel = new Wheel(view, control, inputs);
const stop = new Stop(view, control, inputs);
const goal = new GoalTool(new MapView(view), view, control, (reply) => wheel.answer(reply));
const panels = new Panels(view);
startTabs((panel) => panels.show(panel));
startRobots(view);
startAudit();
startKeys({ stop, wheel, goal });

control.drive(inputs);
control.connect();
view.connect();
