// The log-in page: why the last try was refused. The token itself never stands in an address.

import { byId } from "./dom.js";

const REASONS = {
  "wrong-token": "This token is not known here. Check it for missing characters.",
  wait: "Too many wrong tokens. Wait ten seconds and try again.",
  "logged-out": "You are logged out.",
  expired: "The session has ended. Log in again.",
};
const reason = Object.keys(REASONS).find((name) => new URLSearchParams(location.search).has(name));
if (reason) {
  byId("login-error").textContent = REASONS[reason];
  history.replaceState(null, "", location.pathname);
}

// A strict cookie does not come along by a link from another robot's page (robots.js); it does from here.
if (location.hash === "#neighbour") location.replace("/");
