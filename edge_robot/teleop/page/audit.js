// What operators did, for administrators: fetched while it is shown.

import { byId, fill, say } from "./dom.js";
import { every } from "./paint.js";
import { clock, words } from "./text.js";

const MOST = 300;

const shown = (value) => (typeof value === "number" ? Number(value.toFixed(3)) : JSON.stringify(value));

export function startAudit() {
  let asking = false;
  every(2000, async () => {
    if (byId("panel-audit").hidden || asking) return;
    asking = true;
    try {
      const response = await fetch(`/audit?count=${MOST}`, { headers: { Accept: "application/json" } });
      if (!response.ok) throw new Error((await response.text()).trim() || `refused: ${response.status}`);
      const { entries, problem } = await response.json();
      say(byId("audit-note"), problem || `The newest ${entries.length} entries`);
      byId("audit-note").classList.toggle("refused", Boolean(problem));
      const newest = entries.sort((a, b) => b.stamp - a.stamp);
      fill(byId("audit"), newest.map(({ time, who, role, address, action, outcome, details }) => [
        clock(Date.parse(time) / 1000), [who, role && `(${role})`].filter(Boolean).join(" "), `${words(action)}: ${outcome}`,
        [address, ...Object.entries(details ?? {}).map(([key, value]) => `${words(key)} ${shown(value)}`)].filter(Boolean).join(", "),
      ]), "Nobody has done anything yet.");
    } catch (error) {
      say(byId("audit-note"), `The audit log could not be read: ${error.message}`);
    } finally {
      asking = false;
    }
  });
}
